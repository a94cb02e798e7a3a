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
from infra.aws.metrics import metered
from infra.aws.stream import Answer, buffered, run
from infra.logs.formats import JsonFormatter
from infra.logs.records import OURS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger("gateway")

# Answers end this many seconds before Lambda would cut them, so that clients read how it ended.
MARGIN: Final = 5.0
# Of a short time no more than this part is kept back.
MARGIN_PART: Final = 0.25

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
def application(only: str | None = None) -> Flask:
    """Build the app on this account's stores, with its metrics, once a process.

    only: the one endpoint that it serves, as in `create_app`.
    """
    from infra.aws.services import services_from_environment  # noqa: PLC0415 - tests bring their own stores

    app = create_app(services_from_environment(only), only)
    app.wsgi_app = metered(app.wsgi_app, os.environ)  # type: ignore[method-assign]  # Flask's own place for it
    return app


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
    configure_logging()
    return handler_for(application())


def configure_logging() -> None:
    """Let our own events through, as lines of JSON without secrets; where they go is AWS's business."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(LambdaFormatter())
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)


class LambdaFormatter(JsonFormatter):
    """A line with its end, which AWS's handlers leave to the formatter."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        return super().format(record) + "\n"


def _countdown(context: Context) -> Callable[[], float]:
    margin = min(MARGIN, context.get_remaining_time_in_millis() / 1000 * MARGIN_PART)
    return lambda: context.get_remaining_time_in_millis() / 1000 - margin
