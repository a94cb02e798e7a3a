"""The client against the fake Copilot: whole journeys, with the fake's own checks as the judge."""

from collections.abc import Iterator

import pytest

from core.copilot.catalogue import Catalogue
from core.copilot.client import CopilotClient
from core.copilot.device_login import DeviceLogin
from core.copilot.github import GitHub
from core.copilot.headers import has_image
from core.copilot.usage import Allowance, Quota, fetch_quota
from core.errors import GatewayError
from core.outgoing import Outgoing
from core.settings import Settings
from tests.emulators.copilot.fake import FakeCopilot
from tests.emulators.copilot.state import BUSINESS_TOKEN
from tests.unit.copilot.doubles import (
    Clock,
    Ids,
    MemorySecrets,
    MemoryState,
    closed_transports,
    tokens_at,
    transport,
)

__all__ = ["closed_transports"]  # a fixture that closes what `transport` opened

HELLO = b'{"model":"gpt-4.1","messages":[{"role":"user","content":"say hello"}],"stream":true}'
CHAT = Outgoing(path="/chat/completions", body=HELLO, stream=True)
PIXEL = (
    b'{"model":"claude-sonnet-4.6","max_tokens":50,"messages":[{"role":"user","content":[{"type":"image","source":'
    b'{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}},{"type":"text","text":"what is it?"}]}]}'
)


@pytest.fixture
def fake() -> Iterator[FakeCopilot]:
    with FakeCopilot() as running:
        yield running


def client_of(
    fake: FakeCopilot, *, token: str = "", clock: Clock | None = None, **more: object
) -> CopilotClient:
    clock = clock or Clock()
    settings = Settings(github_url=fake.github_url, github_api_url=fake.api_url, **more)  # type: ignore[arg-type]
    client = transport(clock)
    secrets = MemorySecrets(token or fake.token)
    tokens = tokens_at("", clock, secrets=secrets, settings=settings)
    return CopilotClient(settings, tokens, client, now=clock, new_id=Ids())


def test_a_stream_comes_whole(fake: FakeCopilot) -> None:
    body = client_of(fake).open(CHAT).read_all()
    assert body.startswith(b"data: ")
    assert body.rstrip().endswith(b"data: [DONE]")


@pytest.mark.parametrize(
    "mode", [{"gzip": True}, {"split_utf8_across_writes": True}, {"slow_first_byte": 30}]
)
def test_every_way_of_delivery_gives_the_same_end(fake: FakeCopilot, mode: dict[str, object]) -> None:
    fake.set_modes("gpt-4.1", **mode)
    assert client_of(fake).open(CHAT).read_all().rstrip().endswith(b"data: [DONE]")


@pytest.mark.parametrize("more", [{}, {"cut_with_reset": True}])
def test_a_cut_stream_is_an_error(fake: FakeCopilot, more: dict[str, bool]) -> None:
    """AC-05."""
    fake.set_modes("gpt-4.1", cut_after_n_bytes=300, **more)
    with pytest.raises(GatewayError) as caught:
        client_of(fake).open(CHAT).read_all()
    assert caught.value.kind == "upstream"


def test_a_session_that_expires_is_healed_within_the_request(fake: FakeCopilot) -> None:
    client = client_of(fake)
    client.open(CHAT).read_all()
    fake.state.expire_sessions()
    assert client.open(CHAT).read_all().rstrip().endswith(b"data: [DONE]")
    statuses = [entry.status for entry in fake.requests("/chat/completions")]
    assert ([200, 401, 200], 2) == (statuses, len(fake.requests("/copilot_internal/v2/token")))


def test_a_business_seat_is_served_by_its_own_host(fake: FakeCopilot) -> None:
    client_of(fake, token=BUSINESS_TOKEN).open(CHAT).read_all()
    assert [entry.host for entry in fake.requests("/chat/completions")] == ["business"]


def test_an_account_that_moves_hosts_is_followed(fake: FakeCopilot) -> None:
    client = client_of(fake)
    client.open(CHAT).read_all()
    fake.account.host = "business"
    client.open(CHAT).read_all()
    requests = [(entry.host, entry.status) for entry in fake.requests("/chat/completions")]
    assert requests == [("individual", 200), ("individual", 421), ("business", 200)]


def test_the_usage_document_s_host_is_never_used(fake: FakeCopilot) -> None:
    fake.account.user_host = "business"
    client = client_of(fake)
    fetch_quota(GitHub(now=client.now), client.settings, client.tokens.github_token(), now=client.now)
    client.open(CHAT).read_all()
    assert [entry.host for entry in fake.requests("/chat/completions")] == ["individual"]


