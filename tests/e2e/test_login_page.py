"""The login page as a browser meets it: sign-in, the device login, every outcome, and who is kept out."""

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

import infra.local.services as local
from core.access.managed_keys import ManagedKeys
from core.access.sessions import Sessions
from core.notice import NOTICE
from core.ports import GITHUB_TOKEN, StoreError
from core.settings import Secret
from infra import wiring
from infra.local.secrets import FileSecretStore
from tests.e2e.browser import FORM, Browser, Tick, moving_clock
from tests.e2e.cli_driver import offer_code
from tests.e2e.conftest import Host
from tests.e2e.hosting import Hosted, Wire
from tests.emulators.copilot import BUSINESS_TOKEN, DEMO_TOKEN, FakeCopilot

KEY = "operators-key"


@pytest.fixture(autouse=True)
def tick(fake: FakeCopilot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tick]:
    with moving_clock(fake, monkeypatch, wiring, local) as forward:
        yield forward


@pytest.fixture
def gateway(tick: Tick, host: Host) -> Hosted:
    return host(api_key=Secret(KEY), github_token=Secret(""))


@pytest.fixture
def browser(gateway: Hosted) -> Browser:
    return Browser(gateway.url)


def kept(gateway: Hosted) -> str | None:
    return FileSecretStore(Path(gateway.services.settings.data_dir)).load(GITHUB_TOKEN)


def sign_in(browser: Browser) -> str:
    browser.get()
    return browser.press("sign-in", key=KEY)


def test_a_key_a_code_and_a_click_log_the_gateway_in(
    gateway: Hosted, browser: Browser, fake: FakeCopilot, tick: Tick
) -> None:
    user_code = offer_code(fake)
    assert "API key" in browser.get()
    assert "Nobody is logged in to GitHub yet." in browser.press("sign-in", key=KEY)
    assert user_code in browser.press("start")
    refresh = re.search(r'http-equiv="refresh" content="(\d+)"', browser.page.text)
    assert refresh is not None
    assert int(refresh[1]) >= 2
    assert f'href="{fake.github_url}/login/device"' in browser.page.text
    fake.approve(user_code)
    tick(2)
    shown = browser.get()
    assert "GitHub agreed, and the login is kept. Logged in to GitHub as octocat (plan individual)" in shown
    assert DEMO_TOKEN == kept(gateway)
    assert Wire(gateway.url).get("/v1/models", x_api_key=KEY).status == 200
    assert "Logged in to GitHub as octocat" in browser.press("cancel")


def test_the_models_of_another_account_are_listed_as_soon_as_it_has_logged_in(
    gateway: Hosted, browser: Browser, fake: FakeCopilot, tick: Tick
) -> None:
    fake.account.policies["gpt-4.1"] = "disabled"
    found: list[str] = []
    sign_in(browser)
    for login in (DEMO_TOKEN, BUSINESS_TOKEN):
        user_code = offer_code(fake)
        browser.press("start")
        fake.approve(user_code, login)
        tick(2)
        assert "GitHub agreed" in browser.get()
        found.append(Wire(gateway.url).get("/v1/models/gpt-4.1", x_api_key=KEY).json["policy"])
        browser.press("cancel")
    assert ["disabled", "enabled"] == found


def test_every_page_says_that_this_is_unofficial(browser: Browser) -> None:
    assert NOTICE in browser.get()
    assert NOTICE in sign_in(browser)
    assert NOTICE in browser.press("start")


def test_github_is_never_asked_faster_than_it_wants(
    gateway: Hosted, browser: Browser, fake: FakeCopilot, tick: Tick
) -> None:
    offer_code(fake, interval=5)
    sign_in(browser)
    browser.press("start")
    for _ in range(5):
        browser.get()
    assert fake.requests("/login/oauth/access_token") == []
    tick(5)
    for _ in range(5):
        browser.get()
    assert len(fake.requests("/login/oauth/access_token")) == 1


def test_a_wish_for_a_slower_pace_is_obeyed(
    gateway: Hosted, browser: Browser, fake: FakeCopilot, tick: Tick
) -> None:
    offer_code(fake, interval=5)
    sign_in(browser)
    browser.press("start")
    fake.force("POST", "/login/oauth/access_token", 200, {"error": "slow_down", "interval": 30})
    tick(5)
    browser.get()
    tick(29)
    browser.get()
    assert len(fake.requests("/login/oauth/access_token")) == 1
    tick(2)
    browser.get()
    assert len(fake.requests("/login/oauth/access_token")) == 2


