"""Chromium in front of real gateways. Every page is watched: no foreign request, no error in the console."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

import infra.local.services as local
from core.settings import Secret
from infra import wiring
from tests.e2e.browser import Tick, moving_clock
from tests.e2e.hosting import Hosted, new_fake
from tests.emulators.copilot import FakeCopilot

HERE = Path(__file__).parent
KEY = "operators-key"
PATIENCE = 30_000  # milliseconds for a page to show what it must, on a busy machine
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-quic",
)  # fmt: skip
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"

Open = Callable[..., Page]
Host = Callable[..., Hosted]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("Chromium is needed, as `chromium` on the path: run `make test-browser`.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def one_fake() -> Iterator[FakeCopilot]:
    fake = new_fake()
    yield fake
    fake.stop()


@pytest.fixture
def fake(one_fake: FakeCopilot) -> Iterator[FakeCopilot]:
    one_fake.clear_log()
    yield one_fake
    one_fake.state.modes.clear()
    one_fake.state.forced.clear()


@pytest.fixture
def tick(fake: FakeCopilot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tick]:
    """Let time pass, for gateways that are started after this."""
    with moving_clock(fake, monkeypatch, wiring, local) as forward:
        yield forward


@pytest.fixture
def host(fake: FakeCopilot, tick: Tick, tmp_path: Path) -> Iterator[Host]:
    """Return what starts a gateway with chosen settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(Hosted(fake, tmp_path, **settings))


@pytest.fixture
def gateway(host: Host) -> Hosted:
    """A gateway that asks for a key."""
    return host(api_key=Secret(KEY))


@dataclass
class Watch:
    """What a context's pages asked for and complained of."""

    requests: list[str] = field(default_factory=list[str])
    complaints: list[str] = field(default_factory=list[str])
    allowed: tuple[str, ...] = ()

    def over(self, context: BrowserContext) -> None:
        context.on("request", self._asked)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(self.allowed or ("\0",)):
            self.complaints.append(message.text)

    def check(self, own: set[str]) -> None:
        assert [] == [url for url in self.requests if urlsplit(url).netloc not in own]
        assert [] == self.complaints


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def browse(chromium: Browser, watch: Watch) -> Iterator[Open]:
    """Return what opens a page of a gateway in a fresh profile; it must ask nobody else and complain of nothing."""
    contexts: list[BrowserContext] = []
    own: set[str] = set()

    def open_page(gateway: Hosted, path: str = "/", **options: Any) -> Page:
        context = chromium.new_context(base_url=gateway.url, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        own.add(str(urlsplit(gateway.url).netloc))
        watch.over(context)
        page = context.new_page()
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    watch.check(own)


def sign_in(page: Page, key: str = KEY) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def offences(page: Page) -> list[str]:
    """Return what axe-core finds on the page."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: Any = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
