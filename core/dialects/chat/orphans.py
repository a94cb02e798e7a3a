"""Calls without results and results without calls, which upstream refuses: an interrupted agent leaves them behind."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from core.dialects.chat.draft import Notes, Turn
from core.dialects.chat.messages_out import NO_RESULT
from core.dialects.chat.reading import read
from core.dialects.chat.schema import encode

CALLS: Final = b'"tool_call'  # neither a call nor a result is without these bytes


class _Call(Struct):
    id: str | None = None


class _Message(Struct):
    role: str
    tool_call_id: str | None = None
    tool_calls: list[_Call] | None = None


_message = msgspec.json.Decoder(_Message)
_members = msgspec.json.Decoder(dict[str, Raw])


class _Settled:
    """The messages so far.

    `_open` are the calls that still wait and `_later` what is told after their results, `_strays` of it results themselves.
    """

    def __init__(self, notes: Notes) -> None:
        self.messages: list[Raw] = []
        self._notes = notes
        self._open: dict[str, None] = {}
        self._later: list[Raw] = []
        self._strays = 0

    def add(self, raw: Raw, message: _Message, path: str) -> None:
        if message.role == "tool":
            self._result(raw, message.tool_call_id or "", path)
        elif message.role == "assistant":
            self.end_results()
            self.messages.append(raw)
            self._open = {call.id: None for call in message.tool_calls or () if call.id}
        elif self._open:
            self._later.append(raw)
        else:
            self.end_results()
            self.messages.append(raw)

    def _result(self, raw: Raw, call_id: str, path: str) -> None:
        if call_id in self._open:
            del self._open[call_id]
            self.messages.append(raw)
            if len(self._later) > self._strays:
                self._notes.repair("late_tool_result")
            return
        self._notes.repair("orphan_tool_result")
        members = read(_members, raw, path)
        members.pop("tool_call_id", None)
        self._later.append(Raw(encode({**members, "role": "user"})))
        self._strays += 1

    def end_results(self) -> None:
        for call_id in self._open:
            self._notes.repair("orphan_tool_use")
            self.messages.append(Raw(encode(Turn(role="tool", tool_call_id=call_id, content=NO_RESULT))))
        self.messages += self._later
        self._open, self._later, self._strays = {}, [], 0


def settle(messages: list[Raw], notes: Notes) -> list[Raw] | None:
    """Give each call its result, directly (AC-30, AC-46), and turn stray ones into user messages; None when all is well."""
    settled = _Settled(notes)
    for index, raw in enumerate(messages):
        path = f"$.messages[{index}]"
        settled.add(raw, read(_message, raw, path), path)
    settled.end_results()
    return None if settled.messages == messages else settled.messages
