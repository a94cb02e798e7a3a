"""Stored responses: parts and their end, the splice, what a stream says of memory, and pages of input."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw, structs

from core.canonical import Usage
from core.errors import GatewayError
from core.ports import StateStore, StoreError
from core.sse import SSEDecoder
from core.stored.archive import KIND, PART, Archive, Stored
from core.stored.listing import encode_page, read_page
from core.stored.turn import Turn, begin
from infra.local.state import SqliteStateStore
from tests.unit.copilot.doubles import Clock

MOST = 1_000_000
TTL = 100.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: Path, clock: Clock) -> StateStore:
    return SqliteStateStore(tmp_path / "state.sqlite3", clock)


@pytest.fixture
def archive(state: StateStore, clock: Clock) -> Archive:
    return Archive(state, "mine", now=clock, ttl=TTL)


class Unreachable:
    """A state store that went away."""

    def __getattr__(self, name: str) -> Any:
        def fail(*_: object, **__: object) -> Any:
            raise StoreError("the state file is gone")

        return fail


def response(response_id: str = "resp_1", *output: object, **more: object) -> bytes:
    return json.dumps({"id": response_id, "object": "response", "output": list(output), **more}).encode()


def stored(response_id: str = "resp_1", *output: object, given: tuple[bytes, ...] = ()) -> Stored:
    return Stored(Raw(response(response_id, *output)), [Raw(item) for item in given])


def noise(size: int) -> str:
    """Return text that does not shrink below its half."""
    return random.Random(1).randbytes(size // 2).hex()  # noqa: S311 - noise, no secret


def body(**members: object) -> bytes:
    return json.dumps({"model": "m", "input": "Hi", **members}).encode()


# Parts and their end


def test_what_was_saved_is_loaded(archive: Archive) -> None:
    saved = stored("resp_1", {"type": "message"}, given=(b'{"role":  "user", "content":"\\u00e9"}',))
    archive.save("resp_1", saved)
    assert saved == archive.load("resp_1")


def test_large_values_are_kept_in_parts_that_fit_a_record(archive: Archive, state: StateStore) -> None:
    saved = stored("resp_1", {"text": noise(2_000_000)})
    archive.save("resp_1", saved)
    sizes = [len(part) for part in state.entries(KIND).values()]
    assert (True, PART) == (len(sizes) > 3, max(sizes))
    assert saved == archive.load("resp_1")


@pytest.mark.parametrize("size", [PART - 5, PART - 4, PART - 3, 2 * PART - 4, 2 * PART - 3])
def test_sizes_at_the_border_of_a_part(archive: Archive, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("core.stored.archive.LEVEL", 0)  # as large as it is
    overhead = 11 + 5 * (size // 65_535 + 1) + len(b'{"response":"","input":[]}')
    archive.save("resp_1", Stored(Raw(b'"' + b"x" * (size - overhead) + b'"'), []))
    loaded = archive.load("resp_1")
    assert loaded is not None
    assert size - overhead + 2 == len(loaded.response)


def test_a_missing_part_means_not_found(archive: Archive, state: StateStore) -> None:
    archive.save("resp_1", stored("resp_1", noise(2_000_000)))
    [*_, last] = state.entries(KIND)
    assert state.delete(KIND, last)
    assert archive.load("resp_1") is None


def test_parts_of_two_versions_mean_not_found(archive: Archive, state: StateStore) -> None:
    archive.save("resp_1", stored("resp_1", noise(1_500_000)))
    [first, second, *_] = state.entries(KIND).items()
    state.save(KIND, second[0], first[1])
    assert archive.load("resp_1") is None


def test_all_parts_end_together(archive: Archive, state: StateStore, clock: Clock) -> None:
    archive.save("resp_1", stored("resp_1", noise(1_000_000)))
    clock.time += TTL - 1
    assert archive.load("resp_1") is not None
    clock.time += 1
    assert (None, {}) == (archive.load("resp_1"), state.entries(KIND))


def test_deleted_is_gone_with_every_part(archive: Archive, state: StateStore) -> None:
    archive.save("resp_1", stored("resp_1", noise(1_000_000)))
    assert (True, False, {}) == (archive.delete("resp_1"), archive.delete("resp_1"), state.entries(KIND))


def test_owners_do_not_see_each_other(archive: Archive, state: StateStore, clock: Clock) -> None:
    other = Archive(state, "theirs", now=clock, ttl=TTL)
    archive.save("resp_1", stored())
    assert (None, False) == (other.load("resp_1"), other.delete("resp_1"))
    assert archive.load("resp_1") is not None


@pytest.mark.parametrize("response_id", ["", "x" * 100_000, "\udc80", "a/b\0c"])
def test_any_id_may_be_asked_for(archive: Archive, response_id: str) -> None:
    assert archive.load(response_id) is None


# The splice


def test_without_memory_the_bytes_stay_as_they_are() -> None:
    raw = b'{ "model": "m", "input": "Hi", "n": 1.0 }'
    turn = begin(raw, None, MOST)
    assert turn.body is raw
    assert b"{}" == turn.complete(b"{}")


def test_store_false_is_passed_on_as_it_is(archive: Archive) -> None:
    raw = body(store=False)
    turn = begin(raw, archive, MOST)
    assert (raw, None) == (turn.body, turn.archive)


def test_what_came_before_stands_before_the_input_byte_for_byte(archive: Archive) -> None:
    before = b'{"role":"user", "content":"caf\\u00e9 1.0"}'
    archive.save("resp_1", stored("resp_1", {"type": "message", "id": "msg_1"}, given=(before,)))
    raw = b'{"previous_response_id":"resp_1","model":"m","store":false,"temperature":1.0,"input":[ {"a":1} ,{"b":2}]}'
    turn = begin(raw, archive, MOST)
    assert (
        b'{"model":"m","store":false,"temperature":1.0,"input":['
        b'{"role":"user", "content":"caf\\u00e9 1.0"},{"type": "message", "id": "msg_1"},{"a":1},{"b":2}]}'
    ) == turn.body
    assert (None, "resp_1") == (turn.archive, turn.previous)


def test_a_text_becomes_the_users_message(archive: Archive) -> None:
    archive.save("resp_1", stored("resp_1", {"type": "message"}))
    turn = begin(body(previous_response_id="resp_1", input='a "b"'), archive, MOST)
    assert [{"type": "message"}, {"type": "message", "role": "user", "content": 'a "b"'}] == json.loads(
        turn.body
    )["input"]


@pytest.mark.parametrize("given", [None, []])
def test_a_turn_may_add_nothing(archive: Archive, given: object) -> None:
    archive.save("resp_1", stored("resp_1", {"type": "message"}))
    turn = begin(body(previous_response_id="resp_1", input=given), archive, MOST)
    assert [{"type": "message"}] == json.loads(turn.body)["input"]


def test_instructions_are_not_inherited(archive: Archive) -> None:
    first = begin(body(instructions="Be brief."), archive, MOST)
    first.complete(response())
    second = begin(body(previous_response_id="resp_1"), archive, MOST)
    assert "instructions" not in json.loads(second.body)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["reasoning.encrypted_content"]),
        ({"include": None}, ["reasoning.encrypted_content"]),
        ({"include": ["a"]}, ["a", "reasoning.encrypted_content"]),
        ({"include": ["reasoning.encrypted_content"]}, ["reasoning.encrypted_content"]),
        ({"include": "a"}, "a"),
    ],
)
def test_reasoning_is_asked_for_whole_when_the_answer_is_kept(
    archive: Archive, asked: dict[str, object], expected: object
) -> None:
    assert expected == json.loads(begin(body(**asked), archive, MOST).body)["include"]


@pytest.mark.parametrize("previous", ["", None])
def test_an_empty_id_is_no_id(archive: Archive, previous: str | None) -> None:
    turn = begin(body(previous_response_id=previous, store=False), archive, MOST)
    assert None is turn.previous is json.loads(turn.body).get("previous_response_id")


# Item references


def said(item_id: str) -> dict[str, object]:
    return {"type": "message", "id": item_id, "role": "assistant", "content": item_id}


def reference(item_id: object) -> dict[str, object]:
    return {"type": "item_reference", "id": item_id}


def input_of(turn: Turn) -> Any:
    return json.loads(turn.body)["input"]


@pytest.mark.parametrize("store", [None, False])
def test_what_is_referred_to_stands_in_its_place(archive: Archive, *, store: bool | None) -> None:
    archive.save("resp_1", stored("resp_1", said("rs_1"), said("msg_1")))
    question: object = {"role": "user", "content": "What is an item_reference?"}
    turn = begin(
        body(input=[question, reference("rs_1"), reference("msg_1"), question], store=store), archive, MOST
    )
    whole = [question, said("rs_1"), said("msg_1"), question]
    assert (whole, whole) == (input_of(turn), [json.loads(bytes(item)) for item in turn.items])


def test_references_reach_back_through_the_conversation_by_its_last_response(
    archive: Archive, state: StateStore
) -> None:
    archive.save("resp_1", stored("resp_1", said("msg_1")))
    archive.save("resp_2", stored("resp_2", said("msg_2"), given=(json.dumps(said("msg_1")).encode(),)))
    assert archive.delete("resp_1")
    turn = begin(body(input=[reference("msg_1"), reference("msg_2")]), archive, MOST)
    assert [said("msg_1"), said("msg_2")] == input_of(turn)


def test_references_of_two_conversations_meet(archive: Archive) -> None:
    archive.save("resp_1", stored("resp_1", said("msg_1")))
    archive.save("resp_2", stored("resp_2", said("msg_2")))
    turn = begin(
        body(input=[reference("msg_1"), reference("msg_2")], previous_response_id="resp_1"), archive, MOST
    )
    assert [said("msg_1"), said("msg_1"), said("msg_2")] == input_of(turn)


def test_a_text_about_references_is_none(archive: Archive) -> None:
    [item] = input_of(begin(body(input='"item_reference"'), archive, MOST))
    assert '"item_reference"' == item["content"]


def test_an_item_that_is_not_stored_is_not_found(archive: Archive, state: StateStore, clock: Clock) -> None:
    raw = body(input=["", reference("msg_1")])
    expected = (400, "$.input[1]", None)
    assert expected == refused(raw, archive)
    archive.save("resp_1", stored("resp_1", said("msg_1")))
    assert expected == refused(raw, Archive(state, "theirs", now=clock, ttl=TTL))
    begin(raw, archive, MOST)
    archive.delete("resp_1")
    assert expected == refused(raw, archive)


@pytest.mark.parametrize("item_id", [None, 5, ""])
def test_a_reference_without_an_id_is_left_to_the_lanes(archive: Archive, item_id: object) -> None:
    turn = begin(body(input=[reference(item_id)]), archive, MOST)
    assert [reference(item_id)] == input_of(turn)


# What is refused


def refused(
    raw: bytes, archive: Archive | None = None, most: int = MOST
) -> tuple[int, str | None, str | None]:
    with pytest.raises(GatewayError) as caught:
        begin(raw, archive, most)
    return caught.value.status, caught.value.param, caught.value.code


def test_the_refusal_names_the_setting_when_off() -> None:
    with pytest.raises(GatewayError, match="COPILOT_GATEWAY_STORE_RESPONSES") as caught:
        begin(body(previous_response_id="resp_1"), None, MOST)
    assert (400, "previous_response_not_found") == (caught.value.status, caught.value.code)


def test_an_unknown_or_ended_id_is_not_found(archive: Archive, clock: Clock) -> None:
    expected = (400, "previous_response_id", "previous_response_not_found")
    raw = body(previous_response_id="resp_1")
    assert expected == refused(raw, archive)
    archive.save("resp_1", stored())
    clock.time += TTL
    assert expected == refused(raw, archive)


def test_a_response_without_output_cannot_be_continued(archive: Archive) -> None:
    archive.save("resp_1", Stored(Raw(b'{"id":"resp_1"}'), []))
    assert 400 == refused(body(previous_response_id="resp_1"), archive)[0]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ],
)
def test_what_needs_more_memory_is_refused_by_name(
    archive: Archive, members: dict[str, object], param: str
) -> None:
    assert (
        (400, param, "unsupported_feature") == refused(body(**members), archive) == refused(body(**members))
    )


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b"", "$"),
        (b"[]", "$"),
        (b'{"previous_response_id":1}', "$.previous_response_id"),
        (b'{"store":"yes"}', "$.store"),
        (b'{"model":"m","input":7}', "$.input"),
        (b'{"input":' + b"[" * 100_000, "$"),
        (b'{"input":[1', "$"),
    ],
)
def test_broken_requests_are_the_clients_fault(archive: Archive, raw: bytes, param: str) -> None:
    status, named, _ = refused(raw, archive)
    assert (400, True) == (status, (named or "").startswith(param))


def test_a_conversation_may_not_outgrow_the_limit_of_a_body(archive: Archive) -> None:
    archive.save("resp_1", stored("resp_1", {"text": "x" * 1000}))
    assert (413, None, None) == refused(body(previous_response_id="resp_1"), archive, 1000)


# What replies say


def test_a_complete_reply_is_kept_and_says_so(archive: Archive) -> None:
    turn = begin(body(), archive, MOST)
    said = turn.complete(response("resp_1", {"type": "message"}, store=False, previous_response_id=None))
    assert (True, None) == (json.loads(said)["store"], json.loads(said)["previous_response_id"])
    kept = archive.load("resp_1")
    assert kept is not None
    assert said == bytes(kept.response)
    assert [b'{"type":"message","role":"user","content":"Hi"}'] == [bytes(item) for item in kept.input]


def test_what_is_right_already_is_not_written_anew(archive: Archive) -> None:
    raw = response("resp_1", store=True, previous_response_id=None)
    assert raw == begin(body(), archive, MOST).complete(raw)


def test_a_store_that_fails_leaves_an_answer_that_admits_it(clock: Clock) -> None:
    lost: Any = Unreachable()
    turn = begin(body(), Archive(lost, "mine", now=clock, ttl=TTL), MOST)
    assert False is json.loads(turn.complete(response(store=True)))["store"]


def test_a_reply_without_id_is_not_kept(archive: Archive) -> None:
    assert False is json.loads(begin(body(), archive, MOST).complete(b'{"output":[]}'))["store"]


def test_a_turn_that_is_not_kept_still_names_the_one_before(archive: Archive) -> None:
    archive.save("resp_1", stored())
    turn = begin(body(previous_response_id="resp_1", store=False), archive, MOST)
    said = json.loads(turn.complete(response("resp_2", store=False, previous_response_id=None)))
    assert (False, "resp_1") == (said["store"], said["previous_response_id"])
    assert archive.load("resp_2") is None


class Plain:
    """A relay that hands out what it is given."""

    usage: Usage | None = None
    done = False

    def feed(self, chunk: bytes) -> bytes:
        return chunk

    def close(self) -> bytes:
        return b""

    def error(self, error: GatewayError) -> bytes:
        return event("response.failed", {"response": {"id": "resp_1", "output": [], "store": False}})


def event(kind: str, members: dict[str, object], end: str = "\n", *, named: bool = True) -> bytes:
    lines = [f"event: {kind}"] if named else []
    lines.append("data: " + json.dumps({"type": kind, **members}))
    return (end.join(lines) + 2 * end).encode()


def lifecycle(word: str, end: str = "\n", *, named: bool = True) -> bytes:
    members: dict[str, object] = {"sequence_number": 7, "response": json.loads(response(store=False))}
    return event(f"response.{word}", members, end, named=named)


def delta(text: str, end: str = "\n") -> bytes:
    return event("response.output_text.delta", {"delta": text}, end)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("word", ["completed", "incomplete", "failed"])
def test_only_lifecycle_events_of_a_stream_change(
    archive: Archive, end: str, word: str, *, named: bool
) -> None:
    tricky = delta('response.completed {"response":{"store":false}}', end)
    relay = begin(body(), archive, MOST).watch(Plain())
    created = relay.feed(lifecycle("created", end, named=named))
    assert archive.load("resp_1") is None
    said = relay.feed(
        b": ping" + (2 * end).encode() + delta("a", end) + tricky + lifecycle(word, end, named=named)
    )
    assert (
        b": ping" + (2 * end).encode() + delta("a", end) + tricky == said[: said.rindex(tricky) + len(tricky)]
    )
    [opened], [*_, last] = SSEDecoder().feed(created), SSEDecoder().feed(said)
    for sse, kind in ((opened, "created"), (last, word)):
        read = json.loads(sse.data)
        assert (f"response.{kind}", 7, True) == (
            read["type"],
            read["sequence_number"],
            read["response"]["store"],
        )
        assert (f"response.{kind}" if named else "") == sse.event
    kept = archive.load("resp_1")
    assert kept is not None
    assert json.loads(last.data)["response"] == json.loads(bytes(kept.response))


def test_a_stream_that_fails_is_kept_as_failed(archive: Archive) -> None:
    relay = begin(body(), archive, MOST).watch(Plain())
    assert b'"store":true' in relay.error(GatewayError("no", kind="upstream"))
    assert archive.load("resp_1") is not None


@pytest.mark.parametrize(
    "raw",
    [
        b"event: response.completed\ndata: {\n\n",
        b"event: response.completed\ndata: []\n\n",
        b'data: {"type":"response.completed"}\n\n',
        b'data: {"type":"response.completed","response":null}\n\n',
        b'data: {"type":"response.completed","response":[1]}\n\n',
        b"response.completed",
        b": response.completed\n\n",
        b'data: {"type":"response.completed","response":{"a":' + b"[" * 100_000 + b"\n\n",
    ],
)
def test_broken_events_go_by(archive: Archive, raw: bytes) -> None:
    assert raw == begin(body(), archive, MOST).watch(Plain()).feed(raw)


def test_a_stream_without_memory_is_not_watched() -> None:
    relay = Plain()
    assert relay is begin(body(), None, MOST).watch(relay)


def test_turns_follow_each_other(archive: Archive) -> None:
    begin(body(input="one"), archive, MOST).complete(response("resp_1", {"id": "msg_a"}))
    begin(body(input="two", previous_response_id="resp_1"), archive, MOST).complete(
        response("resp_2", {"id": "msg_b"})
    )
    third = begin(body(input="three", previous_response_id="resp_2"), archive, MOST)
    items = json.loads(third.body)["input"]
    assert ["one", "msg_a", "two", "msg_b", "three"] == [item.get("content") or item["id"] for item in items]
    assert [json.dumps(item) for item in items] == [
        json.dumps(json.loads(bytes(item))) for item in third.items
    ]


# Losses


def test_denied_only_when_off_and_asked(archive: Archive) -> None:
    flags: list[Turn] = [
        begin(body(store=True), None, MOST), begin(body(store=True), archive, MOST), begin(body(), None, MOST)
    ]  # fmt: skip
    assert [True, False, False] == [turn.denied for turn in flags]
    assert b'"store"' not in flags[0].body + flags[1].body
    assert structs.replace(flags[0], denied=False).body == flags[0].body


# Pages


def pages(items: list[bytes], **query: str) -> Any:
    return json.loads(encode_page([Raw(item) for item in items], read_page(query)))


def numbered(count: int) -> list[bytes]:
    return [
        b'{"type":"message","id":"msg_%d","role":"user","content":[],"status":"completed"}' % n
        for n in range(count)
    ]


def test_the_newest_items_come_first_twenty_at_a_time() -> None:
    page = pages(numbered(25))
    assert [f"msg_{n}" for n in range(24, 4, -1)] == [item["id"] for item in page["data"]]
    assert ("list", "msg_24", "msg_5", True) == (
        page["object"], page["first_id"], page["last_id"], page["has_more"],
    )  # fmt: skip


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", ["1", "3", "7", "100"])
def test_pages_hold_every_item_once(order: str, limit: str) -> None:
    items = [*numbered(6), b'{"role":"user","content":"x"}', b'{"role":"user","content":"x"}', *numbered(2)]
    seen: list[str] = []
    page = pages(items, order=order, limit=limit)
    seen += [item["id"] for item in page["data"]]
    while page["has_more"]:
        page = pages(items, order=order, limit=limit, after=page["last_id"])
        seen += [item["id"] for item in page["data"]]
    assert (10, 10) == (len(seen), len(set(seen)))
    expected = [f"msg_{n}" for n in range(6)]
    assert expected == (seen if order == "asc" else seen[::-1])[:6]


def test_items_are_completed_for_strict_clients() -> None:
    page = pages(
        [
            b'{"role":"user","content":"Hi \\"you\\""}',
            b'{"role":"assistant","content":"Yes"}',
            b'{"type":"function_call_output","call_id":"c","output":"1.0"}',
            b'{"type":"reasoning","id":"rs_1","summary":[]}',
        ],
        order="asc",
    )
    asked, said, result, thought = page["data"]
    assert [{"type": "input_text", "text": 'Hi "you"'}] == asked["content"]
    assert [{"type": "output_text", "text": "Yes", "annotations": [], "logprobs": []}] == said["content"]
    assert ("message", "completed", "msg_") == (asked["type"], asked["status"], asked["id"][:4])
    assert ("completed", "fco_", "1.0") == (result["status"], result["id"][:4], result["output"])
    assert {"type": "reasoning", "id": "rs_1", "summary": []} == thought


def test_made_ids_stay_the_same_when_the_conversation_grows() -> None:
    items = [b'{"role":"user","content":"x"}']
    [before], [after, _] = (
        pages(given, order="asc")["data"] for given in (items, [*items, b'{"role":"user","content":"y"}'])
    )
    assert before["id"] == after["id"]


def test_an_empty_page() -> None:
    assert {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False} == pages([])


def test_text_that_is_no_utf8_does_no_harm() -> None:
    page = encode_page([Raw(b'{"role":"user","content":"\xff"}')], read_page({}))
    assert b'"text":"\xff"' in page


def test_items_that_are_none_are_left_out() -> None:
    assert [] == pages([b"1", b'"a"', b"[]", b"null", b"{"])["data"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"), ({"limit": "101"}, "limit"), ({"limit": "x"}, "limit"), ({"limit": "²"}, "limit"),
        ({"limit": "9" * 5000}, "limit"), ({"order": "up"}, "order"), ({"after": "msg_x"}, "after"),
    ],
)  # fmt: skip
def test_a_page_that_cannot_be_is_refused(query: dict[str, str], param: str) -> None:
    with pytest.raises(GatewayError) as caught:
        pages(numbered(3), **query)
    assert (400, param) == (caught.value.status, caught.value.param)
