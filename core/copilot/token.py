"""The Copilot token: from memory, else from the shared store, else by one exchange for everybody."""

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, cast

import msgspec
from msgspec import Struct

from core.copilot.exchange import SERVER_FAULTS, Grant, exchange, refuse_unusable
from core.copilot.github import GitHub
from core.copilot.hosts import copilot_base, hosts_of
from core.copilot.lease import Lease
from core.errors import ErrorKind, GatewayError
from core.ports import GITHUB_TOKEN, SecretStore, StateStore, StoreError, read_stored
from core.settings import Secret, Settings

_log = logging.getLogger(__name__)

MARGIN: Final = 300.0  # seconds before its end that a token is renewed
_PATIENCE: Final = 25.0  # how long somebody else's exchange is waited for
_STEP: Final = 0.1
_REFUSAL_LIFE: Final = 30.0  # a dead login asks GitHub twice a minute at most, however many requests come
_LONGEST_REFUSAL: Final = 300.0
_DIRECT_LIFE: Final = 900.0  # how long the login is held in memory before the secret store is asked again
_LOOK: Final = 30.0  # between two looks at whether another account has logged in elsewhere
_BACKOFF: Final = 1.0  # before an exchange that failed at GitHub's end is tried once more
_PAUSE: Final = 5.0  # seconds between two attempts to renew a token that still lives
_RENEWALS: Final = 4  # forced renewals a minute: beyond that the token is not what is wrong
_MINUTE: Final = 60.0
_SCOPE_LENGTH: Final = 12

_TOKENS: Final = "copilot-token"
_LEASES: Final = "copilot-token-lease"
_REFUSALS: Final = "copilot-token-refusal"


class CopilotToken(Struct, frozen=True, kw_only=True):
    """A bearer and the one host that it is for. `expires_at` is unix seconds by our own clock."""

    value: Secret
    base_url: str
    expires_at: float
    sku: str = ""


class _Refusal(Struct, frozen=True):
    """A failed exchange, remembered so that it is not repeated at once."""

    message: str
    kind: ErrorKind
    until: float
    code: str | None = None
    retry_after: int | None = None


