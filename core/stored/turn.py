"""One request and its stored conversation: what goes before the input, and what is kept of the answer."""

import logging
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, structs

from core.call import Call
from core.dialect import StreamRelay
from core.dialects.responses.reading import read
from core.dialects.responses.request_decode import ENCRYPTED
from core.dialects.responses.schema import (
    JSON_ERRORS,
    Absent,
    decode_members,
    decode_raws,
    encode,
    is_set,
)
from core.errors import GatewayError, InvalidRequestError, UnsupportedFeatureError
from core.ports import StoreError
from core.stored.archive import Archive, Stored
from core.stored.references import MARK, resolve
from core.stored.tap import StoredRelay

SETTING: Final = "COPILOT_GATEWAY_STORE_RESPONSES"
TRUE, FALSE, NULL = Raw(b"true"), Raw(b"false"), Raw(b"null")
USER_TEXT: Final = b'{"type":"message","role":"user","content":%b}'

_log = logging.getLogger(__name__)


class Asked(Struct):
    """What a request says of memory."""

    previous_response_id: str | None = None
    store: bool | None = None
    background: bool | None = None
    conversation: Raw | Absent = UNSET
    prompt: Raw | Absent = UNSET
    input: Raw | Absent = UNSET
    include: Raw | Absent = UNSET


class _Id(Struct):
    id: str


_decode_asked = msgspec.json.Decoder(Asked).decode
_decode_id = msgspec.json.Decoder(_Id).decode


class Turn(Struct, frozen=True):
    """A request that is ready for the lanes.

    body: the client's own bytes, but for what memory changes. items: the whole input, with what came before.
    archive: where the answer is kept; None where it is not. includes: `include` was extended for the next turn's sake.
    """

    body: bytes
    items: list[Raw]
    previous: str | None = None
    archive: Archive | None = None
    denied: bool = False
    includes: bool = False

    def note(self, call: Call) -> Call:
        """Return the call with what this turn lost and changed."""
        # A lane counts what it cannot hand on; `store` is this module's to keep, and so is the `include` it added.
        said = {"store", "include"} if self.includes else {"store"}
        losses = tuple(name for name in call.losses if name not in said)
        repairs = call.repairs
        if self.denied:
            losses = (*losses, "store")
        if self.includes and call.lane.passes_through:
            repairs = (*repairs, "include")
        return structs.replace(call, losses=losses, repairs=repairs)

    def watch(self, relay: StreamRelay) -> StreamRelay:
        """Return the relay with this turn's eyes on it."""
        return relay if self.archive is None and self.previous is None else StoredRelay(relay, self.settle)

    def complete(self, body: bytes) -> bytes:
        """Keep a complete reply, and return it as the client shall read it."""
        return (
            body
            if self.archive is None and self.previous is None
            else bytes(self.settle(Raw(body), last=True))
        )

    def settle(self, response: Raw, *, last: bool) -> Raw:
        """Return a response object that says the truth about `store` and `previous_response_id`.

        The last one is kept before the client reads it: clients ask for the next turn at once. What cannot be
        kept is still answered, with `store: false`. Raises msgspec's errors for what is no object.
        """
        if self.archive is None:
            return self._told(response, FALSE)
        told = self._told(response, TRUE)
        return told if not last or self._keep(told) else self._told(response, FALSE)

    def _told(self, response: Raw, store: Raw) -> Raw:
        members = decode_members(response)
        previous = NULL if self.previous is None else Raw(encode(self.previous))
        changes = {"previous_response_id": previous, "store": store}
        if all(bytes(members.get(name, b"")) == bytes(value) for name, value in changes.items()):
            return response
        return Raw(encode({**members, **changes}))

    def _keep(self, response: Raw) -> bool:
        if self.archive is None:
            return False
        try:
            self.archive.save(_decode_id(response).id, Stored(response, self.items))
        except (StoreError, *JSON_ERRORS) as error:
            _log.warning("responses.not_stored reason=%r", str(error))
            return False
        return True


