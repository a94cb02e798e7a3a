import json
from typing import Any

import pytest

from core.canonical import Opaque
from core.dialects.responses import RESPONSES
from core.errors import GatewayError, InvalidRequestError
from core.names import short_call_id, short_name
from core.opaque import seal
from tests.unit.dialects.responses.shapes import body, call, echo, message, request, response, target
from tests.unit.dialects.responses.test_request_decode import CODEX


def relayed(to: Any = None, **members: Any) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    encoded = RESPONSES.relay_request(body(**members), to or target())
    return json.loads(encoded.body), encoded.losses, encoded.repairs


def test_a_clean_body_is_the_same_object() -> None:
    raw = body(**CODEX)
    assert RESPONSES.relay_request(raw, target()).body is raw


def test_only_the_model_is_spliced() -> None:
    raw = b'{"model": "alias", "input": [ 1.50, "\\u00e9" ], "x": {"a":  1}}'.replace(
        b'[ 1.50, "\\u00e9" ]', b'"\\u00e9"'
    )
    sent = RESPONSES.relay_request(raw, target()).body
    assert sent == b'{"model":"gpt-5.5","input":"\\u00e9","x":{"a":  1}}'


@pytest.mark.parametrize(
    ("member", "facts", "left", "losses"),
    [
        ({"service_tier": "priority"}, {}, {}, ("service_tier",)),
        ({"service_tier": "auto"}, {}, {}, ()),
        ({"store": True}, {}, {"store": False}, ("store",)),
        ({"store": False}, {}, {"store": False}, ()),
        ({"stop": ["x"]}, {}, {}, ("stop",)),
        ({"temperature": 1, "top_p": None}, {"sampling": False}, {}, ("temperature",)),
        ({"temperature": 1}, {}, {"temperature": 1}, ()),
        ({"client_metadata": {}}, {"vendor": "xAI"}, {}, ("client_metadata",)),
        ({"client_metadata": {}}, {}, {"client_metadata": {}}, ()),
        ({"reasoning": {"context": "all"}}, {"vendor": "xAI"}, {"reasoning": {}}, ("reasoning.context",)),
        ({"reasoning": {"effort": "max"}}, {}, {"reasoning": {"effort": "high"}}, ("effort",)),
        ({"reasoning": {"effort": "low"}}, {}, {"reasoning": {"effort": "low"}}, ()),
        ({"conversation": None, "prompt": None}, {}, {}, ()),
        (
            {"reasoning": None, "previous_response_id": None},
            {},
            {"reasoning": None, "previous_response_id": None},
            (),
        ),
    ],
)
def test_what_upstream_refuses_is_taken_out(
    member: dict[str, Any], facts: dict[str, Any], left: dict[str, Any], losses: tuple[str, ...]
) -> None:
    sent, lost, _repairs = relayed(target(**facts), **member)
    assert ({name: value for name, value in sent.items() if name not in {"model", "input"}}, lost) == (
        left,
        losses,
    )


@pytest.mark.parametrize(
    ("items", "left", "repairs"),
    [
        ([{"type": "reasoning", "id": "rs_1", "summary": []}], [], ("reasoning_without_content",)),
        ([{"type": "reasoning", "id": "x", "summary": [], "encrypted_content": "E"}],
         [{"type": "reasoning", "summary": [], "encrypted_content": "E"}], ("item_id",)),
        ([{"type": "function_call", "id": "call_1", "call_id": "c", "name": "f", "arguments": "{}"}],
         [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}], ("item_id",)),
        ([{"type": "message", "id": "msg_mine", "role": "user", "content": "x"}],
         [{"type": "message", "id": "msg_mine", "role": "user", "content": "x"}], ()),
        ([{"type": "function_call_output", "call_id": "c" * 70, "output": ""}],
         [{"type": "function_call_output", "call_id": short_call_id("c" * 70), "output": ""}], ("call_id",)),
        ([{"type": "reasoning", "id": "rs_z", "summary": [],
           "encrypted_content": seal(Opaque("responses", "E", "rs_1", "me"), "responses")}],
         [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E"}], ()),
        ([{"type": "reasoning", "id": "rs_z", "summary": [],
           "encrypted_content": seal(Opaque("messages", "sig"), "responses")}], [], ("foreign_reasoning",)),
        ([{"type": "compaction", "encrypted_content": seal(Opaque("responses", "Z", "cmp_1", "me"), "responses")}],
         [{"type": "compaction", "encrypted_content": "Z", "id": "cmp_1"}], ()),
    ],
)  # fmt: skip
def test_items_are_repaired(items: list[Any], left: list[Any], repairs: tuple[str, ...]) -> None:
    """AC-60."""
    sent, _losses, done = relayed(input=items)
    assert (sent["input"], done) == (left, repairs)


def test_long_names_are_shortened_everywhere() -> None:
    """AC-61."""
    long = "x" * 80
    item = {"type": "function_call", "call_id": "c", "name": long, "arguments": "{}"}
    tool = {"type": "function", "name": long}
    sent, _losses, repairs = relayed(input=[item], tools=[tool], tool_choice=tool)
    names = [sent["input"][0]["name"], sent["tools"][0]["name"], sent["tool_choice"]["name"]]
    assert (names, repairs) == ([short_name(long)] * 3, ("long_names",))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_not_found"),
        ({"conversation": "conv_1"}, "unsupported_parameter"),
        ({"background": True}, "unsupported_feature"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, None),
        ({"input": [{"type": 5}]}, None),
        ({"reasoning": 5}, None),
        ({"input": [{"type": "compaction", "encrypted_content": seal(Opaque("responses", "Z", "cmp_1", "b"), "responses")}]},
         "unsupported_feature"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_400(members: dict[str, Any], code: str | None) -> None:
    with pytest.raises(GatewayError) as caught:
        relayed(**members)
    assert (caught.value.status, caught.value.code) == (400, code)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"model":"m","input":[' + b"[" * 100_000])
def test_what_is_not_json_is_a_400(raw: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        RESPONSES.relay_request(raw, target())


def test_a_complete_reply_gets_the_asked_model_and_what_is_missing() -> None:
    reply = json.loads(
        RESPONSES.relay_response(json.dumps({"id": "resp_up", "output": [message("x")]}).encode(), echo())
    )
    assert (reply["id"], reply["model"], reply["object"], reply["usage"]) == (
        "resp_up",
        "asked",
        "response",
        None,
    )


def test_a_complete_reply_that_is_whole_is_the_same_object() -> None:
    raw = RESPONSES.relay_response(json.dumps(response("completed", [message("x")])).encode(), echo())
    assert RESPONSES.relay_response(raw, echo()) is raw


def test_a_complete_reply_gets_its_long_names_back() -> None:
    """AC-61."""
    long = "x" * 80
    raw = json.dumps(response("completed", [call(short_name(long), "{}"), message("x")])).encode()
    reply = json.loads(
        RESPONSES.relay_response(raw, echo(request(tools=[{"type": "function", "name": long}])))
    )
    assert reply["output"][0]["name"] == long


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"<html>", "upstream"),
        (b"{}", "upstream"),
        (b'{"error":{"code":"rate_limited","message":"slow"}}', "rate_limit"),
        (b'{"output":{"deep":' + b"[" * 100_000 + b"}", "upstream"),
    ],
)
def test_what_is_no_reply_is_an_error(raw: bytes, kind: str) -> None:
    with pytest.raises(GatewayError) as caught:
        RESPONSES.relay_response(raw, echo())
    assert caught.value.kind == kind
