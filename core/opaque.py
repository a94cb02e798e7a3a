"""Sealing: how a signature of one dialect travels through a client of another and comes home unchanged."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec

from core.canonical import Opaque
from core.model import DialectName

PREFIX: Final = "cg1."  # marks a value that this gateway sealed; also sought in pass-through bodies

_decode = msgspec.json.Decoder(Opaque).decode
_encode = msgspec.json.Encoder().encode


def seal(opaque: Opaque, surface: DialectName) -> str:
    """Return the text that a client of `surface` stores: the bare value when it is the surface's own, else a sealed one."""
    if opaque.dialect == surface and not opaque.item_id:
        return opaque.value
    return PREFIX + urlsafe_b64encode(_encode(opaque)).decode().rstrip("=")


def unseal(text: str, surface: DialectName, item_id: str = "") -> Opaque:
    """Return what a client of `surface` sent back; text that we did not seal belongs to the surface's own dialect."""
    if text.startswith(PREFIX):
        body = text.removeprefix(PREFIX)
        try:
            return _decode(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError):
            pass  # a look-alike: keep it as the surface's own, upstream will judge it
    return Opaque(surface, text, item_id)


def comes_home(opaque: Opaque, dialect: DialectName, scope: str) -> bool:
    """Tell whether the value may be sent to `dialect` with the account `scope`."""
    return opaque.dialect == dialect and (not opaque.scope or not scope or opaque.scope == scope)
