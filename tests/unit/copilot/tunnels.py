"""Scripted servers behind TLS, and a proxy that tunnels to them."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.emulators.copilot.certificate import Certificate
from tests.unit.copilot.doubles import Script, read_request, scripted


@contextmanager
def secure(certificate: Certificate, *scripts: Script) -> Iterator[str]:
    """The same scripts behind TLS."""
    context = certificate.server_context()

    def wrapped(script: Script) -> Script:
        def run(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as tls:
                script(tls)

        return run

    with scripted(*map(wrapped, scripts)) as url:
        yield url.replace("http://", "https://")


def proxying(seen: list[bytes], status: bytes = b"200 OK") -> Script:
    def run(connection: socket.socket) -> None:
        request = read_request(connection)
        seen.append(request)
        connection.sendall(b"HTTP/1.1 " + status + b"\r\n\r\n")
        if not status.startswith(b"200"):
            return
        host, _, port = request.split(b" ")[1].decode().rpartition(":")
        with socket.create_connection((host, int(port))) as onward:
            _pump(connection, onward)

    return run


def _pump(left: socket.socket, right: socket.socket) -> None:
    other = {left: right, right: left}
    while True:
        for ready in select.select([left, right], [], [])[0]:
            part = ready.recv(65536)
            if not part:
                return
            other[ready].sendall(part)
