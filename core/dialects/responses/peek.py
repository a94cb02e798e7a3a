"""The routing facts of a request body, read from its last items only."""

from msgspec import UNSET, DecodeError, Raw, Struct
from msgspec.json import Decoder

from core.dialect import Peek
from core.dialects.responses.schema import JSON_ERRORS, Absent, ItemPeek, PartPeek, decode_raws
from core.errors import InvalidRequestError, invalid_json
from core.opaque import PREFIX
from core.outgoing import Initiator, without_reminders

ARRAY = ord("[")
MODEL_MISSING = "model is required"
HIDDEN_ROLES = frozenset({"system", "developer"})
SEALED = b'"' + PREFIX.encode()


class _Top(Struct):
    model: str | None = None
    stream: bool | None = None
    input: Raw | Absent = UNSET


_decode_top = Decoder(_Top).decode
_decode_item = Decoder(ItemPeek).decode
_decode_parts = Decoder(str | list[PartPeek]).decode


def peek(body: bytes) -> Peek:
    """Read model, stream flag and initiator. Raises `InvalidRequestError`."""
    try:
        top = _decode_top(body)
    except RecursionError:
        raise InvalidRequestError("the JSON is nested too deeply", param="$") from None
    except (DecodeError, UnicodeDecodeError) as error:
        raise invalid_json(error) from None
    if not top.model:
        raise InvalidRequestError(MODEL_MISSING, param="$.model")
    return Peek(
        model=top.model, stream=bool(top.stream), initiator=_initiator(top.input), sealed=SEALED in body
    )


def _initiator(items: Raw | Absent) -> Initiator:
    """Judge by the last item that a human or a tool wrote; bare reminders of the client count as nothing."""
    if not isinstance(items, Raw) or memoryview(items)[0] != ARRAY:
        return "user"
    try:
        raws = decode_raws(items)
        for raw in reversed(raws):
            verdict = _verdict(_decode_item(raw))
            if verdict is not None:
                return verdict
    except JSON_ERRORS:
        return "user"  # the full decode will say what is wrong, and where
    return "user"


def _verdict(item: ItemPeek) -> Initiator | None:
    if item.type not in {None, "message"}:
        return None if item.type == "additional_tools" else "agent"
    if item.role in HIDDEN_ROLES:
        return None
    if item.role != "user":
        return "agent"
    return None if _only_reminders(item.content) else "user"


def _only_reminders(content: Raw | Absent) -> bool:
    if not isinstance(content, Raw):
        return False
    parts = _decode_parts(content)
    texts = [parts] if isinstance(parts, str) else [_part_text(part) for part in parts]
    return bool(texts) and all(_is_reminder(text) for text in texts)


def _part_text(part: PartPeek) -> str:
    """Return the part's text; a part without text (an image) is the human's own."""
    return part.text if part.text is not None else ""


def _is_reminder(text: str) -> bool:
    return bool(text.strip()) and not without_reminders(text)
