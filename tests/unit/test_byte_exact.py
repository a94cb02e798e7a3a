"""Pass-through lanes are byte-exact: what needs no repair goes in and out with the same hash."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from core.call import Call, Engine
from core.dialect import Dialect
from core.model import DialectName, Model
from core.settings import Settings
from core.surfaces import DIALECTS
from tests.fuzz import corpus
from tests.unit.dialects.chat.wire import split

SIZES = [1, 2, 3, 7, 64, None]
MODEL = "golden-1"
NAMES: tuple[DialectName, ...] = ("chat", "messages", "responses")
# Streams that the gateway itself has put right: nothing is left to repair in them.
CLEAN = [
    (name, path)
    for name in NAMES
    for path in sorted((corpus.GOLDEN / name).rglob("*.sse"))
    if path.stem in {"client", "relayed"}
]
WHOLE = [(name, path) for name, path in CLEAN if b"error" not in path.read_bytes()[-400:].split(b"\n\n")[-2]]
every_stream = pytest.mark.parametrize(
    ("name", "path"), WHOLE, ids=lambda given: given.parent.name if isinstance(given, Path) else given
)
every_dialect = pytest.mark.parametrize("name", NAMES)


def engine(model_id: str) -> Engine:
    model = Model(
        id=model_id,
        dialects=NAMES,
        max_output=200_000,
        vendor="OpenAI",
        adaptive_thinking=True,
        efforts=("low", "medium", "high"),
    )
    aliases = {MODEL: model_id}
    return Engine(
        Settings(aliases=aliases),
        DIALECTS,
        lambda: (model,),
        lambda: "",
        lambda: 1.0,
        lambda prefix: f"{prefix}1",
    )


def call_of(name: DialectName, body: bytes, model_id: str = MODEL) -> Call:
    call = engine(model_id).prepare(DIALECTS[name], body)
    assert call.lane.passes_through
    return call


def plain(name: DialectName, asked: str) -> bytes:
    """A request without anything to repair."""
    said = [{"role": "user", "content": "Hi"}]
    members: dict[DialectName, dict[str, Any]] = {
        "chat": {"messages": said, "stream": True, "stream_options": {"include_usage": True}},
        "messages": {"messages": said, "max_tokens": 100, "stream": True},
        "responses": {"input": said, "stream": True},
    }
    return json.dumps({"model": asked, **members[name]}).encode()


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def passed(name: DialectName, wire: bytes, size: int | None, asked: str) -> bytes:
    relay = call_of(name, plain(name, asked), asked).relay()
    return b"".join([relay.feed(piece) for piece in split(wire, size)]) + relay.close()


def model_in(wire: bytes) -> str:
    """Return the model that a stream names."""
    for event in events(wire):
        inner = event.get("message") or event.get("response") or event
        if isinstance(inner, dict) and "model" in inner:
            return str(inner["model"])
    raise AssertionError("no model")


def events(wire: bytes) -> Iterator[dict[str, Any]]:
    for line in wire.splitlines():
        if line.startswith(b"data: {"):
            yield json.loads(line.removeprefix(b"data: "))


@every_stream
@pytest.mark.parametrize("size", SIZES)
def test_a_clean_stream_keeps_its_hash(name: DialectName, path: Path, size: int | None) -> None:
    wire = path.read_bytes()
    assert digest(wire) == digest(passed(name, wire, size, model_in(wire)))


def differences(before: Any, after: Any, at: str = "$") -> Iterator[str]:
    """Yield the JSON paths at which two values differ, order of members included."""
    if isinstance(before, dict) and isinstance(after, dict) and list(before) == list(after):
        for key in before:
            yield from differences(before[key], after[key], f"{at}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{at}[{index}]")
    elif before != after or type(before) is not type(after):
        yield at


MODEL_AT = {"chat": {"$.model"}, "messages": {"$.message.model"}, "responses": {"$.response.model"}}


@every_stream
def test_another_model_is_the_only_difference_in_a_stream(name: DialectName, path: Path) -> None:
    """AC-27."""
    wire = path.read_bytes()
    out = passed(name, wire, None, "another")
    changed = set[str]()
    for before, after in zip(events(wire), events(out), strict=True):
        changed |= set(differences(before, after))
    assert MODEL_AT[name] == changed


@every_dialect
def test_a_plain_request_keeps_its_hash(name: DialectName) -> None:
    body = plain(name, MODEL)
    call = call_of(name, body)
    assert ((), ()) == (call.losses, call.repairs)
    assert digest(body) == digest(call.outgoing.body)


@every_dialect
def test_another_model_is_the_only_difference_in_a_request(name: DialectName) -> None:
    """AC-27: found by comparing text, not by the code that put it in."""
    body = plain(name, MODEL)
    sent = call_of(name, body, "real-model-2").outgoing.body
    assert ["$.model"] == list(differences(json.loads(body), json.loads(sent)))


# Numbers and escapes that a reader and a writer of JSON would spell another way.
ODD = rb'{"\u0061":1.0,"b":[1e2,-0.0,12345678901234567890123],"c":"\/\u00e9\ud83d\ude00\u2028", "d" : { } }'


@every_dialect
@pytest.mark.parametrize("asked", [MODEL, "real-model-2"])
def test_what_stands_inside_a_member_keeps_its_spelling(name: DialectName, asked: str) -> None:
    schema: dict[DialectName, bytes] = {
        "chat": b'[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":%b}}}]'
        % ODD,
        "messages": b'[{"name":"f","input_schema":{"type":"object","properties":%b}}]' % ODD,
        "responses": b'[{"type":"function","name":"f","parameters":{"type":"object","properties":%b}}]' % ODD,
    }
    body = plain(name, MODEL)[:-1] + b', "tools" : %b}' % schema[name]
    sent = call_of(name, body, asked).outgoing.body
    assert schema[name] in sent
    assert (digest(body) == digest(sent)) is (asked == MODEL)


REPLIES: list[tuple[Dialect, bytes]] = [
    (DIALECTS[name], body) for name in NAMES for body in corpus.replies(name)
]


@pytest.mark.parametrize(("dialect", "body"), REPLIES, ids=lambda given: getattr(given, "name", ""))
def test_a_whole_reply_keeps_its_hash(dialect: Dialect, body: bytes) -> None:
    call = call_of(dialect.name, plain(dialect.name, "asked"), "asked")
    assert digest(body) == digest(call.complete(body))
    renamed = call_of(dialect.name, plain(dialect.name, "another"), "another").complete(body)
    assert ["$.model"] == list(differences(json.loads(body), json.loads(renamed)))
