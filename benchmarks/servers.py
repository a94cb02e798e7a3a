"""Compare WSGI servers for `copilot-gateway start`: speed as ratios to bare sockets, and behaviour at the edges.

pip install granian gunicorn waitress cheroot
python benchmarks/servers.py [name ...]
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import selectors
import statistics
import sys
import time

from server_apps import SERVERS, relay_request, stream_request
from server_edges import behave
from server_running import Running, read_reply

STREAMS = (1, 50, 200)
FLOOD_EVENTS = 40_000


def delays_ms(server: Running, request: bytes, streams: int) -> list[float]:
    """Sorted milliseconds from the upstream's writing of each event to its arrival here."""
    waiting, delays = selectors.DefaultSelector(), []
    for _ in range(streams):
        connection = server.connect()
        connection.sendall(request)
        waiting.register(connection, selectors.EVENT_READ, bytearray())
    while waiting.get_map() and (ready := waiting.select(10)):
        for entry, _ in ready:
            piece, now = entry.fileobj.recv(262_144), time.monotonic()  # type: ignore[union-attr]
            delays += [(now - float(sent)) * 1000 for sent in re.findall(rb"@([\d.]{19})", piece)]
            entry.data[:] = (entry.data + piece)[-16:]
            if not piece or entry.data.endswith(b"0\r\n\r\n"):
                waiting.unregister(entry.fileobj)
                entry.fileobj.close()  # type: ignore[union-attr]
    return sorted(delays)


def first_byte_ms(server: Running) -> float:
    """Median milliseconds from the request to the reply's first byte, a connection each."""
    times = []
    for _ in range(100):
        with server.connect() as connection:
            began = time.perf_counter()
            connection.sendall(stream_request(1))
            connection.recv(1)
            times.append((time.perf_counter() - began) * 1000)
            read_reply(connection)
    return statistics.median(times)


def flood(server: Running, streams: int, upstream: int | None = None) -> tuple[float, float, bool]:
    """Events a second, CPU seconds per 100k events, and whether every stream came whole.

    With the port of an upstream the server relays its bytes as they come; else its generator makes them.
    """
    each = FLOOD_EVENTS // streams
    request = stream_request(each) if upstream is None else relay_request(upstream, each)
    waiting = selectors.DefaultSelector()
    cpu, began = server.cpu_seconds(), time.perf_counter()
    for _ in range(streams):
        connection = server.connect()
        connection.sendall(request)
        waiting.register(connection, selectors.EVENT_READ, bytearray())
    events, whole = 0, 0
    while waiting.get_map():
        ready = waiting.select(10)
        if not ready:
            break
        for entry, _ in ready:
            piece = entry.fileobj.recv(262_144)  # type: ignore[union-attr]
            events += (bytes(entry.data[-5:]) + piece).count(b"data: ")
            entry.data[:] = (entry.data + piece)[-16:]
            if not piece or entry.data.endswith(
                b"\r\n0\r\n\r\n" if upstream is None else b"0\r\n\r\n\r\n0\r\n\r\n"
            ):
                whole += 1
                waiting.unregister(entry.fileobj)
                entry.fileobj.close()  # type: ignore[union-attr]
    seconds = time.perf_counter() - began
    whole = whole == streams and events == each * streams
    for entry in list(waiting.get_map().values()):
        entry.fileobj.close()  # type: ignore[union-attr]
    return events / seconds, (server.cpu_seconds() - cpu) / events * 1e5, whole


def measure(name: str) -> dict[str, float]:
    figures: dict[str, float] = {}
    with Running(name) as server:
        figures["start s"] = server.start_seconds
        figures["idle MB"] = server.memory_mb()
        figures["first byte ms"] = first_byte_ms(server)
        for streams in STREAMS:
            rate, cpu, whole = flood(server, streams)
            figures[f"events/s at {streams}"] = rate if whole else float("nan")
            figures[f"CPU s/100k at {streams}"] = cpu
        with contextlib.ExitStack() as stack:
            upstream = stack.enter_context(Running("bare")).address[1] if name != "bare" else None
            for streams in STREAMS[1:]:
                rate, cpu, whole = flood(server, streams, upstream)
                figures[f"relayed events/s at {streams}"] = rate if whole else float("nan")
                figures[f"relayed CPU s/100k at {streams}"] = cpu
            for streams, gap in ((1, 0.005), (50, 0.02)):
                paced = stream_request(100, gap) if upstream is None else relay_request(upstream, 100, gap)
                delays = delays_ms(server, paced, streams)
                for part in (50, 95, 99):
                    figures[f"delay ms at {streams}, p{part}"] = delays[len(delays) * part // 100]
        figures["MB after"] = server.memory_mb()
    return figures


def show(name: str, floor: dict[str, float]) -> None:
    print(f"\n{name}")
    for title, figure in measure(name).items():
        print(
            f"  {title:<48} {figure:10.2f}   x{figure / floor[title] if floor[title] else float('nan'):.2f} bare"
        )
    if name != "bare":
        for title, text in behave(name).items():
            print(f"  {title:<48} {text}", flush=True)


def main(arguments: list[str]) -> None:
    floor = measure("bare")
    for name in arguments or SERVERS:
        if name in {"bare", "ours"} or importlib.util.find_spec(name):
            show(name, floor)


if __name__ == "__main__":
    main(sys.argv[1:])
