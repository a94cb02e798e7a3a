"""Judges what a client of the soak heard against what its plan allows."""

from typing import Final

from tests.e2e.asking import error_of, read_reply, read_stream
from tests.soak.client import Heard
from tests.soak.plans import BROKEN, SOUND, Plan

OK: Final = 200
TOO_MANY: Final = 429
SPARED: Final = "does not ask"  # what the gateway says in the place of a model that has refused too often
# The status of a refusal that came before a reply was committed; other faults may be told by any of 5xx.
STATUS: Final = {"limited": {"chat": 429, "messages": 429, "responses": 429}, "busy": {"chat": 503, "messages": 529, "responses": 503}}  # fmt: skip


def complaint(plan: Plan, heard: Heard) -> str | None:
    """Return what is wrong; None when all is as it must be."""
    if heard.left_at is not None:
        return None
    if heard.hung:
        return "the reply never ended"
    if not heard.whole:
        return f"the gateway broke the connection (status {heard.status}, {len(heard.body)} bytes)"
    try:
        return _refused(plan, heard) if heard.status != OK else _answered(plan, heard)
    except (AssertionError, ValueError, KeyError, IndexError, TypeError) as error:
        return f"illegal on the wire: {type(error).__name__}: {str(error)[:300]}"


def _refused(plan: Plan, heard: Heard) -> str | None:
    error = error_of(plan.surface, heard.body)
    if plan.fault in SOUND:
        return f"a sound reply was refused: {heard.status} {error['message'][:200]}"
    due = STATUS.get(plan.fault)
    spared = heard.status == TOO_MANY and SPARED in error["message"]
    if due is not None and heard.status != due[plan.surface] and not spared:
        return f"status {heard.status} where {due[plan.surface]} was due"
    return None


def _answered(plan: Plan, heard: Heard) -> str | None:
    told = (read_stream if plan.streams else read_reply)(plan.surface, heard.body)
    # Whitespace at the ends is the dialects' own business.
    said = told.text.strip()
    if told.stop == "error":
        if plan.fault in SOUND:
            return f"a sound reply ended in an error after {len(said)} characters: {heard.body[-300:]!r}"
        return None if plan.text.startswith(said) else f"lost, doubled or foreign before the error: {said!r}"
    if plan.fault in BROKEN:
        return f"a broken reply looks like a success: {told.stop}"
    if said != plan.text:
        return f"lost, doubled or foreign: {_difference(plan.text, said)}"
    return None


def _difference(due: str, said: str) -> str:
    at = next(
        (i for i, (one, other) in enumerate(zip(due, said, strict=False)) if one != other),
        min(len(due), len(said)),
    )
    return f"at {at} of {len(due)}: {said[max(at - 20, 0) : at + 20]!r} where {due[max(at - 20, 0) : at + 20]!r} was due"
