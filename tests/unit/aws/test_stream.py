"""What is posted for an answer: the prelude of a stream, or the buffered object of each source."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from infra.aws.environ import build_environ
from infra.aws.events import read_event
from infra.aws.stream import Answer, buffered, prelude, run
from tests.unit.aws.events import alb_event, rest_event, url_event

Headers = list[tuple[str, str]]
TEXT: Headers = [("Content-Type", "text/plain")]


class Body:
    """A body that knows whether it was closed."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self.closed = pieces, 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        self.closed += 1


def app_of(body: Iterable[bytes], headers: Headers = TEXT, status: str = "200 OK") -> Any:
    def app(_environ: Any, start: Callable[..., Any]) -> Iterable[bytes]:
        start(status, headers)
        return body

    return app


def answer_of(*pieces: bytes, headers: Headers = TEXT, status: str = "200 OK") -> Answer:
    return run(app_of(pieces, headers, status), {}, lambda: 60.0)


def test_answer_waits_for_the_first_chunk_and_no_more() -> None:
    asked: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(3):
            asked.append(number)
            yield b"" if number == 0 else b"%d" % number

    answer = run(app_of(pieces()), {}, lambda: 60.0)
    assert (b"1", [0, 1]) == (answer.first, asked)
    assert [b"2"] == list(answer.rest())


def test_what_an_app_writes_goes_before_its_body() -> None:
    def app(_environ: Any, start: Callable[..., Any]) -> Iterable[bytes]:
        write = start("200 OK", TEXT)
        write(b"a")
        write(b"b")
        return [b"c"]

    answer = run(app, {}, lambda: 60.0)
    assert [b"ab", b"c"] == [answer.first, *answer.rest()]


def test_head_may_be_given_when_the_first_chunk_is_asked_for() -> None:
    def app(_environ: Any, start: Callable[..., Any]) -> Iterator[bytes]:
        start("201 Created", TEXT)
        yield b"x"

    assert (201, b"x") == ((answer := run(app, {}, lambda: 60.0)).status, answer.first)


def test_body_that_fails_at_once_is_closed() -> None:
    def pieces() -> Iterator[bytes]:
        raise ValueError("no")
        yield b""

    body = Body(pieces())
    with pytest.raises(ValueError, match="no"):
        run(app_of(body), {}, lambda: 60.0)
    assert 1 == body.closed


def test_body_is_closed_once() -> None:
    body = Body([b"x"])
    answer = run(app_of(body), {}, lambda: 60.0)
    answer.close()
    answer.close()
    assert 1 == body.closed


def test_prelude_is_json_and_eight_nuls() -> None:
    headers = [
        ("Vary", "A"),
        ("Set-Cookie", "a=1"),
        ("Vary", "B"),
        ("set-cookie", "b=2"),
        ("Content-Length", "4"),
    ]
    wire = prelude(
        answer_of(b"body", headers=[*headers, ("Connection", "close"), ("Transfer-Encoding", "chunked")])
    )
    assert bytes(8) == wire[-8:]
    assert {"statusCode": 200, "headers": {"Vary": "A, B"}, "cookies": ["a=1", "b=2"]} == json.loads(
        wire[:-8]
    )


PLAIN = [url_event(), rest_event(), alb_event()]


@pytest.mark.parametrize("event", PLAIN[1:], ids=["rest", "alb"])
@pytest.mark.parametrize("body", [b"", b"plain", "naïve ☃".encode()])
def test_buffered_answer_is_aws_wsgis_where_that_is_right(event: Any, body: bytes) -> None:
    awsgi = pytest.importorskip("awsgi")
    theirs = awsgi.response(app_of([body], [*TEXT, ("X-Thing", "1")], "202 Accepted"), event, None)
    ours = buffered(
        answer_of(body, headers=[*TEXT, ("X-Thing", "1")], status="202 Accepted"), read_event(event)
    )
    ours.pop("multiValueHeaders", None)
    assert theirs | {"statusCode": int(theirs["statusCode"])} == ours


@pytest.mark.parametrize("event", PLAIN, ids=["url", "rest", "alb"])
def test_body_that_is_no_text_is_base64(event: Any) -> None:
    answer = buffered(answer_of(b"\xff", b"\xfe"), read_event(event))
    assert (True, "//4=") == (answer["isBase64Encoded"], answer["body"])
    compressed = [*TEXT, ("Content-Encoding", "gzip")]
    assert buffered(answer_of(b"ascii", headers=compressed), read_event(event))["isBase64Encoded"] is True


def test_several_cookies_have_their_place_in_each_format() -> None:
    headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Thing", "1")]
    events = [*PLAIN, alb_event(multiValueHeaders={"host": ["lb"]})]
    shown = [buffered(answer_of(b"", headers=headers), read_event(event)) for event in events]
    kept = [
        {name: one[name] for name in ("headers", "multiValueHeaders", "cookies") if name in one}
        for one in shown
    ]
    assert [
        {"headers": {"X-Thing": "1"}, "cookies": ["a=1", "b=2"]},
        {"headers": {"X-Thing": "1"}, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}},
        {"headers": {"X-Thing": "1", "Set-Cookie": "a=1"}},
        {"multiValueHeaders": {"X-Thing": ["1"], "Set-Cookie": ["a=1", "b=2"]}},
    ] == kept


def test_buffered_body_is_closed_also_when_it_fails() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise ValueError("no")

    body = Body(pieces())
    answer = run(app_of(body), build_environ(read_event(url_event()), None, lambda: 60.0), lambda: 60.0)
    with pytest.raises(ValueError, match="no"):
        buffered(answer, read_event(url_event()))
    assert 1 == body.closed
