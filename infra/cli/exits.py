"""How the command ends: its exit codes, and which error leads to which."""

from collections.abc import Mapping
from typing import Final

from core.errors import ErrorKind

OK: Final = 0
FAILURE: Final = 1
USAGE: Final = 2  # a wrong option or setting; also click's own
LOGIN: Final = 3  # nobody is logged in, or GitHub refuses the login
UNREACHABLE: Final = 4  # GitHub or Copilot does not answer, or not now
INTERRUPTED: Final = 130  # Ctrl-C, as shells count it: 128 + SIGINT

EPILOG: Final = (
    "Exit codes: 0 done, 1 failed, 2 wrong option or setting, 3 login needed or refused, "
    "4 GitHub or Copilot not reachable, 130 interrupted."
)

BY_KIND: Final[Mapping[ErrorKind, int]] = {
    "login_required": LOGIN,
    "upstream": UNREACHABLE,
    "timeout": UNREACHABLE,
    "overloaded": UNREACHABLE,
    "rate_limit": UNREACHABLE,
}


class CommandError(Exception):
    """Ends the command with one line and an exit code."""

    def __init__(self, message: str, code: int = FAILURE) -> None:
        super().__init__(message)
        self.code = code
