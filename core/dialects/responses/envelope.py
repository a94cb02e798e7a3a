"""The response object that lifecycle events and complete replies carry, with every member that strict clients want."""

from typing import Any, Final

from msgspec import Raw

from core.canonical import OutputFormat, Request, StopReason, Text, Usage
from core.dialect import Echo
from core.dialects.responses.request_decode import NAMESPACES, REASONING, asks_to_store
from core.dialects.responses.request_encode import encode_format
from core.dialects.responses.schema import encode
from core.dialects.responses.tools import encode_choice, encode_tools, namespaces_of

RESPONSE_PREFIX: Final = "resp_"
CONTENT_FILTER: Final = "content_filter"

# Why an answer is incomplete, in this dialect's words; a reason that is not here means that it is complete.
INCOMPLETE_REASON: Final[dict[StopReason, str]] = {
    "max_tokens": "max_output_tokens",
    "context_window": "max_output_tokens",
    "refusal": CONTENT_FILTER,
}
# Members of the request that the response repeats as they came, and what stands there otherwise.
REPEATED: Final[dict[str, Raw]] = {
    "max_tool_calls": Raw(b"null"),
    "metadata": Raw(b"{}"),
    "previous_response_id": Raw(b"null"),
    "safety_identifier": Raw(b"null"),
    "service_tier": Raw(b'"default"'),
    "top_logprobs": Raw(b"0"),
    "truncation": Raw(b'"disabled"'),
}


class Envelope:
    """Renders the response object of one reply; what the request said is written once."""

    def __init__(self, echo: Echo, response_id: str | None = None) -> None:
        own = echo.id if echo.id.startswith(RESPONSE_PREFIX) else RESPONSE_PREFIX + echo.id
        self.id = response_id or own
        self._members: dict[str, Any] = {
            "id": self.id,
            "object": "response",
            "created_at": echo.created,
            "status": "in_progress",
            "background": False,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            **request_members(echo.request or Request(model=echo.model, messages=())),
            "model": echo.model,
            "output": [],
            "usage": None,
        }

    def render(
        self,
        status: str,
        output: list[Raw],
        *,
        usage: Usage | None = None,
        incomplete: str | None = None,
        error: dict[str, str] | None = None,
    ) -> bytes:
        """Render the object as it stands now."""
        return encode(
            {
                **self._members,
                "status": status,
                "error": error,
                "incomplete_details": None if incomplete is None else {"reason": incomplete},
                "output": output,
                "usage": None if usage is None else encode_usage(usage),
            }
        )


def encode_usage(usage: Usage) -> dict[str, Any]:
    """Write a count of tokens."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def request_members(request: Request) -> dict[str, Any]:
    """Return what a response repeats of its request."""
    extras = request.extras
    namespaces = namespaces_of(extras.get(NAMESPACES))
    choice = request.tool_choice
    return {
        "instructions": _instructions(request),
        "max_output_tokens": request.max_output,
        "parallel_tool_calls": request.parallel_tools is not False,
        "prompt_cache_key": request.cache_key,
        "reasoning": _reasoning(request),
        "store": asks_to_store(extras),
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": {"format": _format(request.format), "verbosity": request.verbosity or "medium"},
        "tool_choice": "auto" if choice is None else encode_choice(choice, request.tools),
        "tools": encode_tools(request.tools, namespaces),
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "user": request.user,
        **{name: Raw(extras[name]) if name in extras else value for name, value in REPEATED.items()},
    }


def _instructions(request: Request) -> str | None:
    if request.messages and request.messages[0].role == "system":
        match request.messages[0].content:
            case (Text(text=text),):
                return text
            case _:
                return None
    return None


def _reasoning(request: Request) -> dict[str, Any]:
    asked = request.reasoning
    members: dict[str, Any] = {"effort": None, "summary": None}
    if asked is not None:
        members = {"effort": "none" if asked.mode == "off" else asked.effort, "summary": asked.summary}
    own = {
        name.removeprefix(REASONING): Raw(raw)
        for name, raw in request.extras.items()
        if name.startswith(REASONING)
    }
    return {**own, **members}


def _format(output: OutputFormat | None) -> dict[str, Any]:
    return {"type": "text"} if output is None else encode_format(output)
