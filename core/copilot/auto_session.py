"""One session of Copilot's Auto mode: what it allows, how upstream says it, how it rests in the state store."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from core.errors import GatewayError
from core.model import Model
from core.ports import read_stored
from core.settings import Secret

AUTO: Final = "auto"
HEADER: Final = "copilot-session-token"
MARGIN: Final = 300.0  # seconds before its end that a session is renewed, as VS Code does
_LEAST: Final = 60.0  # a server whose clock is off may not make every request open a session


class AutoSession(Struct, frozen=True, kw_only=True):
    """One session: the model that Copilot picked, the others it allows, and the token that goes with every request.

    `scope` names the account; `expires_at` is unix seconds by our own clock.
    """

    token: Secret
    selected: str
    available: tuple[str, ...]
    expires_at: float
    scope: str

    @property
    def headers(self) -> dict[str, str]:
        """What a request within the session must carry."""
        return {HEADER: self.token}

    def covers(self, model_id: str) -> bool:
        """Tell whether the session's token is for this model."""
        return model_id == self.selected or model_id in self.available

    def choose(self, models: Iterable[Model]) -> Model:
        """Return the picked model, else the first allowed one that the catalogue has and the account may use.

        Raises GatewayError "not_found" when there is none.
        """
        usable = {
            model.id: model
            for model in models
            if model.kind == "chat" and model.policy == "enabled" and model.dialects
        }
        for model_id in (self.selected, *self.available):
            if model_id in usable:
                return usable[model_id]
        raise GatewayError(
            "Copilot's Auto mode offers no model that is in your catalogue. Name a model instead.",
            kind="not_found",
            param="$.model",
            code="auto_without_model",
        )


class _Reply(Struct):
    """Upstream's answer to `POST /models/session`."""

    session_token: str
    selected_model: str | None = None
    available_models: list[str] | None = None
    expires_at: float | None = None


class _Record(Struct):
    """A session at rest; a `Secret` is no type that can be read back."""

    token: str
    selected: str
    available: tuple[str, ...]
    expires_at: float


def read_session(body: bytes, scope: str, now: float) -> AutoSession:
    """Read upstream's answer. Raises GatewayError `upstream` when it is no session."""
    try:
        reply = msgspec.json.decode(body, type=_Reply)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        reply = _Reply("")
    if not re.fullmatch(r"[\x21-\x7e]+", reply.session_token):  # it becomes a header
        raise GatewayError("its answer cannot be read.", kind="upstream", code="bad_auto_session")
    return AutoSession(
        token=Secret(reply.session_token),
        selected=reply.selected_model or "",
        available=tuple(reply.available_models or ()),
        expires_at=max(reply.expires_at or 0.0, now + MARGIN + _LEAST),
        scope=scope,
    )


def write_record(session: AutoSession) -> bytes:
    """Return the session as a record for the state store."""
    record = _Record(str(session.token), session.selected, session.available, session.expires_at)
    return msgspec.json.encode(record)


def read_record(record: bytes | None, scope: str) -> AutoSession | None:
    """Undo `write_record`; None for anything else."""
    read = read_stored(record, _Record)
    if read is None:
        return None
    return AutoSession(
        token=Secret(read.token),
        selected=read.selected,
        available=read.available,
        expires_at=read.expires_at,
        scope=scope,
    )


def auto_entry(session: AutoSession | None, models: Sequence[Model]) -> Model:
    """Return the model list's entry for `auto`: with the picked model's limits where a session is known."""
    blank = Model(id=AUTO, name="Auto", vendor="GitHub", dialects=("chat", "messages", "responses"))
    if session is None:
        return blank
    try:
        picked = session.choose(models)
    except GatewayError:
        return blank
    return msgspec.structs.replace(picked, id=AUTO, name="Auto", vendor="GitHub", dialects=blank.dialects)
