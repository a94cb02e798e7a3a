"""A chat client's body to the canonical request."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct, structs

from core.canonical import HostedTool, Json, Request, Tool, ToolChoice
from core.dialects.chat.messages_in import decode_messages
from core.dialects.chat.reading import Count, Number, Seed, first_byte, read
from core.dialects.chat.reasoning_in import ReasoningWords, reasoning_of
from core.dialects.chat.schema import NULL
from core.dialects.chat.tools_in import (
    decode_choice,
    decode_format,
    decode_function_call,
    decode_functions,
    decode_tools,
)
from core.errors import InvalidRequestError, UnsupportedFeatureError

MOST_STOPS: Final = 1000


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Body(ReasoningWords, kw_only=True):
    model: str
    messages: list[Raw]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    tools: list[Raw] | None = None
    functions: list[Raw] | None = None
    tool_choice: Raw = NULL
    function_call: Raw = NULL
    parallel_tool_calls: bool | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: Count | None = None
    frequency_penalty: Number | None = None
    presence_penalty: Number | None = None
    seed: Seed | None = None
    stop: str | list[str] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    verbosity: str | None = None
    response_format: Raw = NULL
    user: str | None = None
    prompt_cache_key: str | None = None
    web_search_options: Raw = NULL
    modalities: list[str] | None = None


KNOWN: Final = frozenset(field.name for field in structs.fields(_Body))

_body = msgspec.json.Decoder(_Body)
_members = msgspec.json.Decoder(dict[str, Raw])


def decode_request(body: bytes) -> Request:
    """Read a client's body. Raises `InvalidRequestError` with the JSON path."""
    found = read(_body, body)
    if not found.messages:
        raise InvalidRequestError("there must be a message (at $.messages)", param="$.messages")
    _refuse_audio(found)
    tools, choice = _tools(found)
    return Request(
        model=found.model,
        messages=decode_messages(found.messages),
        stream=found.stream or False,
        include_usage=bool(found.stream_options and found.stream_options.include_usage),
        tools=tools,
        tool_choice=choice,
        parallel_tools=found.parallel_tool_calls,
        max_output=found.max_tokens if found.max_completion_tokens is None else found.max_completion_tokens,
        temperature=found.temperature,
        top_p=found.top_p,
        top_k=found.top_k,
        frequency_penalty=found.frequency_penalty,
        presence_penalty=found.presence_penalty,
        seed=found.seed,
        stop=_stop(found.stop),
        choices=1 if found.n is None else found.n,
        reasoning=reasoning_of(found),
        verbosity=found.verbosity,
        format=decode_format(found.response_format),
        user=found.user,
        cache_key=found.prompt_cache_key,
        extras=_extras(body),
    )


def _tools(found: _Body) -> tuple[tuple[Tool | HostedTool, ...], ToolChoice | None]:
    tools: tuple[Tool | HostedTool, ...] = (
        *decode_tools(found.tools or ()),
        *decode_functions(found.functions or ()),
    )
    choice, allowed = decode_choice(found.tool_choice)
    if allowed is not None:  # the same to the model as having no others
        tools = tuple(tool for tool in tools if isinstance(tool, HostedTool) or tool.name in allowed)
    if found.web_search_options != NULL:
        raw = bytes(found.web_search_options)
        tools = (*tools, HostedTool("chat", "web_search_options", raw, name="web_search", kind="web_search"))
    return tools, choice or decode_function_call(found.function_call)


def _stop(stop: str | list[str] | None) -> tuple[str, ...]:
    if stop is None:
        return ()
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    if len(stops) > MOST_STOPS:
        raise InvalidRequestError("too many stop sequences (at $.stop)", param="$.stop")
    return tuple(text for text in stops if text)


def _refuse_audio(found: _Body) -> None:
    if "audio" in (found.modalities or ()):
        raise UnsupportedFeatureError("audio is not offered by Copilot's models", param="modalities")


def _extras(body: bytes) -> dict[str, Json]:
    """Keep the members that no field above holds; null says nothing."""
    members = read(_members, body)
    return {
        name: bytes(raw) for name, raw in members.items() if name not in KNOWN and first_byte(raw) != b"n"
    }
