"""A browser without scripts, and a clock that tests move for the gateway and the fake together."""

import html
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from urllib.parse import urlencode

import pytest

from tests.e2e.hosting import Answer, Wire
from tests.emulators.copilot import FakeCopilot

FORM = "application/x-www-form-urlencoded"
Tick = Callable[[float], None]


@dataclass
class Browser:
    """Keeps cookies, follows redirects, fills in forms; runs no script."""

    url: str
    host: str = ""
    path: str = "/login"
    cookies: dict[str, str] = field(default_factory=dict[str, str])
    page: Answer = field(default_factory=lambda: Answer(0, {}, b""))

    def get(self, query: str = "") -> str:
        return self._seen(self._send("GET", f"{self.path}{query}", None))

    def press(self, action: str, **fields: str) -> str:
        """Send the form whose button this is, with the hidden fields of the page."""
        token = re.search(r'name="token" value="([0-9a-f]+)"', self.page.text)
        form = {**({"token": token[1]} if token else {}), "action": action, **fields}
        answer = self._send("POST", self.path, urlencode(form).encode())
        if answer.status == 303:
            assert answer.headers["location"].startswith("?")
            return self.get(answer.headers["location"])
        return self._seen(answer)

    def _send(self, method: str, path: str, body: bytes | None) -> Answer:
        headers: dict[str, str | None] = {"Accept": "text/html"}
        if self.host:
            headers["Host"] = self.host
        if body is not None:
            headers |= {"Content-Type": FORM, "Origin": f"https://{self.host}" if self.host else self.url}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = Wire(self.url).send(method, path, body, headers)
        if set_cookie := answer.headers.get("set-cookie"):
            name, _, value = set_cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def _seen(self, answer: Answer) -> str:
        self.page = answer
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


@contextmanager
def moving_clock(fake: FakeCopilot, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> Iterator[Tick]:
    """Let time pass for the fake, and for gateways that are made after this by the modules."""
    passed = 0.0

    def forward(seconds: float) -> None:
        nonlocal passed
        passed += seconds
        fake.state.clock.advance(seconds)

    clock = SimpleNamespace(
        time=lambda: time.time() + passed,
        sleep=time.sleep,
        monotonic=time.monotonic,
        perf_counter=time.perf_counter,
    )
    for module in modules:
        monkeypatch.setattr(module, "time", clock)
    yield forward
    fake.state.clock.advance(-passed)
    fake.state.devices.clear()
