"""A real forward proxy in a process of its own (proxy.py), and servers whose certificates a private authority signs."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import trustme

from tests.e2e.cli_driver import ROOT
from tests.e2e.upstream import Upstream
from tests.emulators.copilot import FakeCopilot
from tests.emulators.copilot.certificate import Certificate

USER, PASSWORD = "me", "hu@sh"
# Whatever form the password may take in a log.
TRACES = ("hu@sh", "hu%40sh", "bWU6aHVAc2g")
NAMES = ("github.com", "api.github.com", "*.githubcopilot.com", "*.individual.githubcopilot.com", "127.0.0.1")


@dataclass
class Authority:
    """A certificate authority that a company might run."""

    directory: Path
    made: trustme.CA

    @classmethod
    def create(cls, directory: Path) -> "Authority":
        made = trustme.CA()
        made.cert_pem.write_to_path(str(directory / "ca.pem"))
        return cls(directory, made)

    @property
    def path(self) -> Path:
        return self.directory / "ca.pem"

    def server_context(self, *names: str, **more: Any) -> ssl.SSLContext:
        """Return the TLS settings of a server with these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.made.issue_cert(*(names or NAMES), **more).configure_cert(context)
        return context

    def remove(self) -> None:
        """Do what `Certificate` does; pytest clears the directory."""


@contextmanager
def secure_fake(authority: Authority) -> Iterator[FakeCopilot]:
    """Run the fake behind TLS, naming Copilot's host as GitHub does."""
    fake = FakeCopilot()
    fake.certificate = cast("Certificate", authority)
    with fake:
        fake.state.urls["individual"] = "https://api.individual.githubcopilot.com"
        yield fake


@contextmanager
def secure_upstream(authority: Authority) -> Iterator[Upstream]:
    """Run a scripted Copilot behind TLS."""
    upstream = Upstream()
    upstream._listener = authority.server_context().wrap_socket(upstream._listener, server_side=True)
    upstream.url = upstream.url.replace("http:", "https:")
    with upstream:
        yield upstream


@dataclass
class Proxy:
    """A running proxy."""

    process: subprocess.Popen[bytes]
    port: int
    notes: Path

    def url(self, user: str = "me:hu%40sh@") -> str:
        return f"http://{user}127.0.0.1:{self.port}"

    def asked(self) -> set[str]:
        """Return where clients wanted to go."""
        return set(self.notes.read_text().split())

    def kill(self) -> None:
        """End it with its acceptor, a process of its own, and return when nobody listens any more."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
            while _listens(self.port):
                time.sleep(0.01)


@contextmanager
def running_proxy(directory: Path, *, plugin: str = "Reroute", target: int | None = None) -> Iterator[Proxy]:
    """Start the proxy on a free port; it asks for USER and PASSWORD."""
    port_file, notes = directory / "proxy-port", directory / "proxy-notes"
    notes.touch()
    port_file.unlink(missing_ok=True)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PROXY_NOTES": str(notes), "PYTHONWARNINGS": "ignore"}
    environ |= {} if target is None else {"PROXY_TARGET": str(target)}
    command = [
        sys.executable, "-m", "proxy", "--hostname", "127.0.0.1", "--port", "0", "--port-file", str(port_file),
        "--num-acceptors", "1", "--num-workers", "1", "--basic-auth", f"{USER}:{PASSWORD}",
        "--plugins", f"tests.contract.proxy_routes.{plugin}", "--log-level", "ERROR", "--timeout", "60",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=environ, cwd=directory, stdin=subprocess.DEVNULL, start_new_session=True
    )
    proxy = Proxy(process, 0, notes)
    try:
        proxy.port = _port(process, port_file)
        yield proxy
    finally:
        proxy.kill()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _port(process: subprocess.Popen[bytes], file: Path) -> int:
    """Return the port once the proxy listens on it."""
    pause = threading.Event()
    while process.poll() is None:
        if file.exists() and (text := file.read_text().strip()):
            return int(text)
        pause.wait(0.02)
    raise AssertionError("the proxy ended at once")
