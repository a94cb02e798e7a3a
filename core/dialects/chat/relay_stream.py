"""Pass a chat stream through: the client's model name, one choice, one finish, one end."""

from typing import Final

import msgspec
from msgspec import UNSET, Raw

from core.canonical import CUT_OFF, Usage
from core.dialect import Echo
from core.dialects.chat.errors import copilot_failure, encode_error, upstream_error
from core.dialects.chat.relay_calls import OutPiece, RelayCalls
from core.dialects.chat.relay_events import END, PREFIX, EventCutter, data_of, is_comment
from core.dialects.chat.relay_frame import (
    Frame,
    RelayChoice,
    RelayChunk,
    RelayDelta,
    decode_choices,
    decode_members,
    decode_relay,
)
from core.dialects.chat.relay_response import finish_reason
from core.dialects.chat.schema import DONE, NOTHING, NULL, encode
from core.dialects.chat.usage import (
    FAILED,
    STOP_REASON,
    decode_price,
    decode_usage,
    is_count,
    severer,
)
from core.errors import GatewayError, UpstreamProtocolError

# Copilot leaves `finish_reason` out where it is null; this is where it is put back without reading the chunk again.
UNFINISHED: Final = b'"choices":[{"index":0,'
FINISHED: Final = UNFINISHED + b'"finish_reason":null,'
# Copilot says in every chunk who speaks; clients that join the texts of deltas want to read it once. Inside a string the
# quotation marks would be escaped, so that these bytes are a member wherever they stand.
ROLE: Final = b'"role":"assistant"'
# Members of a delta that say nothing by being there.
SILENT: Final = (*NOTHING, Raw(b'""'))


