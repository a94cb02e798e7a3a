"""What no client should send, on every route with a body: a 4xx in the route's own envelope, never a 500."""

import json
from typing import Any

import pytest

from tests.e2e.asking import PATH, ask, error_of
from tests.e2e.hosting import ONLY_MESSAGES, Wire
from tests.emulators.copilot import FakeCopilot

ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (PATH["chat"], ask("chat", "gpt-4.1", "hi")),
    "chat to messages": (PATH["chat"], ask("chat", ONLY_MESSAGES, "hi")),
    "messages": (PATH["messages"], ask("messages", "claude-sonnet-4.6", "hi")),
    "messages to chat": (PATH["messages"], ask("messages", "gpt-4.1", "hi")),
    "messages to responses": (PATH["messages"], ask("messages", "gpt-5.5", "hi")),
    "responses": (PATH["responses"], ask("responses", "gpt-5.5", "hi")),
    "responses to chat": (PATH["responses"], ask("responses", "gpt-4.1", "hi")),
    "count_tokens": (
        "/v1/messages/count_tokens",
        {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]},
    ),
    "embeddings": ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "hi"}),
}
TURNS = {
    "messages": "messages",
    "chat": "messages",
    "responses": "input",
    "count_tokens": "messages",
    "embeddings": "input",
}
every_route = pytest.mark.parametrize("route", ROUTES)


def surface_of(route: str) -> str:
    name = route.partition(" ")[0]
    return "messages" if name == "count_tokens" else "chat" if name == "embeddings" else name


def refused(
    gateway: Wire, route: str, body: bytes, status: int = 400, **headers: str | None
) -> dict[str, Any]:
    answer = gateway.post(ROUTES[route][0], body, **headers)
    assert status == answer.status, answer.text[:500]
    assert answer.headers["content-type"] == "application/json"
    error = error_of(surface_of(route), answer.body)
    assert "Traceback" not in answer.text
    return error


def with_member(route: str, name: str, raw: str) -> bytes:
    """Return the route's good body with one member replaced by this JSON text."""
    members = {key: json.dumps(value) for key, value in ROUTES[route][1].items()} | {name: raw}
    return ("{" + ",".join(f'"{key}":{value}' for key, value in members.items()) + "}").encode()


DEEP = b"[" * 100_000
MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "blank": b"  \n",
    "cut": b'{"model":"gpt-4.1","messages":[{"role":"us',
    "trailing comma": b'{"model":"gpt-4.1",}',
    "two values": b'{"model":"gpt-4.1"}{"model":"gpt-4.1"}',
    "single quotes": b"{'model':'gpt-4.1'}",
    "form": b"model=gpt-4.1&stream=true",
    "xml": b"<model>gpt-4.1</model>",
    "nul": b"\0" * 100,
    "invalid utf-8": b'{"model":"gpt-\xff\xfe4.1"}',
    "utf-16": '{"model":"gpt-4.1"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"model":"gpt-4.1"}x',
    "nan": b"NaN",
    "list": b"[]",
    "string": b'"gpt-4.1"',
    "number": b"42",
    "null": b"null",
    "true": b"true",
    "no members": b"{}",
    "deep list": DEEP,
    "deep object": b'{"a":' * 100_000,
    "balanced deep list": DEEP + b"]" * 100_000,
}


@every_route
@pytest.mark.parametrize("body", MALFORMED)
def test_body_that_is_no_request_is_a_400(gateway: Wire, route: str, body: str) -> None:
    """AC-51."""
    refused(gateway, route, MALFORMED[body])


MEMBERS: dict[str, tuple[str, str]] = {
    # name of the member ("*": the turns) and what stands there
    "model is a number": ("model", "42"),
    "model is null": ("model", "null"),
    "model is empty": ("model", '""'),
    "model is a list": ("model", '["gpt-4.1"]'),
    "model is an object": ("model", '{"id":"gpt-4.1"}'),
    "model with a lone surrogate": ("model", '"gpt\\ud800"'),
    "turns are a number": ("*", "42"),
    "turns are true": ("*", "true"),
    "turns are null": ("*", "null"),
    "turns are empty": ("*", "[]"),
    "turns hold null": ("*", "[null]"),
    "turns hold a number": ("*", "[4.5]"),
    "turns hold lists": ("*", "[[[]]]"),
    "turns hold deep lists": ("*", "[" * 5_000 + "]" * 5_000),
    "turns with nan": ("*", "[NaN]"),
    "stream is text": ("stream", '"yes"'),
    "stream is a number": ("stream", "1"),
    "stream is an object": ("stream", "{}"),
}
# OpenAI's own service takes an empty input list, or none, beside instructions; so does the gateway.
RESPONSES_MAY_TAKE = {"turns are null", "turns are empty"}
# Passed through unread: upstream's to judge.
UPSTREAM_JUDGES = {("responses", "turns are a number"), ("responses", "turns are true")}
# What is no JSON at all has no path.
PATHLESS = {"turns with nan", "turns hold deep lists", "model with a lone surrogate"}