def test_no_secret_reaches_a_page(gateway: Hosted, browser: Browser, fake: FakeCopilot, tick: Tick) -> None:
    user_code = offer_code(fake)
    (device_code,) = [code.device_code for code in fake.state.devices.values() if code.user_code == user_code]
    sign_in(browser)
    browser.press("start")
    pages = [browser.page.text]
    fake.approve(user_code)
    tick(2)
    browser.get()
    pages.append(browser.page.text)
    assert [] == [
        s for s in (device_code, DEMO_TOKEN, KEY, browser.cookies["gateway-session"]) if s in "".join(pages)
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"error": "access_denied"}, "The login was cancelled on GitHub's page."),
        ({"error": "expired_token"}, "The code has expired. Start the login again."),
        ({"error": "device_flow_disabled"}, "The OAuth app has the device flow switched off"),
        ({"error": "incorrect_client_credentials"}, "GitHub does not know the OAuth app"),
        ({"error": "<script>", "error_description": "<b>x</b>"}, "GitHub refused the login: <b>x</b>"),
    ],
)
def test_every_end_is_a_sentence_and_a_way_on(
    browser: Browser, fake: FakeCopilot, answer: dict[str, object], said: str, tick: Tick
) -> None:
    offer_code(fake)
    sign_in(browser)
    browser.press("start")
    fake.force("POST", "/login/oauth/access_token", 200, answer)
    tick(2)
    assert said in browser.get()
    assert "<b>x</b>" not in browser.page.text
    again = offer_code(fake)
    assert again in browser.press("start")


def test_a_code_that_ran_out_is_said_without_asking_github(
    gateway: Hosted, browser: Browser, fake: FakeCopilot, tick: Tick
) -> None:
    offer_code(fake)
    sign_in(browser)
    browser.press("start")
    tick(1000)
    sign_in(browser)
    assert "The code has expired." in browser.get()
    assert fake.requests("/login/oauth/access_token") == []


def test_a_broken_network_is_no_end(gateway: Hosted, browser: Browser, fake: FakeCopilot, tick: Tick) -> None:
    user_code = offer_code(fake)
    sign_in(browser)
    browser.press("start")
    fake.force("POST", "/login/oauth/access_token", 502, "<html>unicorn</html>")
    tick(2)
    assert "Still waiting." in browser.get()
    fake.approve(user_code)
    tick(3)
    assert "GitHub agreed" in browser.get()


def test_a_start_that_fails_is_said(browser: Browser, fake: FakeCopilot) -> None:
    sign_in(browser)
    fake.force("POST", "/login/device/code", 500, "down")
    assert "GitHub gave an unreadable answer" in browser.press("start")
    assert browser.page.status == 502


def test_a_login_that_cannot_be_kept_is_said(
    gateway: Hosted, browser: Browser, fake: FakeCopilot, monkeypatch: pytest.MonkeyPatch, tick: Tick
) -> None:
    def refuse(_store: object, _name: str, _secret: str) -> None:
        raise StoreError("The role lacks secretsmanager:PutSecretValue.")

    monkeypatch.setattr(FileSecretStore, "save", refuse)
    user_code = offer_code(fake)
    sign_in(browser)
    browser.press("start")
    fake.approve(user_code)
    tick(2)
    assert "could not be kept. The role lacks secretsmanager:PutSecretValue." in browser.get()


def test_an_account_without_copilot_is_told(
    gateway: Hosted, browser: Browser, fake: FakeCopilot, tick: Tick
) -> None:
    fake.account.blocked_notification = "no_copilot_access"
    user_code = offer_code(fake)
    sign_in(browser)
    browser.press("start")
    fake.approve(user_code)
    tick(2)
    shown = browser.get()
    assert "it does not work: " in shown
    assert "No access to GitHub Copilot was found for this account." in shown, shown


def test_two_processes_share_one_login(
    gateway: Hosted, browser: Browser, fake: FakeCopilot, host: Host
) -> None:
    """Any Lambda instance may get the next look."""
    other = Browser(host(api_key=Secret(KEY), github_token=Secret("")).url, cookies=browser.cookies)
    user_code = offer_code(fake)
    sign_in(browser)
    browser.press("start")
    assert user_code in other.get()
    other.press("cancel")
    assert user_code not in browser.get()


# Who is kept out


@pytest.mark.parametrize("key", ["", "wrong", "operators-ke", "\ud7ff", "x" * 600])
def test_a_wrong_key_opens_nothing(browser: Browser, key: str) -> None:
    browser.get()
    assert "This is not a key of this gateway" in browser.press("sign-in", key=key)
    assert (403, {}) == (browser.page.status, browser.cookies)


def test_a_managed_key_signs_in_until_it_is_revoked(gateway: Hosted, tick: Tick) -> None:
    keys = ManagedKeys(gateway.services.state, gateway.services.now)
    key = keys.create("phone")
    first = Browser(gateway.url)
    first.get()
    assert "Nobody is logged in" in first.press("sign-in", key=key)
    keys.revoke("phone")
    tick(31)
    second = Browser(gateway.url)
    second.get()
    assert "not a key" in second.press("sign-in", key=key)


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(gateway: Hosted) -> None:
    form = urlencode({"action": "sign-in", "key": KEY}).encode()
    local = Wire(gateway.url).post("/login", form, Content_Type=FORM).headers["set-cookie"]
    assert re.fullmatch(
        r"gateway-session=[\w-]{43}; .*Max-Age=1800; HttpOnly; Path=/; SameSite=Strict", local
    )


