"""A person approves every request."""

import pytest

from core.access.approval import Approval
from core.errors import GatewayError


def test_approved_request_passes() -> None:
    asked: list[str] = []
    Approval(lambda what: not asked.append(what)).enter("POST /v1/messages")
    assert asked == ["POST /v1/messages"]


def test_refused_request_is_forbidden() -> None:
    with pytest.raises(GatewayError) as caught:
        Approval(lambda _: False).enter("POST /v1/messages")
    assert (caught.value.kind, caught.value.status) == ("permission", 403)
