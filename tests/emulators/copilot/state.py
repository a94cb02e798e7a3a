"""Everything the fake remembers: accounts, device codes, sessions, forced answers, the log, the clock."""

import itertools
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Final

from tests.emulators.copilot.models import catalogue
from tests.emulators.copilot.shapes import Obj
from tests.emulators.copilot.wire import Reply, Request

DEMO_TOKEN: Final = "gho_demo000000000000000000000000000000000"
BUSINESS_TOKEN: Final = "gho_business0000000000000000000000000000"
CLIENT_IDS: Final = frozenset({"Iv1.b507a08c87ecfe98", "Ov23li8tweQw6odWQebz", "Iv23ctfURkiMfJ4xr5mv"})
DEVICE_LIFE: Final = 900
SESSION_LIFE: Final = 1800
REFRESH_IN: Final = 1500


class Clock:
    """Wall time that tests move by hand."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._frozen: float | None = None

    def now(self) -> float:
        """Return unix seconds."""
        return (time.time() if self._frozen is None else self._frozen) + self._offset

    def advance(self, seconds: float) -> None:
        """Move forward."""
        self._offset += seconds

    def freeze(self, at: float | None) -> None:
        """Stop at a moment (unix seconds), or run again with None."""
        self._frozen, self._offset = at, 0.0


@dataclass(slots=True)
class Account:
    """One GitHub user with (or without) a Copilot seat."""

    github_token: str
    login: str = "octocat"
    plan: str = "individual"
    sku: str = "monthly_subscriber_quota"
    host: str = "individual"
    user_host: str | None = None  # what /copilot_internal/user claims, when it differs
    revoked: bool = False
    can_exchange: bool = True
    raw_token_allowed: bool = True
    blocked_notification: str | None = None
    entitlement: int = 300
    percent_remaining: float = 83.8
    quota_code: str | None = None  # set: every Copilot call is answered 402 with this code
    rate_limit_code: str | None = None  # set: every Copilot call is answered 429 with this code
    retry_after: str = "30"
    policies: dict[str, str] = field(default_factory=dict[str, str])
    identity_allowlist: set[str] | None = None  # model ids; None: all but preview models for raw tokens


@dataclass(slots=True)
class DeviceCode:
    """One device login under way."""

    device_code: str
    user_code: str
    expires_at: float
    interval: int = 5
    last_poll: float | None = None
    status: str = "pending"  # pending, approved, denied, used
    github_token: str = DEMO_TOKEN


@dataclass(slots=True)
class Session:
    """One exchanged Copilot token."""

    copilot_token: str
    github_token: str
    expires_at: float


@dataclass(slots=True)
class Forced:
    """An answer, or modes, that the nth matching call gets instead of the usual ones."""

    method: str
    path: str
    nth: int = 1  # counted from the moment it is pushed
    times: int = 1  # how many calls from the nth on; 0: all
    reply: Reply | None = None
    modes: dict[str, Any] = field(default_factory=dict[str, Any])
    seen: int = 0

    def claims(self, request: Request) -> bool:
        """Count a matching call and say whether this answer is for it."""
        if request.method != self.method or request.path != self.path:
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times == 0 or self.seen < self.nth + self.times)

    @property
    def spent(self) -> bool:
        """Say that no further call can get it."""
        return self.times > 0 and self.seen >= self.nth + self.times - 1


@dataclass(slots=True)
class Logged:
    """One request as it came, and how it was answered."""

    number: int
    at: float
    host: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int = 0
    outcome: str = "open"  # open, complete, cut, client_left


class PrefixCache:
    """Which prompt beginnings each account has sent before (by hash, oldest dropped)."""

    def __init__(self, size: int = 8192) -> None:
        self._size = size
        self._seen: OrderedDict[int, None] = OrderedDict()

    def seen(self, key: int) -> bool:
        """Say whether the beginning is known."""
        return key in self._seen

    def remember(self, key: int) -> None:
        """Remember a beginning."""
        self._seen[key] = None
        self._seen.move_to_end(key)
        if len(self._seen) > self._size:
            self._seen.popitem(last=False)


class FakeState:
    """The fake's whole memory; every public method may be called from any thread."""

    def __init__(self, log_size: int = 2000) -> None:
        self.lock = RLock()
        self.clock = Clock()
        self.urls: dict[str, str] = {}
        self._log_size = log_size
        self.cached = False  # render byte-identical requests once (load tests): ids and usage then repeat
        self.reset()

    def reset(self) -> None:
        """Return to the state of a fresh fake (listening sockets and clock object stay)."""
        with self.lock:
            self.accounts = {
                DEMO_TOKEN: Account(DEMO_TOKEN),
                BUSINESS_TOKEN: Account(
                    BUSINESS_TOKEN, "monalisa", "business", "copilot_for_business_seat", "business"
                ),
            }
            self.devices: dict[str, DeviceCode] = {}
            self.sessions: dict[str, Session] = {}
            self.forced: list[Forced] = []
            self.log: deque[Logged] = deque(maxlen=self._log_size)
            self.models: list[Obj] = catalogue()
            self.modes: dict[str, dict[str, Any]] = {}
            self.auto_approve = False
            self.client_ids = set(CLIENT_IDS)
            self.body_limit = 20 * 1024 * 1024
            self.cache_minimum = 1024  # tokens; shorter prompts are not cached
            self.count_tokens_known = True
            self.prefixes = PrefixCache()
            self.rendered: dict[tuple[str, ...], Reply] = {}
            self._numbers = itertools.count(1)
            self.clock.freeze(None)

    def number(self) -> int:
        """Return the next of a series of numbers, never the same twice."""
        return next(self._numbers)

    def model(self, model_id: str) -> Obj | None:
        """Return a catalogue entry."""
        return next((entry for entry in self.models if entry.get("id") == model_id), None)

    def force(self, forced: Forced) -> None:
        """Queue an answer."""
        with self.lock:
            self.forced.append(forced)

    def take_forced(self, request: Request) -> Forced | None:
        """Return the queued answer for this call, dropping what is spent."""
        if not self.forced:
            return None
        with self.lock:
            # Every entry counts the call; the first one that claims it answers.
            claimed = [forced for forced in self.forced if forced.claims(request)]
            self.forced = [forced for forced in self.forced if not forced.spent]
        return claimed[0] if claimed else None

    def open_device(self) -> DeviceCode:
        """Start a device login."""
        with self.lock:
            number = self.number()
            code = DeviceCode(f"device{number:034d}", f"FAKE-{number:04d}", self.clock.now() + DEVICE_LIFE)
            self.devices[code.device_code] = code
            return code

    def decide_device(self, user_code: str, status: str, github_token: str = DEMO_TOKEN) -> bool:
        """Let the user approve or deny a login; False when there is no such code."""
        with self.lock:
            for code in self.devices.values():
                if code.user_code == user_code:
                    code.status, code.github_token = status, github_token
                    return True
        return False

    def open_session(self, account: Account) -> Session:
        """Mint a Copilot token."""
        with self.lock:
            expires = self.clock.now() + SESSION_LIFE
            tid = f"fake{self.number():06d}"
            token = f"tid={tid};exp={int(expires)};sku={account.sku};chat=1;mcp=1:{tid}sig"
            session = Session(token, account.github_token, expires)
            self.sessions[token] = session
            return session

    def expire_sessions(self, token: str | None = None) -> int:
        """End one Copilot token, or all, and return how many."""
        with self.lock:
            chosen = [s for s in self.sessions.values() if token in (None, s.copilot_token)]
            for session in chosen:
                session.expires_at = self.clock.now() - 1
            return len(chosen)

    def set_modes(self, model: str, modes: dict[str, Any]) -> None:
        """Add reply modes to a model (`*`: to all); a null value takes one away."""
        with self.lock:
            self.rendered.clear()
            merged = {**self.modes.get(model, {}), **modes}
            self.modes[model] = {name: value for name, value in merged.items() if value is not None}

    def modes_for(self, model: str) -> dict[str, Any]:
        """Return the modes in force for a model."""
        return {**self.modes.get("*", {}), **self.modes.get(model, {})}

    def record(self, request: Request) -> Logged:
        """Log a request."""
        entry = Logged(
            self.number(), self.clock.now(), request.host, request.method, request.path, request.query,
            request.headers, request.body,
        )  # fmt: skip
        self.log.append(entry)
        return entry
