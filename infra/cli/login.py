"""The device login as a person sees it: where to go, what to type, how long there is left, how it went."""

import contextlib
import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from core.copilot.device_login import DeviceCode, DeviceLogin
from core.settings import Secret
from infra.cli.console import people, plain, say, warn

if TYPE_CHECKING:
    from rich.status import Status

TICK: Final = 1.0  # seconds between two looks at the countdown


class LoginView:
    """Shows one login. The spinner lives from the first wait until `close`, on a terminal only."""

    def __init__(self, *, now: Callable[[], float], sleep: Callable[[float], None], browser: bool) -> None:
        self._now, self._sleep, self._browser = now, sleep, browser
        self._shown: DeviceCode | None = None
        self._status: Status | None = None

    def progress(self, code: DeviceCode, note: str) -> None:
        """Show the code once, then only what is new: a fault in between, or GitHub's wish for a slower pace."""
        if self._shown is None:
            self._introduce(code)
        elif code.interval > self._shown.interval:
            say(f"GitHub asks for fewer questions: the next ones come every {code.interval:g} s.")
        if note:
            warn(f"{note} Still waiting.")
        self._shown = code

    def wait(self, seconds: float) -> None:
        """Wait, counting down the life of the code."""
        end = self._now() + seconds
        while (left := end - self._now()) > 0:
            self._count_down()
            self._sleep(min(left, TICK))

    def close(self) -> None:
        """Take the spinner away."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _introduce(self, code: DeviceCode) -> None:
        say(f"Open {code.verification_uri} and enter the code {code.user_code}", "bold")
        say(f"The code is good for {max(round((code.expires_at - self._now()) / 60), 1)} minutes.")
        if self._browser and not _open_browser(code.verification_uri):
            warn("No browser could be opened; open the page yourself.")
        if not people().is_terminal:
            say("Waiting for you to enter the code.")

    def _count_down(self) -> None:
        if self._shown is None or not people().is_terminal:
            return
        minutes, seconds = divmod(max(int(self._shown.expires_at - self._now()), 0), 60)
        text = f"Waiting for you to enter {plain(self._shown.user_code)} ({minutes}:{seconds:02d} left)"
        if self._status is None:
            self._status = people().status(text)
            self._status.start()
        else:
            self._status.update(text)


def log_in(
    login: DeviceLogin, *, now: Callable[[], float], sleep: Callable[[float], None], browser: bool = False
) -> Secret:
    """Lead a person through the login and return the GitHub token. Raises GatewayError as `DeviceLogin.login` does."""
    view = LoginView(now=now, sleep=sleep, browser=browser)
    with contextlib.closing(view):
        return login.login(wait=view.wait, progress=view.progress)


def _open_browser(page: str) -> bool:
    try:
        return webbrowser.open(page)
    except webbrowser.Error:
        return False
