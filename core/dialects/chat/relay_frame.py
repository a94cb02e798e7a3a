"""The frame of a relayed chunk: id, object, created and model, which upstream leaves out or changes."""

from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from core.dialect import Echo
from core.dialects.chat.relay_response import is_date
from core.dialects.chat.response import completion_id
from core.dialects.chat.schema import NULL, CallPiece, encode

OBJECT: Final = "chat.completion.chunk"
LATEST: Final = 2**53  # unix seconds beyond reason, and beyond what the encoder writes


class RelayDelta(Struct):
    """What decides whether a delta can be forwarded as it is, and the members that clients join as texts and lists."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_text: str | None = None
    reasoning_content: str | None = None
    reasoning_opaque: str | None = None
    annotations: list[Raw] | None = None
    tool_calls: list[CallPiece] | None = None
    function_call: Raw = NULL


class RelayChoice(Struct):
    """One choice; an absent `finish_reason` is not a null one."""

    index: int | None = None
    delta: RelayDelta | None = None
    message: RelayDelta | None = None
    finish_reason: str | UnsetType | None = UNSET


class RelayChunk(Struct):
    """A chunk; of its frame absent and empty members are told apart."""

    id: str | UnsetType | None = UNSET
    object: str | UnsetType | None = UNSET
    created: int | float | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    choices: list[RelayChoice] | None = None
    usage: Raw = NULL
    copilot_usage: Raw = NULL
    error: Raw = NULL
    copilot_errors: Raw = NULL


decode_relay: Final = msgspec.json.Decoder(RelayChunk).decode
decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
decode_choices: Final = msgspec.json.Decoder(list[dict[str, Raw]]).decode


class Frame:
    """The members around the choices: filled in where upstream left them out, constant over the stream."""

    def __init__(self, echo: Echo) -> None:
        self._echo = echo
        self.id = ""
        self._created = echo.created
        self._upstream_model = ""
        self._theirs = self._ours = b""
        self._prefixes: dict[tuple[bool, bool, bool, bool], bytes] = {}

    def open(self, chunk: RelayChunk) -> None:
        """Take over what the first chunk that speaks says of itself."""
        self.id = chunk.id or completion_id(self._echo)
        if isinstance(chunk.created, int) and 0 < chunk.created < LATEST:
            self._created = chunk.created
        self._upstream_model = chunk.model or self._echo.model
        self._theirs = b'"model":' + encode(self._upstream_model)
        self._ours = b'"model":' + encode(self._echo.model)

    def fit(self, data: bytes, chunk: RelayChunk) -> bytes:
        """Return the chunk with a right frame; one that has it already is returned as it is."""
        right = (
            (chunk.id == self.id or chunk.id is UNSET)
            and (chunk.object == OBJECT or chunk.object is UNSET)
            and (chunk.created is UNSET or (isinstance(chunk.created, int) and 0 < chunk.created < LATEST))
            and (chunk.model == self._upstream_model or chunk.model is UNSET)
        )
        if not right or data[:1] != b"{":
            return self.rebuild(decode_members(data))
        if self._theirs != self._ours and chunk.model is not UNSET:
            if self._theirs not in data:  # spelled with blanks or escapes
                return self.rebuild(decode_members(data))
            data = data.replace(self._theirs, self._ours, 1)
        absent = (chunk.id is UNSET, chunk.object is UNSET, chunk.created is UNSET, chunk.model is UNSET)
        return self._prefix(absent) + data[1:] if True in absent else data

    def rebuild(self, members: dict[str, Raw]) -> bytes:
        """Write a chunk anew."""
        created = members.get("created", NULL)
        frame = {
            "id": Raw(encode(self.id)),
            "object": Raw(encode(OBJECT)),
            "created": created if is_date(created) else Raw(encode(self._created)),
            "model": Raw(encode(self._echo.model)),
        }
        return encode({**frame, **{name: value for name, value in members.items() if name not in frame}})

    def _prefix(self, absent: tuple[bool, bool, bool, bool]) -> bytes:
        prefix = self._prefixes.get(absent)
        if prefix is None:
            values = (self.id, OBJECT, self._created, self._echo.model)
            names = ("id", "object", "created", "model")
            missing = {name: value for name, value, gone in zip(names, values, absent, strict=True) if gone}
            prefix = self._prefixes[absent] = encode(missing)[:-1] + b","
        return prefix
