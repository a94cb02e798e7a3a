"""The seam between AWS's loop and our client."""

import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

from core.errors import GatewayError
from handlers.deadline import Deadline
from infra.aws import app, runtime
from infra.aws.stream import Answer

ROOT = Path(__file__).parents[3]


def test_awslambdaric_has_no_streaming_of_its_own_yet() -> None:
    """When this fails, AWS streams Python natively: see the docstring of infra/aws/runtime.py for what can go."""
    assert not runtime.native_streaming()


def test_client_fits_the_pinned_awslambdaric() -> None:
    runtime.check_seam()


def test_client_that_does_not_fit_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(self: Any, invoke_id: str, answer: object) -> None: ...

    monkeypatch.setattr(LambdaRuntimeClient, "post_invocation_result", changed)
    with pytest.raises(RuntimeError, match="awslambdaric"):
        runtime.check_seam()


def test_only_what_our_marshaller_read_takes_a_stream() -> None:
    event = runtime.StreamingMarshaller().unmarshal_request(b'{"a": 1}')
    assert ({"a": 1}, True) == (event, getattr(event, "takes_stream", False))
    assert [1] == runtime.StreamingMarshaller().unmarshal_request(b"[1]")


def test_wrapper_is_executable_has_unix_lines_and_takes_the_interpreter_from_lambda() -> None:
    wrapper = ROOT / "infra" / "aws" / "bootstrap"
    text = wrapper.read_bytes()
    assert os.access(wrapper, os.X_OK)
    assert b"\r" not in text
    assert re.search(rb'^exec "\$1" -m infra\.aws\.entry$', text, re.MULTILINE)


class Context:
    """Lambda's, with the time left set by hand."""

    aws_request_id = "id"

    def __init__(self, left: int) -> None:
        self.left = left

    def get_remaining_time_in_millis(self) -> int:
        return self.left


@pytest.mark.parametrize(("total", "margin"), [(900_000, 5.0), (60_000, 5.0), (8_000, 2.0)])
def test_answers_end_some_seconds_before_lambda_would_cut_them(total: int, margin: float) -> None:
    context = Context(total)
    deadline = Deadline(app._countdown(context))
    assert 1.0 == deadline.slice(1.0)
    context.left = int(margin * 1000) + 500
    assert 0.5 == deadline.slice(1.0)
    context.left = int(margin * 1000)
    with pytest.raises(GatewayError) as caught:
        deadline.slice(1.0)
    assert ("timeout", "deadline") == (caught.value.kind, caught.value.code)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def posted(listener: socket.socket, body: Iterator[bytes]) -> list[str]:
    """Post a body over the client to who listens, and return what was closed."""
    closed: list[str] = []
    answer = Answer(
        "200 OK", [], b"first", body, close=lambda: closed.append("body"), seconds_left=lambda: -1.0
    )
    host, port = listener.getsockname()
    runtime.StreamingClient(f"{host}:{port}").post_invocation_result(
        "id", answer, runtime.INTEGRATION_RESPONSE
    )
    return closed


def test_client_that_stops_reading_holds_nobody(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "GRACE", 0.05)
    made: list[bytes] = []

    def body() -> Iterator[bytes]:
        while True:
            made.append(b"")
            yield bytes(1_000_000)

    assert ["body"] == posted(listener, body())
    assert made


def test_platform_that_hangs_up_ends_one_answer_and_not_the_loop(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    def hang_up() -> None:
        listener.accept()[0].close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    assert ["body"] == posted(listener, iter([b"x"] * 10))
    thread.join()
    assert "lambda.post_failed" in caplog.text


@pytest.mark.parametrize(
    "reply", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nbig"]
)
def test_whatever_the_platform_says_the_loop_goes_on(listener: socket.socket, reply: bytes) -> None:
    def say() -> None:
        connection, _ = listener.accept()
        with connection:
            received = b""
            while not received.endswith(b"0\r\n\r\n"):
                received += connection.recv(65_536)
            connection.sendall(reply)

    thread = threading.Thread(target=say)
    thread.start()
    assert ["body"] == posted(listener, iter([b"x"]))
    thread.join()
