"""What everybody who uses the gateway should know first."""

from typing import Final

NOTICE: Final = (
    "Unofficial: GitHub does not publish Copilot's API for programs like this one. It is for your own use of your own "
    "subscription, within GitHub's terms; heavy automated use can get Copilot access suspended."
)
