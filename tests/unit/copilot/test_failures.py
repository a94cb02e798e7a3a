"""Every refusal of the upstream reference's error table, and every shape that a body comes in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.copilot.failures import as_error, read_failure, retry_after, unreachable
from core.copilot.faults import TransportError
from core.errors import GatewayError

NOW = 1_000_000.0


def error(status: int, body: str = "", **headers: str) -> GatewayError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return as_error(read_failure(status, named, body.encode(), NOW))


def coded(code: str, message: str = "m") -> str:
    return json.dumps({"error": {"message": message, "code": code}})


@pytest.mark.parametrize(
    ("status", "body", "kind", "answered"),
    [
        (400, coded("model_not_supported"), "not_found", 404),
        (400, coded("invalid_request_body"), "invalid_request", 400),
        (400, coded("invalid_reasoning_effort"), "invalid_request", 400),
        (400, coded("previous_response_not_found"), "invalid_request", 400),
        (400, "bad request: missing Editor-Version header for IDE auth", "invalid_request", 400),
        (400, coded("", "prompt token count of 130000 exceeds the limit of 128000"), "context_overflow", 400),
        (400, coded("model_max_prompt_tokens_exceeded"), "context_overflow", 400),
        (401, "unauthorized: token expired\n", "login_required", 403),
        (401, '{"authorize_url":"https://github.com/x","message":"authorize"}', "permission", 403),
        (401, "input item ID does not belong to this connection", "invalid_request", 400),
        (401, "the PAT lacks the Copilot Requests permission", "permission", 403),
        (402, coded("quota_exceeded"), "quota_exceeded", 402),
        (402, coded("overage_limit_reached"), "quota_exceeded", 402),
        (402, "", "quota_exceeded", 402),
        (403, "forbidden: access denied\n", "permission", 403),
        (403, "Access to this endpoint is forbidden. Please review our Terms of Service", "permission", 403),
        (404, "404 page not found\n", "not_found", 404),
        (408, "", "timeout", 504),
        (413, "Request Entity Too Large\n", "request_too_large", 413),
        (421, "Misdirected Request", "upstream", 502),
        (422, "filtered", "content_filter", 400),
        (424, "failed", "upstream", 424),
        (429, coded("user_global_rate_limited:pro"), "rate_limit", 429),
        (429, coded("model_overloaded"), "rate_limit", 429),
        (429, "prompt token count of 130000 exceeds the limit of 128000 a minute", "rate_limit", 429),
        (429, coded("quota_exceeded"), "quota_exceeded", 402),
        (429, '{"code":"extension_blocked","type":"rate_limit_error"}', "permission", 403),
        (466, "client not supported", "permission", 403),
        (499, "", "upstream", 502),
        (500, "", "upstream", 502),
        (502, "", "upstream", 502),
        (503, "upstream_provider_rate_limit", "overloaded", 503),
        (504, "", "overloaded", 503),
        (529, "", "overloaded", 503),
        (418, "", "invalid_request", 400),
        (599, "", "upstream", 502),
        (302, "", "upstream", 502),
    ],
)
def test_every_status_has_its_kind(status: int, body: str, kind: str, answered: int) -> None:
    """AC-48, AC-50."""
    found = error(status, body)
    assert (kind, answered) == (found.kind, found.status)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', "busy"),
        ('{"error":{"message":"busy","code":""}}', "busy"),
        ('{"message":"busy"}', "busy"),
        ('{"error":"busy"}', "busy"),
        ("busy\n", "busy"),
        (json.dumps({"message": json.dumps({"error": {"message": json.dumps({"message": "busy"})}})}), "busy"),
        ("", "Copilot answered with status 500."),
        ("{}", "Copilot answered with status 500."),
        ('{"error":{"message":null}}', "Copilot answered with status 500."),
        ('{"broken', '{"broken'),
        ("[1]", "[1]"),
        ("a\r\nb\x00\x1b[31mc", "a b [31mc"),
        ("<html><head><title>502 Bad <b>Gateway</b></title></head><script>x</script>",
         "Copilot answered with a web page: 502 Bad Gateway"),
        ("<!doctype html><p onclick=x>hi", "Copilot answered with a web page."),
        ("<html><title>&lt;script&gt;</title>", "Copilot answered with a web page: script"),
    ],
)  # fmt: skip
def test_every_shape_gives_one_line(body: str, message: str) -> None:
    assert error(500, body).message == message


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert as_error(read_failure(500, {}, b"\xff\xfe{\x80", NOW)).kind == "upstream"


def test_a_deeply_nested_body_does_no_harm() -> None:
    assert error(500, '{"error":' * 20_000).kind == "upstream"


def test_a_huge_message_is_bounded() -> None:
    assert len(error(400, json.dumps({"message": "x" * 1_000_000})).message) <= 2_000


@pytest.mark.parametrize(
    "message",
    [
        "prompt token count of 210194 exceeds the limit of 200000",
        "prompt is too long: 210194 tokens > 200000 maximum",
        "This model's maximum context length is 200000 tokens. However, your messages resulted in 210194 tokens.",
    ],
)
def test_an_overflow_tells_its_sizes(message: str) -> None:
    found = error(400, json.dumps({"error": {"message": message}}))
    assert ("context_overflow", 210194, 200000) == (found.kind, found.tokens, found.limit)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("1.5", 2),
        ("0.2", 1),
        ("1667000", 1667000),
        ("Mon, 12 Jan 1970 13:47:40 GMT", 60),
        ("Mon, 12 Jan 1970 13:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("9" * 40, None),
        ("Mon, 99 Jan 1970", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: int | None) -> None:
    assert seconds == retry_after({"retry-after": text}, NOW)


def test_a_date_is_waited_for_to_its_end() -> None:
    assert 61 == retry_after({"retry-after": "Mon, 12 Jan 1970 13:47:40 GMT"}, NOW - 0.4)


def test_github_s_request_id_and_the_hint_are_kept() -> None:
    found = error(429, coded("rate_limited"), retry_after="7", x_github_request_id="AB:12")
    assert ("rate_limited", 7, "AB:12") == (found.code, found.retry_after, found.upstream_request_id)


def test_a_plan_suffix_stays_in_the_code() -> None:
    assert error(429, coded("user_weekly_rate_limited:pro_plus")).code == "user_weekly_rate_limited:pro_plus"


@pytest.mark.parametrize("said", ["Request Entity Too Large\n", "Request Entity Too Large."])
def test_what_to_do_is_a_sentence_after_upstreams_words(said: str) -> None:
    advice = "Send fewer or smaller images, or a shorter conversation."
    assert f"Request Entity Too Large. {advice}" == error(413, said).message


def test_a_block_says_stop() -> None:
    assert "Stop" in error(403, "Please review our Terms of Service").message


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("connect", "upstream"),
        ("timeout", "timeout"),
        ("cut", "upstream"),
        ("protocol", "upstream"),
        ("too_large", "upstream"),
    ],
)
def test_every_transport_fault_has_its_kind(fault: str, kind: str) -> None:
    assert kind == unreachable(TransportError(fault, "x")).kind  # type: ignore[arg-type]


@given(st.integers(100, 599), st.binary(max_size=300))
def test_no_bytes_of_a_refusal_break_the_reader(status: int, body: bytes) -> None:
    found = as_error(read_failure(status, {}, body, NOW))
    assert found.message
    assert "\n" not in found.message


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "authorize_url"]), inner, max_size=4
        )
    ),
)


@given(st.integers(300, 599), JSON)
def test_no_json_of_a_refusal_breaks_the_reader(status: int, body: object) -> None:
    assert as_error(read_failure(status, {}, json.dumps(body).encode("utf-8", "replace"), NOW)).message


@pytest.mark.parametrize(
    "message",
    ["prompt is too long: ,,, tokens > ,,, maximum", "prompt token count of , exceeds the limit of ,"],
)
def test_sizes_without_digits_are_no_sizes(message: str) -> None:
    assert error(400, json.dumps({"message": message})).tokens is None


def test_a_code_may_be_a_number() -> None:
    assert error(400, '{"error":{"message":"m","code":1234}}').code == "1234"


@pytest.mark.parametrize("echoed", ["gho_" + "a" * 36, "github_pat_" + "b" * 30, "tid=abc;exp=1;sku=x:sig"])
def test_a_token_that_a_server_echoes_is_hidden(echoed: str) -> None:
    found = error(400, json.dumps({"error": {"message": f"bad {echoed}", "code": echoed}}))
    assert ("bad ***", "***") == (found.message, found.code)