class CopilotTokens:
    """Hands out the current Copilot token.

    A valid token comes from memory without a lock. Otherwise one thread of one process exchanges, under a lease in the
    state store; the others keep the old token while it lives, else wait for the new one. A token is stored under a hash
    of GitHub token, host and identity, so that no account ever gets another one's token or host. Who logs in elsewhere
    is noticed within half a minute, or when the secret store's memory ends.

    forget_login: tells a secret store with a memory that its login is refused, and may have been replaced elsewhere.
    """

    def __init__(
        self,
        settings: Settings,
        secrets: SecretStore,
        state: StateStore,
        github: GitHub,
        *,
        now: Callable[[], float],
        new_id: Callable[[], str],
        wait: Callable[[float], None],
        forget_login: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._state = state
        self._lease = Lease(state, _LEASES, now)
        self._github = github
        self._now = now
        self._new_id = new_id
        self._wait = wait
        self._forget_login = forget_login
        self._lock = threading.Lock()
        self._token: CopilotToken | None = None
        self._refusal: tuple[str, _Refusal] | None = None
        self._scope: tuple[CopilotToken, str] | None = None
        self._seen = ("", 0.0)  # the account as it was last looked at, and when
        self._forced: deque[float] = deque(maxlen=_RENEWALS)
        self._retry_at = 0.0

    def current(self) -> CopilotToken:
        """Return a token that lives; raises GatewayError with a remedy when there is none to be had."""
        token = self._token
        if token is not None and self._left(token) > MARGIN and self._is_replaced():
            token = self._token = None
        if token is not None and (self._left(token) > MARGIN or self._is_kept(token)):
            return token
        alive = token is not None and self._left(token) > 0
        if not self._lock.acquire(blocking=not alive):
            return cast("CopilotToken", token)  # somebody renews it already, and it still lives
        try:
            renewed = self._token
            if renewed is not None and self._left(renewed) > MARGIN:
                return renewed
            self._token = self._renewed_or_kept(renewed)
            return self._token
        finally:
            self._lock.release()

    def invalidate(self, token: CopilotToken) -> bool:
        """Forget this token if it is still the current one, here and in the store; another one is left alone.

        Return False, and keep it, when so many were refused lately that the token cannot be what is wrong.
        """
        with self._lock:
            if self._token is not None and self._token.value == token.value:
                now = self._now()
                if len(self._forced) == _RENEWALS and now - self._forced[0] < _MINUTE:
                    return False
                self._forced.append(now)
                self._token = None
        if self._settings.identity == "direct":
            self._forget_login()
        self._forget(token)
        return True

    def github_token(self) -> Secret:
        """Return the long-lived GitHub token; raises GatewayError `login_required` when nobody has logged in."""
        try:
            text = self._settings.github_token or self._secrets.load(GITHUB_TOKEN) or ""
        except StoreError as error:
            raise GatewayError(f"The GitHub login cannot be read: {error}", kind="overloaded") from error
        if not text.strip():
            raise GatewayError(
                "Nobody is logged in to GitHub. Run `copilot-gateway auth`, or open the gateway's page /login.",
                kind="login_required",
                code="no_login",
            )
        refuse_unusable(text.strip(), self._settings)
        return Secret(text.strip())

    def accept(self, github_token: Secret) -> None:
        """Keep a new login and use it from now on; raises StoreError, and keeps the old one, when that fails."""
        self._secrets.save(GITHUB_TOKEN, github_token)
        with self._lock:
            self._token = self._refusal = self._scope = None
            self._seen = ("", 0.0)

    def account(self) -> str:
        """Return a hash that names the account, its host and the identity, for keys of shared records."""
        return self._key(self.github_token())

    def scope(self) -> str:
        """Return a short name of the account, which tags its opaque values; raises GatewayError like `current`."""
        token = self.current()
        if self._scope is None or self._scope[0] is not token:
            self._scope = (token, self.account()[:_SCOPE_LENGTH])
        return self._scope[1]

    def _left(self, token: CopilotToken) -> float:
        return token.expires_at - self._now()

    def _key(self, github_token: str) -> str:
        hosts = hosts_of(self._settings)
        parts = (github_token, hosts.rest, hosts.configured or hosts.copilot, self._settings.identity)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]

    def _is_replaced(self) -> bool:
        """Say whether another account has logged in since the last look, every half minute."""
        account, looked_at = self._seen
        now = self._now()
        if not account or 0 <= now - looked_at < _LOOK:
            return False
        try:
            found = self.account()
        except GatewayError:
            found = account  # a token that lives is used while the login cannot be read
        self._seen = (found, now)
        return found != account

    def _is_kept(self, token: CopilotToken) -> bool:
        """Say whether the token lives and its renewal has only just failed."""
        return self._left(token) > 0 and 0 < self._retry_at - self._now() <= _PAUSE

    def _renewed_or_kept(self, old: CopilotToken | None) -> CopilotToken:
        """Renew the token; one that lives is kept where the login or GitHub cannot be reached."""
        try:
            renewed = self._renewed(old)
        except GatewayError as error:
            if old is None or self._left(old) <= 0:
                raise
            _log.warning("copilot.token_kept kind=%s lives=%d", error.kind, self._left(old))
            renewed = old
        if renewed is old:
            self._retry_at = self._now() + _PAUSE
        return renewed

    def _renewed(self, old: CopilotToken | None) -> CopilotToken:
        github_token = self.github_token()
        try:
            return self._renewed_with(github_token, old)
        except GatewayError as error:
            if error.kind != "login_required":
                raise
            self._forget_login()
            newer = self.github_token()
            if newer == github_token:
                raise
        return self._renewed_with(newer, old)

    def _renewed_with(self, github_token: Secret, old: CopilotToken | None) -> CopilotToken:
        self._seen = (self._key(github_token), self._now())
        if self._settings.identity == "direct":
            base = copilot_base(hosts_of(self._settings), None)
            return CopilotToken(value=github_token, base_url=base, expires_at=self._now() + _DIRECT_LIFE)
        try:
            return self._shared(self._key(github_token), github_token, old)
        except GatewayError:
            stored = self._stored(self._key(github_token))
            for token in (stored, old):
                if token is not None and self._left(token) > 0:
                    return token
            raise

    def _shared(self, key: str, github_token: str, old: CopilotToken | None) -> CopilotToken:
        owner = self._new_id()
        deadline = self._now() + _PATIENCE
        # A clock that stands still must not wait for ever, so the rounds are counted too.
        for _ in range(int(_PATIENCE / _STEP)):
            stored = self._stored(key)
            if stored is not None and self._left(stored) > MARGIN:
                return stored
            self._raise_remembered(key)
            if self._lease.claim(key, owner):
                try:
                    return self._leased(key, github_token, old)
                finally:
                    self._lease.release(key, owner)
            for token in (stored, old):
                if token is not None and self._left(token) > 0:
                    return token
            if self._now() >= deadline:
                break
            self._wait(_STEP)
        # Whoever holds the lease has died, or the clock was set back since: it might be waited for without end.
        return self._leased(key, github_token, old)

    def _leased(self, key: str, github_token: str, old: CopilotToken | None) -> CopilotToken:
        stored = self._stored(key)  # the previous holder of the lease may have just saved it
        if stored is not None and self._left(stored) > MARGIN:
            return stored
        self._raise_remembered(key)
        lives = any(token is not None and self._left(token) > 0 for token in (stored, old))
        try:
            grant = self._exchanged(github_token, again=not lives)
        except GatewayError as error:
            _log.warning("copilot.token_exchange_failed kind=%s code=%s", error.kind, error.code)
            self._remember(key, error)
            raise
        _log.info("copilot.token_exchanged lives=%d host=%s", grant.expires_at - self._now(), grant.base_url)
        self._save(_TOKENS, key, msgspec.json.encode(grant), grant.expires_at)
        return _token(grant)

    def _exchanged(self, github_token: str, *, again: bool) -> Grant:
        """Exchange; with `again`, once more after a moment when GitHub answered with a failure of its own."""
        try:
            return exchange(self._github, self._settings, github_token, self._now)
        except GatewayError as error:
            if not again or error.code not in SERVER_FAULTS:
                raise
            _log.info("copilot.token_exchange_repeated code=%s", error.code)
        self._wait(_BACKOFF)
        return exchange(self._github, self._settings, github_token, self._now)

    # The shared store is a convenience here: without it every process exchanges for itself.

    def _stored(self, key: str) -> CopilotToken | None:
        grant = read_stored(self._load(_TOKENS, key), Grant)
        return None if grant is None else _token(grant)

    def _forget(self, token: CopilotToken) -> None:
        if self._settings.identity == "direct":
            return
        try:
            key = self._key(self.github_token())
        except GatewayError:
            return  # whoever needs the login next says why it cannot be read
        record = self._load(_TOKENS, key)
        stored = self._stored(key) if record is not None else None
        if stored is not None and stored.value == token.value:
            try:
                self._state.delete(_TOKENS, key, expected=record)
            except StoreError:
                return

    def _raise_remembered(self, key: str) -> None:
        refusal = self._remembered(key)
        if refusal is not None and self._is_in_force(refusal):
            raise GatewayError(
                refusal.message, kind=refusal.kind, code=refusal.code, retry_after=refusal.retry_after
            )

    def _remembered(self, key: str) -> _Refusal | None:
        if self._refusal is not None and self._refusal[0] == key and self._is_in_force(self._refusal[1]):
            return self._refusal[1]
        return read_stored(self._load(_REFUSALS, key), _Refusal)

    def _is_in_force(self, refusal: _Refusal) -> bool:
        # One that ends later than any is made to end was made before the clock was set back.
        return 0 < refusal.until - self._now() <= _LONGEST_REFUSAL

    def _remember(self, key: str, error: GatewayError) -> None:
        until = self._now() + min(max(error.retry_after or 0, _REFUSAL_LIFE), _LONGEST_REFUSAL)
        if error.kind in {"upstream", "timeout"}:
            until = self._now() + 2.0  # a network that comes back is used at once
        refusal = _Refusal(error.message, error.kind, until, error.code, error.retry_after)
        self._refusal = (key, refusal)
        self._save(_REFUSALS, key, msgspec.json.encode(refusal), until)

    def _load(self, kind: str, key: str) -> bytes | None:
        try:
            return self._state.load(kind, key)
        except StoreError:
            return None

    def _save(self, kind: str, key: str, record: bytes, expires_at: float) -> None:
        try:
            self._state.save(kind, key, record, expires_at=expires_at)
        except StoreError:
            return


def _token(grant: Grant) -> CopilotToken:
    return CopilotToken(
        value=Secret(grant.value), base_url=grant.base_url, expires_at=grant.expires_at, sku=grant.sku
    )
