"""Numbered server-sent events of the Responses stream."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from core.dialects.responses.schema import encode

END: Final = b"}\n\n"


class Wire:
    """Renders events one after another; `sequence` is the number of the next one, from 0."""

    def __init__(self, sequence: int = 0) -> None:
        self.sequence = sequence

    def event(self, kind: str, members: dict[str, Any]) -> bytes:
        """Render one event."""
        number = self.sequence
        self.sequence += 1
        return b"event: %b\ndata: %b\n\n" % (
            kind.encode(),
            one_line(encode({"type": kind, "sequence_number": number, **members})),
        )

    def delta(self, prefix: "DeltaPrefix", text: str) -> bytes:
        """Render one delta: only the number and the text are new."""
        number = self.sequence
        self.sequence += 1
        return b"%b%d%b%b}\n\n" % (prefix[0], number, prefix[1], encode(text))


def one_line(json: bytes) -> bytes:
    """Return JSON without the line ends of what others wrote into it: they would break a server-sent event."""
    return msgspec.json.format(json, indent=-1) if b"\n" in json or b"\r" in json else json


DeltaPrefix = tuple[bytes, bytes]


def delta_prefix(kind: str, members: dict[str, Any]) -> DeltaPrefix:
    """Return what stands before and after the number of every delta of a part."""
    name = kind.encode()
    return (
        b'event: %b\ndata: {"type":"%b","sequence_number":' % (name, name),
        b',%b,"delta":' % encode(members)[1:-1],
    )


def raw(members: dict[str, Any]) -> Raw:
    """Encode an item once, for its own events and for the response object."""
    return Raw(encode(members))
