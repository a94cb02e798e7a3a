"""Requests to Copilot: the right token, host and headers, the retries that help, every failure as a GatewayError."""

import logging
import re
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Final

import msgspec

from core.copilot.failures import MAX_ERROR_BODY, Failure, as_error, read_failure, unreachable
from core.copilot.faults import TransportError
from core.copilot.headers import copilot_headers
from core.copilot.token import CopilotToken, CopilotTokens
from core.copilot.transport import Pending, RawReply, Transport
from core.copilot.usage import Allowance, read_quota_headers, says_quota
from core.errors import GatewayError
from core.outgoing import Outgoing
from core.settings import Settings

_log = logging.getLogger(__name__)

_ERROR_BODY_PATIENCE: Final = 10.0
# For the whole answer to a question of the gateway's own, which a model's request waits for: less than a lease lives.
OWN_PATIENCE: Final = 20.0
_REPLY_LIMIT: Final = 64 * 1024 * 1024


class _Remedy(Enum):
    """What may be tried before giving up; each at most once a request, always before the client sees a byte."""

    RENEW = auto()  # another token (and host): the request was refused at the door
    AGAIN = auto()  # the same once more: upstream stumbled
    HEADERS = auto()  # other headers of the request's own: what they named has ended


# 403 and 421 are refused at the door too: a policy that changed, an account that moved to another host.
_BY_STATUS: Final[dict[int, _Remedy]] = {
    401: _Remedy.RENEW,
    403: _Remedy.RENEW,
    421: _Remedy.RENEW,
    408: _Remedy.AGAIN,
    500: _Remedy.AGAIN,
    502: _Remedy.AGAIN,
}
# VS Code refetches its token on these two texts only; any other 403 is final.
_POLICY: Final = re.compile(r"access denied|not authorized to use this copilot feature", re.IGNORECASE)


class CopilotClient:
    """Sends what the engine made; shared by all threads.

    now: unix seconds. ticks: seconds of a clock that never goes back, for waiting; None: the same clock.
    """

    def __init__(
        self,
        settings: Settings,
        tokens: CopilotTokens,
        transport: Transport,
        *,
        now: Callable[[], float],
        new_id: Callable[[], str],
        ticks: Callable[[], float] | None = None,
    ) -> None:
        self.settings = settings
        self.tokens = tokens
        self.transport = transport
        self.now = now
        self.ticks = ticks or now
        self.new_id = new_id
        self.quota_headers: Mapping[str, str] = {}  # of the last reply that had any
        # Asked when upstream refuses the model of a request; the catalogue puts itself here.
        self.why_unsupported: Callable[[Outgoing], str] = lambda _outgoing: ""

    @property
    def quotas(self) -> dict[str, Allowance]:
        """What the last reply with quota snapshots said, by name; nobody is asked."""
        return read_quota_headers(self.quota_headers)

    def begin(
        self,
        outgoing: Outgoing,
        *,
        method: str = "POST",
        patience: float | None = None,
        wanted: Callable[[], None] | None = None,
    ) -> "PendingReply":
        """Prepare a request; nothing is sent before the first `wait`.

        `patience` is how many seconds the head of the reply may take in all; None: `first_byte_timeout`.
        `wanted` is called when a token is there and before anything is sent: it raises when nobody wants the answer.
        """
        patience = self.settings.first_byte_timeout if patience is None else patience
        return PendingReply(self, outgoing, method, patience, wanted)

    def open(
        self, outgoing: Outgoing, *, method: str = "POST", patience: float | None = None
    ) -> "UpstreamReply":
        """Send and wait for the head of a successful reply; raises GatewayError."""
        pending = self.begin(outgoing, method=method, patience=patience)
        while (reply := pending.wait(self.settings.first_byte_timeout)) is None:
            pass
        return reply

    def post_json(self, path: str, body: bytes) -> bytes:
        """Post a small JSON request of the gateway's own, marked `agent`; return the whole reply. Raises GatewayError."""
        return self._fetch("POST", Outgoing(path=path, body=body, initiator="agent"))

    def get(self, path: str) -> bytes:
        """Get a whole document below the API host; raises GatewayError."""
        return self._fetch("GET", Outgoing(path=path, body=b"", initiator="agent"))

    def _fetch(self, method: str, outgoing: Outgoing) -> bytes:
        until = self.ticks() + OWN_PATIENCE

        def left() -> float:
            seconds = until - self.ticks()
            if seconds <= 0:
                raise unreachable(TransportError("timeout", "the answer stopped in the middle"))
            return seconds

        reply = self.open(outgoing, method=method, patience=OWN_PATIENCE)
        try:
            return reply.read_all(slices=left)
        finally:
            reply.close()


