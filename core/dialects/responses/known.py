"""The events and items of the Responses API, as OpenAI's SDKs list them."""

from typing import Final

LIFECYCLE: Final = frozenset(
    f"response.{word}" for word in ("created", "queued", "in_progress", "completed", "incomplete", "failed")
)
TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})

_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "output_item": ("added", "done"),
    "content_part": ("added", "done"),
    "output_text": ("delta", "done", "annotation.added"),
    "refusal": ("delta", "done"),
    "function_call_arguments": ("delta", "done"),
    "custom_tool_call_input": ("delta", "done"),
    "reasoning_summary_part": ("added", "done"),
    "reasoning_summary_text": ("delta", "done"),
    "reasoning_text": ("delta", "done"),
    "web_search_call": ("in_progress", "searching", "completed"),
    "file_search_call": ("in_progress", "searching", "completed"),
    "image_generation_call": ("in_progress", "generating", "partial_image", "completed"),
    "code_interpreter_call": ("in_progress", "interpreting", "completed"),
    "code_interpreter_call_code": ("delta", "done"),
    "mcp_call": ("in_progress", "completed", "failed"),
    "mcp_call_arguments": ("delta", "done"),
    "mcp_list_tools": ("in_progress", "completed", "failed"),
}

KNOWN: Final = LIFECYCLE | {f"response.{part}.{word}" for part, words in _PARTS.items() for word in words}

# What the id of an item begins with that upstream sent without one.
NEW_ID: Final[dict[str, str]] = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "custom_tool_call": "ctc_",
    "web_search_call": "ws_",
    "compaction": "cmp_",
}
