"""A fake of GitHub's device login, GitHub's REST API and Copilot, over real sockets.

In tests: `with FakeCopilot() as fake:` and then `fake.capi_url`, `fake.set_modes(...)`, `fake.force(...)`,
`fake.log`. As a program: `python -m tests.emulators.copilot`, steered through `/_fake/` (see `control`).

What it cannot prove: which headers the real edge accepts, which models a plan or client may use, which
fields each model backend takes this week, where abuse detection begins, and how fast anything is.
"""

from tests.emulators.copilot.fake import FakeCopilot
from tests.emulators.copilot.state import BUSINESS_TOKEN, CLIENT_IDS, DEMO_TOKEN, Account, Logged

__all__ = ["BUSINESS_TOKEN", "CLIENT_IDS", "DEMO_TOKEN", "Account", "FakeCopilot", "Logged"]
