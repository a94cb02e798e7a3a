"""What /v1/messages refuses: fields, tools, thinking, betas and caching."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from tests.emulators.copilot.chat_rules import effort
from tests.emulators.copilot.context import Call
from tests.emulators.copilot.models import limit, supports
from tests.emulators.copilot.shapes import Obj, integer, members, objects, string
from tests.emulators.copilot.wire import Reply, bare_error, capi_error

KNOWN_KEYS: Final = frozenset(
    {
        "model", "messages", "max_tokens", "system", "metadata", "stop_sequences", "stream", "temperature", "top_p",
        "top_k", "tools", "tool_choice", "thinking", "service_tier", "output_config", "context_management", "speed",
    }
)  # fmt: skip
COUNTED_KEYS: Final = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "context_management"}
)
BETAS: Final = frozenset(
    {
        "interleaved-thinking-2025-05-14", "context-management-2025-06-27", "compact-2026-01-12",
        "advanced-tool-use-2025-11-20", "extended-cache-ttl-2025-04-11", "computer-use-2025-11-24",
    }
)  # fmt: skip
TOOL_TYPES: Final = re.compile(
    r"custom|bash_20250124|text_editor_2025(?:0124|0429|0728)|memory_20250818|computer_20251124"
    r"|tool_search_tool_(?:regex|bm25)(?:_20251119)?"
)
TOOL_KEYS: Final = frozenset(
    {"type", "name", "description", "input_schema", "cache_control", "strict", "defer_loading", "input_examples",
     "eager_input_streaming", "allowed_callers", "max_characters", "display_width_px", "display_height_px"}
)  # fmt: skip
TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
MAX_MARKS: Final = 4
NOT_PERMITTED: Final = "Extra inputs are not permitted"


def _unknown_keys(call: Call) -> Reply | None:
    extra = sorted(call.body.keys() - KNOWN_KEYS)
    return bare_error(f"{extra[0]}: {NOT_PERMITTED}") if extra else None


def _uncounted_keys(call: Call) -> Reply | None:
    extra = sorted(call.body.keys() - COUNTED_KEYS)
    return bare_error(f"{extra[0]}: {NOT_PERMITTED}") if extra else None


def _betas(call: Call) -> Reply | None:
    for beta in re.split(r"\s*,\s*", call.request.headers.get("anthropic-beta", "").strip()):
        if beta and beta not in BETAS:
            return bare_error(f"Unexpected value(s) `{beta}` for the `anthropic-beta` header.")
    return None


def _context_management(call: Call) -> Reply | None:
    betas = call.request.headers.get("anthropic-beta", "")
    management = call.body.get("context_management")
    if management is None:
        return None
    if "context-management-2025-06-27" not in betas:
        return bare_error(f"context_management: {NOT_PERMITTED}")
    edits = objects(members(management).get("edits"))
    if any(edit.get("type") == "compact_20260112" for edit in edits) and "compact-2026-01-12" not in betas:
        return bare_error(
            "context_management.edits.0: Input tag 'compact_20260112' does not match any of the expected tags"
        )
    return None


def _max_tokens(call: Call) -> Reply | None:
    asked = call.body.get("max_tokens")
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
        return bare_error(
            "max_tokens: Field required" if asked is None else "max_tokens: must be a positive integer"
        )
    most = limit(call.model, "max_output_tokens", 128_000)
    if asked > most:
        return bare_error(
            f"The maximum tokens you requested exceeds the model limit of {most} for this model."
        )
    return None


def _sampling(call: Call) -> Reply | None:
    both = call.body.get("temperature") is not None and call.body.get("top_p") is not None
    if both and call.model_id != "claude-sonnet-4.6":
        return bare_error(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
        )
    return None


def _thinking(call: Call) -> Reply | None:
    thinking = members(call.body.get("thinking"))
    kind, budget = thinking.get("type"), integer(thinking.get("budget_tokens"))
    if kind == "adaptive" and not supports(call.model, "adaptive_thinking"):
        return bare_error("adaptive thinking is not supported on this model")
    if kind != "enabled":
        return None if kind in (None, "adaptive", "disabled") else bare_error("thinking.type: unknown tag")
    if not supports(call.model, "max_thinking_budget"):
        hint = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
        return bare_error(f'"thinking.type.enabled" is not supported for this model. {hint}')
    if budget < (least := integer(supports(call.model, "min_thinking_budget"), 1024)):
        return bare_error(f"thinking.enabled.budget_tokens: Input should be greater than or equal to {least}")
    if budget >= integer(call.body.get("max_tokens")):
        return bare_error("`max_tokens` must be greater than `thinking.budget_tokens`.")
    return _thinking_company(call)


def _thinking_company(call: Call) -> Reply | None:
    if call.body.get("temperature") not in (None, 1):
        return bare_error("`temperature` may only be set to 1 when thinking is enabled.")
    if members(call.body.get("tool_choice")).get("type") in {"any", "tool"}:
        return bare_error("Thinking may not be enabled when tool_choice forces tool use.")
    return None


def _effort(call: Call) -> Reply | None:
    return effort(call, members(call.body.get("output_config")).get("effort"))


def _tools(call: Call) -> Reply | None:
    for number, tool in enumerate(objects(call.body.get("tools"))):
        if refusal := _tool(number, tool):
            return refusal
    return None


def _tool(number: int, tool: Obj) -> Reply | None:
    kind = string(tool.get("type")) or "custom"
    if kind.startswith("web_search"):
        return capi_error(400, "The use of the web search tool is not supported.", "unsupported_value")
    if kind.startswith("web_fetch"):
        return capi_error(400, "rejected tool(s): web_fetch", "invalid_request_body")
    if not TOOL_TYPES.fullmatch(kind):
        return bare_error(
            f"tools.{number}: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
            "'bash_20250124', 'custom', 'memory_20250818', 'text_editor_20250728'"
        )
    if not TOOL_NAME.fullmatch(string(tool.get("name"))):
        return bare_error(
            f"tools.{number}.{kind}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        )
    if extra := sorted(tool.keys() - TOOL_KEYS):
        return bare_error(f"tools.{number}.{kind}.{extra[0]}: {NOT_PERMITTED}")
    if kind == "custom" and not isinstance(tool.get("input_schema"), dict):
        return bare_error(f"tools.{number}.custom.input_schema: Field required")
    if "$schema" in members(tool.get("input_schema")):
        return bare_error(f"tools.{number}.custom.input_schema.$schema: {NOT_PERMITTED}")
    return None


def _tool_choice(call: Call) -> Reply | None:
    choice = call.body.get("tool_choice")
    if choice is None:
        return None
    kind, names = members(choice).get("type"), {tool.get("name") for tool in objects(call.body.get("tools"))}
    if kind not in {"auto", "any", "none", "tool"}:
        return bare_error("tool_choice: Input should be an object with a known type")
    if kind != "none" and not names:
        return bare_error("tool_choice: tool_choice may only be specified while providing tools")
    if kind == "tool" and members(choice).get("name") not in names:
        return bare_error(f"tool_choice: tool '{members(choice).get('name')}' not found in tools")
    return None


def _marked(call: Call) -> Iterator[tuple[str, Obj]]:
    """Yield everything that may carry a cache mark, with its path."""
    for number, tool in enumerate(objects(call.body.get("tools"))):
        yield f"tools.{number}", tool
    for number, block in enumerate(objects(call.body.get("system"))):
        yield f"system.{number}", block
    for number, message in enumerate(objects(call.body.get("messages"))):
        for place, block in enumerate(objects(message.get("content"))):
            yield f"messages.{number}.content.{place}", block


def _cache_marks(call: Call) -> Reply | None:
    marks = 0
    for path, block in _marked(call):
        inner = [part for part in objects(block.get("content")) if part.get("cache_control")]
        if block.get("type") == "tool_result" and inner:
            return bare_error(f"{path}.tool_result.content.0.cache_control: {NOT_PERMITTED}")
        control = members(block.get("cache_control"))
        if not control:
            continue
        marks += 1
        if block.get("type") in {"thinking", "redacted_thinking"}:
            return bare_error(f"{path}.{block['type']}.cache_control: {NOT_PERMITTED}")
        if extra := sorted(control.keys() - {"type", "ttl"}):
            return bare_error(f"{path}.cache_control.ephemeral.{extra[0]}: {NOT_PERMITTED}")
        if control.get("type") != "ephemeral" or control.get("ttl", "5m") not in {"5m", "1h"}:
            return bare_error(f"{path}.cache_control: Input should be ephemeral with ttl 5m or 1h")
    if marks > MAX_MARKS:
        return bare_error(
            f"A maximum of {MAX_MARKS} blocks with cache_control may be provided. Found {marks}."
        )
    return None


RULES: Final[tuple[Callable[[Call], Reply | None], ...]] = (
    _unknown_keys, _betas, _context_management, _max_tokens, _sampling, _thinking, _effort, _tools, _tool_choice,
    _cache_marks,
)  # fmt: skip
COUNT_RULES: Final[tuple[Callable[[Call], Reply | None], ...]] = (
    _uncounted_keys, _betas, _context_management, _tools, _cache_marks,
)  # fmt: skip
