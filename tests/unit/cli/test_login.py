"""The device login as a person sees it, against a stand-in for GitHub."""

import json
import re

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from core.copilot.device_login import DeviceLogin
from core.copilot.github import GitHub
from core.errors import GatewayError
from core.settings import Settings
from infra.cli.login import log_in

CODE = {
    "device_code": "device-secret",
    "user_code": "WDJB-MJHT",
    "expires_in": 900,
    "interval": 5,
}


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def login(httpserver: HTTPServer, clock: Clock) -> DeviceLogin:
    settings = Settings(github_url=httpserver.url_for("").rstrip("/"))
    httpserver.expect_request("/login/device/code").respond_with_json(CODE)
    return DeviceLogin(settings, GitHub(now=clock.now), now=clock.now)


def answer(httpserver: HTTPServer, *bodies: dict[str, object] | str) -> None:
    replies = iter(bodies)

    def reply(_: Request) -> Response:
        body = next(replies)
        text = body if isinstance(body, str) else json.dumps(body)
        return Response(text, content_type="application/json")

    httpserver.expect_request("/login/oauth/access_token").respond_with_handler(reply)


def test_every_outcome_on_the_way_is_told(
    httpserver: HTTPServer, login: DeviceLogin, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(
        httpserver,
        {"error": "authorization_pending"},
        {"error": "slow_down", "interval": 12},
        "<html>",
        {"access_token": "gho_granted"},
    )
    token = log_in(login, now=clock.now, sleep=clock.sleep)
    shown = capsys.readouterr()
    assert token == "gho_granted"
    assert shown.err.splitlines() == [
        f"Open {httpserver.url_for('/login/device')} and enter the code WDJB-MJHT",
        "The code is good for 15 minutes.",
        "Waiting for you to enter the code.",
        "GitHub asks for fewer questions: the next ones come every 12 s.",
        "warning: GitHub gave an unreadable answer (status 200). Try again. Still waiting.",
    ]
    assert shown.out == ""


def test_polls_keep_the_interval(httpserver: HTTPServer, login: DeviceLogin, clock: Clock) -> None:
    answer(
        httpserver,
        {"error": "authorization_pending"},
        {"error": "slow_down", "interval": 12},
        {"access_token": "gho_granted"},
    )
    log_in(login, now=clock.now, sleep=clock.sleep)
    assert clock.time - 1_000_000 == 5 + 5 + 12


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("access_denied", "The login was cancelled on GitHub's page."),
        ("expired_token", "The code has expired. Start the login again."),
    ],
)
def test_login_that_ends_badly_says_why(
    httpserver: HTTPServer, login: DeviceLogin, clock: Clock, error: str, expected: str
) -> None:
    answer(httpserver, {"error": error})
    with pytest.raises(GatewayError) as caught:
        log_in(login, now=clock.now, sleep=clock.sleep)
    assert (caught.value.kind, caught.value.message) == ("login_required", expected)


def test_secret_half_of_the_code_is_never_shown(
    httpserver: HTTPServer, login: DeviceLogin, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(httpserver, {"access_token": "gho_granted"})
    log_in(login, now=clock.now, sleep=clock.sleep)
    shown = capsys.readouterr()
    assert "device-secret" not in shown.err + shown.out
    assert "gho_granted" not in shown.err + shown.out


def test_terminal_sees_the_code_count_down(
    httpserver: HTTPServer,
    login: DeviceLogin,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    answer(httpserver, {"access_token": "gho_granted"})
    log_in(login, now=clock.now, sleep=clock.sleep)
    # The spinner's own thread draws, so which seconds are seen is left to chance.
    assert re.search(r"Waiting for you to enter WDJB-MJHT \(1[45]:\d\d left\)", capsys.readouterr().err)
