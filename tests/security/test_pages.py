"""Attacks by hostile pages in the operator's own browser: weaknesses 1, 2, 3, 7, 13 and 18."""

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.e2e.asking import PATH, SURFACES, ask, error_of
from tests.e2e.browser import FORM, Browser
from tests.e2e.cli_driver import environment, run
from tests.e2e.conftest import Host
from tests.e2e.hosting import Answer, Wire
from tests.emulators.copilot import FakeCopilot
from tests.security.attacks import KEY, PEERS, routes, secrets_of, spent

EVIL = ["https://evil.example", "http://localhost:3000", "http://127.0.0.1:8080", "null", "http://localhost"]
NEVER = ("access-control-allow-origin", "access-control-allow-credentials")


def cors(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def test_weakness_01_no_route_gives_a_token_away_and_no_page_may_read_one(
    gateway: Wire, fake: FakeCopilot
) -> None:
    """Row 01."""
    assert 200 == gateway.post(PATH["chat"], ask("chat", "gpt-4.1", "hi")).status
    tokens = secrets_of(fake)
    assert len(tokens) > 1
    asked = [*routes(), *(("GET", path) for path in PEERS), *(("POST", path) for path in PEERS)]
    for method, path in asked:
        for headers in ({}, {"Origin": EVIL[0]}):
            body = {"model": "gpt-4.1"} if method == "POST" else None
            answer = gateway.send(method, path, body, dict(headers))
            shown = f"{answer.headers} {answer.body!r}"
            assert [] == [token for token in tokens if token in shown], (method, path)
            assert {} == cors(answer)
    for path in PEERS:
        assert 404 == gateway.get(path).status, path


@pytest.mark.parametrize("name", ["evil.example", "rebound.evil.example:4141", "127.0.0.1.nip.io", "localhost.evil.example", "0.0.0.1", "127.0.0.1@evil.example", "localhost, evil.example", ""])  # fmt: skip
def test_weakness_02_a_page_that_rebinds_its_name_gets_nothing(
    gateway: Wire, fake: FakeCopilot, name: str
) -> None:
    """Row 02: such a page is of the same origin for its browser, but the Host field tells."""
    for method, path in routes():
        body = {"model": "gpt-4.1"} if method == "POST" else None
        answer = gateway.send(method, path, body, {"Host": name, "Origin": f"http://{name}"})
        assert 403 == answer.status, (method, path)
        assert "gpt-4.1" not in answer.text.replace(path, "")
    assert not fake.log


def test_weakness_02_a_target_may_not_name_another_host_than_the_host_field(gateway: Wire) -> None:
    """Row 02."""
    port = gateway.url.rpartition(":")[2]
    received = gateway.raw(
        f"GET http://evil.example/v1/models HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode()
    )
    assert b" 400 " in received.partition(b"\r\n")[0]


SIMPLE = [
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": None},
    {"Content-Type": "text/plain; application/json"},
]


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("headers", SIMPLE)
def test_weakness_03_what_a_page_sends_without_asking_first_spends_nothing(
    gateway: Wire, fake: FakeCopilot, surface: str, headers: dict[str, str | None]
) -> None:
    """Row 03: browsers send these bodies anywhere, and hold back only the answer."""
    answer = gateway.send("POST", PATH[surface], ask(surface, "gpt-4.1", "hi"), dict(headers))
    assert 415 == answer.status
    error_of(surface, answer.body)
    assert [] == spent(fake)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("origin", EVIL)
def test_weakness_03_a_foreign_page_spends_nothing(
    gateway: Wire, fake: FakeCopilot, surface: str, origin: str
) -> None:
    """Row 03: also a page that another program on this machine serves."""
    for method in ("POST", "OPTIONS"):
        answer = gateway.send(
            method, PATH[surface], ask(surface, "gpt-4.1", "hi"),
            {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"},
        )  # fmt: skip
        assert (403, {}) == (answer.status, cors(answer))
    embedded = gateway.get("/v1/models", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")
    assert 403 == embedded.status
    assert [] == spent(fake)


@pytest.mark.parametrize("origin", EVIL)
def test_weakness_07_a_local_page_cannot_use_the_pages_of_the_gateway(
    gateway: Wire, fake: FakeCopilot, origin: str
) -> None:
    """Row 07: it can neither read them, nor frame them, nor send their forms."""
    own = Browser(gateway.url)
    own.get()
    token = re.search(r'name="token" value="([0-9a-f]+)"', own.page.text)
    assert token is not None
    cookie = "; ".join(f"{name}={value}" for name, value in own.cookies.items())
    form = urlencode({"token": token[1], "action": "start"}).encode()
    forged = [
        gateway.send("POST", "/login", form, {"Content-Type": FORM, "Origin": origin, "Cookie": cookie}),
        gateway.send("GET", "/login", None, {"Origin": origin, "Cookie": cookie}),
        gateway.send("POST", "/login", b"action=start", {"Content-Type": FORM, "Cookie": cookie}),
        gateway.send("POST", "/login", form, {"Content-Type": FORM}),
    ]
    assert [403] * 4 == [answer.status for answer in forged]
    assert token[1] not in forged[1].text
    assert [] == spent(fake)
    shown = own.page.headers
    assert ("DENY", True) == (
        shown["x-frame-options"], "frame-ancestors 'none'" in shown["content-security-policy"],
    )  # fmt: skip


def test_weakness_07_a_session_is_for_our_pages_alone(gateway: Wire, locked: Wire) -> None:
    """Row 07: no script reads its cookie, no other site sends it, and it is no key."""
    cookie = gateway.get("/login").headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    browser = Browser(locked.url)
    browser.get()
    browser.press("sign-in", key=KEY)
    assert browser.cookies
    shown = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    assert 401 == locked.get("/v1/models", Cookie=shown).status
    assert all(401 == locked.get("/v1/models", x_api_key=value).status for value in browser.cookies.values())


def test_weakness_07_the_only_forms_are_the_pages_own_and_none_is_taken_blindly(gateway: Wire) -> None:
    """Row 07: nothing else that changes something can be asked but by a model call or for a stored response."""
    changing = {(method, path.removeprefix("/v1")) for method, path in routes() if method != "GET"}
    calls = {
        ("POST", "/chat/completions"), ("POST", "/messages"), ("POST", "/messages/count_tokens"), ("POST", "/responses"),
        ("POST", "/responses/input_tokens"), ("POST", "/responses/gpt-4.1/cancel"), ("DELETE", "/responses/gpt-4.1"),
        ("POST", "/embeddings"),
    }  # fmt: skip
    forms = {("POST", "/login"), ("POST", "/dashboard")}
    assert forms == changing - calls
    for method, path in forms:  # a browser's session and its token, or nothing
        answer = gateway.send(method, path, b"action=start", {"Content-Type": FORM})
        assert 403 == answer.status, (method, path)


def test_weakness_13_only_exactly_named_origins_may_read_and_never_with_cookies(host: Host) -> None:
    """Row 13."""
    named = Wire(host(allowed_origins=("https://app.example",)).url)
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    told = named.send("OPTIONS", PATH["chat"], None, {"Origin": "https://app.example", **asked})
    assert (204, b"") == (told.status, told.body)
    assert "https://app.example" == told.headers["access-control-allow-origin"]
    assert "authorization, content-type" == told.headers["access-control-allow-headers"]
    odd = {**asked, "Origin": "https://app.example", "Access-Control-Request-Headers": "x<script>"}
    assert "access-control-allow-headers" not in named.send("OPTIONS", PATH["chat"], None, odd).headers
    answers = [named.post(PATH[surface], {}, Origin="https://app.example") for surface in SURFACES]
    assert {"https://app.example"} == {answer.headers["access-control-allow-origin"] for answer in answers}
    assert all("Origin" in answer.headers["vary"] for answer in answers)
    assert all("access-control-allow-credentials" not in answer.headers for answer in [told, *answers])
    for origin in (
        "https://app.example.evil.example",
        "http://app.example",
        "https://app.example:444",
        "https://APP.example",
        *EVIL,
    ):
        for method in ("OPTIONS", "POST"):
            refused = named.send(method, PATH["chat"], {}, {"Origin": origin, **asked})
            assert (403, {}) == (refused.status, cors(refused)), origin


def test_weakness_13_nobody_is_allowed_by_default_and_everybody_never(
    gateway: Wire, fake: FakeCopilot, tmp_path: Path
) -> None:
    """Row 13."""
    for path in ("/v1/models", "/login", "/healthz", "/nowhere"):
        assert {} == cors(gateway.get(path, Origin=gateway.url)), path
    for wild in ("*", "https://*.example"):
        environ = environment(tmp_path, fake) | {"COPILOT_GATEWAY_ALLOWED_ORIGINS": wild}
        told = run(environ, "start", "--port", "0")
        assert (2, True) == (told.returncode, "ALLOWED_ORIGINS must be exact origins" in told.stderr), wild


def test_weakness_18_pages_take_nothing_from_elsewhere(gateway: Wire) -> None:
    """Row 18: every page that there is, and what its policy would let a browser load."""
    pages = 0
    for path in sorted({path for method, path in routes() if method == "GET"}):
        answer = gateway.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert not re.search(r"https?:|\*|unsafe-", policy), path
        if "text/html" in answer.headers["content-type"]:
            pages += 1
            assert not re.findall(r"(?:src|srcset|data|poster)\s*=\s*[\"']?(?:https?:)?//", answer.text), path
            assert not re.findall(r"<link[^>]+href\s*=|@import|url\(", answer.text), path
    assert pages


def test_every_answer_keeps_browsers_from_making_more_of_it(gateway: Wire, locked: Wire) -> None:
    """Rows 01, 03 and 07: guessed types, frames, caches, referrers."""
    answers = [gateway.get(path) for method, path in routes() if method == "GET"]
    answers += [gateway.get("/nowhere"), gateway.send("PUT", PATH["chat"], {}), locked.get("/v1/models")]
    answers += [
        gateway.post(PATH[surface], ask(surface, "gpt-4.1", "hi", stream=stream))
        for surface in SURFACES
        for stream in (True, False)
    ]
    for answer in answers:
        shown = answer.headers
        assert ("nosniff", "DENY", "same-origin", "no-store") == (
            shown["x-content-type-options"], shown["x-frame-options"], shown["cross-origin-resource-policy"], shown["cache-control"],
        )  # fmt: skip
        assert shown["referrer-policy"] in {"no-referrer", "same-origin"}
        assert "server" not in shown
