"""The gateway that clients are pointed at: whether it answers, whether it wants a key, and what it offers."""

import http.client
from http import HTTPStatus

import msgspec
from msgspec import Struct

from core.model import Model
from infra.clients.plan import SURFACES
from infra.smoke import Smoke


class GatewayUnreachableError(Exception):
    """Nothing answers at the URL."""


class GatewayRefusedError(Exception):
    """The gateway answers, but not with its models. wants_key: it asks for a key, or for another one."""

    def __init__(self, message: str, *, wants_key: bool) -> None:
        super().__init__(message)
        self.wants_key = wants_key


class _Listed(Struct):
    """A model as GET /v1/models lists it."""

    id: str
    display_name: str = ""
    type: str = "chat"
    context_window: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    supported_endpoints: list[str] = []
    reasoning_efforts: list[str] = []
    vision: bool | None = None
    tools: bool | None = None
    policy: str = "enabled"
    preview: bool = False


class _Page(Struct):
    data: list[_Listed]


def models_at(url: str, key: str) -> tuple[Model, ...]:
    """Return what the gateway lists. url: without /v1. Raises GatewayUnreachableError, GatewayRefusedError."""
    try:
        reply = Smoke(url, key).models_reply()
    except (OSError, http.client.HTTPException) as error:
        raise GatewayUnreachableError(str(error) or type(error).__name__) from error
    if reply.status != HTTPStatus.OK:
        wants_key = reply.status == HTTPStatus.UNAUTHORIZED and reply.code() != "no_login"
        raise GatewayRefusedError(reply.says(), wants_key=wants_key)
    try:
        listed = msgspec.json.decode(reply.body, type=_Page).data
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise GatewayRefusedError("what it answers is no list of models", wants_key=False) from None
    return tuple(_model(entry) for entry in listed)


def _model(entry: _Listed) -> Model:
    return Model(
        id=entry.id,
        name=entry.display_name,
        kind="embeddings"
        if entry.type == "embeddings"
        else "completion"
        if entry.type == "completion"
        else "chat",
        dialects=tuple(name for name in SURFACES if name in entry.supported_endpoints) or ("chat",),
        policy=entry.policy,
        preview=entry.preview,
        context_window=entry.context_window,
        max_prompt=entry.max_input_tokens,
        max_output=entry.max_output_tokens,
        vision=entry.vision,
        tools=entry.tools,
        efforts=tuple(entry.reasoning_efforts),
    )