class PendingReply:
    """One request with its retries.

    `_attempt` is the attempt under way, None between two. `_spent` holds the remedies already used. An attempt that
    follows `AGAIN` is marked `agent` (no person asked for it, as in VS Code); one that follows `RENEW` keeps its
    initiator, because upstream turned the first away before it counted.
    """

    def __init__(
        self,
        client: CopilotClient,
        outgoing: Outgoing,
        method: str,
        patience: float,
        wanted: Callable[[], None] | None,
    ) -> None:
        self._client = client
        self._wanted = wanted
        self._outgoing = outgoing
        self._method = method
        self._attempt: Pending | None = None
        self._token: CopilotToken | None = None
        self._spent: set[_Remedy] = set()
        self._patience = patience
        self._deadline = client.ticks() + patience

    def wait(self, timeout: float) -> "UpstreamReply | None":
        """Drive the request for up to `timeout` silent seconds; return the reply, or None while upstream is silent.

        Raises GatewayError for every failure that no remedy helps, and `timeout` when its patience ends. Opening a
        connection and renewing the token are not interrupted by `timeout`; they have limits of their own.
        """
        until = self._client.ticks() + timeout
        while True:
            left = min(until, self._deadline) - self._client.ticks()
            try:
                raw = self._current().wait(max(left, 0.0))
            except TransportError as error:
                self._recover(error)
                continue
            if raw is None:
                self._check_patience()
                return None
            reply = self._judge(raw)
            if reply is not None:
                return reply

    def close(self) -> None:
        """Give up; upstream sees the connection end."""
        if self._attempt is not None:
            self._attempt.close()
            self._attempt = None

    def _current(self) -> Pending:
        if self._attempt is None:
            token = self._token = self._client.tokens.current()
            if self._wanted is not None:
                self._wanted()
            self._attempt = self._client.transport.send(
                self._method,
                token.base_url + self._outgoing.path,
                self._headers(token),
                self._outgoing.body,
                repeatable=self._outgoing.repeatable,
            )
        return self._attempt

    def _headers(self, token: CopilotToken) -> dict[str, str]:
        return copilot_headers(
            self._client.settings,
            token.value,
            self._outgoing,
            initiator="agent" if _Remedy.AGAIN in self._spent else self._outgoing.initiator,
            request_id=self._client.new_id(),
        )

    def _check_patience(self) -> None:
        if self._client.ticks() >= self._deadline:
            self.close()
            raise GatewayError(
                f"Copilot did not begin to answer within {self._patience:g} seconds.",
                kind="timeout",
                code="first_byte_timeout",
            )

    def _recover(self, error: TransportError) -> None:
        self._attempt = None
        if error.kind != "cut" or not self._may(_Remedy.AGAIN):
            raise unreachable(error) from error
        self._spent.add(_Remedy.AGAIN)

    def _may(self, remedy: _Remedy) -> bool:
        return remedy not in self._spent and (remedy is _Remedy.RENEW or self._outgoing.repeatable)

    def _judge(self, raw: RawReply) -> "UpstreamReply | None":
        """Return a successful reply; None when another attempt is worth it; raise GatewayError otherwise."""
        self._attempt = None
        # A page is somebody else's, as a proxy's that wants a sign-in, whatever its status.
        page = raw.headers.get("content-type", "").startswith("text/html")
        if 200 <= raw.status < 300 and not page:  # noqa: PLR2004 - the successful statuses
            if says_quota(raw.headers):
                self._client.quota_headers = raw.headers
            return UpstreamReply(self._client, raw)
        failure = self._failure(raw)
        if self._take_headers(failure):
            return None
        remedy = _remedy(failure)
        if remedy is not None and self._may(remedy):
            self._spent.add(remedy)
            _log.info(
                "copilot.retry status=%d remedy=%s id=%s", failure.status, remedy.name, failure.request_id
            )
            if remedy is _Remedy.AGAIN or self._renew():
                return None
        reason = self._client.why_unsupported(self._outgoing) if failure.is_unsupported_model else ""
        raise as_error(failure, reason)

    def _failure(self, raw: RawReply) -> Failure:
        try:
            body = raw.read_all(MAX_ERROR_BODY, timeout=_ERROR_BODY_PATIENCE)
        except TransportError:
            body = b""  # the status says enough
        return read_failure(raw.status, raw.headers, body, self._client.now())

    def _take_headers(self, failure: Failure) -> bool:
        """Put other headers on the request where it knows some that may help; return whether it did."""
        renewal = self._outgoing.renewal
        if renewal is None or _Remedy.HEADERS in self._spent:
            return False
        self._spent.add(_Remedy.HEADERS)
        headers = renewal(as_error(failure))
        if headers is None:
            return False
        _log.info("copilot.retry status=%d remedy=HEADERS id=%s", failure.status, failure.request_id)
        self._outgoing = msgspec.structs.replace(
            self._outgoing, headers={**self._outgoing.headers, **headers}
        )
        return True

    def _renew(self) -> bool:
        """Get another token or host; return False when there is no other."""
        old = self._token
        if old is None or not self._client.tokens.invalidate(old):
            return False
        new = self._client.tokens.current()
        return (new.value, new.base_url) != (old.value, old.base_url)


