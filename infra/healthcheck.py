"""Ask the gateway beside this process whether it lives: `python -m infra.healthcheck`, which an image needs no curl for.

It says nothing and ends with 0 or 1. Where the gateway listens is read from COPILOT_GATEWAY_HOST and _PORT, as the
container sets them.
"""

import http.client
import os
import sys
from collections.abc import Mapping
from typing import Final

PATIENCE: Final = 4.0  # seconds: less than the container's own limit
ANY_ADDRESS: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - how to reach it from here
USUAL_PORT: Final = "4141"


def main(environ: Mapping[str, str]) -> int:
    """Return the exit code."""
    host = environ.get("COPILOT_GATEWAY_HOST", "")
    port = environ.get("COPILOT_GATEWAY_PORT") or USUAL_PORT
    try:
        connection = http.client.HTTPConnection(ANY_ADDRESS.get(host, host), int(port), timeout=PATIENCE)
        connection.request("GET", "/healthz")
        reply = connection.getresponse()
        healthy = reply.status == http.client.OK and reply.read(16).strip() == b"ok"
        connection.close()
    except (OSError, http.client.HTTPException, ValueError):
        healthy = False
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(os.environ))
