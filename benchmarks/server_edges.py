"""What a server does at the edges: leavers, signals, hostile bytes, many slow streams."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable

from server_apps import stream_request
from server_running import Running, read_reply


def status(reply: bytes) -> str:
    return " ".join(part.decode() for part in re.findall(rb"HTTP/1\.[01] (\d+)", reply)) or "no reply"


def seconds_to_close(server: Running, gap: float) -> str:
    """Seconds from the client's leaving to the generator's close; the generator yields every `gap` seconds."""
    key = f"k{gap}"
    with server.connect() as connection:
        connection.sendall(stream_request(100_000, gap, key))
        connection.recv(1000)
    left = time.monotonic()
    for _ in range(80):
        told = server.exchange(f"GET /closed?key={key} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        text = told.partition(b"\r\n\r\n")[2].decode().strip()
        with contextlib.suppress(ValueError):
            return f"{float(text) - left:.2f} s"
        time.sleep(0.1)
    return "> 8 s"


def survives_pipelined_smuggle(server: Running, extra: bytes) -> str:
    """Both framings in one request, then a second request hidden in the body; two statuses mean it was run."""
    hidden = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\n" + extra + b"\r\n"
    with server.connect() as connection:
        connection.settimeout(1)
        connection.sendall(head + b"0\r\n\r\n" + hidden)
        return status(read_reply(connection) + read_reply(connection))


def after_signal(server: Running, number: int) -> str:
    """What an open stream gets, and how long the server takes to end."""
    with server.connect() as connection:
        connection.settimeout(20)
        connection.sendall(stream_request(60, 0.05))
        connection.recv(1000)
        began = time.monotonic()
        server.process.send_signal(number)
        try:
            server.process.wait(20)
            took = f"{time.monotonic() - began:.1f} s, exit {server.process.returncode}"
        except subprocess.TimeoutExpired:
            took = "still running after 20 s"
        rest = read_reply(connection)
    return f"{took}, stream {'finished' if rest.endswith(b'0' + bytes([13, 10, 13, 10])) else 'cut'}"


def expect_continue(server: Running) -> str:
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
    with server.connect() as connection:
        connection.settimeout(1)
        connection.sendall(head)
        early = b""
        with contextlib.suppress(TimeoutError):
            early = connection.recv(1000)
        connection.sendall(b"ok")
        return f"{status(early)} then {status(read_reply(connection))}"


def keeps_alive(server: Running) -> str:
    with server.connect() as connection:
        connection.settimeout(2)
        replies = []
        for _ in range(2):
            with contextlib.suppress(OSError):
                connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            replies.append(status(read_reply(connection)))
    return " ".join(replies)


def largest_header(server: Running) -> str:
    for size in (4_000, 8_000, 16_000, 64_000, 256_000, 1_000_000):
        with contextlib.suppress(OSError):
            reply = server.exchange(b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * size + b"\r\n\r\n")
            if b" 200 " in reply[:20]:
                continue
            return f"{size} refused: {status(reply)}"
        return f"{size} refused: connection reset"
    return "1 MB accepted"


def server_header(server: Running) -> str:
    found = re.search(rb"(?i)\r\nserver: ([^\r]*)", server.exchange(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"))
    return found[1].decode() if found else "none"


def slow_streams(server: Running) -> str:
    """240 streams held open at once, and a request beside them."""
    held = []
    for _ in range(240):
        connection = server.connect()
        connection.sendall(stream_request(40, 0.05))
        held.append(connection)
    time.sleep(1)
    began = time.perf_counter()
    answer = status(server.exchange(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", wait=10))
    took = time.perf_counter() - began
    for connection in held:
        connection.settimeout(20)
    whole = sum(read_reply(connection).endswith(b"0\r\n\r\n") for connection in held)
    for connection in held:
        connection.close()
    return f"{whole}/240 whole, request beside them {answer} in {took * 1000:.0f} ms, {server.memory_mb():.0f} MB"


PROBES: dict[str, Callable[[Running], str]] = {
    "client leaves, event every 50 ms: close() after": lambda s: seconds_to_close(s, 0.05),
    "client leaves, event every 2 s: close() after": lambda s: seconds_to_close(s, 2.0),
    "240 slow streams": slow_streams,
    "keep-alive": keeps_alive,
    "Expect: 100-continue": expect_continue,
    "chunked body": lambda s: (
        s.exchange(
            b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )
        .partition(b"\r\n\r\n")[2]
        .decode()
        .strip()
    ),
    "broken chunk": lambda s: status(
        s.exchange(
            b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n"
        )
    ),
    "CL and TE": lambda s: survives_pipelined_smuggle(
        s, b"content-length: 40\r\ntransfer-encoding: chunked\r\n"
    ),
    "two CLs": lambda s: survives_pipelined_smuggle(s, b"content-length: 5\r\ncontent-length: 40\r\n"),
    "TE: xchunked": lambda s: survives_pipelined_smuggle(s, b"transfer-encoding: xchunked\r\n"),
    "malformed request line": lambda s: status(s.exchange(b"\x00\xff garbage\r\n\r\n")),
    "malformed header": lambda s: status(s.exchange(b"GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n")),
    "negative CL": lambda s: status(
        s.exchange(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n")
    ),
    "HEAD of a stream": lambda s: status(s.exchange(b"HEAD /stream?n=3 HTTP/1.1\r\nhost: a\r\n\r\n", wait=1)),
    "largest header": largest_header,
    "Server header": server_header,
    "log after all that": lambda s: f"{os.fstat(s.log.fileno()).st_size} bytes",
}


def behave(name: str) -> dict[str, str]:
    seen = {}
    with Running(name) as server:
        for title, probe in PROBES.items():
            try:
                seen[title] = probe(server)
            except (OSError, ZeroDivisionError) as error:
                seen[title] = f"{type(error).__name__}: {error}"
    for number in (signal.SIGTERM, signal.SIGINT):
        with Running(name) as server:
            seen[f"{number.name} under a stream"] = after_signal(server, number)
    with Running(name, host="::1") as server:
        seen["IPv6"] = status(server.exchange(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"))
    return seen
