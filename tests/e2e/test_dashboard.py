"""The front page and the dashboard on the wire: who may see them, what they survive, and what they never show."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode

import pytest

import infra.local.services as local
from core.access.caller import Limits
from core.access.managed_keys import ManagedKeys
from core.notice import NOTICE
from core.settings import Secret
from infra import wiring
from tests.e2e.asking import PATH, ask
from tests.e2e.browser import FORM, Browser, Tick, moving_clock
from tests.e2e.conftest import Host
from tests.e2e.hosting import Answer, Hosted, Wire
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot

KEY = "operators-key"
QUOTA = "/copilot_internal/user"
HOSTILE = "<script>alert(1)</script>\"'"


@pytest.fixture
def tick(fake: FakeCopilot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tick]:
    with moving_clock(fake, monkeypatch, wiring, local) as forward:
        yield forward


@pytest.fixture
def gateway(host: Host) -> Hosted:
    return host(api_key=Secret(KEY))


def signed_in(gateway: Hosted, key: str = KEY) -> Browser:
    browser = Browser(gateway.url, path="/dashboard")
    browser.get()
    browser.press("sign-in", key=key)
    return browser


def held(gateway: Hosted, model: str, then: Callable[[str], object]) -> Answer:
    """Ask for a model, do something while the request waits, and return what its client got."""
    answers: list[Answer] = []
    wire = Wire(gateway.url, {"x-api-key": KEY})
    thread = Thread(target=lambda: answers.append(wire.post(PATH["chat"], ask("chat", model, "hi"))))
    thread.start()
    approvals = gateway.services.approvals
    assert approvals is not None
    with approvals._changed:
        assert approvals._changed.wait_for(lambda: approvals._waiting, timeout=60)
        (waiting,) = approvals._waiting
    try:
        then(waiting)
    finally:
        approvals.answer(waiting, approved=False)
        thread.join()
    return answers[0]


# Who may see them


def test_strangers_learn_what_this_is_and_where_to_sign_in(gateway: Hosted, fake: FakeCopilot) -> None:
    browser = Browser(gateway.url, path="/")
    shown = browser.get()
    assert ("This is a Copilot Gateway", True, True) == (
        re.findall(r"<h1>(.*?)</h1>", browser.page.text)[0], NOTICE in shown, 'href="/dashboard"' in browser.page.text,
    )  # fmt: skip
    assert not re.search(r"octocat|gpt|claude|127\.0\.0\.1|[0-9]+\.[0-9]+\.[0-9]+", shown)
    assert {} == browser.cookies
    assert "API key" in Browser(gateway.url, path="/dashboard").get()
    assert [] == fake.log


def test_the_question_whether_it_runs_costs_nothing(host: Host, fake: FakeCopilot) -> None:
    """Claude Code asks `HEAD /` at its start."""
    for gateway in (host(api_key=Secret(KEY)), host()):
        answer = Wire(gateway.url).send("HEAD", "/")
        assert (200, b"") == (answer.status, answer.body)
    assert [] == fake.log


def test_the_owner_sees_how_to_point_a_client_here(host: Host) -> None:
    browser = Browser(host().url, path="/")
    shown = browser.get()
    assert "Ready for your tools" in shown
    assert f"export ANTHROPIC_BASE_URL={browser.url}\n" in browser.page.text
    assert "Logged in to GitHub as octocat , plan individual" in shown
    assert "gpt-5-mini" in shown


def test_beyond_this_machine_the_address_is_https(host: Host) -> None:
    gateway = host(api_key=Secret(KEY), allowed_hosts=("gateway.example",))
    browser = Browser(gateway.url, host="gateway.example", path="/dashboard")
    browser.get()
    assert "Sign out" in browser.press("sign-in", key=KEY)
    browser.path = "/"
    browser.get()
    assert "export ANTHROPIC_BASE_URL=https://gateway.example\n" in browser.page.text


def test_a_guests_key_sees_nothing(gateway: Hosted) -> None:
    keys = ManagedKeys(gateway.services.state, gateway.services.now)
    browser = Browser(gateway.url, path="/dashboard")
    browser.get()
    said = browser.press("sign-in", key=keys.create("guest", limits=Limits(per_day=5)))
    assert (403, True, {}) == (browser.page.status, "This key has limits" in said, browser.cookies)


def test_a_session_ends_with_its_key(gateway: Hosted) -> None:
    keys = ManagedKeys(gateway.services.state, gateway.services.now)
    browser = signed_in(gateway, keys.create("phone"))
    assert "Key phone" in browser.get()
    keys.revoke("phone")
    assert "API key" in browser.get()


def test_a_session_ends_when_the_key_in_the_settings_is_replaced(host: Host) -> None:
    before = host(api_key=Secret(KEY))
    browser = signed_in(before)
    assert "Key static" in browser.get()
    browser.url = host(api_key=Secret("another-key")).url
    assert "API key" in browser.get()


def test_one_session_opens_all_pages_and_ends_on_all(gateway: Hosted) -> None:
    browser = signed_in(gateway)
    for path, shown in {"/": "Point your tools at it", "/login": "GitHub login", "/dashboard": "Use"}.items():
        browser.path = path
        assert shown in browser.get()
    browser.press("sign-out")
    for path in ("/", "/login", "/dashboard"):
        browser.path = path
        assert "API key" in browser.get()


# What they show


def test_keys_are_listed_with_limits_and_use_and_never_in_clear(host: Host, tick: Tick) -> None:
    gateway = host(api_key=Secret(KEY))
    keys = ManagedKeys(gateway.services.state, gateway.services.now)
    clear = keys.create(
        "ci", gateway.services.now() + 60, Limits(per_day=5, tokens_per_day=10**6, models=("gpt-*",))
    )
    for model in ("gpt-5-mini", "claude-sonnet-4.6"):
        Wire(gateway.url, {"x-api-key": clear}).post(PATH["chat"], ask("chat", model, "hi"))
    browser = signed_in(gateway)
    row = re.sub(
        r"<[^>]+>",
        " ",
        re.findall(
            r"<tr><th scope=\"row\"><span class=\"name\">ci</span></th>.*?</tr>", browser.page.text, re.DOTALL
        )[-1],
    )
    assert "only gpt-*" in row
    assert "1 of 5 requests today" in row
    tick(61)
    browser.get()
    assert '<span class="tag">ended</span>' in browser.page.text
    secrets = [clear, KEY, DEMO_TOKEN, *browser.cookies.values()]
    assert [] == [each for each in secrets if each in browser.page.text]


def test_the_quota_is_asked_once_a_minute_however_often_the_page_looks(
    host: Host, fake: FakeCopilot, tick: Tick
) -> None:
    browser = Browser(host().url, path="/dashboard")
    for _ in range(4):
        assert "What is left of the plan" in browser.get()
    assert 1 == len(fake.requests(QUOTA))
    tick(61)
    browser.get()
    assert 2 == len(fake.requests(QUOTA))


@pytest.mark.parametrize("query", ["?range=30d&by=key", "?range=%3Cscript%3E&by=%22", "?range=24h&range=x", "?by=%ff&still", "?" + "x" * 3000])  # fmt: skip
def test_any_query_is_a_page(host: Host, query: str) -> None:
    browser = Browser(host().url, path="/dashboard")
    assert "Dashboard" in browser.get(query)
    assert (200, False) == (browser.page.status, "<script>alert" in browser.page.text)


def test_what_others_say_stays_text(host: Host, fake: FakeCopilot) -> None:
    fake.force("GET", QUOTA, 200, {"login": HOSTILE, "copilot_plan": HOSTILE, "quota_reset_date": HOSTILE, "quota_snapshots": {HOSTILE: {"entitlement": HOSTILE, "remaining": 3}, "odd": [], "minus": {"entitlement": 5, "remaining": -9, "overage_count": 2}, "none": {"entitlement": 0, "remaining": 0}}})  # fmt: skip
    gateway = host()
    Wire(gateway.url).post(PATH["chat"], ask("chat", HOSTILE, "hi"))
    gateway.wait_until_counted(1)
    for path in ("/dashboard", "/"):
        browser = Browser(gateway.url, path=path)
        browser.get()
        assert (200, False) == (browser.page.status, "<script>alert" in browser.page.text)


# What they survive


@pytest.mark.parametrize("path", ["/", "/dashboard"])
def test_without_a_login_the_pages_say_so(host: Host, path: str) -> None:
    browser = Browser(host(github_token=Secret("")).url, path=path)
    shown = browser.get()
    assert 200 == browser.page.status
    assert re.search(r"Nobody is logged in to GitHub yet\.|nobody yet: log in", shown)


@pytest.mark.parametrize("path", ["/", "/dashboard"])
@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_with_github_in_trouble_the_pages_say_which(
    host: Host, fake: FakeCopilot, path: str, status: int
) -> None:
    fake.force("GET", QUOTA, status, "unicorn")
    browser = Browser(host().url, path=path)
    browser.get()
    assert (200, True) == (browser.page.status, 'class="error"' in browser.page.text)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/", "Ready for your tools"),
        ("/", "Logged in to GitHub. "),
        ("/dashboard", "GitHub login works"),
        ("/login", "Logged in to GitHub; Copilot accepts it."),
    ],
)
def test_a_login_works_also_where_its_quota_is_not_told(
    host: Host, fake: FakeCopilot, path: str, said: str
) -> None:
    fake.force("GET", QUOTA, 500, "unicorn")
    shown = Browser(host().url, path=path).get()
    assert said in shown
    assert "GitHub does not say what is left of the plan: unicorn" in shown


def test_the_front_page_says_that_it_is_the_list_of_models_that_fails(host: Host, fake: FakeCopilot) -> None:
    fake.force("GET", QUOTA, 500, "unicorn", times=0)
    fake.force("GET", "/models", 503, {"message": "busy"}, times=0)
    shown = Browser(host().url, path="/").get()
    assert "Not ready yet Copilot does not tell its models: busy" in shown


def test_a_broken_state_store_is_a_sentence(gateway: Hosted) -> None:
    browser = signed_in(gateway)
    with closing(gateway.services.state._store):  # type: ignore[attr-defined] # the local store has close()
        pass
    (Path(gateway.services.settings.data_dir) / "state.sqlite3").write_bytes(b"no database" * 100)
    for path in ("/dashboard", "/"):
        browser.path = path
        shown = browser.get()
        assert (503, True) == (browser.page.status, "state.sqlite3" in shown)


# Approvals


@pytest.mark.parametrize(("action", "status"), [("approve", 200), ("refuse", 403)])
def test_a_button_lets_a_request_pass_or_refuses_it(host: Host, action: str, status: int) -> None:
    gateway = host(api_key=Secret(KEY), manual=True)
    browser = signed_in(gateway)
    assert "Nothing waits." in browser.get()

    def press(waiting: str) -> None:
        assert waiting in browser.get("?range=7d&by=key")
        assert "Nothing waits." in browser.press(action, id=waiting)

    assert status == held(gateway, "gpt-5-mini", press).status


@pytest.mark.parametrize("model", [HOSTILE, "x" * 5000])
def test_a_model_of_any_name_waits_as_text(host: Host, model: str) -> None:
    """Names are checked before requests wait; should one get by, it is escaped."""
    gateway = host(api_key=Secret(KEY), manual=True)
    answer = Wire(gateway.url, {"x-api-key": KEY}).post(PATH["chat"], ask("chat", model, "hi"))
    assert 404 == answer.status
    gateway.wait_until_counted(1)
    assert "<script>alert" not in signed_in(gateway).page.text


@pytest.mark.parametrize(
    "form",
    [
        {"action": "approve"},
        {"action": "approve", "token": "0" * 64},
        {"action": "approve", "token": ""},
        {"action": "", "token": ""},
    ],
)
def test_a_form_without_the_sessions_token_approves_nothing(host: Host, form: dict[str, str]) -> None:
    gateway = host(api_key=Secret(KEY), manual=True)
    browser = signed_in(gateway)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    seen: list[int] = []

    def send(waiting: str) -> None:
        for headers in ({"Cookie": cookie}, {}, {"Cookie": cookie, "Origin": "https://evil.example"}):
            body = urlencode({**form, "id": waiting}).encode()
            answer = Wire(gateway.url).send("POST", "/dashboard", body, {"Content-Type": FORM, **headers})
            seen.append(answer.status)
        approvals = gateway.services.approvals
        assert approvals is not None
        assert 1 == len(approvals.pending())

    assert 403 == held(gateway, "gpt-5-mini", send).status
    assert [403] * 3 == seen


@pytest.mark.parametrize("identifier", ["", "req_nothing", "\ud7ff", "x" * 4000])
def test_an_answer_to_what_does_not_wait_is_said_to_be_none(host: Host, identifier: str) -> None:
    browser = signed_in(host(api_key=Secret(KEY), manual=True))
    assert "does not wait any more" in browser.press("approve", id=identifier)
    assert 409 == browser.page.status


def test_without_manual_mode_there_is_nothing_to_approve(gateway: Hosted) -> None:
    browser = signed_in(gateway)
    assert "Waiting for your approval" not in browser.get()
    assert "out of date" in browser.press("approve", id="req_1")
    assert 400 == browser.page.status


def test_the_style_and_the_script_are_those_that_the_policy_names(host: Host) -> None:
    answer = Wire(host().url).get("/dashboard")
    policy = answer.headers["content-security-policy"]
    assert 2 == policy.count("'sha256-")
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"\son\w+=|\ssrc=|<link|style=", answer.text) == []
