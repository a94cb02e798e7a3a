"""Opaque reasoning the fake hands out and recognises again: signatures and encrypted content."""

import base64
import binascii
import hashlib
import hmac
from typing import Final

_KEY: Final = b"the fake's own secret"
_FIELD: Final = "\x1f"


def _seal(*fields: str) -> str:
    text = _FIELD.join(fields).encode()
    return base64.b64encode(hmac.digest(_KEY, text, "sha256") + text).decode()


def _open(sealed: str) -> list[str] | None:
    """Return the fields, or None when the fake did not seal this."""
    try:
        raw = base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not hmac.compare_digest(raw[:32], hmac.digest(_KEY, raw[32:], "sha256")):
        return None
    return raw[32:].decode().split(_FIELD)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def sign_thinking(text: str, number: int) -> str:
    """Return the signature of a thinking block."""
    return _seal("thinking", str(number), _digest(text))


def signature_matches(signature: str, text: str) -> bool:
    """Say whether the fake signed exactly this thinking."""
    fields = _open(signature)
    return fields is not None and fields[0] == "thinking" and fields[2] == _digest(text)


def seal_redacted(text: str) -> str:
    """Return the content of a redacted thinking block."""
    return _seal("redacted", _digest(text))


def seal_opaque(text: str, number: int) -> str:
    """Return chat's `reasoning_opaque`."""
    return _seal("opaque", str(number), _digest(text))


def sealed_as(sealed: str, kind: str) -> bool:
    """Say whether the fake sealed this as `redacted`, `opaque`, `thinking` or `encrypted`."""
    fields = _open(sealed)
    return fields is not None and fields[0] == kind


def encrypt_reasoning(account: str, item_id: str) -> str:
    """Return a reasoning item's `encrypted_content`, bound to account and id."""
    return _seal("encrypted", _digest(account), item_id)


def judge_reasoning(account: str, item_id: str | None, encrypted: str) -> str:
    """Judge a replayed item: `ok`, `unverified`, `foreign` (another account) or `mismatch` (another item's)."""
    fields = _open(encrypted)
    if fields is None or fields[0] != "encrypted":
        return "unverified"
    if fields[1] != _digest(account):
        return "foreign"
    return "ok" if item_id in (None, fields[2]) else "mismatch"
