"""Pass a complete chat reply through, as one choice with every member that clients read."""

from typing import Final

import msgspec
from msgspec import Raw

from core.canonical import CUT_OFF
from core.dialect import Echo
from core.dialects.chat.errors import copilot_failure
from core.dialects.chat.reading import first_byte
from core.dialects.chat.relay_names import restore_calls
from core.dialects.chat.relay_whole_calls import sound_calls
from core.dialects.chat.response import check_chat_body, completion_id
from core.dialects.chat.schema import NULL, decode_chunk, encode
from core.dialects.chat.usage import FAILED, STOP_REASON, severer
from core.errors import UpstreamProtocolError

OBJECT: Final = Raw(b'"chat.completion"')
FIRST: Final = Raw(b"0")
_members = msgspec.json.Decoder(dict[str, Raw])
_choices = msgspec.json.Decoder(list[dict[str, Raw]])
_strings = msgspec.json.Decoder(str | None)
_arrays = msgspec.json.Decoder(list[Raw] | None)

# What SDKs expect of a message, whatever the answer.
DEFAULTS: Final[dict[str, Raw]] = {"role": Raw(b'"assistant"'), "content": NULL, "refusal": NULL}
JOINED: Final = frozenset({"content", "refusal", "reasoning_text", "reasoning_content"})
APPENDED: Final = frozenset({"tool_calls", "annotations"})


def relay_response(body: bytes, echo: Echo) -> bytes:
    """Return the reply for the client: the same bytes when it is in order and says the asked model.

    Raises `UpstreamProtocolError` (`not_a_chat_body` for an Anthropic body) and upstream's own error.
    """
    chunk = decode_chunk(body)
    check_chat_body(chunk)
    failure = copilot_failure(chunk.copilot_errors)
    if failure is not None:
        raise failure
    try:
        members = _members.decode(body)
        choices = _choices.decode(members["choices"])
        merged = _merged(choices, chunk.id or "")
        names = echo.full_names()
        if names:
            merged["message"] = restore_calls(merged["message"], names)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamProtocolError(f"upstream's reply is no chat completion: {error}") from error
    before = dict(members)
    if choices != [merged]:
        members["choices"] = Raw(encode([merged]))
    members["model"] = Raw(encode(echo.model))
    members["object"] = OBJECT
    if not chunk.id:
        members["id"] = Raw(encode(completion_id(echo)))
    if not is_date(members.get("created", NULL)):
        members["created"] = Raw(encode(echo.created))
    return body if members == before else encode(members)


def is_date(created: Raw) -> bool:
    """Tell whether a `created` is what clients take for a moment: whole seconds within reason."""
    digits = bytes(created)
    return digits.isdigit() and len(digits) < 16 and digits != b"0"  # noqa: PLR2004 - 2**53 has 16


def _merged(choices: list[dict[str, Raw]], message_id: str) -> dict[str, Raw]:
    """Make one choice of all (AC-04, AC-21)."""
    message: dict[str, Raw] = {}
    finish = ""
    for choice in choices:
        found = choice.get("message", NULL)
        if found != NULL:
            _join(message, _members.decode(found))
        reason = _strings.decode(choice.get("finish_reason", NULL)) or ""
        if reason in FAILED:
            raise UpstreamProtocolError("upstream gave up in the middle of its answer", code=reason)
        finish = severer(finish, reason)
    complete = {name: value for name, value in DEFAULTS.items() if name not in message}
    if complete:
        message = {**message, **complete}
    calls = _arrays.decode(message.get("tool_calls", NULL)) or list[Raw]()
    sound = sound_calls(calls, message_id, cut=STOP_REASON.get(finish) in CUT_OFF)
    if sound != calls:
        message = {**message, "tool_calls": Raw(encode(sound)) if sound else NULL}
    called = bool(sound)
    reason = finish_reason(finish, tools=called, legacy=message.get("function_call", NULL) != NULL)
    rest = {name: value for choice in reversed(choices) for name, value in choice.items()}
    is_whole = len(choices) == 1 and first_byte(choices[0].get("message", NULL)) == b"{"
    said = choices[0]["message"] if is_whole and not complete and sound == calls else Raw(encode(message))
    return {**rest, "index": FIRST, "message": said, "finish_reason": Raw(encode(reason))}


def finish_reason(found: str, *, tools: bool, legacy: bool) -> str:
    """Return the finish reason that a client can rely on: an unknown word, and a `stop` after calls, are put right."""
    if found not in STOP_REASON or found in {"stop", "tool_calls", "function_call"}:
        if tools:
            return "tool_calls"
        return "function_call" if legacy else "stop"
    return {"refusal": "content_filter", "model_context_window_exceeded": "length"}.get(found, found)


def _join(message: dict[str, Raw], more: dict[str, Raw]) -> None:
    for name, value in more.items():
        have = message.get(name, NULL)
        if have == NULL:
            message[name] = value
        elif value != NULL and name in JOINED:
            message[name] = Raw(encode((_strings.decode(have) or "") + (_strings.decode(value) or "")))
        elif value != NULL and name in APPENDED:
            message[name] = Raw(encode([*(_arrays.decode(have) or ()), *(_arrays.decode(value) or ())]))
