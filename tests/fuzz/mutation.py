"""Random damage, seeded: to JSON by its structure, to streams by their events, to anything by its bytes."""

import json
import random
from collections.abc import Callable
from typing import Any, Final

from tests.fuzz import corpus

ODD_TEXTS: Final = (
    "", " ", "\n", "\r\n\r\n", "\x00", "\u2028\u2029", "\ufeff", "\ud800", "\udc00x", "👩‍👩‍👧", "İ", "cg1.", "cg1.e30", "cg1.W10",
    "data: x\n\n", "[DONE]", "{}", "[]", '{"a":', "null", "true", "0", "-1", "1e999", "__proto__", "../..", "x" * 300,
    "data:image/png;base64,", "data:;base64,AA==", "http://[", "https://x/\r\nY: z", "a\tb,c\nd", "ü" * 70, "a__b", "type",
)  # fmt: skip
ODD_NUMBERS: Final = (
    0,
    -1,
    1,
    2,
    7,
    128,
    10**6,
    2**31,
    2**53 + 1,
    2**63,
    2**64,
    -(2**63) - 1,
    0.5,
    -0.0,
    1.0,
    1e308,
    5e-324,
)
# JSON that Python's writer would not write: put in after it, in place of a mark.
RAW_VALUES: Final = (
    "1e400", "-1e400", "NaN", "Infinity", "01", "1" * 400, "0." + "1" * 400, '"\\ud800"', '"\\u0000"', '{"a":1,"a":2}', "[,]", "",
    '{"type":"text","type":"tool_use"}', '"\\x"', "'a'", "tru", "[" * 40 + "]" * 40, "[" * 1500 + "]" * 1500, '{"a":' * 1500 + "1" + "}" * 1500,
    "\ufeff1", "1 2", "/**/1",
)  # fmt: skip
MARK: Final = "raw~%d~"
LINES: Final = (
    b"data:\n\n", b"data: \n\n", b": comment\n\n", b"event: ping\n\n", b"\n", b"\r", b"id: 7\n", b"retry: 1\n\n", b"data: [DONE]\n\n", b"[DONE]\n\n",
    b"data: {}\n\n", b"data: []\n\n", b"data: null\n\n", b'data: "x"\n\n', b"data: 1\n\n", b"event: error\n", b"event:\n", b"data\n\n", b"\xef\xbb\xbf",
    b'data: {"error":{"message":"m","code":"overloaded"}}\n\n', b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"m"}}\n\n',
    b'{"error":{"message":"bare"}}\n', b'data: {"type":"error","code":"server_error","message":"m"}\n\n', b"data: {\ndata: }\n\n", b"\xff\xfe", b"\xf0\x9f",
    b'event: response.failed\ndata: {"type":"response.failed"}\n\n', b'data: {"choices":[]}\n\n', b"event: keepalive\ndata: {}\n\n",
)  # fmt: skip

Path = list[Any]


def chunkings(data: bytes) -> list[list[bytes]]:
    """Cut the bytes in several ways, the same ones each time; the first is whole."""
    rng = random.Random(data)  # noqa: S311 - a test may repeat itself
    sizes = [1, rng.choice([2, 3, 7]), 64] if len(data) < 4096 else [64, rng.randrange(100, 5000)]
    ways = [[data]]
    ways += [[data[at : at + size] for at in range(0, len(data), size)] for size in sizes]
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 6)))
    ways.append([data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)])
    return ways


