"""Read requests as RFC 9112 has them: one framing, one target, bounded heads; and no body before its head was judged."""

from typing import Any, Final, cast

from waitress.parser import HTTPRequestParser, ParsingError, crack_first_line, split_uri
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

MOST_FIELDS: Final = 200
# A chunk's size with its extensions, and what may follow the last chunk.
LONGEST_CHUNK_HEAD: Final = 4 * 1024
LONGEST_TRAILER: Final = 16 * 1024
# What the framing of a chunked body may take beside the body itself.
FRAMING: Final = 64 * 1024
VERSIONS: Final = frozenset({"1.0", "1.1"})


class RequestTimedOut(Error):  # noqa: N818 - beside waitress's own names
    """The client was too slow."""

    code = 408
    reason = "Request Timeout"


class StrictParser(HTTPRequestParser):
    """One request as its bytes come.

    The head, then nothing of the body but what came with it until `admit` says how much of it may come, then the body.
    A body that came whole together with its head is taken: reading it has cost nothing. A refused request is complete
    at once, without its body, and the last one of its connection. Errors are waitress's `Error`, for the app to render.
    """

    # What a head that cannot be read leaves open; waitress sets them, and its stub does not know them all.
    command: str = "GET"  # type: ignore[assignment]
    path: str = "/"
    query: str = ""
    fragment: str = ""
    request_uri: str = "/"
    url_scheme: str = "http"
    proxy_scheme: str = ""
    proxy_netloc: str = ""

    limit: int | None = None  # bytes of body that may come; None: nobody has said so far
    held = b""  # of the body, until then
    wants_continue = False
    withheld = False  # the body was not taken

    @property
    def awaits_admission(self) -> bool:
        """Say whether the head is read and its body waits."""
        return self.headers_finished and not self.completed and self.limit is None

    @property
    def is_refused(self) -> bool:
        """Say whether more may come that belongs to no request."""
        return self.withheld or self.error is not None

    def received(self, data: bytes) -> int:
        """Take bytes and return how many of them belong to this request."""
        if self.awaits_admission and not self._is_all_at_hand(data):
            self.held += data
            return len(data)
        before = self.header_plus
        consumed = super().received(data)
        if self.error is None and self.limit is not None and not self.completed:
            self.error = self._excess()
        if self.error is None:
            return consumed
        if not self.headers_finished or self.body_rcv is None:
            self._salvage_path(before + data)
        self._end()
        return len(data)  # what follows is no request

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the head; raise ParsingError, answered 400 and with the connection's end."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # a length of thousands of digits
            raise ParsingError("Content-Length is invalid") from error
        self._check_framing()
        self._check_target()
        # The word to go on is given when the body may come, not when the head is read.
        self.wants_continue, self.expect_continue = self.expect_continue, False
        if header_plus.count(b"\n") > MOST_FIELDS + 2:
            self.error = RequestHeaderFieldsTooLarge(f"more than {MOST_FIELDS} fields")

    def admit(self, limit: int, *, renders: bool) -> bytes:
        """Let up to `limit` bytes of body come, and return those that are here. Else the request is complete, refused.

        renders: the app finds out by itself what is wrong.
        """
        self.limit = limit
        if self.content_length > limit or limit <= 0:
            self.withheld = True
            self.error = None if renders else RequestEntityTooLarge(f"more than {limit} bytes")
            self._end()
            return b""
        held, self.held = self.held, b""
        self.expect_continue = self.wants_continue and not held
        return held

    def give_up(self) -> None:
        """End a request whose body takes too long."""
        self.error = RequestTimedOut("the body came too slowly")
        self._end()

    def _is_all_at_hand(self, data: bytes) -> bool:
        return not self.chunked and not self.held and len(data) >= self.content_length

    def _end(self) -> None:
        self.completed, self.held = True, b""
        cast("dict[str, str]", self.headers)["CONNECTION"] = "close"

    def _excess(self) -> Error | None:
        """Return what a body in chunks has too much of; one with a length was measured before."""
        body, limit = self.body_rcv, self.limit or 0
        if not self.chunked or body is None:
            return None
        if len(body) > limit or self.body_bytes_received > 2 * limit + FRAMING:
            return RequestEntityTooLarge(f"more than {limit} bytes")
        if len(body.control_line) > LONGEST_CHUNK_HEAD or len(body.trailer) > LONGEST_TRAILER:  # type: ignore[union-attr]
            return BadRequest("a chunk's head or the trailer is too long")
        return None

    def _check_framing(self) -> None:
        if self.version not in VERSIONS:
            raise ParsingError("Only HTTP/1.1 and HTTP/1.0 are spoken here")
        # RFC 9112 section 6.1: a server may refuse such a request, and must close the connection after it.
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Both Content-Length and Transfer-Encoding")
        # Left over by waitress in HTTP/1.0 alone, where it means nothing, or an attack.
        if "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("Transfer-Encoding in HTTP/1.0")

    def _check_target(self) -> None:
        """Take a path, or a whole URL that says the same as the Host field: what is judged must be what is meant."""
        scheme, authority = self.proxy_scheme, self.proxy_netloc
        if authority and (
            scheme not in {"http", "https"} or authority.lower() != self.headers.get("HOST", "").lower()
        ):
            raise ParsingError("The request's target and its Host field differ")
        if not self.path.startswith("/") or (scheme and not authority):
            raise ParsingError("The request's target is no path")

    def _salvage_path(self, head: bytes) -> None:
        """Find the path in a head that could not be read, for an answer in the form that its caller expects."""
        cast("dict[str, str]", self.headers).clear()
        line = head.lstrip().partition(b"\r\n")[0]
        try:
            # As latin-1 text, whatever the stubs say.
            target: bytes = crack_first_line(cast("Any", line))[1]
            self.path = str(cast("Any", split_uri(target)[2])) or "/"
        except (ParsingError, ValueError):
            self.path = "/"
