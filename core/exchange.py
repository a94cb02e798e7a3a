"""The record of one request that a client made: names and numbers, never a prompt, an answer or a secret."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from core.access.caller import Caller
from core.canonical import Usage

# A stream whose client went before its end: nobody's failure, so it stands where an error's kind does.
CLIENT_LEFT = "client_left"
# What is said of a request's content may quote it, and so may upstream, of whatever it speaks.
_ABOUT_CONTENT: Final = frozenset(
    {"invalid_request", "unsupported_feature", "context_overflow", "content_filter"}
)
# Codes of what the gateway says in its own words after a request was let in.
_OWN_WORDS: Final = frozenset(
    {
        *(
            "no_login",
            "first_byte_timeout",
            "idle_timeout",
            "deadline",
            "shutting_down",
            "store_unavailable",
            "upstream_connect",
        ),
        *("upstream_cut", "upstream_timeout", "upstream_protocol", "upstream_too_large"),
    }
)


def _nothing() -> None: ...


class Exchange(Struct, kw_only=True):
    """What became of a request. Filled in as it goes; whole once `Services.observers` are told of it.

    id: ours, `req_...`, also in the answer's `x-request-id`. began_at: unix seconds. started: seconds of the clock that
    `first_token` and `duration` are taken from. route: method and rule (`POST /v1/messages`), "" where none matched.
    surface: `chat`, `responses`, `messages`, `count_tokens`, `embeddings`; "" for what asks no model.
    requested: the model id as the client wrote it. model: the catalogue's id. upstream: the dialect spoken there.
    status: of the answer. error: the kind of a `GatewayError`, also one that a stream ended with, or CLIENT_LEFT; "" when all
    went well. message: that error's text, for the operator. code, retry_after: that error's, too. upstream_id:
    `x-github-request-id`. admitted: whether every gate let it pass, so that what failed later failed upstream.
    first_token: seconds until the first byte of a streamed reply, pings aside. duration: seconds until the last byte.
    usage: what upstream counted, of a stream that was cut as far as it did. credits: what that cost in AI credits, None where
    nobody can say. wanted: raises when nobody waits for the answer any more. over: nothing will change any more.
    """

    id: str
    began_at: float
    started: float = 0.0
    route: str = ""
    caller: Caller = Caller()
    surface: str = ""
    requested: str = ""
    model: str = ""
    upstream: str = ""
    streams: bool = False
    status: int = 0
    error: str = ""
    message: str = ""
    code: str = ""
    retry_after: int | None = None
    admitted: bool = False
    upstream_id: str = ""
    usage: Usage | None = None
    credits: float | None = None
    first_token: float | None = None
    duration: float = 0.0
    over: bool = False
    losses: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    leaving: list["Leave"] = []
    wanted: Callable[[], None] = _nothing

    @property
    def told(self) -> str:
        """The message as it may be kept: empty where it may quote what the request says."""
        is_own = not self.admitted or self.error == "internal" or self.code in _OWN_WORDS
        return self.message if is_own and self.error not in _ABOUT_CONTENT else ""


# Called exactly once when the request is over, however it ended.
Leave = Callable[[Exchange], None]
Observer = Callable[[Exchange], None]