class Mutator:
    """Damages what it is given; every choice comes from the one generator."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def noise(self) -> bytes:
        """Return bytes that mean nothing, or nearly."""
        rng = self.rng
        if rng.random() < 0.5:
            return rng.randbytes(rng.randrange(200))
        return b"".join(rng.choice(LINES) for _ in range(rng.randrange(12)))

    def bytes_(self, data: bytes) -> bytes:
        """Change, put in, take out, double or cut a few bytes."""
        rng = self.rng
        for _ in range(rng.choice([1, 1, 2, 5])):
            at, length = rng.randrange(len(data) + 1), rng.choice([1, 1, 2, 8, 40])
            match rng.randrange(6):
                case 0:
                    data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
                case 1:
                    data = data[:at] + rng.randbytes(length) + data[at:]
                case 2:
                    data = data[:at] + data[at + length :]
                case 3:
                    data = data[:at] + data[at : at + length] + data[at:]
                case 4:
                    data = data[:at]
                case _:
                    data = (
                        data[:at]
                        + rng.choice([b'"', b"\\", b"{", b"}", b",", b"\r", b"\n", b"\x00", b"\xc3"])
                        + data[at:]
                    )
        return data

    # --- JSON ---

    def json(self, data: bytes) -> bytes:
        """Change a JSON text by its structure; what is none is changed by its bytes."""
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return self.bytes_(data)
        holder = [value]
        for _ in range(self.rng.choice([1, 1, 1, 2, 3, 6])):
            self._change(holder)
        return self._written(holder[0])

    def _change(self, holder: list[Any]) -> None:
        places = [(holder, 0), *_places(holder[0])]
        parent, key = self.rng.choice(places)
        value = parent[key]
        match self.rng.randrange(9):
            case 0 if len(places) > 1 and parent is not holder:
                del parent[key]
            case 1 if isinstance(parent, list) and parent is not holder:
                parent[key:key] = [value] * self.rng.choice([1, 1, 2, 30])
            case 1 if isinstance(parent, dict):
                parent[self._name()] = value
            case 2 | 3:
                parent[key] = self._odd()
            case 4 | 5 if isinstance(parent, dict):
                parent[key] = self._seen(key)
            case 6 if isinstance(value, dict):
                name = self._name()
                value[name] = self._seen(name)
            case 6 if isinstance(value, list):
                self.rng.shuffle(value)
            case 7 if isinstance(value, str) and value:
                at = self.rng.randrange(len(value))
                parent[key] = value[:at] + self.rng.choice(ODD_TEXTS) + value[at + self.rng.randrange(2) :]
            case _:
                parent[key] = self.rng.choice(
                    [[value], {"type": value}, {"text": value}, [value, value], str(value)[:50]]
                )

    def _name(self) -> str:
        return (
            self.rng.choice(corpus.vocabulary()[1]) if self.rng.random() < 0.9 else self.rng.choice(ODD_TEXTS)
        )

    def _seen(self, name: str) -> Any:
        values = corpus.vocabulary()[0].get(name)
        return json.loads(json.dumps(self.rng.choice(values))) if values else self._odd()

    def _odd(self) -> Any:
        rng = self.rng
        choice = rng.randrange(9)
        if choice == 0:
            return MARK % rng.randrange(len(RAW_VALUES))
        if choice == 1:
            return rng.choice(ODD_NUMBERS)
        if choice in {2, 3}:
            return rng.choice(ODD_TEXTS)
        if choice == 4:
            return self._seen(self._name())
        return rng.choice([None, None, True, False, [], {}, [None], [[]], {"type": None}, {"": {}}])

    def _written(self, value: Any) -> bytes:
        separators = self.rng.choice([(",", ":"), (", ", ": "), (",", ": ")])
        text = json.dumps(value, ensure_ascii=self.rng.random() < 0.5, separators=separators)
        if "raw~" in text:
            for index, raw in enumerate(RAW_VALUES):
                text = text.replace(f'"{MARK % index}"', raw)
        return text.encode("utf-8", "surrogatepass")

    # --- streams ---

    def stream(self, data: bytes, others: tuple[bytes, ...]) -> bytes:
        """Change a stream by its events; `others` lend theirs."""
        events = [event + b"\n\n" for event in data.replace(b"\r\n", b"\n").split(b"\n\n") if event]
        lent = [event + b"\n\n" for event in self.rng.choice(others).split(b"\n\n") if event]
        for _ in range(self.rng.choice([0, 1, 1, 2, 3, 6])):
            self.rng.choice(EVENT_CHANGES)(self, events, lent)
        whole = b"".join(events)
        match self.rng.randrange(10):
            case 0:
                whole = whole[: self.rng.randrange(len(whole) + 1)]
            case 1:
                whole = self.bytes_(whole)
            case 2:
                whole = whole.replace(b"\n", self.rng.choice([b"\r\n", b"\r"]))
            case _:
                pass
        return whole

    def _at(self, events: list[bytes]) -> int:
        return self.rng.randrange(len(events) + 1)

    def drop(self, events: list[bytes], _lent: list[bytes]) -> None:
        at = self._at(events)
        del events[at : at + self.rng.choice([1, 1, 2, 5])]

    def double(self, events: list[bytes], _lent: list[bytes]) -> None:
        at = self._at(events)
        events[at:at] = events[at : at + self.rng.choice([1, 2])] * self.rng.choice([1, 1, 2, 50])

    def swap(self, events: list[bytes], _lent: list[bytes]) -> None:
        if events:
            event = events.pop(self.rng.randrange(len(events)))
            events.insert(self._at(events), event)

    def shuffle(self, events: list[bytes], _lent: list[bytes]) -> None:
        at, length = self._at(events), self.rng.randrange(2, 8)
        part = events[at : at + length]
        self.rng.shuffle(part)
        events[at : at + length] = part

    def borrow(self, events: list[bytes], lent: list[bytes]) -> None:
        start = self.rng.randrange(len(lent) + 1)
        at = self._at(events)
        events[at:at] = lent[start : start + self.rng.choice([1, 2, 5, 99])]

    def splice(self, events: list[bytes], lent: list[bytes]) -> None:
        events[self._at(events) :] = lent[self.rng.randrange(len(lent) + 1) :]

    def strange(self, events: list[bytes], _lent: list[bytes]) -> None:
        events.insert(self._at(events), self.rng.choice(LINES))

    def inside(self, events: list[bytes], _lent: list[bytes]) -> None:
        if not events:
            return
        at = self.rng.randrange(len(events))
        head, mark, body = events[at].partition(b"data: ")
        events[at] = (
            head + mark + self.json(body.rstrip(b"\n")).replace(b"\n", b" ") + b"\n\n" if mark else events[at]
        )

    def rename(self, events: list[bytes], lent: list[bytes]) -> None:
        if not events:
            return
        at = self.rng.randrange(len(events))
        head, mark, body = events[at].partition(b"data: ")
        names = [event.partition(b"data: ")[0] for event in (*events, *lent)]
        events[at] = self.rng.choice([*names, b"", b"event: x\n", b"id: 1\n" + head]) + mark + body


EventChange = Callable[[Mutator, list[bytes], list[bytes]], None]
EVENT_CHANGES: Final[tuple[EventChange, ...]] = (
    Mutator.drop, Mutator.double, Mutator.swap, Mutator.shuffle, Mutator.borrow, Mutator.splice, Mutator.strange, Mutator.rename,
    Mutator.inside, Mutator.inside, Mutator.inside, Mutator.inside,
)  # fmt: skip


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        found += _places(value[key])
    return found
