"""A canonical request to the body that Copilot's `/v1/messages` accepts."""

from typing import Any, Final

import msgspec

from core.canonical import Message, Request
from core.dialect import Encoded, Target
from core.dialects.messages import thinking
from core.dialects.messages.history_out import HistoryWriter
from core.dialects.messages.tools_out import format_out, tool_choice_out, tools_out
from core.dialects.messages.turns import (
    Piece,
    Turn,
    add_breakpoints,
    limit_breakpoints,
    settle,
    text_piece,
)
from core.dialects.messages.values import unique
from core.errors import InvalidRequestError, UnsupportedFeatureError
from core.model import Model

_encode: Final = msgspec.json.Encoder().encode

DEFAULT_MAX_TOKENS: Final = 8192

# Knobs that Messages does not have; each is a loss when it was set.
KNOBS: Final = ("frequency_penalty", "presence_penalty", "seed", "verbosity", "cache_key")


def encode_request(request: Request, target: Target) -> Encoded:
    """Write the body, always as a stream. Raises `UnsupportedFeatureError`, `InvalidRequestError`."""
    model = target.model
    writer = HistoryWriter(target)
    losses, repairs = writer.losses, writer.repairs
    losses.extend(_knob_losses(request))
    if request.forces_missing_tool:
        losses.append("tool_choice")
    tools = tools_out(request, repairs)
    system, turns = _conversation(request, writer)
    shape, instruction = format_out(request.format, model)
    if instruction is not None:
        system.append(text_piece(instruction))
        losses.append("response_format")
    check_prefill(turns, model)
    max_tokens = _max_tokens(request, model, losses)
    plan = thinking.plan(request.reasoning, model, max_tokens, may_think=_may_think(request, model, turns))
    sampling, lost = thinking.accepted(
        thinking.Sampling(request.temperature, request.top_p, request.top_k), model, thinks=plan.thinks
    )
    losses.extend((*plan.losses, *lost))
    _mark_caches(tools, system, turns, repairs)
    members: dict[str, Any] = {
        "model": model.id,
        "max_tokens": max_tokens,
        "system": [piece.body for piece in system] or None,
        "messages": [turn.wire() for turn in turns],
        "tools": [piece.body for piece in tools] or None,
        "tool_choice": tool_choice_out(request.tool_choice, parallel=request.parallel_tools)
        if tools
        else None,
        "thinking": plan.thinking,
        "output_config": _present({"effort": plan.effort, "format": shape}) or None,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop_sequences": _stop(request, losses) or None,
        "metadata": {"user_id": request.user} if request.user is not None else None,
        "stream": True,
    }
    return Encoded(_encode(_present(members)), unique(losses), unique(repairs), _betas(plan, tools))


def check_prefill(turns: list[Turn], model: Model) -> None:
    """Refuse a conversation that ends with the assistant where the model would (AC-45)."""
    if turns[-1].role == "assistant" and not model.prefill:
        raise InvalidRequestError(
            f"{model.id} does not support assistant message prefill: the conversation must end with a user message",
            param="$.messages",
        )


def _conversation(request: Request, writer: HistoryWriter) -> tuple[list[Piece], list[Turn]]:
    leading = _leading_system(request.messages)
    system, turns = writer.system(request.messages[:leading])
    turns += [
        writer.turn(message, f"$.messages[{position}]")
        for position, message in enumerate(request.messages)
        if position >= leading
    ]
    turns = settle(turns, writer.repairs)
    if not turns and system:
        # OpenAI's clients may send instructions alone; Messages needs a turn to answer.
        writer.repairs.append("first_turn")
        return [], [Turn("user", system)]
    if not turns:
        raise InvalidRequestError(
            "messages: at least one message with content is required", param="$.messages"
        )
    if turns[0].role == "assistant":
        writer.repairs.append("first_turn")
        turns.insert(0, Turn("user", [text_piece("(The conversation begins with the assistant.)")]))
    return system, turns


def _leading_system(messages: tuple[Message, ...]) -> int:
    for position, message in enumerate(messages):
        if message.role != "system":
            return position
    return len(messages)


def _knob_losses(request: Request) -> list[str]:
    if request.choices > 1:
        raise UnsupportedFeatureError("This model gives one choice only: n must be 1", param="$.n")
    knobs = [name for name in KNOBS if getattr(request, name) is not None]
    return [*knobs, *request.extras]


def _max_tokens(request: Request, model: Model, losses: list[str]) -> int:
    asked = request.max_output
    if asked is None:
        return model.max_output or DEFAULT_MAX_TOKENS
    if model.max_output is not None and asked > model.max_output:
        losses.append("max_tokens")
        return model.max_output
    return asked


def _may_think(request: Request, model: Model, turns: list[Turn]) -> bool:
    """Tell whether nothing forbids thinking: no forced tool, and no tool round that was begun without it."""
    choice = request.tool_choice
    if choice is not None and choice.mode in {"required", "tool"} and request.tools:
        return False
    return model.adaptive_thinking or not thinking.starts_without_thinking(turns)


def _stop(request: Request, losses: list[str]) -> list[str]:
    """Return the stop sequences; Anthropic refuses those of white space alone."""
    kept = [sequence for sequence in request.stop if sequence.strip()]
    if len(kept) < len(request.stop):
        losses.append("stop")
    return kept


def _mark_caches(tools: list[Piece], system: list[Piece], turns: list[Turn], repairs: list[str]) -> None:
    pieces = [*tools, *system, *(piece for turn in turns for piece in turn.pieces)]
    if any(piece.cached for piece in pieces):
        limit_breakpoints(tools, system, turns, repairs)
    else:
        add_breakpoints(tools, system, turns, repairs)


def _betas(plan: thinking.Plan, tools: list[Piece]) -> tuple[str, ...]:
    """Name the feature flags: thinking between tool calls needs one, unless the model adapts by itself."""
    interleaves = bool(tools) and plan.thinking is not None and plan.thinking["type"] == "enabled"
    return (thinking.INTERLEAVED,) if interleaves else ()


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
