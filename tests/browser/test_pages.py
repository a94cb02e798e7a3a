"""The pages as people meet them: with a mouse, a keyboard, a phone, in the dark, without scripts; and who is kept out."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from threading import Thread

import pytest
from playwright.sync_api import Page, expect

from core.access.caller import Caller
from core.access.managed_keys import ManagedKeys
from core.exchange import Exchange
from core.notice import NOTICE
from core.settings import Secret
from tests.browser.conftest import KEY, PATIENCE, Host, Open, Watch, offences, sign_in
from tests.browser.seed import seed
from tests.e2e.asking import PATH, ask
from tests.e2e.browser import Tick
from tests.e2e.cli_driver import offer_code
from tests.e2e.hosting import Answer, Hosted, Wire
from tests.emulators.copilot import FakeCopilot

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
expect.set_options(timeout=PATIENCE)

MODEL = "gpt-5-mini"
REFUSED = "Failed to load resource: the server responded with a status of 403"
PAGES = ("/", "/dashboard", "/dashboard?range=7d&by=key", "/dashboard?range=12m", "/login")
PHONE = {"width": 360, "height": 740}
# Where the visible words of an axis begin and end.
EDGES = """axis => [...axis.children].filter(each => getComputedStyle(each).visibility === "visible").map(each => {
    const words = document.createRange();
    words.selectNodeContents(each);
    const { left, right } = words.getBoundingClientRect();
    return [left, right];
})"""


@pytest.fixture
def busy(host: Host) -> Hosted:
    """A gateway with weeks of traffic."""
    gateway = host(api_key=Secret(KEY))
    seed(gateway.services.state, gateway.services.now(), hours=24 * 35)
    return gateway


@contextmanager
def asked(gateway: Hosted) -> Iterator[list[Answer]]:
    """Ask a model meanwhile; afterwards the answer is in the list, and counted."""
    answers: list[Answer] = []
    before = gateway.counted
    wire = Wire(gateway.url, {"x-api-key": KEY})
    thread = Thread(target=lambda: answers.append(wire.post(PATH["chat"], ask("chat", MODEL, "hi"))))
    thread.start()
    try:
        yield answers
    except BaseException:
        refuse_all(gateway)
        raise
    finally:
        thread.join()
    gateway.wait_until_counted(before + 1)


def refuse_all(gateway: Hosted) -> None:
    """Let nothing wait any more: the test has failed already."""
    approvals = gateway.services.approvals
    for each in [] if approvals is None else approvals.pending():
        approvals.answer(each.id, approved=False)


def signed_in(browse: Open, gateway: Hosted, path: str = "/dashboard", **options: object) -> Page:
    page = browse(gateway, "/dashboard", **options)
    sign_in(page)
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    if path != "/dashboard":
        page.goto(path)
    return page


# Who gets in


def test_without_a_key_the_front_page_says_what_it_is_and_no_more(gateway: Hosted, browse: Open) -> None:
    page = browse(gateway, "/")
    expect(page.get_by_role("heading")).to_have_text("This is a Copilot Gateway")
    shown = page.locator("body").inner_text()
    assert NOTICE in " ".join(shown.split())
    assert [] == [word for word in ("octocat", MODEL, "claude", "plan", gateway.url) if word in shown]
    page.get_by_role("link", name="Sign in").click()
    sign_in(page)
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def test_a_wrong_key_is_told_so_and_the_right_one_gets_in(
    gateway: Hosted, browse: Open, watch: Watch
) -> None:
    watch.allowed = (REFUSED,)
    page = browse(gateway, "/dashboard")
    sign_in(page, "not-the-key")
    expect(page.get_by_role("alert")).to_have_text(
        "This is not a key of this gateway, or it is revoked or expired."
    )
    assert [] == page.context.cookies()
    sign_in(page)
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    expect(page.get_by_text("Key static")).to_be_visible()
    (cookie,) = page.context.cookies()
    assert (True, "Strict") == (cookie.get("httpOnly"), cookie.get("sameSite"))


@pytest.mark.parametrize("path", ["/", "/dashboard", "/login"])
def test_who_signs_out_is_out_on_every_page(gateway: Hosted, browse: Open, path: str) -> None:
    page = signed_in(browse, gateway, path)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    for each in ("/dashboard", "/login"):
        page.goto(each)
        expect(page.get_by_label("API key")).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("heading")).to_have_text("This is a Copilot Gateway")


def test_a_session_ends_by_itself(gateway: Hosted, browse: Open, tick: Tick) -> None:
    page = signed_in(browse, gateway)
    tick(1801)
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()


def test_a_page_that_was_left_open_asks_for_the_key_when_its_session_is_over(
    gateway: Hosted, browse: Open, tick: Tick
) -> None:
    page = browse(gateway, "/dashboard")
    page.clock.install()
    sign_in(page)
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    tick(1801)
    page.clock.run_for(31_000)
    expect(page.get_by_label("API key")).to_be_visible()


def test_on_this_machine_without_keys_no_key_is_asked(host: Host, browse: Open) -> None:
    page = browse(host(), "/")
    expect(page.get_by_text("none is asked on this machine")).to_be_visible()
    page.get_by_role("link", name="Dashboard").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


# Login


def test_the_device_login_from_the_first_click_to_the_first_answer(
    host: Host, browse: Open, fake: FakeCopilot, tick: Tick
) -> None:
    gateway = host(api_key=Secret(KEY), github_token=Secret(""))
    user_code = offer_code(fake)
    page = signed_in(browse, gateway)
    expect(page.get_by_text("nobody yet")).to_be_visible()
    page.clock.install()
    page.get_by_role("link", name="GitHub login").click()
    page.get_by_role("button", name="Log in to GitHub").click()
    expect(page.locator(".code")).to_have_text(user_code)
    expect(page.get_by_role("link", name=re.compile("^Open "))).to_have_attribute(
        "href", f"{fake.github_url}/login/device"
    )
    page.evaluate("window.stays = true")
    fake.approve(user_code)
    tick(3)
    page.clock.run_for(10_000)
    expect(page.get_by_role("heading", name="Logged in")).to_be_visible()
    assert page.evaluate("window.stays")
    answer = Wire(gateway.url, {"x-api-key": KEY}).post(PATH["chat"], ask("chat", MODEL, "hi"))
    assert 200 == answer.status
    page.get_by_role("link", name="Status").click()
    expect(page.get_by_role("heading", name="Ready for your tools")).to_be_visible()
    expect(page.get_by_text("octocat")).to_be_visible()


# The dashboard


def test_a_request_is_on_the_dashboard_as_soon_as_it_is_over(gateway: Hosted, browse: Open) -> None:
    page = signed_in(browse, gateway)
    expect(page.get_by_text("Nothing in 24 hours.")).to_have_count(2)
    with asked(gateway) as answers:
        pass
    assert 200 == answers[0].status
    page.reload()
    tile = page.locator(".tiles div").filter(has_text="Requests").locator("dd")
    expect(tile).to_have_text("1")
    row = page.get_by_role("region", name="By model").get_by_role("row").filter(has_text=MODEL)
    expect(row.get_by_role("cell").first).to_have_text("1")
    chart = page.get_by_role("figure", name="Requests")
    expect(chart.locator("rect.s0")).to_have_count(2)  # a bar, and the legend
    expect(chart.locator("g title").last).to_have_text(re.compile(rf"1\s+{MODEL}: 1"))
    chart.get_by_text("The figures as a table").click()
    latest = chart.get_by_role("table").get_by_role("row").nth(1)
    expect(latest.get_by_role("cell").first).to_have_text("1")
    page.get_by_role("link", name="By key").click()
    expect(page.get_by_role("figure", name="Requests").locator(".legend")).to_have_text("static 1")


def test_an_error_is_on_the_dashboard_with_the_id_that_its_client_got(
    gateway: Hosted, browse: Open, fake: FakeCopilot
) -> None:
    fake.force("POST", "/chat/completions", 400, {"error": {"message": "no", "code": "bad"}})
    with asked(gateway) as answers:
        pass
    page = signed_in(browse, gateway)
    row = page.get_by_role("region", name="The last errors").get_by_role("row").last
    expect(row).to_contain_text(answers[0].headers["x-request-id"])
    expect(row).to_contain_text(answers[0].headers["x-github-request-id"])
    expect(page.locator(".kinds")).to_contain_text("1 invalid request")


def test_every_range_has_its_bars_and_the_figures_behind_them(busy: Hosted, browse: Open) -> None:
    page = signed_in(browse, busy)
    for name, slots in {"24 hours": 24, "7 days": 28, "30 days": 30, "12 months": 12}.items():
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("link", name=name)).to_have_attribute("aria-current", "true")
        chart = page.get_by_role("figure", name="Credits")
        expect(chart.locator("g")).to_have_count(slots)
        expect(chart.locator("tbody tr")).to_have_count(slots)
        assert chart.locator("rect.s0").count() > 1


def test_the_page_follows_without_losing_its_place(gateway: Hosted, browse: Open) -> None:
    page = signed_in(browse, gateway)
    with asked(gateway):
        pass
    page.clock.install()
    page.reload()
    page.get_by_role("figure", name="Requests").get_by_text("The figures as a table").click()
    page.evaluate("window.stays = true")
    with asked(gateway):
        pass
    page.mouse.click(2, 2)  # the focus leaves what was clicked
    page.clock.run_for(61_000)
    expect(page.locator(".tiles div").filter(has_text="Requests").locator("dd")).to_have_text("2")
    expect(page.locator("#requests-figures")).to_have_attribute("open", "")
    assert page.evaluate("window.stays")
    page.get_by_role("link", name="Hold it").click()
    expect(page.get_by_text("This page stands still.")).to_be_visible()


# Approvals


@pytest.mark.parametrize(("button", "status"), [("Approve", 200), ("Refuse", 403)])
@pytest.mark.parametrize("scripts", [True, False])
def test_a_request_waits_until_a_person_says_what_becomes_of_it(
    host: Host, browse: Open, button: str, status: int, *, scripts: bool
) -> None:
    gateway = host(api_key=Secret(KEY), manual=True)
    page = signed_in(browse, gateway, java_script_enabled=scripts)
    with asked(gateway) as answers:
        if scripts:
            expect(page.get_by_role("article")).to_contain_text(MODEL)  # the page looks by itself
            expect(page.locator("#news")).to_have_text("1 request waits for your approval.")
            expect(page).to_have_title("(1) Dashboard · Copilot Gateway")
        else:
            assert gateway_waits(gateway)
            page.reload()
        page.get_by_role("article").get_by_role("button", name=button).click()
    assert [status] == [answer.status for answer in answers]
    expect(page.get_by_text("Nothing waits.")).to_be_visible()


def gateway_waits(gateway: Hosted) -> bool:
    """Wait until a request is held."""
    approvals = gateway.services.approvals
    assert approvals is not None
    with approvals._changed:
        return approvals._changed.wait_for(lambda: bool(approvals._waiting), timeout=60)


def test_an_answer_that_comes_too_late_is_said_to(host: Host, browse: Open, watch: Watch) -> None:
    watch.allowed = ("Failed to load resource: the server responded with a status of 409",)
    gateway = host(api_key=Secret(KEY), manual=True)
    approvals = gateway.services.approvals
    assert approvals is not None
    with asked(gateway) as answers:
        assert gateway_waits(gateway)
        page = signed_in(browse, gateway, java_script_enabled=False)
        (waiting,) = approvals.pending()
        approvals.answer(waiting.id, approved=False)
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("alert")).to_contain_text("That request does not wait any more")
    assert 403 == answers[0].status


# How people look at them


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(busy: Hosted, browse: Open, scheme: str) -> None:
    page = signed_in(browse, busy, color_scheme=scheme)
    found: dict[str, list[str]] = {}
    for path in PAGES:
        page.goto(path)
        for closed in page.locator("summary").all():
            closed.click()
        found[path] = offences(page)
    page.get_by_role("button", name="Sign out").click()
    found["sign-in"] = offences(page)
    page.goto("/")
    found["welcome"] = offences(page)
    assert {} == {path: each for path, each in found.items() if each}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_where_something_waits(
    host: Host, browse: Open, fake: FakeCopilot, scheme: str
) -> None:
    gateway = host(api_key=Secret(KEY), manual=True)
    with asked(gateway):
        assert gateway_waits(gateway)
        page = signed_in(browse, gateway, color_scheme=scheme)
        expect(page.get_by_role("article")).to_be_visible()
        assert [] == offences(page)
        page.goto("/login")
        offer_code(fake)
        page.get_by_role("button", name="Log in to GitHub").click()
        expect(page.locator(".code")).to_be_visible()
        assert [] == offences(page)
        page.goto("/dashboard")
        page.get_by_role("button", name="Approve").click()


def test_it_is_dark_where_the_person_likes_it_dark(busy: Hosted, browse: Open) -> None:
    grounds: dict[str, list[int]] = {}
    for scheme in ("light", "dark"):
        page = signed_in(browse, busy, color_scheme=scheme)
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        grounds[scheme] = [int(number) for number in re.findall(r"\d+", colour)[:3]]
    assert all(part > 230 for part in grounds["light"])
    assert all(part < 40 for part in grounds["dark"])


def test_without_scripts_everything_is_there(busy: Hosted, browse: Open) -> None:
    page = signed_in(browse, busy, java_script_enabled=False)
    assert '<noscript><meta http-equiv="refresh" content="30"></noscript>' in page.content()
    page.get_by_role("link", name="30 days").click()
    expect(page.get_by_role("figure", name="Requests").locator("g")).to_have_count(30)
    page.get_by_role("figure", name="Requests").get_by_text("The figures as a table").click()
    expect(page.get_by_role("region", name="Requests: the figures")).to_be_visible()
    page.get_by_role("link", name="Status").click()
    expect(page.get_by_role("heading", name="Ready for your tools")).to_be_visible()


@pytest.mark.parametrize("path", PAGES)
def test_on_a_phone_no_page_is_wider_than_the_screen(busy: Hosted, browse: Open, path: str) -> None:
    page = signed_in(browse, busy, path, viewport=PHONE, is_mobile=True, has_touch=True)
    for closed in page.locator("summary").all():
        closed.click()
    assert [PHONE["width"]] * 2 == page.evaluate("[document.documentElement.scrollWidth, innerWidth]")


@pytest.mark.parametrize("span", ["24h", "7d", "30d", "12m"])
def test_on_the_smallest_screen_the_times_of_a_chart_stand_apart(
    busy: Hosted, browse: Open, span: str
) -> None:
    page = signed_in(browse, busy, f"/dashboard?range={span}", viewport={"width": 320, "height": 640})
    for chart in page.locator(".chart").all():
        right: float = chart.evaluate("each => each.getBoundingClientRect().right")
        edges: list[list[float]] = chart.locator(".axis").evaluate(EDGES)
        assert all(edge[1] + 4 <= following[0] for edge, following in pairwise(edges)), edges
        assert edges[-1][1] < right


def test_a_long_name_does_not_push_the_figures_out_of_sight(host: Host, browse: Open) -> None:
    gateway = host(api_key=Secret(KEY))
    name = "model-" + "of-many-words-" * 20
    gateway.services.ledger.observe(
        Exchange(
            id="req_1", began_at=0.0, surface="chat", model=name, requested=name, caller=Caller("k" * 64), status=502,
            error="upstream", admitted=True,
        )
    )  # fmt: skip
    ManagedKeys(gateway.services.state, gateway.services.now).create("k" * 64)
    page = signed_in(browse, gateway, viewport={"width": 1080, "height": 800})
    for region in ("By model", "By key", "The gateway's keys"):
        table = page.get_by_role("region", name=region)
        assert table.evaluate("each => each.scrollWidth === each.clientWidth"), region


def test_on_paper_no_table_lies_over_what_follows(busy: Hosted, browse: Open) -> None:
    page = signed_in(browse, busy, "/dashboard?range=30d")
    for closed in page.locator("summary").all():
        closed.click()
    page.emulate_media(media="print")
    hidden: list[float] = page.locator(".scroll").evaluate_all(
        "all => all.map(each => each.scrollHeight - each.clientHeight)"
    )
    assert len(hidden) > 5
    assert {0} == set(hidden)


def test_with_the_keyboard_alone_one_signs_in_looks_and_approves(host: Host, browse: Open) -> None:
    gateway = host(api_key=Secret(KEY), manual=True)
    page = browse(gateway, "/dashboard")
    focus_on(page, "API key")
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    page.keyboard.press("Tab")
    assert "Skip to the content" == focused(page)
    focus_on(page, "7 days")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    with asked(gateway) as answers:
        expect(page.get_by_role("article")).to_be_visible()
        focus_on(page, "Approve")
        page.keyboard.press("Enter")
    assert 200 == answers[0].status


def focused(page: Page) -> str:
    found: str = page.evaluate(
        "(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()"
    )
    return found


def focus_on(page: Page, name: str) -> None:
    """Press Tab until the element of this name has the focus, and shows it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if name == focused(page):
            assert "none" != page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            return
    pytest.fail(f"Tab does not reach {name}")
