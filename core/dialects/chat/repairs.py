"""What a client's chat body needs before Copilot takes it; each repair changes top-level members only where it must."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import UNSET, Raw

from core.dialect import Target
from core.dialects.chat.draft import SAMPLING, Notes
from core.dialects.chat.reading import Count, first_byte, read
from core.dialects.chat.reasoning_in import ReasoningWords, reasoning_of
from core.dialects.chat.relay_names import rename_choice, rename_tools
from core.dialects.chat.schema import NULL, encode
from core.dialects.chat.tools_out import encode_reasoning
from core.effort import nearest
from core.errors import InvalidRequestError, UnsupportedFeatureError
from core.tool_count import check_count

TRUE: Final = Raw(b"true")

# Copilot's chat has no use for these, and some of its backends refuse them.
STRIPPED: Final = (
    "store", "service_tier", "metadata", "user", "logit_bias", "prompt_cache_key", "prompt_cache_retention",
    "safety_identifier",
)  # fmt: skip
LIMIT_NAMES: Final = ("max_tokens", "max_completion_tokens")
REASONING_WORDS: Final = ReasoningWords.__struct_fields__
FOREIGN_WORDS: Final = ("thinking", "reasoning")
NEEDS_TOOLS: Final = ("tool_choice", "parallel_tool_calls")
IDLE: Final = (Raw(b'"auto"'), Raw(b'"none"'))  # choices that mean nothing where there are no tools

_reasoning = msgspec.json.Decoder(ReasoningWords)
_string = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool | None)
_count = msgspec.json.Decoder(Count)
_number = msgspec.json.Decoder(int)
_array = msgspec.json.Decoder(list[Raw])
_options = msgspec.json.Decoder(dict[str, Raw])


class Draft:
    """The members of a body under repair; `changed` says whether it must be written anew."""

    def __init__(self, members: dict[str, Raw], target: Target) -> None:
        self.members = members
        self.target = target
        self.notes = Notes(target)
        self.changed = False

    def drop(self, name: str) -> bool:
        """Take a member out; return whether it was there."""
        found = self.members.pop(name, None) is not None
        self.changed = self.changed or found
        return found

    def put(self, name: str, value: Raw) -> None:
        """Set a member; the same value is no change."""
        if self.members.get(name) != value:
            self.members[name] = value
            self.changed = True

    def lose(self, name: str) -> None:
        """Take a member out that the client will miss."""
        if self.drop(name):
            self.notes.lose(name)


def _nulls(draft: Draft) -> None:
    """Null says nothing here, and Copilot's backends disagree on whether it may be said."""
    for name in [name for name, value in draft.members.items() if value == NULL]:
        draft.drop(name)


def _model(draft: Draft) -> None:
    draft.put("model", Raw(encode(draft.target.model.id)))


def _strangers(draft: Draft) -> None:
    for name in STRIPPED:
        draft.lose(name)


def _one_answer(draft: Draft) -> None:
    """Copilot says one answer in several choices, so several answers could not be told apart."""
    if "n" in draft.members and read(_number, draft.members["n"], "$.n") != 1:
        raise UnsupportedFeatureError("Copilot gives one answer a request: n must be 1", param="n")


def _output_limit(draft: Draft) -> None:
    """GPT-5 knows only `max_completion_tokens`, the others only `max_tokens` (AC-65); too much is a 400."""
    right = draft.target.model.output_limit_name
    wrong = LIMIT_NAMES[1 - LIMIT_NAMES.index(right)]
    limit = draft.members.get(right, draft.members.get(wrong))
    if limit is None:
        return
    if draft.drop(wrong):
        draft.notes.repair("output_limit_name")
    most = draft.target.model.max_output
    asked = read(_count, limit, f"$.{right}")
    if most is not None and asked > most:
        draft.notes.lose("max_output")
        limit = Raw(encode(most))
    draft.put(right, limit)


