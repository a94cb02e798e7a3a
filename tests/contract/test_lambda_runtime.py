"""The loop on Lambda around apps that misbehave: what is posted, what callers see, what the next invocation finds."""

import os
import signal
from collections.abc import Iterator
from http.client import IncompleteRead
from importlib.util import find_spec
from typing import Any

import pytest

from tests.e2e.hosting import Wire
from tests.emulators.runtime_api import Invocation, Lambda
from tests.emulators.runtime_api.front import event_of
from tests.emulators.runtime_api.wire import Request
from tests.unit.aws.events import alb_event, rest_event

pytestmark = pytest.mark.skipif(find_spec("awslambdaric") is None, reason="AWS's loop is built for Linux")
ODD = "tests.emulators.runtime_api.odd_function.handler"
CANARY = "secret-canary"


@pytest.fixture(scope="module")
def running() -> Iterator[Lambda]:
    with Lambda(ODD, {}) as function:
        yield function


@pytest.fixture
def function(running: Lambda) -> Iterator[Lambda]:
    running.api.faults.clear()
    yield running
    assert [] == running.api.faults


def asked(path: str, query: str = "") -> dict[str, Any]:
    """Return a function URL's event for a GET."""
    return event_of(Request("GET", f"{path}?{query}", {"host": "127.0.0.1"}), b"")


def ended(invocation: Invocation) -> Invocation:
    assert invocation.wait_over()
    return invocation


def test_chunks_are_posted_one_by_one_and_in_order(function: Lambda) -> None:
    invocation = function.invoke(asked("/many", "500"))
    pieces = list(invocation.pieces())
    assert [b"%06d" % number for number in range(500)] == pieces
    assert ("answered", 200, {"Content-Type": "text/plain"}) == (
        invocation.outcome, invocation.status, invocation.headers,
    )  # fmt: skip


def test_invocation_id_is_sent_back_only_where_there_is_one(function: Lambda) -> None:
    assert ["answered", "answered", "error", "error"] == [
        ended(function.invoke(asked(path), echo=echo)).outcome for path in ("/binary", "/before") for echo in (True, False)
    ]  # fmt: skip


def test_answer_without_a_body_is_a_prelude_alone(function: Lambda) -> None:
    invocation = function.invoke(asked("/empty"))
    assert (b"", 204, {}, []) == (
        invocation.body(), invocation.status, invocation.headers, invocation.cookies,
    )  # fmt: skip
    assert 204 == Wire(function.url).get("/empty").status


def test_cookies_stay_apart_and_headers_of_the_connection_stay_here(function: Lambda) -> None:
    invocation = function.invoke(asked("/cookies"))
    assert (b"ok", {"Vary": "A, B"}, ["a=1; Path=/", "b=2"]) == (
        invocation.body(), invocation.headers, invocation.cookies,
    )  # fmt: skip


def test_binary_bodies_are_streamed_as_they_are(function: Lambda) -> None:
    assert b"\x89PNG\xff\xfe" == Wire(function.url).get("/binary").body


@pytest.mark.parametrize("path", ["/before", "/first"])
def test_failure_before_the_first_byte_is_an_invocation_error_without_details(
    function: Lambda, path: str
) -> None:
    invocation = ended(function.invoke(asked(path)))
    assert ("error", "InvocationFailedError") == (invocation.outcome, invocation.error["errorType"])
    assert CANARY not in str(invocation.error)
    assert 502 == Wire(function.url).get(path).status


def test_failure_in_the_middle_ends_with_trailers_without_details(function: Lambda) -> None:
    invocation = function.invoke(asked("/middle"))
    assert b"onetwo" == invocation.body()
    error = {
        "errorMessage": "The stream failed; the log says why.",
        "errorType": "Runtime.StreamError",
        "stackTrace": [],
    }
    assert ("failed", {"type": "Runtime.StreamError", **error}) == (invocation.outcome, invocation.error)


def test_bodies_are_closed_whatever_became_of_them(function: Lambda) -> None:
    paths = ["/many", "/first", "/middle", "/empty", "/cookies"]
    before = Wire(function.url).get("/closed").json
    for path in paths:
        ended(function.invoke(asked(path, "3")))
    after = Wire(function.url).get("/closed").json
    assert ["/closed", *paths] == after[len(before) :]


