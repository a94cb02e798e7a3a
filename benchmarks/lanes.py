"""What is asked in each lane, of the gateway and of upstream itself, and whether what came back is right."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from benchmarks.load import Heard, Target
from tests.e2e.asking import PATH, SURFACES, UPSTREAM_PATH, ask, read_reply, read_stream
from tests.emulators.copilot.models import MESSAGES, entry

# One model for each dialect of upstream, offered there alone: any other surface has to translate.
MODEL = {"chat": "gpt-4.1", "messages": "claude-sonnet-4.5", "responses": "gpt-5.5"}
ONLY_MESSAGES = entry(
    MODEL["messages"], [MESSAGES], (200_000, 168_000, 64_000),
    min_thinking_budget=1024, max_thinking_budget=32_000,
)  # fmt: skip
LIMIT = 16_000
STAMP = re.compile(rb"\b\d{20}\b")
STAMPED = re.compile(r"\d{20}(?: \d{20})*")


class WrongError(Exception):
    """What came back is not what upstream said."""


@dataclass(frozen=True)
class Lane:
    """A client's surface in front of one dialect of upstream."""

    surface: str
    upstream: str

    @property
    def name(self) -> str:
        return self.surface if self.passes_through else f"{self.surface} from {self.upstream}"

    @property
    def passes_through(self) -> bool:
        return self.surface == self.upstream

    @property
    def direct(self) -> Lane:
        """The same upstream without the gateway."""
        return Lane(self.upstream, self.upstream)

    def request(self, target: Target, words: int, *, stream: bool) -> bytes:
        """Return the bytes of a request for an answer of so many words, each an event of its own."""
        path = (PATH if target.is_gateway else UPSTREAM_PATH)[self.surface]
        body = ask(self.surface, MODEL[self.upstream], f"[[words:{words}]]", stream=stream, limit=LIMIT)
        if self.surface == "chat" and not target.is_gateway:
            body["max_tokens"] = body.pop("max_completion_tokens")  # as upstream wants it for this model
        return target.request(path, json.dumps(body).encode())

    def check(self, target: Target, heard: Heard, words: int, *, stream: bool, stamped: bool = False) -> None:
        """Raise WrongError unless an answer came whole, with each word once and in its place.

        What the gateway sends must be legal in every other respect, too; upstream's own oddities are its own affair.
        """
        if heard.status != 200:
            raise WrongError(f"{self.name}: status {heard.status}: {heard.body[:500]!r}")
        try:
            text = self._told(heard.body, stream=stream) if target.is_gateway else self._said(heard.body)
        except (AssertionError, ValueError, KeyError) as error:
            raise WrongError(f"{self.name}: {error!r} in {heard.body[-500:]!r}") from error
        right = (
            STAMPED.fullmatch(text) is not None and text.count(" ") == words - 1
            if stamped
            else text == answer(words)
        )
        if not right:
            raise WrongError(f"{self.name}: {len(text)} characters: {text[:200]!r}")

    def _told(self, body: bytes, *, stream: bool) -> str:
        told = (read_stream if stream else read_reply)(self.surface, body)
        assert (told.stop, told.counted, told.model) == ("stop", True, MODEL[self.upstream])
        return told.text

    def _said(self, body: bytes) -> str:
        if body.startswith(b"{"):
            return read_reply(self.surface, body).text
        assert END[self.surface] in body
        events = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]
        return "".join(map(TEXT[self.surface], events))


def _chat_text(event: dict[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in event.get("choices") or [])


def _messages_text(event: dict[str, Any]) -> str:
    return event["delta"].get("text", "") if event["type"] == "content_block_delta" else ""


def _responses_text(event: dict[str, Any]) -> str:
    return str(event["delta"]) if event["type"] == "response.output_text.delta" else ""


# What a piece of upstream's stream says, and what ends it.
TEXT = {"chat": _chat_text, "messages": _messages_text, "responses": _responses_text}
END = {"chat": b"[DONE]", "messages": b'"message_stop"', "responses": b'"response.completed"'}


def answer(words: int) -> str:
    return " ".join(f"word{number}" for number in range(words))


PASSED = [Lane(surface, surface) for surface in SURFACES]
TRANSLATED = [Lane(surface, upstream) for surface in SURFACES for upstream in SURFACES if surface != upstream]
LANES = [*PASSED, *TRANSLATED]
# The two that stand for all where measuring nine would take too long.
MAIN = [Lane("chat", "chat"), Lane("messages", "chat")]
