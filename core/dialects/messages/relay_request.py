"""Pass-through of a request: the client's bytes but for the model id and named repairs.

Every repair answers something that Copilot's Messages endpoint refuses and that real clients send; each adds its name
to `repairs` (nothing lost) or to `losses` (a member that could not be sent).
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from core.canonical import Reasoning
from core.dialect import Encoded, Target
from core.dialects.messages import betas as flags
from core.dialects.messages import thinking
from core.dialects.messages.model_name import with_model
from core.dialects.messages.relay_blocks import BlockRelay, any_changed
from core.dialects.messages.relay_history import HistoryRelay
from core.dialects.messages.request_decode import IMPOSSIBLE, refuse_thread
from core.dialects.messages.request_encode import DEFAULT_MAX_TOKENS
from core.dialects.messages.schema import Metadata, OutputConfig, ThinkingConfig, ToolChoiceIn, read
from core.dialects.messages.turns import Piece, Turn, limit_breakpoints, raw_members
from core.dialects.messages.values import unique
from core.effort import budget_of, effort_of
from core.errors import InvalidRequestError, UnsupportedFeatureError
from core.model import Model
from core.names import LONG_NAMES, native_name

ALLOWED: Final = frozenset({
    "model", "messages", "max_tokens", "system", "metadata", "stop_sequences", "stream", "temperature", "top_p", "top_k",
    "tools", "tool_choice", "thinking", "service_tier", "output_config", "context_management",
})  # fmt: skip
# All that counting a prompt takes; Anthropic's endpoint refuses the others, `max_tokens` among them (sub2api#4913).
COUNTED: Final = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "context_management",
})  # fmt: skip
OUTPUT_MEMBERS: Final = ("effort", "format")
DISPLAYS: Final = frozenset({"summarized", "omitted"})
FORCED: Final = frozenset({"any", "tool"})

T = TypeVar("T")

_array: Final = msgspec.json.Decoder(list[Raw]).decode
_thinking: Final = msgspec.json.Decoder(ThinkingConfig).decode
_output: Final = msgspec.json.Decoder(OutputConfig).decode
_choice: Final = msgspec.json.Decoder(ToolChoiceIn).decode
_integer: Final = msgspec.json.Decoder(int).decode
_number: Final = msgspec.json.Decoder(float).decode
_string: Final = msgspec.json.Decoder(str).decode
_bool: Final = msgspec.json.Decoder(bool).decode
_metadata: Final = msgspec.json.Decoder(Metadata).decode
_encode: Final = msgspec.json.Encoder().encode


class _Edit(Struct):
    type: str = ""


class _ContextManagement(Struct):
    edits: list[Raw] = []


_context: Final = msgspec.json.Decoder(_ContextManagement).decode
_edit: Final = msgspec.json.Decoder(_Edit).decode


class Draft:
    """The request on its way: its members, and whether any of them is no longer as received."""

    def __init__(self, body: bytes, target: Target) -> None:
        self.members: dict[str, Any] = read(raw_members, body, "$")
        self.target = target
        self.losses: list[str] = []
        self.repairs: list[str] = []
        self.touched = False
        self.turns: list[Turn] = []
        self.thinks = False

    @property
    def model(self) -> Model:
        """The model that will read the request."""
        return self.target.model

    def put(self, name: str, value: Any) -> None:
        """Set a member."""
        self.members[name] = value
        self.touched = True

    def drop(self, name: str) -> None:
        """Take a member out."""
        if self.members.pop(name, None) is not None:
            self.touched = True

    def get(self, name: str, decode: Callable[[bytes], T]) -> T | None:
        """Read a member. Raises `InvalidRequestError`."""
        value = self.members.get(name)
        if value is None:
            return None
        return read(decode, value if isinstance(value, Raw) else _encode(value), f"$.{name}")


def relay_request(body: bytes, target: Target, betas: tuple[str, ...] = ()) -> Encoded:
    """Pass a body through. Raises `InvalidRequestError`, `UnsupportedFeatureError`."""
    draft = Draft(body, target)
    asked = draft.get("model", _string)
    if not asked:
        raise InvalidRequestError("model: a model id is required (at $.model)", param="$.model")
    for repair in REPAIRS:
        repair(draft)
    sent = _betas(draft, betas)
    if any(name not in sent for value in betas for name in value.split(",") if name):
        draft.repairs.append("betas")
    if not draft.touched and asked == target.model.id:
        return Encoded(body, repairs=unique(draft.repairs), betas=sent)
    if draft.touched:
        draft.members["model"] = target.model.id
        body = _encode(draft.members)
    else:
        body = with_model(body, draft.members, target.model.id)
    return Encoded(body, unique(draft.losses), unique(draft.repairs), sent)


def counting_request(body: bytes) -> bytes:
    """Return what counting takes of a body that was made for an answer."""
    members = raw_members(body)
    return _encode({name: raw for name, raw in members.items() if name in COUNTED})


# --- Repairs, in order ----------------------------------------------------------------------------------------


def _known_members(draft: Draft) -> None:
    """Unknown members are refused ("Extra inputs are not permitted"), and so are nulls by some backends."""
    for name, raw in list(draft.members.items()):
        if bytes(raw) == b"null":
            draft.drop(name)
            continue
        if name == "thread":
            refuse_thread(raw)
        if name in IMPOSSIBLE and bytes(raw) != b"[]":
            raise UnsupportedFeatureError(f"{name} is not available on Copilot", param=f"$.{name}")
        if name not in ALLOWED and name not in {"output_format", "cache_control"}:
            draft.drop(name)
            draft.losses.append(name)


def _limits(draft: Draft) -> None:
    """Anthropic wants max_tokens always; too much of it is refused. Complete replies have a limit of their own."""
    asked = draft.get("max_tokens", _integer)
    most = draft.model.max_output
    if not draft.get("stream", _bool) and draft.model.max_non_streaming_output is not None:
        most = min(most or draft.model.max_non_streaming_output, draft.model.max_non_streaming_output)
    if asked is None:
        draft.put("max_tokens", most or DEFAULT_MAX_TOKENS)
        draft.repairs.append("max_tokens")
    elif asked < 1:
        raise InvalidRequestError("Expected a number above 0 (at $.max_tokens)", param="$.max_tokens")
    elif most is not None and asked > most:
        draft.put("max_tokens", most)
        draft.losses.append("max_tokens")


def _content(draft: Draft) -> None:
    """Repair system prompt, tools and conversation together: cache marks are counted over all three."""
    blocks = BlockRelay(draft.target, draft.losses, draft.repairs)
    history = HistoryRelay(blocks, draft.model, draft.losses, draft.repairs)
    declared, raws = draft.get("tools", _array) or [], draft.get("messages", _array) or []
    system, tools = history.system(draft.members.get("system")), history.tools(declared)
    turns = history.turns(raws, system)
    _automatic_cache(draft, turns)
    limit_breakpoints(tools, system, turns, draft.repairs)
    if len(turns) != len(raws) or any(turn.raw is not raw for turn, raw in zip(turns, raws, strict=True)):
        draft.put("messages", [turn.wire() for turn in turns])
    if any_changed(tools, declared):
        draft.put("tools", [tool.body for tool in tools])
    _put_system(draft, system)
    draft.turns = turns


def _chosen_tool(draft: Draft) -> None:
    """Choose a tool by the name that it has upstream."""
    choice = draft.get("tool_choice", _choice)
    if choice is not None and choice.name and native_name(choice.name) != choice.name:
        members = draft.get("tool_choice", raw_members) or {}
        draft.put("tool_choice", {**members, "name": native_name(choice.name)})
        draft.repairs.append(LONG_NAMES)


def _put_system(draft: Draft, system: list[Piece]) -> None:
    raw = draft.members.get("system")
    if raw is None and not system:
        return
    bodies = [bytes(piece.body) if isinstance(piece.body, Raw) else b"" for piece in system]
    if raw is not None and bytes(raw).startswith(b'"'):
        if len(bodies) == 1 and bodies[0] == b'{"type":"text","text":%b}' % bytes(raw):
            return
    elif raw is not None and system and bodies == [bytes(item) for item in _array(raw)]:
        return
    if system:
        draft.put("system", [piece.body for piece in system])
    else:
        draft.drop("system")


def _automatic_cache(draft: Draft, turns: list[Turn]) -> None:
    """Anthropic's automatic caching (a mark on the whole request) is refused: set the mark at the end instead."""
    if "cache_control" not in draft.members:
        return
    mark = Piece("", {})
    BlockRelay(draft.target, draft.losses, draft.repairs).clean_mark(
        mark, draft.members["cache_control"], "$.cache_control"
    )
    kept = mark.members().get("cache_control", draft.members["cache_control"])
    draft.drop("cache_control")
    draft.repairs.append("cache_control")
    last = turns[-1].pieces[-1]
    if not last.cached and last.type not in {"thinking", "redacted_thinking"}:
        last.members()["cache_control"] = kept
        last.cached, turns[-1].raw = True, None


