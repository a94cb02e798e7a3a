"""A function's handler: the real app on this machine's stores, for a process that the emulator starts."""

import os

from handlers import create_app
from infra.aws.app import configure_logging, handler_for
from infra.local.services import build_services
from infra.settings import load_settings

configure_logging()
handler = handler_for(
    create_app(build_services(load_settings({}, os.environ, known_elsewhere=["STREAMING"])))
)
