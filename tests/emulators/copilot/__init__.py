"""A fake of GitHub's device login, GitHub's REST API and Copilot, over real sockets."""

from tests.emulators.copilot.fake import FakeCopilot
from tests.emulators.copilot.state import BUSINESS_TOKEN, CLIENT_IDS, DEMO_TOKEN, Account, Logged

__all__ = ["BUSINESS_TOKEN", "CLIENT_IDS", "DEMO_TOKEN", "Account", "FakeCopilot", "Logged"]
