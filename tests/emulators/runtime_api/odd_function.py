"""A function's handler whose app does what an app should not, and says what it was given."""

import json
import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from infra.aws.app import handler_for

if os.environ.get("ODD") == "broken":
    raise RuntimeError("this function cannot start")
closed: list[str] = []


class Body:
    """Counts its closings."""

    def __init__(self, path: str, pieces: Iterable[bytes]) -> None:
        self._path, self._pieces = path, pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        closed.append(self._path)
        if self._path == "/closing":
            raise ValueError("secret-canary")


def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/before":
        raise ValueError("secret-canary")
    status, headers, pieces = ROUTES[path](environ)
    start(status, headers)
    return Body(path, pieces)


def _first(_environ: Any) -> Any:
    def pieces() -> Iterator[bytes]:
        raise ValueError("secret-canary")
        yield b""

    return "200 OK", [("Content-Type", "text/plain")], pieces()


def _middle(_environ: Any) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        yield b"two"
        raise OSError("secret-canary")

    return "200 OK", [("Content-Type", "text/plain")], pieces()


def _hang(_environ: Any) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        threading.Event().wait()  # until killed

    return "200 OK", [("Content-Type", "text/plain")], pieces()


def _many(environ: Any) -> Any:
    count = int(environ["QUERY_STRING"])
    return "200 OK", [("Content-Type", "text/plain")], (b"%06d" % number for number in range(count))


def _cookies(_environ: Any) -> Any:
    headers = [
        ("Set-Cookie", "a=1; Path=/"),
        ("Vary", "A"),
        ("Set-Cookie", "b=2"),
        ("Vary", "B"),
        ("Connection", "close"),
    ]
    return "200 OK", [*headers, ("Content-Length", "2"), ("Transfer-Encoding", "chunked")], [b"", b"ok", b""]


def _empty(_environ: Any) -> Any:
    return "204 No Content", [], []


def _binary(_environ: Any) -> Any:
    return "200 OK", [("Content-Type", "image/png")], [b"\x89PNG", b"\xff\xfe"]


def _closed(_environ: Any) -> Any:
    return "200 OK", [("Content-Type", "application/json")], [json.dumps(closed).encode()]


def _shown(environ: Any) -> Any:
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    seen["body"] = environ["wsgi.input"].read().decode("latin-1")
    return "200 OK", [("Content-Type", "application/json")], [json.dumps(seen).encode()]


ROUTES = {
    "/first": _first, "/middle": _middle, "/hang": _hang, "/many": _many, "/cookies": _cookies,
    "/empty": _empty, "/binary": _binary, "/closed": _closed, "/closing": _binary, "/shown": _shown,
}  # fmt: skip
handler = handler_for(app)
