"""Refuse what waitress accepts although RFC 9112 sees request smuggling in it."""

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError


class StrictParser(HTTPRequestParser):
    """A request parser that takes one framing of the body, not two."""

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the request's head; raise ParsingError, answered 400 and with the connection's end."""
        super().parse_header(header_plus)
        # RFC 9112 section 6.1: a server may refuse such a request, and must close the connection after it.
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Both Content-Length and Transfer-Encoding")


class StrictChannel(HTTPChannel):
    """A connection read with the strict parser."""

    parser_class = StrictParser
