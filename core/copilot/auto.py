"""Copilot's Auto mode: sessions in which Copilot picks the model, each kept until shortly before its end."""

import logging
import re
import threading
from collections.abc import Callable
from typing import Final, cast

from core.copilot.auto_session import MARGIN, AutoSession, read_record, read_session, write_record
from core.copilot.client import CopilotClient
from core.copilot.lease import Lease
from core.errors import GatewayError
from core.ports import StateStore, StoreError

_log = logging.getLogger(__name__)

PATH: Final = "/models/session"
# What VS Code's chat-lib asks with.
_QUESTION: Final = b'{"auto_mode":{"model_hints":["auto"]}}'

_STEP: Final = 0.1
_ROUNDS: Final = 100  # how often somebody else's session is waited for, one step each
_PAUSE: Final = 5.0  # after a failure: requests that waited together fail together
_PATIENCE: Final = 60.0  # the longest `retry-after` that is kept to without asking again
_RENEWAL_GAP: Final = 60.0  # seconds between two renewals that a refusal asked for
_NEVER: Final = float("-inf")

_SESSIONS: Final = "copilot-auto-session"
_LEASES: Final = "copilot-auto-session-lease"

# How a refusal may name the session. A model that only the session opens is "not supported" without it.
_STALE: Final = re.compile(
    r"model_not_supported|auto[ _-]?mode|(copilot|auto|model)[ _-]session|session[ _-]token", re.IGNORECASE
)
_REFUSALS: Final = frozenset({400, 401, 403, 404, 410, 412, 422})


class AutoMode:
    """Hands out the account's current session.

    A live session comes from memory without a lock. Otherwise one thread of one process opens one, under a lease in the
    state store; the others keep the old session while it lives, else wait for the new one.
    """

    def __init__(
        self,
        client: CopilotClient,
        state: StateStore,
        *,
        now: Callable[[], float],
        new_id: Callable[[], str],
        wait: Callable[[float], None],
    ) -> None:
        self._client = client
        self._state = state
        self._lease = Lease(state, _LEASES, now)
        self._now = now
        self._new_id = new_id
        self._wait = wait
        self._lock = threading.Lock()
        self._session: AutoSession | None = None
        self._failure: tuple[float, str, GatewayError] | None = None
        self._renewed_at = _NEVER

    def current(self) -> AutoSession:
        """Return a session that lives. Raises GatewayError when Copilot opens none."""
        scope = self._client.tokens.scope()
        session = self._in_memory(scope)
        if session is not None and self._left(session) > MARGIN:
            return session
        if not self._lock.acquire(blocking=session is None):
            return cast("AutoSession", session)  # somebody renews it already, and it still lives
        try:
            session = self._in_memory(scope)
            if session is not None and self._left(session) > MARGIN:
                return session
            self._session = self._renewed(scope, session)
            return self._session
        finally:
            self._lock.release()

    def known(self) -> AutoSession | None:
        """Return the session that this process holds, without asking anybody."""
        session = self._session
        return session if session is not None and self._left(session) > 0 else None

    def renewal(self, session: AutoSession, model_id: str) -> Callable[[GatewayError], dict[str, str] | None]:
        """Return what to ask when a request within the session is refused.

        It gives the headers of a new session when the refusal may be the old one's fault and the new one allows the same
        model, else None: the request was written for that model.
        """

        def headers(error: GatewayError) -> dict[str, str] | None:
            if not _is_stale(error) or not self._drop(session):
                return None
            try:
                fresh = self.current()
            except GatewayError:
                return None
            return fresh.headers if fresh.token != session.token and fresh.covers(model_id) else None

        return headers

    def _in_memory(self, scope: str) -> AutoSession | None:
        session = self._session
        return session if session is not None and session.scope == scope and self._left(session) > 0 else None

    def _left(self, session: AutoSession) -> float:
        return session.expires_at - self._now()

    def _renewed(self, scope: str, old: AutoSession | None) -> AutoSession:
        try:
            self._raise_remembered(scope)
            return self._shared(scope, old)
        except GatewayError:
            if old is not None and self._left(old) > 0:
                return old
            raise

    def _shared(self, scope: str, old: AutoSession | None) -> AutoSession:
        owner = self._new_id()
        for _ in range(_ROUNDS):
            stored = self._stored(scope)
            if stored is not None and self._left(stored) > MARGIN:
                return stored
            if self._lease.claim(scope, owner):
                try:
                    return self._leased(scope)
                finally:
                    self._lease.release(scope, owner)
            for session in (stored, old):
                if session is not None and self._left(session) > 0:
                    return session
            self._wait(_STEP)
        return self._opened(scope)  # whoever holds the lease does not finish

    def _leased(self, scope: str) -> AutoSession:
        stored = self._stored(scope)  # the previous holder of the lease may have just saved it
        return stored if stored is not None and self._left(stored) > MARGIN else self._opened(scope)

    def _opened(self, scope: str) -> AutoSession:
        try:
            session = read_session(self._client.post_json(PATH, _QUESTION), scope, self._now())
        except GatewayError as error:
            failure = _explained(error)
            pause = min(max(error.retry_after or 0, _PAUSE), _PATIENCE)
            self._failure = (self._now() + pause, scope, failure)
            _log.warning("copilot.auto_session_failed kind=%s code=%s", error.kind, error.code)
            raise failure from error
        self._failure = None
        _log.info("copilot.auto_session model=%s lives=%d", session.selected, self._left(session))
        self._save(session)
        return session

    def _raise_remembered(self, scope: str) -> None:
        if self._failure is None:
            return
        until, failed, failure = self._failure
        # A pause that ends later than any does was begun before the clock was set back.
        if failed == scope and 0 < until - self._now() <= _PATIENCE:
            raise failure.with_traceback(None)

    def _drop(self, session: AutoSession) -> bool:
        """Forget this session, here and in the store; False, and keep it, when the last renewal was only just."""
        with self._lock:
            held = self._session
            if held is not None and held.token == session.token:
                if 0 <= self._now() - self._renewed_at < _RENEWAL_GAP:
                    return False
                self._renewed_at = self._now()
                self._session = None
        try:
            record = self._state.load(_SESSIONS, session.scope)
            stored = read_record(record, session.scope)
            if stored is not None and stored.token == session.token:
                self._state.delete(_SESSIONS, session.scope, expected=record)
        except StoreError:
            pass
        return True

    # The shared store is a convenience here: without it every process opens a session of its own.

    def _stored(self, scope: str) -> AutoSession | None:
        try:
            return read_record(self._state.load(_SESSIONS, scope), scope)
        except StoreError:
            return None

    def _save(self, session: AutoSession) -> None:
        try:
            self._state.save(_SESSIONS, session.scope, write_record(session), expires_at=session.expires_at)
        except StoreError:
            return


def _is_stale(error: GatewayError) -> bool:
    return error.status in _REFUSALS and bool(_STALE.search(f"{error.code} {error.message}"))


def _explained(error: GatewayError) -> GatewayError:
    """Say that it was Auto mode that failed; a request that names a model may still work."""
    return GatewayError(
        f"Copilot opens no Auto mode session: {error.message}",
        kind=error.kind,
        status=error.status,
        code=error.code,
        retry_after=error.retry_after,
        upstream_request_id=error.upstream_request_id,
    )
