"""Thinking in chat: one text and one opaque string for a whole answer, however many blocks there were."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

import msgspec

from core.canonical import Thinking
from core.opaque import seal, unseal

# Several blocks, or a redacted one, travel whole: `reasoning_opaque` alone must bring them all home unchanged.
SEVERAL: Final = "cg1s."
SEALED: Final = b'"cg1'  # what any value that the gateway sealed looks like in a body

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Thinking]).decode


def seal_thinking(blocks: Sequence[Thinking]) -> str | None:
    """Return the `reasoning_opaque` that stands for these blocks, None when none of them has an opaque value."""
    sealed = [block for block in blocks if block.opaque is not None]
    if not sealed:
        return None
    only = sealed[0]
    if len(blocks) == 1 and only.opaque is not None and not only.redacted:
        return seal(only.opaque, "chat")
    return SEVERAL + urlsafe_b64encode(_encode(sealed)).decode().rstrip("=")


def unseal_thinking(text: str, opaque: str) -> tuple[Thinking, ...]:
    """Return the blocks that a client sent back as one text and one opaque string; either may be empty."""
    _, several, body = opaque.rpartition(SEVERAL)
    if several:  # the last one holds all; a client that joins strings has another before it
        try:
            return tuple(_decode(urlsafe_b64decode(body + "=" * (-len(body) % 4))))
        except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError):
            return (Thinking(text),) if text else ()  # a look-alike that no upstream could read
    if not opaque:
        return (Thinking(text),) if text else ()
    return (Thinking(text, unseal(opaque, "chat")),)
