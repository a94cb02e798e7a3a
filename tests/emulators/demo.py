"""`make demo`: the gateway as it is, in front of the bundled fake Copilot; flags are those of `copilot-gateway start`."""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.cli import main as copilot_gateway
from infra.settings import PREFIX
from tests.emulators.copilot import FakeCopilot

PACE_MS = 20  # between two words, so that a stream is seen to be one
BANNER = """
  ************************************************************************
  *  DEMO: this is a FAKE Copilot. No model thinks here, nothing is sent *
  *  to GitHub, and every answer is made up by a few rules.              *
  ************************************************************************
"""


def main() -> None:
    """Serve until interrupted; nothing of the user's own gateway is read or written."""
    sys.stderr.write(BANNER + "\n")
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    with FakeCopilot(realistic=True) as fake, TemporaryDirectory() as home:
        fake.set_modes("*", pace_ms=PACE_MS)
        os.environ[f"{PREFIX}GITHUB_URL"] = fake.github_url
        os.environ[f"{PREFIX}GITHUB_API_URL"] = fake.api_url
        os.environ[f"{PREFIX}GITHUB_TOKEN"] = fake.token
        os.environ[f"{PREFIX}DATA_DIR"] = str(Path(home) / "data")
        copilot_gateway(["start", *sys.argv[1:]])


if __name__ == "__main__":
    main()
