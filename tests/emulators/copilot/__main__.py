"""Run the fake alone: `python -m tests.emulators.copilot --port 0 [--tls]`; its URLs come as one JSON line."""

import argparse
import contextlib
import signal
import sys

from tests.emulators.copilot.fake import FakeCopilot
from tests.emulators.copilot.shapes import encode


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="fake-copilot", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--tls", action="store_true", help="serve https with a throw-away certificate")
    parser.add_argument("--auto-approve", action="store_true", help="device logins succeed at the first poll")
    parser.add_argument("--realistic", action="store_true", help="show each model's reported oddities")
    parser.add_argument("--cached", action="store_true", help="render identical requests once (load tests)")
    parser.add_argument("--log-size", type=int, default=2000, help="how many requests to remember")
    options = vars(parser.parse_args())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with FakeCopilot(**options) as fake, contextlib.suppress(KeyboardInterrupt):
        shown = {
            "github_url": fake.github_url,
            "api_url": fake.api_url,
            "capi_url": fake.capi_url,
            "business_url": fake.business_url,
            "github_token": fake.token,
            "certificate": str(fake.certificate.path) if fake.certificate else None,
        }
        sys.stdout.write(encode(shown).decode() + "\n")
        sys.stdout.flush()
        fake.wait()


if __name__ == "__main__":
    main()