class ChatStreamRelay:
    """Forward a chat stream, repaired where it has to be.

    Invariants: the finishing chunk waits in `_held` and the usage chunk in `_counted` (usage said beside an answer in
    `_aside`) until the stream ends, so that there is one of each, in that order, whatever comes late; `_finish` is the
    severest reason seen. `_over` is set once a terminal event was forwarded; what follows is dropped. An error waits
    in `_failure` until the bytes before it are delivered.
    """

    def __init__(self, echo: Echo) -> None:
        self._echo = echo
        self._cutter = EventCutter()
        self._frame = Frame(echo)
        self._calls = RelayCalls(echo.full_names())
        self._held: bytes | None = None
        self._counted: bytes | None = None
        self._aside = NULL
        self._finish = ""
        self._spoke = False
        self._legacy = False
        self._usage: Usage | None = None
        self._over = False
        self._failure: GatewayError | None = None

    @property
    def usage(self) -> Usage | None:
        """What upstream counted, once it said so."""
        return self._usage

    @property
    def done(self) -> bool:
        """Whether a terminal event was forwarded."""
        return self._over

    @property
    def failure(self) -> GatewayError | None:
        """None: errors are raised, and told by `error`."""
        return None

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes to forward. Raises `GatewayError`, upstream's own or for a broken protocol."""
        out: list[bytes] = []
        self._guard(out, chunk)
        return b"".join(out)

    def close(self) -> bytes:
        """Return the last bytes. Raises `UpstreamProtocolError` when the stream was cut (AC-05)."""
        out: list[bytes] = []
        self._guard(out, None)
        if self._failure is not None:
            raise self._failure
        return b"".join(out)

    def error(self, error: GatewayError) -> bytes:
        """End with an error chunk; nothing after a terminal event."""
        if self._over:
            return b""
        self._over = True
        return PREFIX + encode_error(error).body + END

    def _guard(self, out: list[bytes], chunk: bytes | None) -> None:
        if self._failure is None and not self._over:
            try:
                for event in self._cutter.close() if chunk is None else self._cutter.feed(chunk):
                    self._event(event, out)
                if chunk is None and not self._over:
                    self._end(out, cut=True)
            except GatewayError as error:
                self._failure = error
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                self._failure = UpstreamProtocolError(
                    f"upstream sent a chunk that is no chat completion: {error}"
                )
        if self._failure is not None and not out:
            raise self._failure

    # --- events ---

    def _event(self, event: bytes, out: list[bytes]) -> None:
        if self._over or not event:
            return
        data = data_of(event)
        if data is None:
            if is_comment(event) and event.isascii():
                out.append(event + END)
            return
        if data[:1] != b"{":
            data = data.strip()
            if data == DONE:
                self._end(out, cut=False)
            if not data or data == DONE:
                return
        if not data.isascii():
            data.decode()  # what is skipped here a client will read
        self._chunk(data, decode_relay(data), out)

    def _chunk(self, data: bytes, chunk: RelayChunk, out: list[bytes]) -> None:
        choices = chunk.choices
        if choices:
            if not self._frame.id:
                self._frame.open(chunk)
            only = choices[0]
            if only.finish_reason is UNSET and UNFINISHED in data:
                data = data.replace(UNFINISHED, FINISHED, 1)
                only.finish_reason = None
            if (
                self._spoke
                and self._held is None
                and len(choices) == 1
                and chunk.usage == NULL
                and _is_words(only)
                and (spoken := _without_role(data, only))
            ):
                out.append(PREFIX + self._frame.fit(spoken, chunk) + END)
            else:
                self._choices(data, chunk, choices, out)
        if chunk.usage != NULL or chunk.copilot_usage != NULL:
            self._count(data, chunk)
        if chunk.error != NULL:
            raise upstream_error(chunk.error)
        failure = copilot_failure(chunk.copilot_errors)
        if failure is not None:
            raise failure

    def _count(self, data: bytes, chunk: RelayChunk) -> None:
        usage = decode_usage(chunk.usage) or self._usage or Usage()
        price = decode_price(chunk.copilot_usage)
        self._usage = usage if price is None else msgspec.structs.replace(usage, nano_credits=price)
        if not is_count(chunk.usage):
            return
        if chunk.choices:
            self._aside = chunk.usage
        else:
            self._counted = data

    # --- choices ---

    def _choices(self, data: bytes, chunk: RelayChunk, choices: list[RelayChoice], out: list[bytes]) -> None:
        """Forward each choice as a chunk of its own (AC-04), as it came where nothing is wrong with it."""
        for position, choice in enumerate(choices):
            delta = choice.delta or choice.message or RelayDelta()
            pieces = self._calls.take(delta.tool_calls) if delta.tool_calls else None
            self._legacy = self._legacy or delta.function_call != NULL
            reason = choice.finish_reason or ""
            if reason in FAILED:
                raise UpstreamProtocolError("upstream gave up in the middle of its answer", code=reason)
            whole = choice.delta is not None and choice.finish_reason is not UNSET
            fine = len(choices) == 1 and choice.index == 0 and whole and pieces is None
            fine = fine and (chunk.usage == NULL or bool(reason))
            fine = fine and delta.role == (None if self._spoke else "assistant")
            if fine and self._held is None:
                ready, silent = self._frame.fit(data, chunk), False
            else:
                ready, silent = self._rewritten(data, position, pieces, reason)
            self._spoke = True
            self._finish = severer(self._finish, reason) if reason else self._finish
            self._forward(ready, out, silent=silent, final=bool(reason))

    def _forward(self, ready: bytes, out: list[bytes], *, silent: bool, final: bool) -> None:
        """Send a chunk, or hold it when it is the finishing one; a silent one after that changes nothing (AC-09)."""
        if silent and (self._held is not None or not final):
            return
        self._release(out)
        if final:
            self._held = ready
        else:
            out.append(PREFIX + ready + END)

    def _rewritten(
        self, data: bytes, position: int, pieces: list[OutPiece] | None, reason: str
    ) -> tuple[bytes, bool]:
        """Return the chunk with only the choice at `position`, and whether that one says nothing."""
        members = decode_members(data)
        choices = decode_choices(members["choices"])
        choice = choices[position]
        found = choice.pop("message", NULL) if choice.get("delta", NULL) == NULL else choice["delta"]
        delta = {} if found == NULL else decode_members(found)
        delta.pop("role", None)
        if pieces is not None:
            delta.pop("tool_calls", None)
            if pieces:
                delta["tool_calls"] = Raw(encode(pieces))
        silent = self._spoke and all(value in SILENT for value in delta.values())
        if not self._spoke:
            delta = {"role": Raw(b'"assistant"'), **delta}
        choice["delta"] = Raw(encode(delta))
        choice["index"] = Raw(b"0")
        choice["finish_reason"] = Raw(encode(reason)) if reason else NULL
        members["choices"] = Raw(encode([choice]))
        if position < len(choices) - 1 or not reason:
            members.pop("usage", None)  # said once, at the end: there are clients that add them up
        return self._frame.rebuild(members), silent

    def _release(self, out: list[bytes]) -> None:
        """Let a held finishing chunk go as an ordinary one: it was not the last."""
        held, self._held = self._held, None
        if held is None:
            return
        members = decode_members(held)
        choice = decode_choices(members["choices"])[0]
        if all(value in SILENT for value in decode_members(choice["delta"]).values()):
            return
        choice["finish_reason"] = NULL
        members["choices"] = Raw(encode([choice]))
        members.pop("usage", None)  # it is said at the end
        out.append(PREFIX + encode(members) + END)

    # --- the end ---

    def _end(self, out: list[bytes], *, cut: bool) -> None:
        if not self._finish and (cut or not self._spoke):
            raise UpstreamProtocolError("upstream's stream ended before its finish reason")
        cut_short = STOP_REASON.get(self._finish) in CUT_OFF
        owed = list(self._calls.rest(self._frame.id, cut=cut_short))
        if owed:
            self._release(out)
            out.append(PREFIX + self._plain({"tool_calls": owed}, None) + END)
        reason = finish_reason(self._finish, tools=bool(self._calls), legacy=self._legacy)
        last = self._last(reason)
        out.append(PREFIX + last + END)
        if self._echo.include_usage:
            out += self._usage_chunk(last)
        out.append(PREFIX + DONE + END)
        self._over = True

    def _usage_chunk(self, last: bytes) -> list[bytes]:
        """Return the usage chunk, unless the finishing chunk has the counts and no other one was sent."""
        if self._counted is not None:
            chunk = decode_relay(self._counted)
            if chunk.choices is None:  # null or absent; openai's SDKs walk over them
                listed = {**decode_members(self._counted), "choices": Raw(b"[]")}
                return [PREFIX + self._frame.rebuild(listed) + END]
            return [PREFIX + self._frame.fit(self._counted, chunk) + END]
        if self._aside == NULL or decode_relay(last).usage != NULL:
            return []
        return [PREFIX + self._frame.rebuild({"choices": Raw(b"[]"), "usage": self._aside}) + END]

    def _last(self, reason: str) -> bytes:
        """Return the finishing chunk, as it came where it says the right reason."""
        held = self._held
        if held is None:
            return self._plain({}, reason)
        members = decode_members(held)
        choice = decode_choices(members["choices"])[0]
        twice = self._echo.include_usage and self._counted is not None and members.get("usage", NULL) != NULL
        if choice["finish_reason"] == Raw(encode(reason)) and not twice:
            return held
        if twice:
            del members["usage"]  # the usage chunk that follows says it
        choice["finish_reason"] = Raw(encode(reason))
        members["choices"] = Raw(encode([choice]))
        return encode(members)

    def _plain(self, delta: object, reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self._frame.rebuild({"choices": Raw(encode([choice]))})


def _is_words(choice: RelayChoice) -> bool:
    """Tell whether a choice only speaks: no call, no end, nothing but a role."""
    delta = choice.delta
    if choice.index != 0 or choice.finish_reason is not None or delta is None:
        return False
    return (
        (delta.role is None or bool(delta.content))
        and delta.tool_calls is None
        and delta.function_call == NULL
    )


def _without_role(data: bytes, choice: RelayChoice) -> bytes:
    """Return a chunk whose delta does not say again who speaks; nothing where that takes a closer look."""
    if choice.delta is None or choice.delta.role is None:
        return data
    if data.count(ROLE) != 1:
        return b""
    before, _, after = data.partition(ROLE)
    return before[:-1] + after if before[-1:] == b"," else before + after[1:] if after[:1] == b"," else b""
