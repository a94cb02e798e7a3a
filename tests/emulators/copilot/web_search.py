"""Hosted web search on /responses: what is refused, when the fake searches, and how it tells what it found."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.emulators.copilot.brain import prompt_of
from tests.emulators.copilot.chat_rules import invalid
from tests.emulators.copilot.context import Call, Spoken
from tests.emulators.copilot.shapes import Obj, is_object, items, members, objects, string
from tests.emulators.copilot.wire import Reply

SEARCH: Final = re.compile(r"web_search(_preview)?(_\d[\d_]*)?")
WANTED: Final = re.compile(r"search the web|web search", re.IGNORECASE)
KNOWN: Final = frozenset(
    {"type", "filters", "user_location", "search_context_size", "external_web_access", "search_content_types"}
)
PLACE: Final = frozenset({"type", "city", "region", "country", "timezone"})
SOURCES: Final = "web_search_call.action.sources"
# What there is on the fake's web; a filter on domains leaves the others out.
PAGES: Final = (
    ("https://example.com/weather", "Weather of today"),
    ("https://example.org/news", "News of today"),
)


def refusal(call: Call) -> Reply | None:
    """Refuse members that the tool does not have, and a search without reasoning."""
    tools = _tools(call)
    for tool in tools:
        if extra := sorted(tool.keys() - KNOWN):
            return invalid(f"Unknown parameter: 'tools[0].{extra[0]}'.")
        if extra := sorted(members(tool.get("user_location")).keys() - PLACE):
            return invalid(f"Unknown parameter: 'tools[0].user_location.{extra[0]}'.")
    effort = members(call.body.get("reasoning")).get("effort")
    if tools and effort in {"none", "minimal"}:
        return invalid(f"The following tools cannot be used with reasoning.effort '{effort}': web_search.")
    return None


def searches(call: Call, spoken: Spoken) -> bool:
    """Search when nothing else can be done, when it is demanded, or when the prompt wants it."""
    tools, choice = _tools(call), call.body.get("tool_choice")
    if not tools or choice == "none" or spoken.answer.calls:
        return False
    demanded = choice == "required" or (is_object(choice) and SEARCH.fullmatch(string(choice.get("type"))))
    alone = len(tools) == len(items(call.body.get("tools")))
    return bool(demanded or alone or WANTED.search(prompt_of(spoken.asked)))


def search_item(call: Call, spoken: Spoken, index: int) -> Obj:
    """Return the finished search; its sources are told only to who asks for them."""
    action: Obj = {"type": "search", "query": prompt_of(spoken.asked)[:100]}
    if SOURCES in items(call.body.get("include")) and not call.on("resp_search_without_sources"):
        action["sources"] = [{"type": "url", "url": url} for url, _ in _pages(call)]
    item_id = f"ws_fake{spoken.number:06d}{index:02d}"
    return {"type": "web_search_call", "id": item_id, "status": "completed", "action": action}


def cited(call: Call, text: str) -> Obj:
    """Return the answer's text part with a sentence about every page, each cited."""
    annotations: list[Obj] = []
    for url, title in _pages(call):
        start = len(text) + 1
        text += f" {title} ({url})."
        place: Obj = {"type": "url_citation", "start_index": start, "end_index": len(text) - 1}
        annotations.append({**place, "url": url, "title": title})
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def search_events(event: Callable[..., bytes], place: Obj) -> Iterator[bytes]:
    """Render what comes between the search's first and last event."""
    for stage in ("in_progress", "searching", "completed"):
        yield event(f"response.web_search_call.{stage}", **place)


def citation_events(event: Callable[..., bytes], place: Obj, annotations: list[Any]) -> Iterator[bytes]:
    """Render the citations of a text that has been told."""
    for index, annotation in enumerate(annotations):
        yield event(
            "response.output_text.annotation.added", **place, annotation_index=index, annotation=annotation
        )


def _tools(call: Call) -> list[Obj]:
    return [tool for tool in objects(call.body.get("tools")) if SEARCH.fullmatch(string(tool.get("type")))]


def _pages(call: Call) -> list[tuple[str, str]]:
    filters = [members(tool.get("filters")).get("allowed_domains") for tool in _tools(call)]
    allowed = [domain for domains in filters for domain in items(domains)]
    return [page for page in PAGES if not allowed or any(domain in page[0] for domain in allowed)]