def test_beyond_this_machine_the_cookie_is_for_https_alone(host: Host) -> None:
    gateway = host(api_key=Secret(KEY), github_token=Secret(""), allowed_hosts=("gateway.example",))
    browser = Browser(gateway.url, host="gateway.example")
    browser.get()
    assert "Nobody is logged in" in browser.press("sign-in", key=KEY)
    form = urlencode({"action": "sign-in", "key": KEY}).encode()
    cookie = (
        Wire(gateway.url)
        .post("/login", form, Content_Type=FORM, Host="gateway.example")
        .headers["set-cookie"]
    )
    assert re.fullmatch(r"__Host-gateway-session=\S+ .*Secure; HttpOnly; Path=/; SameSite=Strict", cookie)


def test_a_browser_that_drops_the_cookie_is_told_why(browser: Browser) -> None:
    assert "did not keep the session" in browser.get("?signed-in")


@pytest.mark.parametrize("action", ["start", "cancel", "sign-out", "", "nonsense"])
def test_a_form_without_the_sessions_token_does_nothing(
    browser: Browser, fake: FakeCopilot, action: str
) -> None:
    sign_in(browser)
    for token in ("", "0" * 64, "\ud7ff"):
        assert "out of date" in browser.press(action, token=token)
        assert browser.page.status == 403
    assert fake.requests("/login/device/code") == []
    assert browser.get() != ""


def test_a_form_of_another_site_is_refused(gateway: Hosted) -> None:
    form = urlencode({"action": "sign-in", "key": KEY}).encode()
    answer = Wire(gateway.url).post("/login", form, Content_Type=FORM, Origin="https://evil.example")
    assert (403, False) == (answer.status, "set-cookie" in answer.headers)


def test_nothing_but_the_form_is_shown_without_a_session(browser: Browser, fake: FakeCopilot) -> None:
    code = offer_code(fake)
    sign_in(browser)
    browser.press("start")
    stranger = Browser(browser.url, cookies={"gateway-session": "x" * 43})
    assert code not in stranger.get()
    assert "This page was out of date" in stranger.press("cancel")
    assert code in browser.get()


def test_a_session_from_before_there_were_keys_ends_with_the_first(gateway: Hosted) -> None:
    opened = Sessions(gateway.services.state, gateway.services.now).open("")
    assert "API key" in Browser(gateway.url, cookies={"gateway-session": opened}).get()


def test_a_session_ends_by_itself_and_by_signing_out(gateway: Hosted, browser: Browser, tick: Tick) -> None:
    sign_in(browser)
    stolen = dict(browser.cookies)
    assert "API key" in browser.press("sign-out")
    assert "API key" in Browser(browser.url, cookies=stolen).get()
    sign_in(browser)
    tick(1801)
    assert "API key" in browser.get()


def test_the_page_allows_no_script_no_frame_and_nothing_from_elsewhere(browser: Browser) -> None:
    sign_in(browser)
    headers = browser.page.headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert ["no-store", "same-origin", "nosniff", "DENY"] == [
        headers[name]
        for name in ("cache-control", "referrer-policy", "x-content-type-options", "x-frame-options")
    ]
    assert re.findall(r"<script|\son\w+=|\ssrc=|<link|style=", browser.page.text) == []


def test_the_style_is_the_one_that_the_policy_names(browser: Browser) -> None:
    browser.get()
    style = re.search(r"<style>(.*?)</style>", browser.page.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in browser.page.headers["content-security-policy"]


def test_a_large_form_is_refused(gateway: Hosted) -> None:
    answer = Wire(gateway.url).post("/login", b"key=" + b"x" * 20_000, Content_Type=FORM)
    assert answer.status == 413


def test_without_keys_the_laptops_page_needs_none(host: Host, fake: FakeCopilot) -> None:
    gateway = host(github_token=Secret(""))
    browser = Browser(gateway.url)
    assert "Nobody is logged in" in browser.get()
    code = offer_code(fake)
    assert code in browser.press("start")


def test_a_token_from_the_settings_is_said_to_go_first(host: Host) -> None:
    browser = Browser(host(api_key=Secret(KEY)).url)
    shown = sign_in(browser)
    assert "A GitHub token is set in the gateway's settings." in shown
    assert "octocat" in shown


def test_a_broken_state_store_is_a_sentence(gateway: Hosted, browser: Browser) -> None:
    with closing(gateway.services.state._store):  # type: ignore[attr-defined] # the local store has close()
        pass
    (Path(gateway.services.settings.data_dir) / "state.sqlite3").write_bytes(b"no database" * 100)
    browser.get()
    shown = browser.press("sign-in", key=KEY)
    assert (503, True) == (browser.page.status, "state.sqlite3" in shown)
