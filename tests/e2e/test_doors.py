"""Who may come in, what they may learn, and that no door gives a token away."""

from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest

from core.settings import Secret
from handlers.guard import FAULT, WITHHELD
from tests.e2e.asking import PATH, SURFACES, ask, error_of
from tests.e2e.conftest import Host
from tests.e2e.hosting import Hosted, Wire, routes_of
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot

KEY = "canary-key-4f9d1c0b7e"
# What says the same to everybody: liveness, what this is, and the description of the API.
OPEN = {"/healthz", "/", "/openapi.json"}
# They ask for the key in a form of their own; test_login_page.py and test_dashboard.py show who is kept out there.
PAGES = {"/login", "/dashboard"}


@pytest.fixture(scope="module")
def locked_url(one_fake: FakeCopilot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Hosted(one_fake, tmp_path_factory.mktemp("locked"), api_key=Secret(KEY)) as gateway:
        yield gateway.url


@pytest.fixture
def locked(locked_url: str, fake: FakeCopilot) -> Wire:
    """A gateway with a key."""
    return Wire(locked_url)


@pytest.mark.parametrize(
    "key", [None, "", "wrong", KEY[:-1], KEY + "x", KEY.upper(), "\xe4\xf6", "x" * 10_000]
)
@pytest.mark.parametrize("header", ["Authorization", "x-api-key"])
@pytest.mark.parametrize("surface", SURFACES)
def test_wrong_key_is_a_401(locked: Wire, surface: str, header: str, key: str | None) -> None:
    shown = f"Bearer {key}" if header == "Authorization" and key is not None else key
    answer = locked.send("POST", PATH[surface], ask(surface, "gpt-4.1", "hi"), {header: shown})
    assert 401 == answer.status
    error_of(surface, answer.body)
    assert KEY not in answer.text


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"x-api-key": KEY}, {"x-api-key": KEY, "Authorization": "Bearer other"}])  # fmt: skip
@pytest.mark.parametrize("surface", SURFACES)
def test_right_key_opens_in_either_header(locked: Wire, surface: str, headers: dict[str, str]) -> None:
    assert 200 == locked.send("POST", PATH[surface], ask(surface, "gpt-4.1", "hi"), dict(headers)).status


