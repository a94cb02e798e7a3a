"""Why Copilot may have answered that a model is not supported, as far as its model list tells."""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from core.copilot.entries import ENDPOINTS
from core.model import Model
from core.outgoing import Outgoing

_PATH: Final = {dialect: path for path, dialect in ENDPOINTS.items()}


class _Named(Struct):
    model: str = ""


def model_of(outgoing: Outgoing) -> str:
    """Return the id of the model that a request names; empty when it names none."""
    try:
        return msgspec.json.decode(outgoing.body, type=_Named).model
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ""


def likely_reason(model_id: str, path: str, models: Iterable[Model]) -> str:
    """Say in one sentence which of the reasons it is: not listed, a policy, another endpoint, or none of these."""
    model = next((model for model in models if model.id == model_id), None)
    if model is None:
        return "Copilot's model list does not name it for this account: it is unknown, retired or outside your plan."
    if model.policy != "enabled":
        return (
            f'Its policy is "{model.policy[:40]}": allow the model in your GitHub Copilot settings, or ask your '
            "organisation to."
        )
    if path in ENDPOINTS and ENDPOINTS[path] not in model.dialects:
        offered = " and ".join(_PATH[dialect] for dialect in model.dialects) or "no endpoint known here"
        return f"Copilot offers it on {offered}, not on {path}."
    return (
        "Copilot lists it as enabled and on this endpoint, so it is probably closed to this client identity (see the "
        "setting identity) or outside your plan."
    )
