"""A captured exchange played again: the same request through this gateway, compared with the captured answer."""

import difflib
import json
import re
import tempfile
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from core.copilot.catalogue import Catalogue
from core.errors import GatewayError
from core.model import Model
from core.settings import Secret, Settings
from handlers import create_app
from handlers.services import Services
from infra.capture.filler import fill
from infra.capture.reading import Capture, CaptureError, Part
from infra.capture.stand_in import standing_in
from infra.capture.store import STEERING
from infra.local.services import build_services

# What says how a request was answered; other headers are of the moment.
_TELLING: Final = (
    "content-type", "retry-after", "x-gateway-model", "x-gateway-upstream", "x-gateway-losses", "x-gateway-repairs",
)  # fmt: skip
# The client's own that would not be let in, or that the transport makes.
_LEFT_OUT: Final = frozenset(
    {"host", "origin", "referer", "content-length", "connection", "expect", "transfer-encoding"}
    | {"authorization", "x-api-key", "cookie"}
)
_OURS: Final = re.compile(r"[0-9a-f]{32}")
_TIMES: Final = re.compile(r'("(?:created|created_at|completed_at)":\s?)[0-9.]+')
_PING: Final = re.compile(r"^(?:event: ?ping\n(?:data:[^\n]*\n)?|:[^\n]*\n)\n?", re.MULTILINE)
# The filler leaves them where they stand alone, which the borders of events decide.
_LEFT_BY_FILLER: Final = re.compile(r"\b(?:true|false|null)\b|data:[a-z0-9/+.-]+;base64,|https?://")
_FOREVER: Final = 3600.0  # no heartbeat comes between


class Replay(Struct):
    """What came of it. difference: lines of a unified diff, none where the answers agree."""

    status: int
    body: bytes
    difference: list[str]
    missing: list[str]


class _Listed:
    """The captured list of models, in the place of the live one."""

    def __init__(self, models: tuple[Model, ...]) -> None:
        self._models = models

    def models(self) -> tuple[Model, ...]:
        """Return the models."""
        return self._models


def replay(capture: Capture) -> Replay:
    """Play an exchange. Raises CaptureError."""
    with (
        tempfile.TemporaryDirectory(prefix="copilot-gateway-replay-") as data,
        standing_in(capture) as stand_in,
    ):
        services = _services(capture, data, stand_in.url)
        try:
            status, headers, body = _ask(services, capture.request)
        finally:
            services.copilot.transport.close()
    played = Part(status=status, headers=headers, pieces=[body])
    before, after = _canonical(capture.reply, capture), _canonical(played, capture)
    difference = list(difflib.unified_diff(before, after, "captured", "replayed", lineterm="", n=2))
    return Replay(status, body, difference, stand_in.missing)


def _services(capture: Capture, data: str, url: str) -> Services:
    try:
        given = {name: capture.settings[name] for name in STEERING if name in capture.settings}
        steering = msgspec.convert(given, Settings)
    except msgspec.ValidationError as error:
        raise CaptureError(f"The capture's settings cannot be used: {error}.") from error
    settings = msgspec.structs.replace(
        steering,
        data_dir=data,
        github_token=Secret("gho_thisIsNoTokenOfAnybody"),
        identity="direct",
        copilot_url=url,
        commit_after=_FOREVER,
        proxy_env=False,
    )
    services = build_services(settings)
    engine = msgspec.structs.replace(
        services.engine, models=lambda: capture.models, scope=lambda: capture.scope
    )
    listed = cast("Catalogue", _Listed(capture.models))
    services.copilot.why_unsupported = lambda _outgoing: ""
    return msgspec.structs.replace(
        services, engine=engine, catalogue=listed, keys=None, gates=(), observers=()
    )


def _ask(services: Services, asked: Part) -> tuple[int, dict[str, str], bytes]:
    client = create_app(services).test_client()
    headers = {name: value for name, value in asked.headers.items() if name not in _LEFT_OUT}
    try:
        with client.open(
            asked.path, method=asked.method, headers=headers, data=asked.body, base_url="http://127.0.0.1"
        ) as response:
            told = {name.lower(): value for name, value in response.headers.items()}
            return response.status_code, told, response.get_data()
    except (GatewayError, ValueError) as error:
        raise CaptureError(f"The captured request cannot be sent: {error}.") from error


def _canonical(reply: Part, capture: Capture) -> list[str]:
    """Return an answer line by line, without what differs each time."""
    media_type = reply.headers.get("content-type", "")
    head = [
        f"status: {reply.status}",
        *(f"{name}: {reply.headers[name]}" for name in _TELLING if name in reply.headers),
    ]
    body = reply.body if capture.bodies == "full" else fill(reply.body, media_type)
    text = _PING.sub("", body.decode("utf-8", "replace").replace("\r\n", "\n"))
    if capture.bodies != "full":
        text = _LEFT_BY_FILLER.sub(lambda match: re.sub("[a-z]", "x", match[0]), text)
    lines = text.splitlines() if "event-stream" in media_type else _pretty(text)
    return _numbered([*head, "", *lines])


def _pretty(text: str) -> Sequence[str]:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return text.splitlines()
    return json.dumps(value, indent=1, ensure_ascii=False).splitlines()


def _numbered(lines: Sequence[str]) -> list[str]:
    """Write ids that the gateway made as what they are: the first, the second, and so on; and no times."""
    known: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return known.setdefault(match[0], f"<id {len(known) + 1}>")

    return [_TIMES.sub(r"\g<1>0", _OURS.sub(number, line)) for line in lines]