NO_STREAM = {"embeddings", "count_tokens"}
PAIRS = [
    (route, case)
    for route in ROUTES
    for case in MEMBERS
    if route not in NO_STREAM or not case.startswith("stream")
]


@pytest.mark.parametrize(("route", "case"), PAIRS)
def test_member_of_a_wrong_type_is_refused_with_its_path(gateway: Wire, route: str, case: str) -> None:
    name, raw = MEMBERS[case]
    name = TURNS[route.partition(" ")[0]] if name == "*" else name
    answer = gateway.post(ROUTES[route][0], with_member(route, name, raw))
    if answer.status == 200:
        assert (route, case) in UPSTREAM_JUDGES or (
            route.startswith("responses") and case in RESPONSES_MAY_TAKE
        )
        return
    assert 400 <= answer.status < 500, answer.text[:500]
    error = error_of(surface_of(route), answer.body)
    place = error["message"] if surface_of(route) == "messages" else f"{error['param']} {error['message']}"
    assert name in place or case in PATHLESS, error


@every_route
def test_unknown_model_is_a_404_that_names_the_nearest(gateway: Wire, route: str) -> None:
    """AC-47."""
    error = refused(gateway, route, with_member(route, "model", '"gpt-4.7"'), 404)
    assert "Nearest: " in error["message"]


@every_route
@pytest.mark.parametrize(
    "raw",
    ['"' + "x" * 100_000 + '"', '"../../etc/passwd"', '"gpt-4.1\\u0000"', '"gpt-4.1\\r\\nX-Evil: 1"', '"<script>alert(1)</script>"', '"%s%n{0}"'],
    ids=["long", "path", "nul", "header", "script", "format"],
)  # fmt: skip
def test_hostile_model_name_is_just_unknown(gateway: Wire, route: str, raw: str) -> None:
    answer = gateway.post(ROUTES[route][0], with_member(route, "model", raw))
    assert 404 == answer.status
    error_of(surface_of(route), answer.body)
    assert "x-evil" not in answer.headers
    assert len(answer.body) < 2_000


@every_route
def test_lone_surrogate_in_a_text_is_refused(gateway: Wire, route: str) -> None:
    name = TURNS[route.partition(" ")[0]]
    text = '"\\ud83d"' if name == "input" else '[{"role":"user","content":"\\ud83d"}]'
    refused(gateway, route, with_member(route, name, text))


@every_route
def test_duplicate_members_are_no_crash(gateway: Wire, route: str) -> None:
    good = json.dumps(ROUTES[route][1])
    body = good[:-1] + f',"model":"{ROUTES[route][1]["model"]}"' + "}"
    assert 200 == gateway.post(ROUTES[route][0], body.encode()).status


HUGE = {
    "count_tokens": "max_tokens",
    "embeddings": "dimensions",
    "responses": "max_output_tokens",
    "messages": "max_tokens",
    "chat": "max_completion_tokens",
}


@every_route
@pytest.mark.parametrize("raw", ["-1", "0.5", "1e999", "9" * 400, '"12"', "[]"])
def test_impossible_limit_is_never_a_500(gateway: Wire, route: str, raw: str) -> None:
    answer = gateway.post(ROUTES[route][0], with_member(route, HUGE[route.partition(" ")[0]], raw))
    assert answer.status < 500, answer.text[:500]
    if answer.status != 200:
        error_of(surface_of(route), answer.body)


