"""What Lambda calls: the one Flask app of this process, and the handler between it and events."""

import logging
import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from flask import Flask

from handlers import create_app
from infra.aws.environ import build_environ
from infra.aws.events import STREAMING, read_event
from infra.aws.stream import Answer, buffered, run
from infra.settings import load_settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger("gateway")

# Answers end this many seconds before Lambda would cut them, so that clients read how it ended.
MARGIN: Final = 5.0
# Of a short time no more than this part is kept back.
MARGIN_PART: Final = 0.25

# What the environment need not say. Lambda takes no larger events; there is no file to read settings from.
DEFAULTS: Final = {
    "COPILOT_GATEWAY_MAX_BODY_BYTES": str(6 * 1024 * 1024),
    "COPILOT_GATEWAY_DATA_DIR": "/var/empty",
}
# Read by other parts of this package.
ELSEWHERE: Final = frozenset({"SECRET", "STAGE", "STREAMING", "TABLE"})

Handler = Callable[[object, "Context"], object]


class Context(Protocol):
    """The part of Lambda's context that is used."""

    @property
    def aws_request_id(self) -> str:
        """The id of this invocation."""
        ...

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left before the function is stopped, 0 or more."""
        ...


class InvocationFailedError(RuntimeError):
    """No answer could be made; its text holds nothing of the request, for AWS shows it to the caller and logs it."""


@cache
def application() -> Flask:
    """Build the app on this account's stores, once a process."""
    from infra.aws.services import build_services  # noqa: PLC0415 - tests bring their own stores

    settings = load_settings({}, DEFAULTS | dict(os.environ), known_elsewhere=ELSEWHERE)
    return create_app(build_services(settings, os.environ))


def handler_for(app: "WSGIApplication") -> Handler:
    """Return what Lambda's loop may call: `(event, context)` to an `Answer` or a dict.

    An `Answer` is returned where the loop's client can post one (`StreamableEvent` in `runtime`) and the event's source passes a
    stream on; anybody else gets the buffered dict of its own format. Raises `NotHttpError` for an event that is no HTTP
    request, `InvocationFailedError` when the app fails before its first byte.
    """

    def handler(event: object, context: Context) -> Answer | dict[str, Any]:
        request = read_event(event)
        seconds_left = _countdown(context)
        try:
            answer = run(app, build_environ(request, context, seconds_left), seconds_left)
            if request.source in STREAMING and getattr(event, "takes_stream", False):
                return answer
            return buffered(answer, request)
        except Exception:
            log.exception("lambda.request_crashed")
            raise InvocationFailedError(
                f"The gateway failed; its log says why. Request {context.aws_request_id}."
            ) from None

    return handler


def __getattr__(name: str) -> Handler:
    """Build `handler` when Lambda asks for it by name, during init: what fails then is reported as an init error."""
    if name != "handler":
        raise AttributeError(name)
    logging.getLogger("gateway").setLevel(logging.INFO)
    return handler_for(application())


def _countdown(context: Context) -> Callable[[], float]:
    margin = min(MARGIN, context.get_remaining_time_in_millis() / 1000 * MARGIN_PART)
    return lambda: context.get_remaining_time_in_millis() / 1000 - margin