def test_the_direct_identity_needs_no_exchange(fake: FakeCopilot) -> None:
    client = client_of(fake, identity="direct", copilot_url=fake.capi_url)
    client.open(CHAT).read_all()
    assert fake.requests("/copilot_internal/v2/token") == []
    assert fake.requests("/chat/completions")[0].headers["user-agent"].startswith("copilot-gateway/")


def test_an_image_travels_with_its_header(fake: FakeCopilot) -> None:
    client = client_of(fake)
    client.open(Outgoing(path="/v1/messages", body=PIXEL, vision=has_image(PIXEL))).read_all()
    with pytest.raises(GatewayError):
        client.open(Outgoing(path="/v1/messages", body=PIXEL))


def test_the_live_list_becomes_models(fake: FakeCopilot) -> None:
    clock = Clock()
    client = client_of(fake, clock=clock)
    models = Catalogue(
        client.settings, client, MemoryState(clock), now=clock, new_id=Ids(), wait=clock.wait
    ).models()
    known = {model.id: model for model in models}
    assert ("chat",) == known["gpt-4.1"].dialects
    assert ("responses",) == known["gpt-5.5"].dialects
    assert {"messages", "chat"} == set(known["claude-sonnet-4.6"].dialects)
    assert "embeddings" == known["text-embedding-3-small"].kind


def test_a_login_from_code_to_token(fake: FakeCopilot) -> None:
    clock = Clock()
    settings = Settings(github_url=fake.github_url, github_api_url=fake.api_url)
    login = DeviceLogin(settings, GitHub(now=clock), now=clock)
    fake.clock.freeze(clock())

    def wait(seconds: float) -> None:
        clock.wait(seconds)
        fake.clock.advance(seconds)

    shown: list[str] = []

    def progress(code: object, _note: str) -> None:
        shown.append(str(code))
        if len(shown) == 3:
            fake.state.decide_device(next(iter(fake.state.devices.values())).user_code, "approved")

    assert login.login(wait=wait, progress=progress) == fake.token
    assert len(shown) == 3


def test_a_denied_login_ends(fake: FakeCopilot) -> None:
    clock = Clock()
    settings = Settings(github_url=fake.github_url, github_api_url=fake.api_url)
    login = DeviceLogin(settings, GitHub(now=clock), now=clock)
    code = login.start()
    fake.state.decide_device(code.user_code, "denied")
    with pytest.raises(GatewayError) as caught:
        login.poll_once(code)
    assert caught.value.code == "access_denied"


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("revoked", True, "login_required"),
        ("can_exchange", False, "login_required"),
        ("blocked_notification", "no_copilot_access", "permission"),
        ("quota_code", "quota_exceeded", "quota_exceeded"),
        ("rate_limit_code", "user_model_rate_limited", "rate_limit"),
    ],
)
def test_an_account_in_trouble_is_told_why(fake: FakeCopilot, field: str, value: object, kind: str) -> None:
    setattr(fake.account, field, value)
    with pytest.raises(GatewayError) as caught:
        client_of(fake).open(CHAT)
    assert kind == caught.value.kind


def test_an_unknown_model_has_its_code(fake: FakeCopilot) -> None:
    with pytest.raises(GatewayError) as caught:
        client_of(fake).open(Outgoing(path="/chat/completions", body=HELLO.replace(b"gpt-4.1", b"gpt-0")))
    assert ("not_found", "model_not_supported") == (caught.value.kind, caught.value.code)


def test_the_quota_is_read(fake: FakeCopilot) -> None:
    client = client_of(fake)
    quota = fetch_quota(GitHub(now=client.now), client.settings, client.tokens.github_token(), now=client.now)
    assert isinstance(quota, Quota)
    assert quota.login == "octocat"
    premium = quota.allowances["premium_interactions"]
    assert isinstance(premium, Allowance)
    assert (300, False, False) == (premium.entitlement, premium.unlimited, premium.exhausted)


def test_a_revoked_login_cannot_read_the_quota(fake: FakeCopilot) -> None:
    client = client_of(fake)
    token = client.tokens.github_token()
    fake.account.revoked = True
    with pytest.raises(GatewayError) as caught:
        fetch_quota(GitHub(now=client.now), client.settings, token, now=client.now)
    assert caught.value.kind == "login_required"