def _output_format(draft: Draft) -> None:
    """The format's former place, and members of `output_config` that are refused; then the effort's levels."""
    config: dict[str, Any] = draft.get("output_config", raw_members) or {}
    before = dict(config)
    if "output_format" in draft.members:
        config.setdefault("format", draft.members["output_format"])
        draft.drop("output_format")
        draft.repairs.append("output_format")
    for name in [name for name in config if name not in OUTPUT_MEMBERS]:
        del config[name]
        draft.losses.append(f"output_config.{name}")
    asked = draft.get("output_config", _output)
    if asked is not None and asked.effort is not None:
        effort, lost = thinking.declared_effort(asked.effort, draft.model)
        draft.losses.extend(lost)
        if effort is None:
            del config["effort"]
        elif effort != asked.effort:
            config["effort"] = effort
    if config != before:
        draft.put("output_config", config) if config else draft.drop("output_config")


def _thinking_member(draft: Draft) -> None:
    """Say thinking the way this model accepts it: adaptive or with a budget that fits (AC-57)."""
    asked = draft.get("thinking", _thinking)
    if asked is None:
        return
    if asked.type == "disabled":
        draft.thinks = False
        return
    if _conflicts(draft, asked):
        draft.drop("thinking")
        draft.losses.append("reasoning")
        return
    draft.thinks = True
    wanted = _wanted_thinking(draft, asked)
    if wanted is None:
        draft.drop("thinking")
        draft.losses.append("reasoning")
        draft.thinks = False
    elif wanted != (asked.type, asked.budget_tokens, asked.display):
        members: dict[str, Any] = {"type": wanted[0]}
        if wanted[1] is not None:
            members["budget_tokens"] = wanted[1]
        if wanted[2] is not None:
            members["display"] = wanted[2]
        draft.put("thinking", members)
        draft.repairs.append("thinking")


