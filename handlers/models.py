"""GET /v1/models and /v1/models/{id}, in OpenAI's shape, or Anthropic's when `anthropic-version` is sent."""

import platform
import sys
from typing import Final

import msgspec
from flask import Blueprint, Response, request

from core.access.scope import check_model, may_use
from core.copilot.headers import PRODUCT
from core.errors import InvalidRequestError
from core.model import Model
from handlers.record import exchange
from handlers.reply import JSON
from handlers.services import services

bp = Blueprint("models", __name__)

# Copilot does not say when a model was published; clients only need a valid moment.
CREATED: Final = 1_735_689_600
CREATED_AT: Final = "2025-01-01T00:00:00Z"


@bp.get("/models")
def index() -> Response:
    """List the models of the live catalogue that the caller's key may use."""
    limits, most = exchange().caller.limits, _limit()
    models = [model for model in services().engine.listed() if may_use(limits, model)]
    if "anthropic-version" in request.headers:
        return _json(_anthropic_page([model for model in models if model.kind == "chat"], most))
    listed = _json({"object": "list", "data": [_openai(model) for model in models]})
    listed.headers["x-gateway-versions"] = versions()
    listed.headers["x-gateway-body-limit"] = str(services().settings.max_body_bytes)
    return listed


@bp.get("/models/<path:model_id>")
def show(model_id: str) -> Response:
    """Describe one model; ids are resolved as they are in a request."""
    model = services().engine.find(model_id.rstrip("/"))
    check_model(exchange().caller, model.id)
    return _json(_anthropic(model) if "anthropic-version" in request.headers else _openai(model))


def versions() -> str:
    """Say what runs here, for `copilot-gateway smoke`; only whoever has a key sees it."""
    found = [PRODUCT, f"python/{platform.python_version()}"]
    if (runtime := sys.modules.get("awslambdaric")) is not None:
        found.append(f"awslambdaric/{getattr(runtime, '__version__', 'unknown')}")
    return " ".join([*found, platform.machine()])


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), mimetype=JSON)


def _openai(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "object": "model",
        "created": CREATED,
        "owned_by": model.vendor or "github-copilot",
        "display_name": model.name or model.id,
        "type": model.kind,
        "context_window": model.context_window,
        "max_input_tokens": model.max_prompt,
        "max_output_tokens": model.max_output,
        "supported_endpoints": list(model.dialects),
        "reasoning_efforts": list(model.efforts),
        "vision": model.vision,
        "tools": model.tools,
        "policy": model.policy,
        "preview": model.preview,
    }


def _anthropic(model: Model) -> dict[str, object]:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.name or model.id,
        "created_at": CREATED_AT,
        "lifecycle": "active",  # the SDK's type requires it; a model that Copilot retires leaves the list
        "max_input_tokens": model.max_prompt or model.context_window,
        "max_tokens": model.max_output,
    }


def _anthropic_page(models: list[Model], limit: int) -> dict[str, object]:
    """Page as Anthropic's list does: `limit`, `after_id`, `before_id`."""
    after, before = request.args.get("after_id"), request.args.get("before_id")
    ids = [model.id for model in models]
    first = ids.index(after) + 1 if after in ids else 0
    last = ids.index(before) if before in ids else len(ids)
    window = models[first:last]
    page = window[-limit:] if before in ids else window[:limit]
    return {
        "data": [_anthropic(model) for model in page],
        "has_more": len(page) < len(window),
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _limit() -> int:
    text = request.args.get("limit", "1000")
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= 1000):  # noqa: PLR2004 - Anthropic's bounds
        raise InvalidRequestError("limit must be a number from 1 to 1000", param="limit")
    return int(text)
