"""Every outcome of the device login."""

import re

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from core.copilot.device_login import DeviceCode, DeviceLogin, LoginGranted, LoginPending
from core.copilot.github import GitHub
from core.errors import GatewayError
from core.settings import Settings
from tests.unit.copilot.doubles import Clock, answers, close, scripted, settings_at

CODE = {"device_code": "dev-secret", "user_code": "WDJB-MJHT", "expires_in": 900, "interval": 5}


def login_at(url: str, clock: Clock, **settings: str) -> DeviceLogin:
    return DeviceLogin(settings_at(url, **settings), GitHub(now=clock), now=clock)


def code(clock: Clock, interval: float = 5) -> DeviceCode:
    return DeviceCode(
        device_code="dev-secret",
        user_code="u",
        verification_uri="v",
        expires_at=clock() + 900,
        interval=interval,
    )


def poll(httpserver: HTTPServer, answer: Response) -> LoginPending | LoginGranted:
    clock = Clock()
    httpserver.expect_request("/login/oauth/access_token").respond_with_response(answer)
    return login_at(httpserver.url_for("").rstrip("/"), clock).poll_once(code(clock))


def test_start_returns_what_the_person_needs(httpserver: HTTPServer) -> None:
    clock = Clock()
    url = httpserver.url_for("").rstrip("/")
    seen: list[str] = []

    def reply(request: Request) -> Response:
        seen.append(request.get_data(as_text=True))
        return Response('{"verification_uri":"' + url + '/login/device",' + _json(CODE)[1:])

    httpserver.expect_request("/login/device/code", method="POST").respond_with_handler(reply)
    expected = DeviceCode(
        device_code="dev-secret",
        user_code="WDJB-MJHT",
        verification_uri=f"{url}/login/device",
        expires_at=clock() + 900,
        interval=5,
    )
    assert login_at(url, clock).start() == expected
    assert seen == ["client_id=Iv1.b507a08c87ecfe98&scope=read%3Auser"]
    assert "dev-secret" not in repr(expected)


def test_a_foreign_page_is_replaced_by_github_s_own(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/login/device/code").respond_with_json(
        {**CODE, "verification_uri": "https://evil.example"}
    )
    url = httpserver.url_for("").rstrip("/")
    assert login_at(url, Clock()).start().verification_uri == f"{url}/login/device"


def test_direct_identity_needs_an_own_app() -> None:
    with pytest.raises(GatewayError, match="Register one on GitHub") as caught:
        DeviceLogin(Settings(identity="direct"), GitHub(now=Clock()), now=Clock()).start()
    assert caught.value.kind == "login_required"


def test_the_client_id_can_be_chosen(httpserver: HTTPServer) -> None:
    httpserver.expect_request(
        "/login/device/code", data=re.compile("client_id=Ov23mine").pattern + "&scope=read%3Auser"
    ).respond_with_json(CODE)
    url = httpserver.url_for("").rstrip("/")
    assert login_at(url, Clock(), client_id="Ov23mine", identity="direct").start().user_code == "WDJB-MJHT"


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": "authorization_pending"}, LoginPending(5)),
        ({"error": "slow_down", "interval": 12}, LoginPending(12)),
        ({"error": "slow_down"}, LoginPending(10)),
        ({}, LoginPending(5)),
        ({"access_token": "gho_new", "token_type": "bearer"}, LoginGranted("gho_new")),
    ],
)
def test_the_body_decides_not_the_status(
    httpserver: HTTPServer, status: int, body: object, expected: object
) -> None:
    assert expected == poll(httpserver, Response(_json(body), status))


@pytest.mark.parametrize(
    "error",
    [
        "expired_token",
        "access_denied",
        "incorrect_device_code",
        "incorrect_client_credentials",
        "unsupported_grant_type",
        "device_flow_disabled",
        "something_new",
    ],
)
def test_final_answers_end_the_login(httpserver: HTTPServer, error: str) -> None:
    with pytest.raises(GatewayError) as caught:
        poll(httpserver, Response(_json({"error": error, "error_description": "why"})))
    assert ("login_required", error) == (caught.value.kind, caught.value.code)


@pytest.mark.parametrize(
    "body", ["<html>", '{"error":"Not Found"}', '{"message":"Not Found"}'], ids=["page", "error", "message"]
)
def test_an_app_that_github_does_not_know_is_named_as_the_cause(httpserver: HTTPServer, body: str) -> None:
    httpserver.expect_request("/login/device/code").respond_with_response(Response(body, 404))
    with pytest.raises(GatewayError, match="client_id") as caught:
        login_at(httpserver.url_for("").rstrip("/"), Clock()).start()
    assert ("login_required", "incorrect_client_credentials") == (caught.value.kind, caught.value.code)


@pytest.mark.parametrize(
    "answer", [Response("<html>oops", 502), Response("", 500), Response("[]"), Response(b"\xff")]
)
def test_an_unreadable_answer_is_only_a_delay(httpserver: HTTPServer, answer: Response) -> None:
    outcome = poll(httpserver, answer)
    assert isinstance(outcome, LoginPending)
    assert outcome.interval == 5
    assert outcome.note


def test_a_broken_network_is_only_a_delay() -> None:
    clock = Clock()
    with scripted(answers(then=close)) as url:
        outcome = login_at(url, clock).poll_once(code(clock))
    assert isinstance(outcome, LoginPending)
    assert outcome.note


def test_the_whole_login_waits_as_told_and_shows_progress(httpserver: HTTPServer) -> None:
    clock = Clock()
    httpserver.expect_ordered_request("/login/device/code").respond_with_json(CODE)
    for body in (
        {"error": "authorization_pending"},
        {"error": "slow_down", "interval": 10},
        {"access_token": "gho_new"},
    ):
        httpserver.expect_ordered_request("/login/oauth/access_token").respond_with_json(body)
    shown: list[str] = []
    waits: list[float] = []
    token = login_at(httpserver.url_for("").rstrip("/"), clock).login(
        wait=waits.append, progress=lambda code, _note: shown.append(code.user_code)
    )
    assert (token, waits, shown) == ("gho_new", [5, 5, 10], ["WDJB-MJHT"] * 3)
    assert repr(token) == "Secret('***')"


def test_waiting_ends_when_the_code_does(httpserver: HTTPServer) -> None:
    clock = Clock()
    httpserver.expect_request("/login/device/code").respond_with_json({**CODE, "expires_in": 12})
    httpserver.expect_request("/login/oauth/access_token").respond_with_json(
        {"error": "authorization_pending"}
    )
    with pytest.raises(GatewayError) as caught:
        login_at(httpserver.url_for("").rstrip("/"), clock).login(
            wait=clock.wait, progress=lambda _code, _note: None
        )
    assert (caught.value.code, clock()) == ("expired_token", 1_000_012.0)


def _json(body: object) -> str:
    import json

    return json.dumps(body)
