"""A person approves every request."""

import pytest

from core.access.approval import Approval
from core.errors import GatewayError
from core.exchange import Exchange

ASKED = Exchange(id="req_1", began_at=0.0, surface="messages", requested="claude-opus-5")


def test_approved_request_passes() -> None:
    asked: list[str] = []
    Approval(lambda what: not asked.append(what)).enter(ASKED)
    assert asked == ["messages claude-opus-5"]


def test_refused_request_is_forbidden() -> None:
    with pytest.raises(GatewayError) as caught:
        Approval(lambda _: False).enter(ASKED)
    assert (caught.value.kind, caught.value.status) == ("permission", 403)
