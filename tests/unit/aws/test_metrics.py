"""The line that a request leaves in the log: CloudWatch's format, nothing of the client's, and a body left alone."""

import json
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, Response, request

from core.dialect import Echo
from core.errors import GatewayError
from core.surfaces import DIALECTS
from infra.aws.metrics import METRICS, NAMESPACE, Metered, metered
from infra.aws.settings import KNOWN_ELSEWHERE
from infra.aws.stream import run
from infra.settings import PREFIX

NOW = 1_790_000_000.5
LABELS = {"Service": "copilot-gateway", "Stage": "prod"}
EVENTS = [("Content-Type", "text/event-stream; charset=utf-8")]
UNITS = {"Count", "Milliseconds"}
Head = tuple[str, list[tuple[str, str]]]


class Clock:
    """A clock that tests set forward."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


class Body:
    """A body that says when it is read and closed."""

    def __init__(self, *pieces: bytes | BaseException, clock: Clock | None = None) -> None:
        self._pieces, self._clock = pieces, clock
        self.read, self.closed = 0, 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.read += 1
            if self._clock is not None:
                self._clock.time += 0.25
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed += 1


class Bench:
    """An app with its lines."""

    def __init__(self, app: Any, *, extracted: bool = True) -> None:
        self.lines: list[str] = []
        self.heads: list[Head] = []
        self.clock = Clock()
        self.app = Metered(
            app, self.lines.append, labels=LABELS, extracted=extracted, now=lambda: NOW, ticks=self.clock
        )

    def call(self, environ: dict[str, Any] | None = None) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *_exc_info: Any) -> Callable[[bytes], object]:
            self.heads.append((status, headers))
            return lambda _written: None

        return self.app(environ or {}, start)

    def finish(self, environ: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the app, read the body to its end, close it, and return the line."""
        body = self.call(environ)
        list(body)
        body.close()
        return self.line

    @property
    def line(self) -> dict[str, Any]:
        text = self.lines[-1]
        assert ["\n"] == [end for end in text if end == "\n"]
        read: dict[str, Any] = json.loads(text)
        return read


def app_of(
    body: Iterable[bytes], status: str = "200 OK", headers: list[tuple[str, str]] | None = None
) -> Any:
    def app(_environ: Any, start: Callable[..., Any]) -> Iterable[bytes]:
        start(status, headers or [("Content-Type", "text/plain")])
        return body

    return app


def counted(line: dict[str, Any]) -> set[str]:
    """Return the counts that are 1; every other must be 0."""
    counts = {name: line[name] for name, unit in METRICS.items() if unit == "Count"}
    assert set(counts.values()) <= {0, 1}
    return {name for name, value in counts.items() if value} - {"Requests", "ColdStart"}


# The format


def test_line_is_what_the_published_format_asks_for() -> None:
    """By "Specification: Embedded metric format" of AWS: required members, their types and limits, targets at the root."""
    line = Bench(app_of([b"x"])).finish()
    assert {"Timestamp": int(NOW * 1000)} == {
        k: v for k, v in line["_aws"].items() if k != "CloudWatchMetrics"
    }
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert {"Namespace", "Dimensions", "Metrics"} == set(directive)
    assert NAMESPACE == directive["Namespace"]
    assert [["Service", "Stage"]] == directive["Dimensions"]
    assert all(isinstance(line[key], str) and 1 <= len(line[key]) <= 1024 for key in ("Service", "Stage"))
    assert [{"Name": name, "Unit": unit} for name, unit in METRICS.items()] == directive["Metrics"]
    assert set(METRICS.values()) <= UNITS
    assert [] == [name for name in METRICS if type(line[name]) not in {int, float}]


def test_a_stage_keeps_within_the_metrics_that_cost_nothing() -> None:
    assert len(METRICS) <= 8


def test_without_metrics_the_line_stays_and_cloudwatch_takes_nothing_from_it() -> None:
    line = Bench(app_of([b"x"]), extracted=False).finish()
    assert (False, 1, 200) == ("_aws" in line, line["Requests"], line["status"])


