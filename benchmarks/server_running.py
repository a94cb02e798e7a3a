"""One running server, its processes, and a client that sees bytes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

APPS = Path(__file__).with_name("server_apps.py")


@dataclass
class Running:
    """One server in its own process group; `address` is where it listens."""

    name: str
    host: str = "127.0.0.1"
    address: tuple[str, int] = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)
    start_seconds: float = field(init=False)

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.bind((self.host, 0))
            self.address = (self.host, probe.getsockname()[1])
        self.log = tempfile.TemporaryFile()
        began = time.monotonic()
        command = [sys.executable, str(APPS), self.name, self.host, str(self.address[1])]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, start_new_session=True)
        while time.monotonic() - began < 15:
            with contextlib.suppress(OSError):
                if b"200" in self.exchange(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", wait=5):
                    break
            time.sleep(0.005)
        self.start_seconds = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=30)

    def exchange(self, request: bytes, wait: float = 2.0) -> bytes:
        """Send raw bytes and return what came until the reply's end is plain, the peer closes or `wait` passes."""
        with self.connect() as connection:
            connection.settimeout(wait)
            connection.sendall(request)
            return read_reply(connection)

    def members(self) -> list[int]:
        """Process ids of the server's session (Linux)."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.process.pid:
                    found.append(int(stat.parent.name))
        return found

    def cpu_seconds(self) -> float:
        total = 0
        for pid in self.members():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        text = "".join(Path(f"/proc/{pid}/status").read_text() for pid in self.members())
        return sum(int(size) for size in re.findall(r"VmRSS:\s+(\d+)", text)) / 1024


def read_reply(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        while piece := connection.recv(65536):
            received += piece
            head, _, body = received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if length and len(body) >= int(length[1]):
                break
            if body.endswith(b"0\r\n\r\n"):
                break
    return received
