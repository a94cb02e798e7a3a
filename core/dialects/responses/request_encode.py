"""The canonical request to a body for upstream."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

from msgspec import DecodeError, Raw
from msgspec.json import Decoder
from msgspec.structs import replace

from core.canonical import Block, HostedTool, Json, Message, OutputFormat, Request, Text, Tool, ToolResult
from core.dialect import Encoded, Target
from core.dialects.responses.request_decode import ENCRYPTED, NAMESPACES, REASONING, asks_to_store
from core.dialects.responses.schema import encode
from core.dialects.responses.tools import encode_choice, encode_tools, namespaces_of
from core.dialects.responses.turns import XAI, Turns
from core.effort import effort_of, nearest
from core.errors import InvalidRequestError, UnsupportedFeatureError
from core.tool_count import check_count
from core.tool_schema import clean_schema

Place = tuple[int, Message]

LEAST_OUTPUT: Final = 16  # OpenAI refuses a smaller max_output_tokens

# Members of the client's own that upstream takes as they are, with the first byte of the value that is meant.
PASSED: Final[dict[str, bytes]] = {
    "truncation": b'"',
    "metadata": b"{",
    "top_logprobs": b"",
    "max_tool_calls": b"",
    "prompt_cache_options": b"{",
    "prompt_cache_retention": b'"',
    "context_management": b"[",
    "client_metadata": b"{",
}
# Members that say what is so anyway, or that this module says in its own way.
SAID: Final = frozenset({"include", "store", "stream_options", NAMESPACES})
# Knobs of other surfaces.
UNSAYABLE: Final = ("top_k", "frequency_penalty", "presence_penalty", "seed", "user")
# Members that need a memory that upstream does not have: without it the question would be another one.
STATE: Final = ("previous_response_id", "conversation", "prompt")
# What xAI's models on Copilot refuse, sometimes as a plain-text 503.
XAI_REFUSES: Final = frozenset({"client_metadata", "context_management", f"{REASONING}context"})


_decode_names = Decoder(list[str]).decode


def encode_request(request: Request, target: Target) -> Encoded:
    """Write a request for upstream. Raises `UnsupportedFeatureError` where meaning would change."""
    _refuse(request, target)
    turns = Turns(target)
    body: dict[str, Any] = {"model": target.model.id, "stream": True, "store": False}
    messages = list(request.messages)
    instructions = _instructions(messages)
    if instructions is not None:
        body["instructions"] = instructions
    for index, message in _answers_first(enumerate(messages, start=len(request.messages) - len(messages))):
        turns.add(message, index)
    turns.close()
    if not turns.items and instructions is None:
        raise InvalidRequestError("there must be a message with content", param="messages")
    body["input"] = turns.items
    losses, repairs = turns.losses, turns.repairs
    _write_tools(body, request)
    if request.asks_citations:
        losses.append("citations")
    if request.forces_missing_tool:
        losses.append("tool_choice")
    _write_limits(body, request, target, losses, repairs)
    _write_reasoning(body, request, target, losses)
    _write_text(body, request)
    _write_extras(body, request, target, losses)
    return Encoded(encode(body), tuple(losses), tuple(repairs))


def _refuse(request: Request, target: Target) -> None:
    for name in STATE:
        if name in request.extras:
            raise UnsupportedFeatureError(f"{name} needs stored responses", param=name)
    if request.extras.get("background") == b"true":
        raise UnsupportedFeatureError("background responses are not supported", param="background")
    if request.choices > 1:
        raise UnsupportedFeatureError("n > 1 is not supported by this model", param="n")
    if request.messages and request.messages[-1].role == "assistant" and not target.model.prefill:
        raise UnsupportedFeatureError(
            f"{target.model.id} cannot continue an assistant turn: end with a user turn", param="messages"
        )


def _instructions(messages: list[Message]) -> str | None:
    """Take the leading system text off the messages, where it is one text and something follows it."""
    if len(messages) > 1 and messages[0].role == "system":
        match messages[0].content:
            case (Text(text=text),) if text:
                del messages[0]
                return text
            case _:
                return None
    return None


def _answers_first(turns: Iterable[Place]) -> Iterator[Place]:
    """Return the turns with their places; what was said between the results of parallel calls follows them (AC-30).

    Messages clients may send each result in a turn of its own; a call without one by then would count as interrupted.
    """
    for assistant, run in groupby(turns, key=lambda turn: turn[1].role == "assistant"):
        places = list(run)
        answering = [place for place in places if any(map(_is_result, place[1].content))]
        if assistant or not answering or answering == places[:1]:
            yield from places
            continue
        index, first = answering[0]
        results = [block for _, turn in answering for block in turn.content if _is_result(block)]
        yield index, replace(first, content=tuple(results))
        for index, turn in places:
            rest = tuple(block for block in turn.content if not _is_result(block))
            if rest or not turn.content:
                yield index, replace(turn, content=rest)


def _is_result(block: Block) -> bool:
    return isinstance(block, ToolResult)


def _write_tools(body: dict[str, Any], request: Request) -> None:
    if not request.tools:
        return
    check_count(sum(isinstance(tool, HostedTool) or not tool.deferred for tool in request.tools))
    tools = tuple(_sendable(tool) for tool in request.tools)
    body["tools"] = encode_tools(tools, namespaces_of(request.extras.get(NAMESPACES)))
    if request.tool_choice is not None:
        body["tool_choice"] = encode_choice(request.tool_choice, request.tools)
    if request.parallel_tools is not None:
        body["parallel_tool_calls"] = request.parallel_tools


def _sendable(tool: Tool | HostedTool) -> Tool | HostedTool:
    """Return a tool whose schema upstream takes."""
    if isinstance(tool, HostedTool) or tool.custom:
        return tool
    return replace(tool, parameters=bytes(clean_schema(tool.parameters)))


def _write_limits(
    body: dict[str, Any], request: Request, target: Target, losses: list[str], repairs: list[str]
) -> None:
    model = target.model
    if request.max_output is not None:
        most = request.max_output if model.max_output is None else min(request.max_output, model.max_output)
        body["max_output_tokens"] = sent = max(most, LEAST_OUTPUT)
        if sent != request.max_output:
            (losses if sent < request.max_output else repairs).append("max_output")
    for name in ("temperature", "top_p"):
        value = getattr(request, name)
        if value is None:
            continue
        if model.sampling:
            body[name] = value
        else:
            losses.append(name)
    losses.extend(name for name in UNSAYABLE if getattr(request, name) is not None)
    if request.stop:
        repairs.append("stop_sequences")  # cut by the gateway itself, see core.stop


def _write_reasoning(body: dict[str, Any], request: Request, target: Target, losses: list[str]) -> None:
    body["include"] = _include(request)
    asked, efforts = request.reasoning, target.model.efforts
    if asked is None:
        return
    effort, reasoning = effort_of(asked), dict[str, Any]()
    if effort is not None and efforts:
        reasoning["effort"] = nearest(effort, efforts)
    if effort is not None and reasoning.get("effort") != effort:
        losses.append("effort")
    if efforts and reasoning.get("effort") != "none":
        reasoning["summary"] = asked.summary or "auto"
    for name, value in request.extras.items():
        if name.startswith(REASONING) and not _is_refused(name, target):
            reasoning[name.removeprefix(REASONING)] = Raw(value)
    if reasoning:
        body["reasoning"] = reasoning


def _include(request: Request) -> list[str]:
    """Ask for the ciphertext always: without it reasoning cannot be sent back."""
    raw = request.extras.get("include")
    try:
        names = [] if raw is None else _decode_names(raw)
    except DecodeError:
        names = list[str]()
    if any(isinstance(tool, HostedTool) and tool.kind == "web_search" for tool in request.tools):
        names.append("web_search_call.action.sources")
    return list(dict.fromkeys([ENCRYPTED, *names]))


def _write_text(body: dict[str, Any], request: Request) -> None:
    text: dict[str, Any] = {}
    if request.format is not None:
        text["format"] = encode_format(request.format)
    if request.verbosity is not None:
        text["verbosity"] = request.verbosity
    if text:
        body["text"] = text
    if request.cache_key is not None:
        body["prompt_cache_key"] = request.cache_key


def encode_format(output: OutputFormat) -> dict[str, Any]:
    """Write the structured output that was asked for."""
    if output.kind == "json_object":
        return {"type": "json_object"}
    members: dict[str, Any] = {"type": "json_schema", "name": output.name or "answer"}
    if output.schema is not None:
        members["schema"] = Raw(output.schema)
    if output.strict is not None:
        members["strict"] = output.strict
    if output.description is not None:
        members["description"] = output.description
    return members


def _write_extras(body: dict[str, Any], request: Request, target: Target, losses: list[str]) -> None:
    for name, value in request.extras.items():
        if name in SAID or name.startswith(REASONING):
            continue
        if _is_passed(name, value) and not _is_refused(name, target):
            body[name] = Raw(value)
        else:
            losses.append(name)
    if asks_to_store(request.extras):
        losses.append("store")


def _is_passed(name: str, value: Json) -> bool:
    return name in PASSED and value.startswith(PASSED[name])


def _is_refused(name: str, target: Target) -> bool:
    return target.model.vendor.lower() == XAI and name in XAI_REFUSES