def _conflicts(draft: Draft, asked: ThinkingConfig) -> bool:
    """A forced tool forbids thinking, and so does a tool round that began without it (with a budget)."""
    choice = draft.get("tool_choice", _choice)
    if choice is not None and choice.type in FORCED:
        return True
    by_budget = asked.type == "enabled" and not _only_adaptive(draft.model)
    return by_budget and thinking.starts_without_thinking(draft.turns)


def _wanted_thinking(draft: Draft, asked: ThinkingConfig) -> tuple[str, int | None, str | None] | None:
    model = draft.model
    display = asked.display if asked.display is None or asked.display in DISPLAYS else "summarized"
    if _only_adaptive(model) or (asked.type == "adaptive" and model.adaptive_thinking):
        _effort_for(draft, asked)
        return "adaptive", None, display or ("summarized" if asked.type == "enabled" else None)
    max_tokens: Any = draft.members["max_tokens"]
    limit = max_tokens if isinstance(max_tokens, int) else _integer(max_tokens)
    budget = asked.budget_tokens
    if asked.type == "adaptive":
        if model.thinking_budget is None:
            return "adaptive", None, display
        config = draft.get("output_config", _output)
        effort = config.effort if config is not None else None
        budget = budget_of(Reasoning("adaptive", effort=effort), limit)
    if budget is None:
        raise InvalidRequestError(
            "Object missing required field `budget_tokens` (at $.thinking)", param="$.thinking.budget_tokens"
        )
    fitting = thinking.fitting_budget(budget, model, limit)
    return None if fitting is None else ("enabled", fitting, display)


def _effort_for(draft: Draft, asked: ThinkingConfig) -> None:
    """Carry a budget over as an effort, unless the client names one."""
    config = _output_members(draft)
    if asked.type != "enabled" or "effort" in config or not draft.model.efforts:
        return
    wish = effort_of(Reasoning("budget", asked.budget_tokens))
    effort, _ = thinking.declared_effort(wish, draft.model)
    if effort is not None:
        draft.put("output_config", {**config, "effort": effort})


def _sampling(draft: Draft) -> None:
    """Sampling that the model, or its thinking, refuses."""
    asked = thinking.Sampling(
        draft.get("temperature", _number), draft.get("top_p", _number), draft.get("top_k", _integer)
    )
    kept, lost = thinking.accepted(asked, draft.model, thinks=draft.thinks)
    for name in lost:
        value = getattr(kept, name)
        draft.put(name, value) if value is not None else draft.drop(name)
        draft.losses.append(name)


def _details(draft: Draft) -> None:
    """Members whose values are restricted."""
    if "service_tier" in draft.members and draft.get("service_tier", _string) != "auto":
        draft.drop("service_tier")
        draft.losses.append("service_tier")
    draft.get("metadata", _metadata)
    draft.get("stop_sequences", _array)


def _context_management(draft: Draft) -> None:
    """Clearing old thinking is refused where nothing thinks."""
    asked = draft.get("context_management", _context)
    if asked is None or draft.thinks:
        return
    kept = [
        raw
        for raw in asked.edits
        if not read(_edit, raw, "$.context_management").type.startswith("clear_thinking")
    ]
    if len(kept) == len(asked.edits):
        return
    draft.losses.append("context_management")
    draft.put("context_management", {"edits": kept}) if kept else draft.drop("context_management")


REPAIRS: Final[tuple[Callable[[Draft], None], ...]] = (
    _known_members,
    _limits,
    _content,
    _chosen_tool,
    _output_format,
    _thinking_member,
    _sampling,
    _details,
    _context_management,
)


def _betas(draft: Draft, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Return the flags that Copilot accepts, with those that the request needs."""
    wanted = list(flags.accepted(asked))
    if "context_management" in draft.members:
        wanted.append(flags.CONTEXT_MANAGEMENT)
        if b'"compact_' in _encode(draft.members["context_management"]):
            wanted.append(flags.COMPACT)
    return unique(wanted)


def _only_adaptive(model: Model) -> bool:
    return model.adaptive_thinking and model.thinking_budget is None


def _output_members(draft: Draft) -> dict[str, Any]:
    return draft.get("output_config", raw_members) or {}