def begin(body: bytes, archive: Archive | None, most: int) -> Turn:
    """Read a request and put the stored conversation before its input.

    archive: None where the operator did not opt in. most: bytes that the whole may have.
    Raises `InvalidRequestError` for an id that is unknown, `UnsupportedFeatureError`, and `GatewayError`
    "request_too_large".
    """
    asked = read(_decode_asked, body, "$")
    _refuse(asked)
    previous = asked.previous_response_id or None
    kept = None if asked.store is False else archive
    items: list[Raw] = []
    changes: dict[str, Raw | None] = {}
    if asked.previous_response_id is not None:
        changes["previous_response_id"] = None
    if asked.store:
        changes["store"] = None  # upstream keeps nothing: the lanes would call it a loss
    refers = archive is not None and is_set(asked.input) and MARK in bytes(asked.input)
    if previous is not None or kept is not None or refers:
        items = _items(asked.input)
    if archive is not None and refers:
        items = resolve(items, archive)
        changes["input"] = _joined(items)
    if previous is not None:
        items = [*_continued(archive, previous), *items]
        changes["input"] = _joined(items)
    if kept is not None and (include := _include(asked.include)) is not None:
        changes["include"] = include
    changed = _changed(body, changes, most) if changes else body
    denied = asked.store is True and archive is None
    return Turn(changed, items, previous, kept, denied=denied, includes="include" in changes)


def _refuse(asked: Asked) -> None:
    if asked.background:
        raise UnsupportedFeatureError("background responses are not supported", param="background")
    if is_set(asked.conversation):
        raise UnsupportedFeatureError(
            "conversation objects are not supported: use previous_response_id, or send the whole input",
            param="conversation",
        )
    if is_set(asked.prompt):
        raise UnsupportedFeatureError(
            "prompt templates are kept by OpenAI, not by Copilot: send the instructions themselves",
            param="prompt",
        )


def _changed(body: bytes, changes: dict[str, Raw | None], most: int) -> bytes:
    """Return the body with these members put in, or left out where they are None."""
    members: dict[str, Any] = {**read(decode_members, body, "$"), **changes}
    changed = encode({name: value for name, value in members.items() if value is not None})
    if len(changed) > most:
        raise GatewayError(
            "The stored conversation and this input are together larger than this gateway accepts.",
            kind="request_too_large",
        )
    return changed


def _items(raw: Raw | Absent) -> list[Raw]:
    """Return the input as items; a text alone becomes a message of the user."""
    if not is_set(raw):
        return []
    match bytes(raw)[:1]:
        case b'"':
            return [Raw(USER_TEXT % bytes(raw))]
        case b"[":
            return read(decode_raws, raw, "$.input")
        case _:
            raise InvalidRequestError("input must be a text or a list of items (at $.input)", param="$.input")


def _joined(items: list[Raw]) -> Raw:
    return Raw(b"[" + b",".join(items) + b"]")


def _continued(archive: Archive | None, previous: str) -> Sequence[Raw]:
    """Return the items of a stored conversation.

    The code is OpenAI's own in both cases: clients that know it send the whole conversation instead.
    """
    if archive is None:
        raise InvalidRequestError(
            f"previous_response_id needs stored responses, which are off here: the setting {SETTING} turns them on. "
            "Or send the whole input.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    stored = archive.load(previous)
    try:
        if stored is not None:
            return stored.conversation()
    except JSON_ERRORS:
        pass
    raise InvalidRequestError(
        f"Previous response with id '{previous[:100]}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


def _include(raw: Raw | Absent) -> Raw | None:
    """Return `include` with reasoning's ciphertext, without which the next turn could not send it back; None if it is there.

    What is no list is left for upstream to refuse.
    """
    if not is_set(raw):
        return Raw(encode([ENCRYPTED]))
    try:
        names = decode_raws(raw)
    except JSON_ERRORS:
        return None
    wanted = Raw(encode(ENCRYPTED))
    if any(bytes(name) == bytes(wanted) for name in names):
        return None
    return Raw(encode([*names, wanted]))
