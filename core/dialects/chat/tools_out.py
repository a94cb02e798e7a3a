"""Tools, output format and effort as Copilot's chat wants them."""

from collections.abc import Sequence
from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from core.canonical import HostedTool, OutputFormat, Reasoning, Tool, ToolChoice
from core.custom_tools import wrap_tool
from core.dialects.chat.draft import Notes
from core.effort import budget_of, effort_of, nearest
from core.errors import UnsupportedFeatureError
from core.names import short_name
from core.tool_count import check_count
from core.tool_schema import clean_schema


class _Function(Struct, frozen=True):
    name: str
    parameters: Raw
    description: str | UnsetType = UNSET
    strict: bool | UnsetType = UNSET


class _FunctionTool(Struct, frozen=True):
    function: _Function
    type: Literal["function"] = "function"


class _Named(Struct, frozen=True):
    name: str


class _Choice(Struct, frozen=True):
    function: _Named
    type: Literal["function"] = "function"


class _Schema(Struct, frozen=True):
    name: str
    schema: Raw | UnsetType = UNSET
    strict: bool | UnsetType = UNSET
    description: str | UnsetType = UNSET


class Format(Struct, frozen=True):
    """`response_format`."""

    type: Literal["json_object", "json_schema"]
    json_schema: _Schema | UnsetType = UNSET


OutTool = _FunctionTool | Raw
OutChoice = str | _Choice


def encode_tools(tools: Sequence[Tool | HostedTool], notes: Notes) -> list[OutTool] | UnsetType:
    """Write the tools; none at all is not said, as upstream dislikes an empty list."""
    check_count(len(tools))
    if tools and notes.target.model.tools is False:
        raise UnsupportedFeatureError(f"{notes.target.model.id} cannot call tools", param="tools")
    return [_tool(tool, notes) for tool in tools] or UNSET


def _tool(tool: Tool | HostedTool, notes: Notes) -> OutTool:
    if isinstance(tool, HostedTool):
        return _hosted(tool)
    if tool.custom:
        notes.repair("custom_tools")
        tool = wrap_tool(tool)
    if tool.searches:
        notes.repair("tool_search")
    if tool.cache is not None and notes.claude:
        notes.lose("cache_control")  # chat has no mark on tools
    strict = UNSET if tool.strict is None else tool.strict
    return _FunctionTool(
        _Function(short_name(tool.name), clean_schema(tool.parameters), tool.description or UNSET, strict)
    )


def _hosted(tool: HostedTool) -> Raw:
    if tool.kind == "web_search":
        raise UnsupportedFeatureError(
            "this model cannot search the web itself: set the gateway's `web_search_model`, or choose a model "
            "with a search of its own",
            param="tools",
        )
    if tool.dialect != "chat":
        raise UnsupportedFeatureError(f"a chat model cannot run the hosted tool {tool.type!r}", param="tools")
    return Raw(tool.raw)


def encode_choice(choice: ToolChoice | None) -> OutChoice | UnsetType:
    """Write how tools may be used."""
    if choice is None:
        return UNSET
    return _Choice(_Named(short_name(choice.name))) if choice.mode == "tool" else choice.mode


def encode_format(form: OutputFormat | None, notes: Notes) -> Format | UnsetType:
    """Write the structured output that is asked for (AC-43)."""
    if form is None:
        return UNSET
    if form.kind == "json_object":
        return Format("json_object")
    if notes.target.model.structured_outputs is False:
        raise UnsupportedFeatureError(
            f"{notes.target.model.id} does not promise to follow a JSON schema", param="response_format"
        )
    schema = _Schema(
        short_name(form.name or "response"),
        UNSET if form.schema is None else Raw(form.schema),
        UNSET if form.strict is None else form.strict,
        form.description or UNSET,
    )
    return Format("json_schema", schema)


def encode_reasoning(
    reasoning: Reasoning | None, limit: int | None, notes: Notes
) -> tuple[str | UnsetType, int | UnsetType]:
    """Return `reasoning_effort` and `thinking_budget`, at most one of them set, as the model declares them.

    limit: the output limit, which holds for thinking too.
    """
    model = notes.target.model
    if reasoning is None:
        return UNSET, UNSET
    if reasoning.summary is not None:
        notes.lose("reasoning_summary")
    effort = effort_of(reasoning)
    if (
        model.thinking_budget is not None
        and (reasoning.mode == "budget" or not model.efforts)
        and effort != "none"
    ):
        return UNSET, _budget(reasoning, model.thinking_budget, limit, notes)
    if effort is None or (
        effort == "none" and (notes.claude or not model.efforts) and "none" not in model.efforts
    ):
        return UNSET, UNSET  # a model that was not told to think does not
    if not model.efforts:
        notes.lose("effort")
        return UNSET, UNSET
    chosen = nearest(effort, model.efforts)
    if chosen != effort:
        notes.lose("effort")
    return chosen, UNSET


def _budget(
    reasoning: Reasoning, declared: tuple[int, int], limit: int | None, notes: Notes
) -> int | UnsetType:
    """Return a budget that the model declares and that is below the output limit, as Claude wants it; or none."""
    least, most = declared
    budget = max(least, min(budget_of(reasoning, limit) or least, most))
    if limit is None or budget < limit:
        return budget
    if limit <= least:
        notes.lose("thinking_budget")
        return UNSET
    return limit - 1