def _tools(draft: Draft) -> None:
    """An empty list is refused, and so is what belongs to tools when there are none."""
    if "tools" in draft.members:
        tools = read(_array, draft.members["tools"], "$.tools")
        check_count(len(tools))
        if not tools:
            draft.drop("tools")
            draft.notes.repair("empty_tools")
    if "tools" not in draft.members:
        if draft.members.get("tool_choice", IDLE[0]) not in IDLE:
            draft.lose("tool_choice")
        for name in NEEDS_TOOLS:
            draft.drop(name)
    elif draft.target.model.parallel_tools is False:
        draft.lose("parallel_tool_calls")


def _names(draft: Draft) -> None:
    """Upstream takes names of at most 64 plain characters; MCP servers make longer ones (AC-61)."""
    if "tools" not in draft.members:
        return
    tools = rename_tools(draft.members["tools"], draft.notes)
    choice = rename_choice(draft.members.get("tool_choice", NULL))
    if tools is not None:
        draft.put("tools", tools)
    if choice is not None:
        draft.put("tool_choice", choice)


def _sampling(draft: Draft) -> None:
    if not draft.target.model.sampling:
        for name in SAMPLING:
            draft.lose(name)


def _reasoning_words(draft: Draft) -> None:
    """Copilot's chat knows an effort or a budget, whatever the model declares, and ignores other words (litellm#28053)."""
    for name in FOREIGN_WORDS:
        if name in draft.members and first_byte(draft.members[name]) != b"{":
            draft.lose(name)
    model = draft.target.model
    by_budget = (
        model.thinking_budget is not None and not model.efforts and "reasoning_effort" in draft.members
    )
    if not by_budget and not any(name in draft.members for name in FOREIGN_WORDS):
        return
    said = {name: draft.members[name] for name in REASONING_WORDS if name in draft.members}
    reasoning = reasoning_of(read(_reasoning, Raw(encode(said)), "$"))
    for name in said:
        draft.drop(name) if reasoning is not None else draft.lose(name)
    if reasoning is None:
        return
    draft.notes.repair("reasoning_words")
    limit = draft.members.get(model.output_limit_name)
    effort, budget = encode_reasoning(reasoning, None if limit is None else _count.decode(limit), draft.notes)
    if effort is not UNSET:
        draft.put("reasoning_effort", Raw(encode(effort)))
    if budget is not UNSET:
        draft.put("thinking_budget", Raw(encode(budget)))


def _effort(draft: Draft) -> None:
    """Only the efforts that the model declares are taken; the nearest one stands in."""
    if "reasoning_effort" not in draft.members:
        return
    asked = read(_string, draft.members["reasoning_effort"], "$.reasoning_effort")
    declared = draft.target.model.efforts
    chosen = nearest(asked, declared) if declared else None
    if asked == chosen:
        return
    if asked != "none" or declared:
        draft.notes.lose("effort")
    if chosen is None or (asked == "none" and draft.notes.claude):
        draft.drop("reasoning_effort")
    else:
        draft.put("reasoning_effort", Raw(encode(chosen)))


def _budget(draft: Draft) -> None:
    if draft.target.model.thinking_budget is None:
        draft.lose("thinking_budget")


def _usage(draft: Draft) -> None:
    """The ledger needs the counts of every stream; a chunk that the client did not ask for is kept from it."""
    if "stream" not in draft.members or not read(_flag, draft.members["stream"], "$.stream"):
        draft.drop("stream_options")
        return
    path = "$.stream_options"
    options = (
        read(_options, draft.members["stream_options"], path) if "stream_options" in draft.members else {}
    )
    if options.get("include_usage") != TRUE:
        options["include_usage"] = TRUE
        draft.put("stream_options", Raw(encode(options)))


def _messages(draft: Draft) -> None:
    raw = draft.members.get("messages")
    if raw is None or first_byte(raw) != b"[":
        raise InvalidRequestError("expected an array of messages (at $.messages)", param="$.messages")


# In this order: nulls first, so that no other repair meets one.
REPAIRS: Final[tuple[Callable[[Draft], None], ...]] = (
    _nulls, _messages, _model, _one_answer, _strangers, _output_limit, _tools, _names, _sampling, _reasoning_words,
    _effort, _budget, _usage,
)  # fmt: skip