class UpstreamReply:
    """A successful reply whose head is there. Header names are lower case."""

    def __init__(self, client: CopilotClient, raw: RawReply) -> None:
        self.status = raw.status
        self.headers = raw.headers
        self._raw = raw
        self._ticks = client.ticks
        self._idle_timeout = client.settings.idle_timeout
        self._heard_at = client.ticks()

    @property
    def request_id(self) -> str | None:
        """GitHub's id of this request, what its support asks for."""
        return self.headers.get("x-github-request-id")

    def read(self, timeout: float) -> bytes | None:
        """Return the bytes that are there; None after `timeout` silent seconds; b"" at the clean end of the body.

        Raises GatewayError `upstream` when the body was cut, `timeout` after `idle_timeout` silent seconds.
        """
        try:
            left = self._heard_at + self._idle_timeout - self._ticks()
            chunk = self._raw.read(min(timeout, max(left, 0.0)))
        except TransportError as error:
            raise self._with_id(unreachable(error)) from error
        now = self._ticks()
        if chunk is not None:
            self._heard_at = now
        elif now - self._heard_at >= self._idle_timeout:
            self.close()
            raise self._with_id(
                GatewayError(
                    f"Copilot sent nothing for {self._idle_timeout:g} seconds.",
                    kind="timeout",
                    code="idle_timeout",
                )
            )
        return chunk

    def fileno(self) -> int | None:
        """Return the socket that more will come from; None when the body is at its end, or closed."""
        return self._raw.fileno()

    @property
    def at_hand(self) -> bool:
        """Whether the next `read` may say something although the socket shows nothing."""
        return self._raw.at_hand

    def read_all(self, limit: int = _REPLY_LIMIT, *, slices: Callable[[], float] | None = None) -> bytes:
        """Return the whole body; raises GatewayError like `read`, and `upstream` when it is over `limit` bytes.

        slices: asked before each read how long it may wait; may raise a GatewayError of its own.
        """
        parts: list[bytes] = []
        size = 0
        while (part := self.read(self._idle_timeout if slices is None else slices())) != b"":
            parts.append(part or b"")
            size += len(part or b"")
            if size > limit:
                self.close()
                raise self._with_id(
                    unreachable(TransportError("too_large", f"the answer is over {limit} bytes"))
                )
        return b"".join(parts)

    def close(self) -> None:
        """Stop reading; unless the body was at its end, upstream sees the connection close."""
        self._raw.close()

    def _with_id(self, error: GatewayError) -> GatewayError:
        error.upstream_request_id = self.request_id
        return error


def _remedy(failure: Failure) -> _Remedy | None:
    if failure.is_block:
        return None
    if failure.status == 401 and not failure.token_is_dead:  # noqa: PLR2004 - see token_is_dead
        return None
    if failure.status == 403 and not _POLICY.search(failure.message):  # noqa: PLR2004
        return None
    return _BY_STATUS.get(failure.status)
