"""GET /metrics: this process in the format of Prometheus, for whoever watches over it."""

from typing import TYPE_CHECKING, cast

from flask import Blueprint, Response, request

from core.errors import GatewayError
from handlers.record import exchange
from handlers.services import Services, services

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

bp = Blueprint("metrics", __name__)


@bp.get("/metrics")
def show() -> Response:
    """Tell all counters since the start of this process, as text or in OpenMetrics, whichever is asked for."""
    if not exchange().caller.is_owner:
        raise GatewayError("A key with limits may not read the metrics.", kind="permission")
    try:
        # Heavy, and few ask; Lambda's zip does without.
        from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector  # noqa: PLC0415
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415
    except ImportError:
        raise GatewayError(
            "This gateway was installed without prometheus-client: run `pip install prometheus-client` there. On AWS "
            "the metrics are in CloudWatch.",
            kind="not_found",
        ) from None
    registry = CollectorRegistry()
    PlatformCollector(registry)
    ProcessCollector(registry=registry)
    registry.register(_families(services()))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry), content_type=content_type)


def _families(given: Services) -> "Collector":
    from handlers.metric_families import GatewayCollector  # noqa: PLC0415 - it needs the library

    return cast("Collector", GatewayCollector(given))
