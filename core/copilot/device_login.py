"""GitHub's device login: a code for the person to type, then polling until GitHub says how it went."""

from collections.abc import Callable
from typing import Final, cast
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from core.copilot.failures import unreachable
from core.copilot.faults import TransportError
from core.copilot.github import GitHub
from core.copilot.headers import github_headers
from core.copilot.hosts import hosts_of
from core.errors import GatewayError
from core.settings import Secret, Settings

_VSCODE_CLIENT: Final = "Iv1.b507a08c87ecfe98"  # Copilot for VS Code, whose tokens the exchange accepts
_SCOPE: Final = "read:user"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_TIMEOUT: Final = 20.0
_LONGEST: Final = 3600.0
_SLOW_DOWN: Final = 5.0  # RFC 8628 section 3.5

# What ends a login, as GitHub documents the device flow.
_TERMINAL: Final[dict[str, str]] = {
    "expired_token": "The code has expired. Start the login again.",
    "token_expired": "The code has expired. Start the login again.",
    "access_denied": "The login was cancelled on GitHub's page.",
    "incorrect_device_code": "GitHub does not know this code. Start the login again.",
    "incorrect_client_credentials": "GitHub does not know the OAuth app; check the setting client_id.",
    "unsupported_grant_type": "GitHub does not accept this kind of login from the OAuth app; check the setting client_id.",
    "device_flow_disabled": "The OAuth app has the device flow switched off; switch it on in the app's settings.",
}


class DeviceCode(Struct, frozen=True, kw_only=True):
    """A login under way. Shown to the person: `user_code`, `verification_uri`. Secret: `device_code`.

    expires_at: unix seconds. interval: seconds between polls.
    """

    device_code: str
    user_code: str
    verification_uri: str
    expires_at: float
    interval: float

    def __repr__(self) -> str:
        return f"DeviceCode(user_code={self.user_code!r}, expires_at={self.expires_at!r})"


class LoginPending(Struct, frozen=True):
    """Ask again after `interval` seconds. `note` says what went wrong in between, if anything did."""

    interval: float
    note: str = ""


class LoginGranted(Struct, frozen=True):
    """The person agreed."""

    github_token: Secret


class DeviceLogin:
    """The login with the identity's own OAuth app. `start` and `poll_once` keep no state here."""

    def __init__(self, settings: Settings, github: GitHub, *, now: Callable[[], float]) -> None:
        self._settings = settings
        self._github = github
        self._now = now

    def start(self) -> DeviceCode:
        """Ask GitHub for a code; raises GatewayError `login_required` for a wrong app, `upstream` or `timeout`."""
        reply = self._post("/login/device/code", {"client_id": self._client_id(), "scope": _SCOPE})
        code = _text(reply, "device_code")
        user_code = _text(reply, "user_code")
        if error := _text(reply, "error"):
            raise _refused(error, _text(reply, "error_description"))
        if not code or not user_code:
            raise GatewayError("GitHub did not answer with a login code. Try again.", kind="upstream")
        return DeviceCode(
            device_code=code,
            user_code=user_code,
            verification_uri=self._page(_text(reply, "verification_uri")),
            expires_at=self._now() + _seconds(reply, "expires_in", 900.0),
            interval=_seconds(reply, "interval", 5.0),
        )

    def poll_once(self, code: DeviceCode) -> LoginPending | LoginGranted:
        """Ask once how the login goes.

        A broken network or an unreadable answer is pending too, with a note. Raises GatewayError `login_required` with
        GitHub's own code when the login has ended: `expired_token`, `access_denied`, a misconfigured app.
        """
        if self._now() >= code.expires_at:
            raise _refused("expired_token")
        form = {"client_id": self._client_id(), "device_code": code.device_code, "grant_type": _GRANT}
        try:
            reply = self._post("/login/oauth/access_token", form)
        except GatewayError as fault:
            if fault.kind == "login_required":
                raise
            return LoginPending(code.interval, fault.message)
        if token := _text(reply, "access_token"):
            return LoginGranted(Secret(token))
        error = _text(reply, "error")
        if error == "slow_down":
            return LoginPending(_seconds(reply, "interval", code.interval + _SLOW_DOWN))
        if error in {"authorization_pending", ""}:
            return LoginPending(code.interval)
        raise _refused(error, _text(reply, "error_description"))

    def login(self, *, wait: Callable[[float], None], progress: Callable[[DeviceCode, str], None]) -> Secret:
        """Log in and return the GitHub token; raises GatewayError as `start` and `poll_once` do.

        `progress` gets the code before every wait, with a note when something went wrong in between.
        """
        code = self.start()
        note = ""
        while True:
            progress(code, note)
            wait(min(code.interval, max(code.expires_at - self._now(), 0.0)))
            outcome = self.poll_once(code)
            if isinstance(outcome, LoginGranted):
                return outcome.github_token
            note = outcome.note
            code = msgspec.structs.replace(code, interval=outcome.interval)

    def _client_id(self) -> str:
        if self._settings.client_id:
            return self._settings.client_id
        if self._settings.identity == "vscode":
            return _VSCODE_CLIENT
        raise GatewayError(
            'The identity "direct" logs in through your own OAuth app. Register one on GitHub (Settings, Developer '
            "settings, OAuth apps, with the device flow enabled) and put its id into the setting client_id.",
            kind="login_required",
            code="client_id_missing",
        )

    def _page(self, named: str) -> str:
        # A link that people follow: only ever GitHub's own page.
        github = hosts_of(self._settings).github
        return named if named.startswith(github + "/") and named.isprintable() else f"{github}/login/device"

    def _post(self, path: str, form: dict[str, str]) -> dict[str, object]:
        headers = github_headers(self._settings) | {"content-type": "application/x-www-form-urlencoded"}
        url = hosts_of(self._settings).github + path
        try:
            answer = self._github.fetch("POST", url, headers, urlencode(form).encode(), timeout=_TIMEOUT)
        except TransportError as error:
            raise unreachable(error, "GitHub") from error
        # GitHub reports most failures with status 200, and some senders with 400: the body decides.
        try:
            reply = msgspec.json.decode(answer.body, type=dict[str, object])
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            reply = None
        # How GitHub answers for an app that it does not know: with a page, or with the error "Not Found".
        if answer.status == 404 and (reply is None or _text(reply, "error") in {"", "Not Found"}):  # noqa: PLR2004
            raise _refused("incorrect_client_credentials")
        if reply is None:
            raise GatewayError(
                f"GitHub gave an unreadable answer (status {answer.status}). Try again.", kind="upstream"
            )
        return reply


def _refused(error: str, description: str = "") -> GatewayError:
    message = _TERMINAL.get(error) or f"GitHub refused the login: {(description or error)[:300]}"
    return GatewayError(message, kind="login_required", code=error[:100])


def _text(reply: dict[str, object], name: str) -> str:
    value = reply.get(name)
    return value if isinstance(value, str) else ""


def _seconds(reply: dict[str, object], name: str, default: float) -> float:
    value = reply.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return min(max(cast("float", value), 1.0), _LONGEST)
