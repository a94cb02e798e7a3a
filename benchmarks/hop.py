"""A bare hop: forwards bytes to upstream and back, and reads nothing into them. It costs what any process in between costs here.

python -m benchmarks.hop HOST PORT
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

READ = 65_536


def forward(source: socket.socket, target: socket.socket) -> None:
    """Forward until either end closes, then close both."""
    with contextlib.suppress(OSError):
        while data := source.recv(READ):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def serve(client: socket.socket, host: str, port: int) -> None:
    with client, socket.create_connection((host, port)) as upstream:
        for end in (client, upstream):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=forward, args=(upstream, client), daemon=True)
        back.start()
        forward(client, upstream)
        back.join()


def main(host: str, port: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(f"Listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, host, port), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