def test_function_names_itself_by_its_environment_and_writes_to_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for environ in (
        {PREFIX + "SERVICE": "my-own", PREFIX + "STAGE": "prod", PREFIX + "METRICS": "1"},
        {PREFIX + "METRICS": "0"},
        {},
    ):
        answer = run(metered(app_of([b"x"]), environ), {}, lambda: 60.0)
        answer.close()
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [
        ("my-own", "prod", True),
        ("copilot-gateway", "dev", False),
        ("copilot-gateway", "dev", True),
    ] == [(line["Service"], line["Stage"], "_aws" in line) for line in lines]
    assert {"SERVICE", "STAGE", "METRICS"} <= KNOWN_ELSEWHERE


# What is counted


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("200 OK", set[str]()),
        ("302 Found", set[str]()),
        ("401 Unauthorized", {"ClientErrors"}),
        ("429 Too Many Requests", {"Throttled"}),
        ("502 Bad Gateway", {"ServerErrors"}),
        ("529 Overloaded", {"ServerErrors"}),
    ],
)
def test_each_answer_is_of_one_class(status: str, counts: set[str]) -> None:
    line = Bench(app_of([b"x"], status)).finish()
    assert (1, counts, int(status[:3]), "whole") == (
        line["Requests"],
        counted(line),
        line["status"],
        line["ended"],
    )


def test_only_the_first_request_of_a_process_is_a_cold_start() -> None:
    bench = Bench(app_of([b"x"]))
    assert [1, 0, 0] == [bench.finish()["ColdStart"] for _ in range(3)]


def test_first_byte_and_duration_are_measured_from_the_call() -> None:
    bench = Bench(None)
    bench.app._app = app_of(Body(b"", b"one", b"two", clock=bench.clock))
    line = bench.finish()
    assert (500.0, 750.0) == (line["FirstByte"], line["Duration"])


def test_answer_without_a_body_has_its_first_byte_at_its_end() -> None:
    line = Bench(app_of([], "204 No Content")).finish()
    assert (0.0, 0.0, "whole") == (line["FirstByte"], line["Duration"], line["ended"])


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_stream_that_ends_with_an_error_event_is_counted(dialect: Any) -> None:
    echo = Echo(id="answer_1", model="gpt-5.5", created=1_790_000_000, new_id=lambda prefix: f"{prefix}1")
    ending = dialect.encoder(echo).error(GatewayError("It broke.", kind="upstream"))
    assert {"StreamErrors"} == counted(Bench(app_of([b": ping\n\n", ending], headers=EVENTS)).finish())
    assert {"StreamErrors"} == counted(Bench(app_of([b"data: {}\n\n" + ending], headers=EVENTS)).finish())
    assert set() == counted(Bench(app_of([ending])).finish())


def test_errors_that_a_model_talks_of_are_not_counted() -> None:
    told = json.dumps({"delta": '\nevent: error\ndata: {"error": 1}\n\n'}).encode()
    assert set() == counted(Bench(app_of([b"data: " + told + b"\n\n"], headers=EVENTS)).finish())


# What can be searched


def test_line_names_route_model_upstream_and_ids() -> None:
    flask = Flask("gateway")

    @flask.get("/v1/responses/<response_id>")
    def response(response_id: str) -> Response:
        return Response(b"{}", headers={"x-gateway-model": "gpt-5.5", "X-Gateway-Upstream": "responses", "x-request-id": "req_1"})  # fmt: skip

    environ = environ_of("/v1/responses/resp_private")
    line = Bench(flask.wsgi_app).finish(environ)
    told = {name: line[name] for name in line if name not in {"_aws", *LABELS, *METRICS}}
    assert {
        "status": 200,
        "ended": "whole",
        "model": "gpt-5.5",
        "upstream": "responses",
        "request_id": "req_1",
        "route": "GET /v1/responses/<response_id>",
        "lambda_request_id": "8f-1",
    } == told


def environ_of(path: str, **more: Any) -> dict[str, Any]:
    asked = {"wsgi.url_scheme": "https", "SERVER_NAME": "gateway", "SERVER_PORT": "443", "SCRIPT_NAME": ""}
    context = SimpleNamespace(aws_request_id="8f-1")
    return asked | {"REQUEST_METHOD": "GET", "PATH_INFO": path, "awsgi.context": context} | more


