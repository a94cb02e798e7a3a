"""Pass-through of requests and complete replies: the same bytes but for the model id and named repairs."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from core.dialect import Echo, Encoded, Target
from core.dialects.responses.envelope import Envelope
from core.dialects.responses.errors import error_from_upstream
from core.dialects.responses.reading import read
from core.dialects.responses.relay_calls import MARK, runnable
from core.dialects.responses.repairs import Repair, repair_items, shorten_tools
from core.dialects.responses.request_encode import STATE, XAI_REFUSES
from core.dialects.responses.schema import (
    JSON_ERRORS,
    decode_error,
    decode_item,
    decode_members,
    decode_raws,
    encode,
    is_set,
)
from core.dialects.responses.turns import XAI
from core.effort import nearest
from core.errors import InvalidRequestError, UnsupportedFeatureError, UpstreamProtocolError

TRUE: Final = b"true"
FALSE: Final = Raw(b"false")
SAME_TIER: Final = frozenset({b"null", b'"auto"', b'"default"'})

_decode_str = msgspec.json.Decoder(str).decode


def relay_request(body: bytes, target: Target) -> Encoded:
    """Return the client's body for upstream. Raises `InvalidRequestError`, `UnsupportedFeatureError`."""
    repair = Repair(read(decode_members, body, "$"), target)
    for rule in RULES:
        rule(repair)
    sent = encode(repair.members) if repair.changed else body
    return Encoded(sent, tuple(repair.losses), tuple(repair.repairs))


def _put_model(repair: Repair) -> None:
    """Put upstream's id of the model in, where the client knows it by another."""
    wanted = Raw(encode(repair.target.model.id))
    if bytes(repair.members.get("model", b"")) != bytes(wanted):
        repair.put("model", wanted)


def _refuse_state(repair: Repair) -> None:
    """Refuse what needs a memory: Copilot stores nothing (`previous_response_not_found` otherwise)."""
    for name in STATE:
        if is_set(repair.members.get(name)):
            code = (
                "previous_response_not_found" if name == "previous_response_id" else "unsupported_parameter"
            )
            raise InvalidRequestError(
                f"{name} needs stored responses: send the whole input", param=name, code=code
            )
        if name in repair.members and name != "previous_response_id":
            repair.drop(name, loses=False)  # upstream does not know it, not even as null
    if bytes(repair.members.get("background", b"")) == TRUE:
        raise UnsupportedFeatureError("background responses are not supported", param="background")


def _drop_service_tier(repair: Repair) -> None:
    """Some of Copilot's models refuse any `service_tier`."""
    tier = repair.members.get("service_tier")
    if tier is not None:
        repair.drop("service_tier", loses=bytes(tier) not in SAME_TIER)


def _deny_store(repair: Repair) -> None:
    """`store: true` would promise what does not happen."""
    if bytes(repair.members.get("store", b"")) == TRUE:
        repair.put("store", FALSE)
        repair.lose("store")


def _drop_stop(repair: Repair) -> None:
    """`stop` is no parameter of this API; upstream answers 400."""
    if "stop" in repair.members:
        repair.drop("stop", loses=True)


def _drop_sampling(repair: Repair) -> None:
    """Reasoning models refuse sampling parameters."""
    if not repair.target.model.sampling:
        for name in ("temperature", "top_p"):
            if name in repair.members:
                repair.drop(name, loses=is_set(repair.members[name]))


def _drop_for_xai(repair: Repair) -> None:
    """Grok on Copilot answers these with 400 or a plain-text 503."""
    if repair.target.model.vendor.lower() != XAI:
        return
    for name in sorted(XAI_REFUSES & repair.members.keys()):
        repair.drop(name, loses=True)
    reasoning = _reasoning(repair)
    if "context" in reasoning:
        del reasoning["context"]
        repair.put("reasoning", Raw(encode(reasoning)))
        repair.lose("reasoning.context")


def _nearest_effort(repair: Repair) -> None:
    """An effort that the model does not declare is a 400; take the nearest one."""
    efforts, reasoning = repair.target.model.efforts, _reasoning(repair)
    if not efforts or not is_set(reasoning.get("effort")):
        return
    effort = read(_decode_str, reasoning["effort"], "$.reasoning.effort")
    if effort not in efforts:
        reasoning["effort"] = Raw(encode(nearest(effort, efforts)))
        repair.put("reasoning", Raw(encode(reasoning)))
        repair.lose("effort")


def _reasoning(repair: Repair) -> dict[str, Raw]:
    raw = repair.members.get("reasoning")
    return read(decode_members, raw, "$.reasoning") if is_set(raw) else {}


RULES: Final[tuple[Callable[[Repair], None], ...]] = (
    _put_model,
    _refuse_state,
    _drop_service_tier,
    _deny_store,
    _drop_stop,
    _drop_sampling,
    _drop_for_xai,
    _nearest_effort,
    repair_items,
    shorten_tools,
)


def relay_response(body: bytes, echo: Echo) -> bytes:
    """Return upstream's complete reply for the client. Raises `GatewayError` for an error or for something else."""
    try:
        members = decode_members(body)
        if not is_set(members.get("output")):
            if is_set(members.get("error")):
                raise error_from_upstream(decode_error(members["error"]), "upstream failed to answer")
            raise UpstreamProtocolError("upstream's reply has no output", code="not_a_responses_body")
        changed = settle_calls(members)
        changed = restore_names(members, echo) or changed
        model = Raw(encode(echo.model))
        if members.get("model") != model:
            members["model"] = model
            changed = True
        defaults = decode_members(Envelope(echo).render("completed", []))
    except JSON_ERRORS as error:
        raise UpstreamProtocolError(f"upstream's reply is not a response: {error}") from None
    missing = {name: value for name, value in defaults.items() if name not in members}
    return encode({**members, **missing}) if changed or missing else body


def settle_calls(members: dict[str, Raw]) -> bool:
    """Leave calls in `output` that can be run; tell whether there was anything to do. Raises `UpstreamProtocolError`."""
    if MARK not in bytes(members["output"]):
        return False
    items = decode_raws(members["output"])
    kept = runnable(items, cut=bytes(members.get("status", b"")) == b'"incomplete"')
    if kept == items:
        return False
    members["output"] = Raw(encode(kept))
    return True


def restore_names(members: dict[str, Raw], echo: Echo) -> bool:
    """Give the calls in `output` their tools' own names back; tell whether there was anything to do."""
    names = echo.full_names()
    if not names:
        return False
    items = decode_raws(members["output"])
    restored = [restore_name(item, names) for item in items]
    if restored == items:
        return False
    members["output"] = Raw(encode(restored))
    return True


def restore_name(item: Raw, names: dict[str, str]) -> Raw:
    """Give one call its tool's own name back."""
    name = names.get(decode_item(item).name or "")
    return item if name is None else Raw(encode({**decode_members(item), "name": name}))
