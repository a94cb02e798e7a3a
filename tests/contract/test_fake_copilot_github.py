"""The fake's GitHub side: device login, exchange, user pages."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators.calling import Caller
from tests.emulators.copilot import BUSINESS_TOKEN, DEMO_TOKEN, FakeCopilot

CLIENT = "Iv1.b507a08c87ecfe98"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def fake() -> Iterator[FakeCopilot]:
    with FakeCopilot() as running:
        yield running


def start(fake: FakeCopilot) -> dict[str, Any]:
    answer = Caller(fake).post("/login/device/code", {"client_id": CLIENT, "scope": "read:user"})
    return dict(answer.json)


def poll(fake: FakeCopilot, code: str) -> dict[str, Any]:
    asked = {"client_id": CLIENT, "device_code": code, "grant_type": GRANT}
    answer = Caller(fake).post("/login/oauth/access_token", asked)
    assert answer.status == 200
    return dict(answer.json)


def test_a_foreign_client_id_gets_no_device_code(fake: FakeCopilot) -> None:
    answer = Caller(fake).post("/login/device/code", {"client_id": "mine"})
    assert (200, "incorrect_client_credentials") == (answer.status, answer.json["error"])


def test_a_form_body_is_read_like_json(fake: FakeCopilot) -> None:
    answer = Caller(fake).post("/login/device/code", f"client_id={CLIENT}&scope=read%3Auser".encode())
    assert {"device_code", "user_code", "verification_uri", "expires_in", "interval"} == set(answer.json)


def test_polls_go_from_pending_to_slow_down_to_success(fake: FakeCopilot) -> None:
    device = start(fake)
    assert poll(fake, device["device_code"])["error"] == "authorization_pending"
    hurried = poll(fake, device["device_code"])
    assert ("slow_down", 10) == (hurried["error"], hurried["interval"])
    assert fake.approve(device["user_code"])
    fake.clock.advance(10)
    assert poll(fake, device["device_code"])["access_token"] == DEMO_TOKEN
    assert poll(fake, device["device_code"])["error"] == "incorrect_device_code"


def test_a_denied_login_says_so(fake: FakeCopilot) -> None:
    device = start(fake)
    assert fake.deny(device["user_code"])
    assert poll(fake, device["device_code"])["error"] == "access_denied"


def test_a_device_code_expires(fake: FakeCopilot) -> None:
    device = start(fake)
    fake.clock.advance(device["expires_in"])
    assert poll(fake, device["device_code"])["error"] == "expired_token"


def test_logins_succeed_at_once_when_approved_automatically() -> None:
    with FakeCopilot(auto_approve=True) as fake:
        assert poll(fake, start(fake)["device_code"])["access_token"] == DEMO_TOKEN


@pytest.mark.parametrize("scheme", ["token", "Bearer"])
def test_exchange_gives_a_token_and_the_hosts_url(fake: FakeCopilot, scheme: str) -> None:
    answer = Caller(fake).get("/copilot_internal/v2/token", Authorization=f"{scheme} {DEMO_TOKEN}").json
    assert (1500, fake.capi_url) == (answer["refresh_in"], answer["endpoints"]["api"])
    assert Caller(fake).get("/models", Authorization=f"Bearer {answer['token']}").status == 200


def test_exchange_refusals_follow_the_account(fake: FakeCopilot) -> None:
    caller = Caller(fake)
    caller.headers["Authorization"] = "token gho_unknown"
    assert caller.get("/copilot_internal/v2/token").status == 401
    caller.headers["Authorization"] = f"token {DEMO_TOKEN}"
    fake.account.can_exchange = False
    assert caller.get("/copilot_internal/v2/token").status == 404
    fake.account.blocked_notification = "no_copilot_access"
    refused = caller.get("/copilot_internal/v2/token")
    assert (403, "no_copilot_access") == (refused.status, refused.json["error_details"]["notification_id"])


def test_the_user_page_can_name_another_host_than_the_exchange(fake: FakeCopilot) -> None:
    fake.accounts[BUSINESS_TOKEN].user_host = "individual"
    caller = Caller(fake)
    caller.headers["Authorization"] = f"token {BUSINESS_TOKEN}"
    assert caller.get("/copilot_internal/user").json["endpoints"]["api"] == fake.capi_url
    assert caller.get("/copilot_internal/v2/token").json["endpoints"]["api"] == fake.business_url
    assert caller.get("/user").json["login"] == "monalisa"


def test_the_user_page_shows_the_quota(fake: FakeCopilot) -> None:
    fake.account.percent_remaining = -12.5
    caller = Caller(fake)
    caller.headers["Authorization"] = f"token {DEMO_TOKEN}"
    premium = caller.get("/copilot_internal/user").json["quota_snapshots"]["premium_interactions"]
    assert (300, -37, False) == (premium["entitlement"], premium["remaining"], premium["has_quota"])