def test_nothing_of_the_client_is_in_the_line() -> None:
    flask = Flask("gateway")

    @flask.post("/v1/messages")
    def message() -> Response:
        return Response(b"canary-answer " + request.get_data(), headers={"Set-Cookie": "s=canary-cookie"})

    bench = Bench(flask.wsgi_app)
    for path, method in (
        ("/v1/messages", "POST"),
        ("/canary-path", "GET"),
        ("/v1/messages", "CANARY-METHOD"),
    ):
        bench.finish(
            environ_of(
                path,
                REQUEST_METHOD=method,
                QUERY_STRING="key=canary-query",
                HTTP_AUTHORIZATION="Bearer canary-key",
                HTTP_X_API_KEY="canary-key",
                HTTP_HOST="canary-host",
                REMOTE_ADDR="canary-peer",
                CONTENT_LENGTH="11",
                **{"wsgi.input": BytesIO(b"canary-body")},
            )
        )
    routes = [json.loads(text)["route"] for text in bench.lines]
    assert (["POST /v1/messages", "unknown", "unknown"], False) == (
        routes,
        "canary" in "".join(bench.lines).lower(),
    )


def test_a_told_header_is_cut_and_cannot_break_the_line() -> None:
    line = Bench(app_of([b"x"], headers=[("x-gateway-model", 'm"\n{' + "m" * 1000)])).finish()
    assert 'm"\n{' + "m" * 96 == line["model"]


# The answer


def test_pieces_pass_one_by_one_and_the_line_comes_with_the_close() -> None:
    source = Body(b"one", b"", b"two")
    bench = Bench(app_of(source, headers=EVENTS))
    body = bench.call()
    assert (0, [("200 OK", EVENTS)]) == (source.read, bench.heads)
    pieces = iter(body)
    seen = [(piece, source.read) for piece in pieces]
    assert ([(b"one", 1), (b"", 2), (b"two", 3)], [], 0) == (seen, bench.lines, source.closed)
    body.close()
    body.close()
    assert (1, 2) == (len(bench.lines), source.closed)


def test_answer_that_is_not_read_to_its_end_is_cut() -> None:
    source = Body(b"one", b"two")
    bench = Bench(app_of(source))
    body = bench.call()
    next(iter(body))
    body.close()
    assert ("cut", set(), 1) == (bench.line["ended"], counted(bench.line), source.closed)


def test_app_that_raises_is_a_server_error_and_still_raises() -> None:
    def app(_environ: Any, _start: Any) -> Iterable[bytes]:
        raise LookupError("canary")

    bench = Bench(app)
    with pytest.raises(LookupError, match="canary"):
        bench.call()
    assert ("failed", 500, {"ServerErrors"}) == (
        bench.line["ended"],
        bench.line["status"],
        counted(bench.line),
    )
    assert "canary" not in bench.lines[0]


@pytest.mark.parametrize(
    ("pieces", "status", "counts"), [([], 500, {"ServerErrors"}), ([b"one"], 200, {"StreamErrors"})]
)
def test_body_that_raises_is_counted_by_what_the_client_saw(
    pieces: list[bytes], status: int, counts: set[str]
) -> None:
    bench = Bench(app_of(Body(*pieces, LookupError("no")), headers=EVENTS))
    body = bench.call()
    with pytest.raises(LookupError, match="no"):
        list(body)
    body.close()
    assert (status, "failed", counts) == (bench.line["status"], bench.line["ended"], counted(bench.line))


def test_close_that_raises_leaves_its_line() -> None:
    class Stubborn(Body):
        def close(self) -> None:
            raise LookupError("no")

    bench = Bench(app_of(Stubborn(b"one")))
    with pytest.raises(LookupError, match="no"):
        bench.finish()
    assert 1 == len(bench.lines)


def test_log_that_takes_no_line_costs_no_answer() -> None:
    def refuse(_line: str) -> None:
        raise OSError("full")

    app = Metered(app_of([b"x"]), refuse, labels=LABELS, extracted=True, now=lambda: NOW, ticks=lambda: 0.0)
    answer = run(app, {}, lambda: 60.0)
    answer.close()
    assert (b"x", 200) == (answer.first, answer.status)


def test_answer_through_lambda_is_told_once() -> None:
    bench = Bench(app_of([b"one", b"two"]))
    answer = run(bench.app, {}, lambda: 60.0)
    assert [b"one", b"two"] == [answer.first, *answer.rest()]
    answer.close()
    assert ["whole"] == [json.loads(text)["ended"] for text in bench.lines]
