"""A device login that a browser drives: its state is shared, so that any process can show it and ask GitHub about it."""

from collections.abc import Callable
from typing import Final, Literal

import msgspec
from msgspec import Struct

from core.copilot.device_login import DeviceCode, DeviceLogin, LoginGranted, LoginPending
from core.errors import GatewayError
from core.ports import StateStore, StoreError, read_stored
from core.settings import Secret

KIND: Final = "device-login"
KEY: Final = "current"  # one person, one login at a time
LEASE: Final = 30.0  # seconds; longer than GitHub may take to answer
SHOWN: Final = 600.0  # seconds for which an outcome can still be read
_LATE: Final = 300.0  # a code that has run out is kept so long, to say so

Phase = Literal["waiting", "granted", "ended"]


class LoginProgress(Struct, frozen=True, kw_only=True):
    """How a login goes, fit to be shown: no device code, no token.

    expires_at: unix seconds, of the code. pause: seconds until there can be news. message: a sentence for the person;
    while waiting it says what went wrong in between, if anything did.
    """

    phase: Phase
    message: str = ""
    user_code: str = ""
    verification_uri: str = ""
    expires_at: float = 0.0
    pause: float = 0.0


class _Record(Struct, frozen=True, kw_only=True):
    """What is stored. `code` is there while the phase is "waiting"; GitHub is not asked before `poll_at`."""

    phase: Phase
    message: str = ""
    code: DeviceCode | None = None
    poll_at: float = 0.0


class PendingLogin:
    """The one login under way.

    Nothing happens by itself: `look` asks GitHub, no more often than GitHub wants, whichever process is asked. The
    token goes from GitHub's answer to `accept` (which keeps it, or raises StoreError) and nowhere else.
    """

    def __init__(
        self,
        login: DeviceLogin,
        state: StateStore,
        accept: Callable[[Secret], None],
        *,
        now: Callable[[], float],
        new_id: Callable[[str], str],
    ) -> None:
        self._login = login
        self._state = state
        self._accept = accept
        self._now = now
        self._new_id = new_id

    def start(self) -> None:
        """Get a new code, in place of any older one. Raises GatewayError as `DeviceLogin.start` does, StoreError."""
        code = self._login.start()
        self._save(_Record(phase="waiting", code=code, poll_at=self._now() + code.interval))

    def cancel(self) -> None:
        """Forget the login and its outcome. Raises StoreError."""
        self._state.delete(KIND, KEY)

    def look(self) -> LoginProgress | None:
        """Return how the login goes, after asking GitHub if it is time; None when there is none. Raises StoreError."""
        record = self._load()
        if record is not None and self._is_due(record):
            record = self._asked(record)
        return None if record is None else self._shown(record)

    def _is_due(self, record: _Record) -> bool:
        return record.code is not None and self._now() >= min(record.poll_at, record.code.expires_at)

    def _asked(self, record: _Record) -> _Record | None:
        """Ask GitHub under a lease, so that two browsers or processes do not ask at once."""
        owner = self._new_id("login_")
        patience = LEASE if record.code is None else max(LEASE, record.code.interval)
        if not self._state.claim(KIND, KEY, owner, expires_at=self._now() + patience):
            return record
        try:
            current = self._load()  # another process may just have asked
            if current is None or current.code is None or not self._is_due(current):
                return current
            outcome = self._polled(current.code)
            if (meanwhile := self._load()) != current:  # cancelled or begun anew
                return meanwhile
            self._save(outcome)
            return outcome
        finally:
            self._state.release(KIND, KEY, owner)

    def _polled(self, code: DeviceCode) -> _Record:
        try:
            outcome = self._login.poll_once(code)
        except GatewayError as error:
            return _Record(phase="ended", message=error.message)
        if isinstance(outcome, LoginGranted):
            return self._kept(outcome)
        return self._waiting(code, outcome)

    def _kept(self, granted: LoginGranted) -> _Record:
        try:
            self._accept(granted.github_token)
        except StoreError as error:
            return _Record(
                phase="ended",
                message=f"GitHub agreed, but the login could not be kept. {error} Then start again.",
            )
        return _Record(phase="granted", message="GitHub agreed, and the login is kept.")

    def _waiting(self, code: DeviceCode, pending: LoginPending) -> _Record:
        code = msgspec.structs.replace(code, interval=pending.interval)
        return _Record(phase="waiting", message=pending.note, code=code, poll_at=self._now() + code.interval)

    def _shown(self, record: _Record) -> LoginProgress:
        code = record.code
        if code is None:
            return LoginProgress(phase=record.phase, message=record.message)
        return LoginProgress(
            phase=record.phase,
            message=record.message,
            user_code=code.user_code,
            verification_uri=code.verification_uri,
            expires_at=code.expires_at,
            pause=max(min(record.poll_at, code.expires_at) - self._now(), 1.0),
        )

    def _load(self) -> _Record | None:
        return read_stored(self._state.load(KIND, KEY), _Record)

    def _save(self, record: _Record) -> None:
        end = self._now() + SHOWN if record.code is None else record.code.expires_at + _LATE
        self._state.save(KIND, KEY, msgspec.json.encode(record), expires_at=end)
