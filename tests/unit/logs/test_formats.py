"""A log line: what it says, in both forms, and what it never says."""

import io
import logging
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access.caller import Caller
from core.canonical import Usage
from core.exchange import Exchange
from core.settings import Secret
from infra.cli.console import is_coloured
from infra.logs.formats import JsonFormatter
from infra.logs.records import Members
from infra.logs.requests import log_request, members
from infra.logs.text import TextFormatter


def record(template: str, *values: object, error: BaseException | None = None) -> logging.LogRecord:
    trace = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("gateway", logging.WARNING, __file__, 1, template, values, trace)


def as_json(made: logging.LogRecord) -> dict[str, object]:
    return msgspec.json.decode(JsonFormatter().format(made), type=dict[str, object])


def text(made: logging.LogRecord) -> str:
    return TextFormatter().format(made).partition(" ")[2]


DONE = Exchange(
    id="req_1",
    began_at=1.0,
    route="POST /v1/messages",
    caller=Caller("laptop"),
    requested="sonnet",
    model="claude-sonnet-5",
    upstream="messages",
    status=200,
    upstream_id="ABCD:1",
    usage=Usage(input_tokens=1200, output_tokens=450, cache_read_tokens=900),
    credits=0.31,
    first_token=0.4123456,
    duration=3.21,
    losses=("top_k",),
)


def test_json_has_an_events_members_as_they_are() -> None:
    told = as_json(record("copilot.retry status=%d remedy=%s id=%s", 401, "RENEW", None))
    expected = {
        "level": "warning",
        "logger": "gateway",
        "event": "copilot.retry",
        "status": 401,
        "remedy": "RENEW",
    }
    assert told | expected | {"id": None} == told


def test_a_line_for_people_is_aligned_and_quotes_what_has_spaces() -> None:
    assert (
        text(record("a.b reason=%r n=%d", "two words", 3)) == "warning a.b            reason='two words' n=3"
    )


def test_a_record_in_other_words_is_a_message() -> None:
    assert as_json(record("%s of %s", 1, 2))["message"] == "1 of 2"
    assert text(record("%s of %s", 1, 2)) == "warning 1 of 2"


def test_log_line_cannot_steer_the_terminal() -> None:
    line = text(record("stream.failed message=%s", "\x1b[2Jgone"))
    assert line == "warning stream.failed  message=\N{REPLACEMENT CHARACTER}[2Jgone"


def test_json_log_is_one_object_a_line_whatever_is_logged() -> None:
    line = JsonFormatter().format(record("stream.failed message=%s", "two\nlines \ud800"))
    assert "\n" not in line
    assert msgspec.json.decode(line, type=dict[str, str])["message"] == "two\nlines ?"


@given(
    st.text()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.none()
)
def test_any_value_can_be_logged(value: object) -> None:
    assert as_json(record("a.b value=%s", value))["event"] == "a.b"
    assert "\x1b" not in text(record("a.b value=%s", value))


@pytest.mark.parametrize("form", [TextFormatter(), TextFormatter(coloured=True), JsonFormatter()])
def test_no_form_shows_a_secret(form: logging.Formatter) -> None:
    own = Secret("a-key-of-ones-own")
    line = form.format(record("a.b first=%s headers=%s", own, {"authorization": "Bearer opaque-bearer"}))
    assert "ones-own" not in line
    assert "opaque" not in line


def test_a_defect_leaves_its_place_and_kind_but_not_its_words() -> None:
    def stumble(prompt: str) -> int:
        try:
            return int(prompt)
        except ValueError as error:
            raise KeyError(prompt) from error

    prompt = "my diary"
    with pytest.raises(KeyError) as caught:
        stumble(prompt)
    told = str(as_json(record("request.crashed", error=caught.value))["traceback"])
    assert "in stumble" in told
    assert told.endswith("KeyError")
    assert "ValueError" in told
    assert "my diary" not in told


def test_a_failing_system_call_says_why() -> None:
    told = as_json(record("a.b", error=OSError(28, "No space left on device")))["traceback"]
    assert told == "OSError: [Errno 28] No space left on device"


def test_a_request_is_one_line_of_what_is_known() -> None:
    assert members(DONE) == {
        "id": "req_1", "route": "POST /v1/messages", "key": "laptop", "model": "claude-sonnet-5", "requested": "sonnet",
        "upstream": "messages", "status": 200, "first_token": 0.412, "duration": 3.21, "input": 1200, "cached": 900,
        "output": 450, "credits": 0.31, "losses": "top_k", "upstream_id": "ABCD:1",
    }  # fmt: skip


def test_an_exchange_without_a_model_says_little() -> None:
    little = Exchange(id="req_2", began_at=1.0, route="GET /v1/models", status=200)
    assert members(little) == {"id": "req_2", "route": "GET /v1/models", "status": 200, "duration": 0.0}


@pytest.mark.parametrize(
    ("kind", "code", "admitted", "said"),
    [
        ("authentication", "invalid_api_key", False, True),
        ("rate_limit", "", False, True),  # a gate of our own
        ("rate_limit", "rate_limited", True, False),  # upstream's words
        ("upstream", "upstream_cut", True, True),
        ("upstream", "upstream_500", True, False),
        ("timeout", "idle_timeout", True, True),
        ("invalid_request", "", False, False),
        ("content_filter", "", True, False),
        ("internal", "", True, True),
    ],
)
def test_words_that_may_quote_a_request_stay_out(kind: str, code: str, *, admitted: bool, said: bool) -> None:
    failed = Exchange(id="req_3", began_at=1.0, error=kind, code=code, message="why", admitted=admitted)
    assert ("message" in members(failed)) is said


def test_a_request_is_logged_with_real_numbers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway")
    log_request(DONE)
    log_request(Exchange(id="req_4", began_at=1.0, route="GET /healthz", status=200))
    (made,) = caplog.records
    assert as_json(made) | {"event": "request.done"} | members(DONE) == as_json(made)
    assert made.getMessage().startswith("request.done id=req_1 route='POST /v1/messages' key=laptop ")


@pytest.mark.parametrize(
    ("terminal", "variables", "expected"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, terminal: bool, expected: bool
) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_coloured(Stream()) is expected


def test_a_coloured_line_says_the_same() -> None:
    made = record("request.done %s", Members(status=502, error="upstream"))
    plain = TextFormatter().format(made)
    coloured = TextFormatter(coloured=True).format(made)
    assert "\x1b[31m" in coloured
    assert plain == re.sub(r"\x1b\[[0-9;]*m", "", coloured)