def test_body_that_cannot_be_closed_does_not_end_the_process() -> None:
    with Lambda(ODD, {}) as function:
        client = Wire(function.url)
        assert b"\x89PNG\xff\xfe" == client.get("/closing").body
        assert 204 == client.get("/empty").status
        assert (1, []) == (len(function.starts), function.api.faults)


def test_process_that_dies_in_the_middle_cuts_its_stream_and_the_next_request_finds_a_new_one() -> None:
    with Lambda(ODD, {}) as function:
        client = Wire(function.url)
        reply = client.open("GET", "/hang")
        assert b"one" == reply.until(b"one")
        os.kill(function.starts[-1], signal.SIGKILL)
        with pytest.raises(IncompleteRead) as caught:
            reply.rest()
        assert b"" == caught.value.partial
        assert 204 == client.get("/empty").status
        assert (2, []) == (len(function.starts), function.api.faults)


def test_function_that_is_killed_at_its_timeout_cuts_its_stream() -> None:
    with Lambda(ODD, {}, seconds=2) as function:
        client = Wire(function.url)
        assert 204 == client.get("/empty").status
        with pytest.raises(IncompleteRead):
            client.get("/hang")
        assert 204 == client.get("/empty").status
        assert 2 == len(function.starts)


@pytest.mark.parametrize(
    ("environ", "handler", "message"),
    [
        ({"ODD": "broken"}, ODD, "this function cannot start"),
        ({}, "infra.aws.app.handler", "COPILOT_GATEWAY_TABLE"),
        ({}, "infra.aws.app.nothing", "nothing"),
        ({"COPILOT_GATEWAY_TABLE": "t", "COPILOT_GATEWAY_SECRET": "s", "COPILOT_GATEWAY_PORTT": "1"}, "infra.aws.app.handler", "COPILOT_GATEWAY_PORT"),
    ],
)  # fmt: skip
def test_function_that_cannot_start_says_why(environ: dict[str, str], handler: str, message: str) -> None:
    with Lambda(handler, environ) as function:
        function.start()
        assert 1 == function.wait()
        [error] = function.api.init_errors
    assert message in error["errorMessage"]
    assert ["init/error"] == function.api.calls


def test_snapshot_is_restored_before_the_first_event() -> None:
    with Lambda(ODD, {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}) as function:
        assert 204 == Wire(function.url).get("/empty").status
    assert ["restore/next", "invocation/next"] == function.api.calls[:2]


@pytest.mark.parametrize(
    "event", [{}, {"source": "aws.events"}, [], "text", None, {"httpMethod": ""}, {"requestContext": 3}]
)
def test_event_that_is_no_request_is_refused_and_the_next_one_served(function: Lambda, event: object) -> None:
    invocation = ended(function.invoke(event))
    assert ("error", "NotHttpError") == (invocation.outcome, invocation.error["errorType"])
    assert 204 == Wire(function.url).get("/empty").status


def test_function_that_is_not_set_up_for_streams_answers_whole() -> None:
    with Lambda(ODD, {"COPILOT_GATEWAY_STREAMING": ""}) as function:
        invocation = ended(function.invoke(asked("/cookies")))
        assert {
            "statusCode": 200, "headers": {"Vary": "A, B", "Content-Length": "2"}, "cookies": ["a=1; Path=/", "b=2"],
            "body": "ok", "isBase64Encoded": False,
        } == invocation.result  # fmt: skip
        client = Wire(function.url)
        assert [b"\x89PNG\xff\xfe", b"", b"000000"] == [
            client.get(path).body for path in ("/binary", "/empty", "/many?1")
        ]
        assert 502 == client.get("/middle").status
        assert [] == function.api.faults


def test_rest_api_is_streamed_too(function: Lambda) -> None:
    streamed = function.invoke(rest_event(path="/binary"))
    assert (b"\x89PNG\xff\xfe", True) == (streamed.body(), streamed.streamed)


def test_source_that_cannot_stream_is_answered_whole_by_a_streaming_function(function: Lambda) -> None:
    http = asked("/many", "2")
    http["requestContext"]["domainName"] = "abc.execute-api.eu-central-1.amazonaws.com"
    balancer = alb_event(path="/empty")
    answers = [ended(function.invoke(event)) for event in (http, balancer)]
    assert [(False, 200), (False, 204)] == [(each.streamed, each.result["statusCode"]) for each in answers]
