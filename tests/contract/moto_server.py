"""moto's DynamoDB and Secrets Manager over HTTP: a process of its own, on a port of the system's choice.

Run as a script it prints its port and serves until its standard input ends.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
REGION = "eu-central-1"


@contextmanager
def moto_server() -> Iterator[str]:
    """Yield the base URL."""
    argv = [sys.executable, "-W", "ignore", "-m", "tests.contract.moto_server"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            process.wait(30)


def environment(endpoint: str) -> dict[str, str]:
    """Return what makes boto3 ask this server, and nobody else, in this process and its children."""
    return {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }


def serve() -> None:
    import logging

    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = one_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)  # noqa: T201
    sys.stdin.read()


def one_at_a_time(app: Any) -> Any:
    """Serve the requests one after the other, as DynamoDB does those for one item; moto's threads lose additions."""
    lock = threading.Lock()

    def locked(environ: dict[str, Any], start_response: Any) -> Any:
        with lock:
            return app(environ, start_response)

    return locked


if __name__ == "__main__":
    serve()