ODD = ["null", "true", "-1", "1.5", '""', '"x"', "[]", "{}", "[null]", "[[]]", '{"type":5}', '[{"type":"text"}]', '[{"type":7}]', '{"role":"user"}']  # fmt: skip
MEMBER_NAMES = {
    "chat": ["messages", "tools", "tool_choice", "stop", "response_format", "reasoning_effort", "stream_options", "n", "temperature", "metadata", "user", "parallel_tool_calls", "logprobs", "modalities", "audio", "prediction", "functions", "function_call", "seed", "verbosity", "prompt_cache_key"],
    "messages": ["messages", "system", "tools", "tool_choice", "stop_sequences", "thinking", "output_config", "metadata", "temperature", "top_k", "max_tokens", "context_management", "mcp_servers", "container", "service_tier", "thread", "speed"],
    "responses": ["input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "metadata", "store", "previous_response_id", "truncation", "conversation", "background", "prompt", "parallel_tool_calls", "max_tool_calls", "client_metadata"],
    "count_tokens": ["messages", "system", "tools", "thinking"],
    "embeddings": ["input", "encoding_format", "dimensions", "user"],
}  # fmt: skip


@every_route
def test_any_member_may_hold_anything_without_a_500(gateway: Wire, fake: FakeCopilot, route: str) -> None:
    for name in MEMBER_NAMES[route.partition(" ")[0]]:
        for raw in ODD:
            answer = gateway.post(ROUTES[route][0], with_member(route, name, raw))
            assert answer.status < 500, (name, raw, answer.text[:500])
            if answer.status != 200:
                error_of(surface_of(route), answer.body)


PARTS = [*ODD, '"text"', '{"type":"image"}', '{"type":"image","source":null}', '{"type":"image","source":{"type":"base64"}}',
         '{"type":"image_url","image_url":null}', '{"type":"image_url","image_url":{"url":5}}', '{"type":"image_url","image_url":{"url":"data:"}}',
         '{"type":"input_image"}', '{"type":"input_image","image_url":null,"file_id":"f"}', '{"type":"tool_use"}', '{"type":"tool_result"}',
         '{"type":"tool_result","tool_use_id":"x","content":[{"type":"image"}]}', '{"type":"thinking","thinking":5}', '{"type":"document"}',
         '{"type":"input_file","file_data":7}', '{"type":"input_audio","input_audio":{}}', '{"type":"nonsense"}', '{"text":"x"}']  # fmt: skip
ROLES = ["user", "assistant", "system", "developer", "tool", "function", "", "wizard"]


@pytest.mark.parametrize("route", [route for route in ROUTES if route != "embeddings"])
def test_any_part_of_a_turn_may_be_anything_without_a_500(gateway: Wire, route: str) -> None:
    name = TURNS[route.partition(" ")[0]]
    for index, part in enumerate(PARTS):
        for role in (ROLES[index % len(ROLES)], "user"):
            turn = f'[{{"role":"{role}","content":[{part}]}}]'
            answer = gateway.post(ROUTES[route][0], with_member(route, name, turn))
            assert answer.status < 500, (turn, answer.text[:500])
            if answer.status != 200:
                error_of(surface_of(route), answer.body)


ITEMS = ['{"type":"function_call"}', '{"type":"function_call","call_id":1,"name":[],"arguments":{}}', '{"type":"function_call_output"}',
         '{"type":"reasoning"}', '{"type":"reasoning","summary":5,"encrypted_content":{}}', '{"type":"item_reference","id":"x"}', '{"type":"nonsense"}',
         '{"type":"custom_tool_call","input":[]}', '{"type":"message"}', '{"type":"web_search_call"}', '{"type":"compaction"}', '{"id":"x"}']  # fmt: skip


@pytest.mark.parametrize("route", ["responses", "responses to chat"])
def test_any_item_may_be_anything_without_a_500(gateway: Wire, route: str) -> None:
    for item in [*ITEMS, *ODD]:
        for turns in (f"[{item}]", f'[{{"role":"user","content":"hi"}},{item}]'):
            answer = gateway.post(ROUTES[route][0], with_member(route, "input", turns))
            assert answer.status < 500, (turns, answer.text[:500])
            if answer.status != 200:
                error_of("responses", answer.body)


@every_route
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        None,
        "application/jsonx",
    ],
)
def test_body_must_be_declared_as_json(gateway: Wire, route: str, kind: str | None) -> None:
    refused(gateway, route, json.dumps(ROUTES[route][1]).encode(), 415, Content_Type=kind)


@every_route
@pytest.mark.parametrize("encoding", ["gzip", "br", "nonsense"])
def test_compressed_body_is_refused_by_name(gateway: Wire, route: str, encoding: str) -> None:
    refused(gateway, route, b"\x1f\x8b", 415, Content_Encoding=encoding)


@every_route
def test_body_of_40_megabytes_is_a_413(gateway: Wire, route: str) -> None:
    refused(gateway, route, b'{"model":"gpt-4.1","x":"' + b"x" * 40_000_000 + b'"}', 413)


@every_route
@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "99999999999999999999"])
def test_wrong_content_length_is_a_4xx(gateway: Wire, route: str, length: str) -> None:
    head = f"POST {ROUTES[route][0]} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    assert gateway.raw(head.encode() + b"{}").startswith(b"HTTP/1.1 4")


@every_route
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_wrong_method_is_a_405_that_names_the_right_one(gateway: Wire, route: str, method: str) -> None:
    answer = gateway.send(
        method, ROUTES[route][0], None if method in {"GET", "HEAD", "OPTIONS", "DELETE"} else {}
    )
    assert (405, True) == (answer.status, "POST" in answer.headers["allow"])
    if method != "HEAD":
        error_of(surface_of(route), answer.body)
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("path", "surface"),
    [
        ("/", "chat"), ("/v1", "chat"), ("/v2/chat/completions", "chat"), ("/v1/v1/messages", "chat"),
        ("/v1/completions", "chat"), ("/v1/messages/batches", "messages"), ("/v1/messages/x/y", "messages"),
        ("/v1/responses/x/y/z", "responses"), ("/copilot_internal/v2/token", "chat"), ("/token", "chat"), ("/%2e%2e/etc", "chat"),
        ("/v1/chat/completions%00", "chat"), ("/.env", "chat"), ("/_fake/state", "chat"), ("/static/x", "chat"),
    ],
)  # fmt: skip
def test_unknown_path_is_a_404_in_an_envelope(gateway: Wire, path: str, surface: str) -> None:
    answer = gateway.get(path)
    if path == "/" and answer.status == 200:  # a page for people
        return
    assert answer.status in {404, 405}
    error_of(surface, answer.body)