@pytest.mark.parametrize("headers", [{"Authorization": KEY}, {"Authorization": f"Basic {KEY}"}, {"Cookie": f"key={KEY}"}, {"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}])  # fmt: skip
def test_nothing_else_opens(locked: Wire, headers: dict[str, str]) -> None:
    assert 401 == locked.send("GET", "/v1/models", None, dict(headers)).status
    assert 401 == locked.get(f"/v1/models?key={KEY}&api_key={KEY}").status


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ({FAULT: (400, "no")}, 400, "invalid_request_error"),
        ({FAULT: (408, "too slow")}, 408, "timeout_error"),
        ({FAULT: (413, "too much")}, 413, "request_too_large"),
        ({FAULT: (500, "broken")}, 500, "api_error"),
        ({WITHHELD: True}, 529, "overloaded_error"),  # admitted now, but nobody read its body
    ],
)
def test_what_the_server_could_not_read_is_told_in_the_surface_s_own_kind(
    host: Host, fake: FakeCopilot, fault: dict[str, object], status: int, kind: str
) -> None:
    client = host().app.test_client()
    answer = client.post("/v1/messages", json=ask("messages", "gpt-4.1", "hi"), environ_overrides=fault)
    assert (status, kind) == (answer.status_code, error_of("messages", answer.data)["type"])
    assert not fake.requests("/chat/completions")


@pytest.mark.parametrize("kind", ["text/plain", None])
def test_a_route_that_is_none_is_told_as_that_whatever_is_sent(locked: Wire, kind: str | None) -> None:
    path = "/v1/" + "x" * 5000
    answer = locked.send("POST", path, b"hi", {"x-api-key": KEY, "Content-Type": kind})
    message = error_of("chat", answer.body)["message"]
    assert (404, True) == (answer.status, len(message) < 300)


def test_a_wrong_method_is_told_the_right_ones(locked: Wire) -> None:
    answer = locked.send("PUT", "/v1/responses/input_tokens", {}, {"x-api-key": KEY})
    assert (405, "POST") == (answer.status, answer.headers["allow"])


def test_an_unknown_model_is_told_in_the_form_that_the_list_has(locked: Wire) -> None:
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    answer = locked.send("GET", "/v1/models/nope", None, headers)
    assert (404, "not_found_error") == (answer.status, error_of("messages", answer.body)["type"])


def test_every_route_but_the_open_ones_asks_for_the_key(fake: FakeCopilot, host: Host) -> None:
    gateway = host(api_key=Secret(KEY))
    wire = Wire(gateway.url)
    asking = [(method, path) for method, path in routes_of(gateway.app) if path not in PAGES]
    for method, path in asking:
        status = wire.send(method, path, {} if method == "POST" else None).status
        assert (status == 200) is (path in OPEN), (method, path)
        assert status in {200, 401}, (method, path)
    assert 401 == wire.get("/no/such/route").status
    assert not fake.log


def test_sdks_raise_their_authentication_errors(locked: Wire) -> None:
    with (
        openai.OpenAI(api_key="wrong", base_url=locked.url, max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()
    with (
        anthropic.Anthropic(api_key="wrong", base_url=locked.url, max_retries=0) as claude,
        pytest.raises(anthropic.AuthenticationError),
    ):
        claude.messages.create(model="gpt-4.1", max_tokens=5, messages=[{"role": "user", "content": "hi"}])


def test_client_key_never_travels_upstream(locked: Wire, fake: FakeCopilot) -> None:
    answer = locked.post(PATH["chat"], ask("chat", "gpt-4.1", "hi"), x_api_key=KEY)
    assert 200 == answer.status
    sent = "".join(f"{entry.headers} {entry.body!r}" for entry in fake.log)
    assert KEY not in sent


def test_healthz_says_only_ok(gateway: Wire, locked: Wire) -> None:
    assert ["ok", "ok"] == [wire.get("/healthz").text.strip() for wire in (gateway, locked)]


@pytest.mark.parametrize("name", ["evil.example", "evil.example:4141", "127.0.0.1.evil.example", "localhost.evil.example", "169.254.169.254", "[::2]", "", "evil.example@127.0.0.1", "127.0.0.1:80@evil.example"])  # fmt: skip
def test_foreign_host_name_is_refused(gateway: Wire, name: str) -> None:
    """A page that rebinds its name to this machine."""
    for path in ("/v1/models", "/healthz"):
        answer = gateway.send("GET", path, None, {"Host": name})
        assert 400 <= answer.status < 500
        assert "gpt-4.1" not in answer.text
        assert answer.text != "ok\n"


@pytest.mark.parametrize(
    "name", ["localhost", "localhost:1", "127.0.0.1", "LOCALHOST", "[::1]:4141", "localhost."]
)
def test_names_of_this_machine_are_served(gateway: Wire, name: str) -> None:
    assert 200 == gateway.send("GET", "/v1/models", None, {"Host": name}).status


@pytest.mark.parametrize("origin", ["https://evil.example", "http://evil.example:4141", "null", "http://localhost.evil.example", "chrome-extension://x", "garbage", "http://[", "http://127.0.0.1@evil.example"])  # fmt: skip
@pytest.mark.parametrize("surface", SURFACES)
def test_foreign_origin_is_refused_and_spends_nothing(
    gateway: Wire, fake: FakeCopilot, surface: str, origin: str
) -> None:
    answer = gateway.post(PATH[surface], ask(surface, "gpt-4.1", "hi"), Origin=origin)
    assert 403 == answer.status
    error_of(surface, answer.body)
    assert not fake.requests("/chat/completions")


def test_own_origin_is_served(gateway: Wire) -> None:
    assert 200 == gateway.post(PATH["chat"], ask("chat", "gpt-4.1", "hi"), Origin=gateway.url).status


def test_a_named_page_may_read_every_header_of_ours(host: Host) -> None:
    gateway = Wire(host(allowed_origins=("https://app.example",)).url)
    asked = ask("messages", "claude-opus-4.8", "hi")
    for path in (PATH["messages"], "/v1/messages/count_tokens"):
        answer = gateway.post(path, asked, Origin="https://app.example")
        shown = answer.headers["access-control-expose-headers"].split(", ")
        assert 200 == answer.status
        assert {name.lower() for name in answer.headers if name.lower().startswith("x-gateway")} <= set(shown)


def test_no_answer_carries_cors_headers(gateway: Wire) -> None:
    asked = {"Origin": gateway.url, "Access-Control-Request-Method": "POST"}
    answers = [
        gateway.send(method, "/v1/chat/completions", None, dict(asked)) for method in ("OPTIONS", "GET")
    ]
    answers += [
        gateway.get("/v1/models", Origin=gateway.url),
        gateway.get("/healthz"),
        gateway.get("/nowhere"),
    ]
    assert not [name for answer in answers for name in answer.headers if name.startswith("access-control-")]


def test_no_route_returns_a_token(fake: FakeCopilot, host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a body nor in a header, nor in what is logged."""
    gateway = host(api_key=Secret(KEY))
    wire = Wire(gateway.url, {"Authorization": f"Bearer {KEY}"})
    assert 200 == wire.post(PATH["chat"], ask("chat", "gpt-4.1", "hi")).status
    [session] = {
        session.copilot_token
        for session in fake.state.sessions.values()
        if session.copilot_token in _sent(fake)
    }
    secrets = (DEMO_TOKEN, session, session.split(";")[0], KEY)
    seen = caplog.text
    for method, path in [*routes_of(gateway.app), ("GET", "/token"), ("GET", "/copilot_internal/v2/token")]:
        answer = wire.send(method, path, {"model": "gpt-4.1"} if method == "POST" else None)
        seen += f"{answer.headers} {answer.body!r}"
    assert [] == [secret for secret in secrets if secret in seen + caplog.text]


def _sent(fake: FakeCopilot) -> str:
    return "".join(entry.headers.get("authorization", "") for entry in fake.log)


def test_upstream_that_echoes_its_token_does_not_leak_it(gateway: Wire, fake: FakeCopilot) -> None:
    assert 200 == gateway.post(PATH["chat"], ask("chat", "gpt-4.1", "hi")).status
    token = fake.log[-1].headers["authorization"].removeprefix("Bearer ")
    fake.force("POST", "/chat/completions", 400, {"error": {"message": f"bad token {token} {DEMO_TOKEN}"}})
    answer = gateway.post(PATH["chat"], ask("chat", "gpt-4.1", "hi"))
    assert (400, False, False) == (answer.status, token in answer.text, DEMO_TOKEN in answer.text)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("form", ["{}", "{}/", "/v1{}", "/v1{}/"])
def test_path_is_served_with_and_without_v1_and_slash(gateway: Wire, surface: str, form: str) -> None:
    """AC-53: no redirect, which would lose the body."""
    path = form.format(PATH[surface].removeprefix("/v1"))
    assert 200 == gateway.post(path, ask(surface, "gpt-4.1", "hi")).status


@pytest.mark.parametrize("path", ["/models", "/v1/models", "/v1/models/", "/models/gpt-4.1", "/v1/models/gpt-4.1/", "/usage", "/v1/usage", "/healthz", "/healthz/"])  # fmt: skip
def test_reading_routes_answer_get_and_head(gateway: Wire, path: str) -> None:
    got, headed = gateway.get(path), gateway.send("HEAD", path)
    assert (200, 200, b"") == (got.status, headed.status, headed.body)
    assert got.headers["x-content-type-options"] == "nosniff"


def test_state_on_disk_is_private(fake: FakeCopilot, host: Host, tmp_path: Path) -> None:
    gateway = host()
    assert 200 == Wire(gateway.url).get("/v1/models").status
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert {0o600} == {path.stat().st_mode & 0o777 for path in files}


def test_usage_shows_the_quota(gateway: Wire) -> None:
    answer = gateway.get("/usage")
    assert (200, "application/json") == (answer.status, answer.headers["content-type"])
    assert answer.json


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_wrong_method_is_a_405_that_names_the_right_ones(gateway: Wire, surface: str, method: str) -> None:
    answer = gateway.send(method, PATH[surface], {})
    assert (405, "POST") == (answer.status, answer.headers["allow"])
    assert method in error_of(surface, answer.body)["message"]


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("form", ["{}/nothing/here", "{}//", "/v2{}", "/v1//{}"])
def test_unknown_path_is_a_404_in_the_nearest_envelope_and_never_a_redirect(
    gateway: Wire, surface: str, form: str
) -> None:
    path = form.format(PATH[surface].removeprefix("/v1"))
    answer = gateway.post(path, ask(surface, "gpt-4.1", "hi"))
    assert 404 == answer.status
    error_of(surface if path.startswith(PATH[surface].removeprefix("/v1")) else "chat", answer.body)
