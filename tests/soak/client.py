"""Clients of the soak: they send what a plan says, read what comes, and leave when the plan says so."""

import asyncio
import json
import time

from msgspec import Struct

from tests.e2e.asking import PATH, ask
from tests.soak.plans import Plan

PATIENCE = 180.0  # seconds; whatever takes longer hangs


class Heard(Struct):
    """What one client heard. `left_at`: when it went away; `whole`: whether the reply's framing was complete."""

    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""
    whole: bool = False
    left_at: float | None = None
    hung: bool = False
    first: float = 0.0
    seconds: float = 0.0


async def call(plan: Plan, port: int, *, patience: float = PATIENCE) -> Heard:
    """Send the plan's request over a connection of its own and return what came of it."""
    heard, began = Heard(), time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    try:
        writer.write(_request(plan, port))
        await writer.drain()
        leaves = plan.leaves is not None
        async with asyncio.timeout(plan.leaves if leaves else patience):
            await _read(reader, heard, began)
    except TimeoutError:
        heard.left_at, heard.hung = (time.monotonic(), False) if plan.leaves is not None else (None, True)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.transport.abort() if heard.left_at is not None else writer.close()
    heard.seconds = time.monotonic() - began
    return heard


async def fetch(url_port: int, path: str) -> bytes:
    """Get a small document."""
    reader, writer = await asyncio.open_connection("127.0.0.1", url_port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    heard = Heard()
    await _read(reader, heard, 0.0)
    writer.close()
    return heard.body


def _request(plan: Plan, port: int) -> bytes:
    body = json.dumps(ask(plan.surface, plan.model, plan.prompt, stream=plan.streams)).encode()
    head = (
        f"POST {PATH[plan.surface]} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


async def _read(reader: asyncio.StreamReader, heard: Heard, began: float) -> None:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    heard.first = time.monotonic() - began
    heard.status = int(lines[0].split(" ")[1])
    pairs = (line.partition(":") for line in lines[1:] if line)
    heard.headers = {name.lower(): value.strip() for name, _, value in pairs}
    if "content-length" in heard.headers:
        heard.body = await reader.readexactly(int(heard.headers["content-length"]))
        heard.whole = True
        return
    if heard.headers.get("transfer-encoding") != "chunked":
        heard.body = await reader.read()
        heard.whole = True
        return
    while size := int(await reader.readuntil(b"\r\n"), 16):
        heard.body += (await reader.readexactly(size + 2))[:-2]
    heard.whole = True
