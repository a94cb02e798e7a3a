"""The token: exchange outcomes, cache, single flight across threads and processes."""

import json
import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from core.copilot.github import GitHub
from core.copilot.token import CopilotToken, CopilotTokens
from core.errors import GatewayError
from core.ports import GITHUB_TOKEN, StoreError
from core.settings import Identity, Secret, Settings
from infra.local.state import SqliteStateStore
from tests.unit.copilot.doubles import (
    GITHUB,
    Clock,
    Ids,
    MemorySecrets,
    MemoryState,
    answers,
    close,
    grant,
    scripted,
    settings_at,
    tokens_at,
)

EXCHANGE = "/copilot_internal/v2/token"
ENVELOPE = {
    "can_signup_for_limited": False,
    "error_details": {
        "message": "No access to GitHub Copilot found.",
        "notification_id": "no_copilot_access",
        "title": "No seat",
        "url": "https://github.com/settings/copilot",
    },
    "message": "Resource not accessible by integration",
}


class Exchange:
    """Counts exchanges and gives out numbered tokens."""

    def __init__(self, httpserver: HTTPServer) -> None:
        self.url = httpserver.url_for("").rstrip("/")
        self.requests: list[dict[str, str]] = []
        self.answers: list[Response] = []
        self.host = self.url
        httpserver.expect_request(EXCHANGE).respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        if self.answers:
            return self.answers.pop(0)
        return Response(json.dumps(grant(self.host, f"tid={len(self.requests)}")))


@pytest.fixture
def exchange(httpserver: HTTPServer) -> Exchange:
    return Exchange(httpserver)


def test_one_exchange_serves_until_the_margin(exchange: Exchange) -> None:
    clock = Clock()
    tokens = tokens_at(exchange.url, clock)
    expected = CopilotToken(
        value=Secret("tid=1"), base_url=exchange.url, expires_at=clock() + 1560, sku="yearly"
    )
    assert tokens.current() == expected
    clock.time += 1259
    assert tokens.current() == expected
    clock.time += 2
    assert tokens.current().value == "tid=2"
    assert exchange.requests[0]["authorization"] == f"token {GITHUB}"


def test_a_clock_that_is_wrong_does_not_matter(exchange: Exchange) -> None:
    exchange.answers = [Response(json.dumps({**grant(exchange.url), "expires_at": 1}))]
    assert tokens_at(exchange.url, Clock()).current().expires_at == 1_001_560.0


@pytest.mark.parametrize(
    "extra",
    [
        {"sku": 5, "endpoints": None, "limited_user_quotas": "x", "organization_list": 7},
        {"endpoints": {"proxy": 5}},
        {"endpoints": []},
        {"refresh_in": 1500.0},
    ],
)
def test_a_reply_is_accepted_when_its_essentials_are_there(
    exchange: Exchange, extra: dict[str, object]
) -> None:
    exchange.answers = [Response(json.dumps({**grant(exchange.url), **extra}))]
    assert tokens_at(exchange.url, Clock()).current().value == "tid=one"


@pytest.mark.parametrize("refresh_in", [-5, 0, 10, 240])
def test_a_token_that_is_said_to_live_shortly_is_not_exchanged_for_every_request(
    exchange: Exchange, refresh_in: float
) -> None:
    clock = Clock()
    exchange.answers = [Response(json.dumps(grant(exchange.url, refresh_in=refresh_in)))]
    tokens = tokens_at(exchange.url, clock)
    for _ in range(5):
        tokens.current()
        clock.time += 10
    assert 1 == len(exchange.requests)


def test_a_host_off_the_allow_list_gets_nothing(exchange: Exchange) -> None:
    exchange.answers = [Response(json.dumps(grant("https://evilgithubcopilot.com")))]
    with pytest.raises(GatewayError) as caught:
        tokens_at(exchange.url, Clock()).current()
    assert caught.value.code == "host_refused"


@pytest.mark.parametrize(
    ("answer", "kind", "code", "words"),
    [
        (Response('{"message":"Bad credentials"}', 401), "login_required", None, "copilot-gateway auth"),
        (
            Response(json.dumps(ENVELOPE), 403),
            "permission",
            "no_copilot_access",
            "https://github.com/settings/copilot",
        ),
        (
            Response('{"message":"Resource not accessible by personal access token"}', 403),
            "permission",
            None,
            "personal",
        ),
        (Response('{"message":"API rate limit exceeded"}', 403), "rate_limit", None, "Wait"),
        (Response("{}", 403, {"x-ratelimit-remaining": "0"}), "rate_limit", None, "Wait"),
        (Response('{"message":"Not Found"}', 404), "login_required", None, "identity"),
        (Response("{}", 429, {"retry-after": "30"}), "rate_limit", None, "Wait"),
        (Response("<html>unicorn</html>", 503), "upstream", "upstream_503", "Try again"),
        (Response("<html>", 200), "upstream", "upstream_unreadable", "unreadable"),
        (Response('{"token":"","refresh_in":1}', 200), "upstream", "upstream_unreadable", "unreadable"),
        (
            Response('{"token":"a\\r\\nx: y","refresh_in":1500}', 200),
            "upstream",
            "upstream_unreadable",
            "unreadable",
        ),
        (Response("", 302, {"location": "https://evil.example"}), "upstream", "upstream_302", "302"),
    ],
)
def test_every_failed_exchange_has_a_kind_and_a_remedy(
    exchange: Exchange, answer: Response, kind: str, code: str | None, words: str
) -> None:
    exchange.answers = [answer, answer]
    with pytest.raises(GatewayError, match=words) as caught:
        tokens_at(exchange.url, Clock()).current()
    assert (kind, code) == (caught.value.kind, caught.value.code)


@pytest.mark.parametrize(
    "answer", [Response("<html>unicorn</html>", 503), Response("", 500), Response("<html>", 200)]
)
def test_a_failure_of_github_s_own_is_tried_once_more_after_a_moment(
    exchange: Exchange, answer: Response
) -> None:
    clock = Clock()
    exchange.answers = [answer]
    assert "tid=2" == tokens_at(exchange.url, clock).current().value
    assert (1_000_001, 2) == (clock(), len(exchange.requests))


@pytest.mark.parametrize("status", [302, 401, 403, 404, 418, 429])
def test_no_other_refusal_of_an_exchange_is_repeated(exchange: Exchange, status: int) -> None:
    exchange.answers = [Response("{}", status) for _ in range(3)]
    with pytest.raises(GatewayError):
        tokens_at(exchange.url, Clock()).current()
    assert 1 == len(exchange.requests)


def test_a_broken_network_is_told_as_such() -> None:
    with scripted(answers(then=close)) as url, pytest.raises(GatewayError, match="token exchange") as caught:
        tokens_at(url, Clock()).current()
    assert caught.value.kind == "upstream"


@pytest.mark.parametrize("token", ["ghp_" + "x" * 36, "github_pat_" + "x" * 40])
def test_personal_access_tokens_are_refused_without_a_call(exchange: Exchange, token: str) -> None:
    with pytest.raises(GatewayError) as caught:
        tokens_at(exchange.url, Clock(), secrets=MemorySecrets(token)).current()
    assert ("login_required", "personal_access_token", []) == (
        caught.value.kind,
        caught.value.code,
        exchange.requests,
    )


@pytest.mark.parametrize("token", [None, "", "  \n"])
def test_no_login_says_what_to_run(exchange: Exchange, token: str | None) -> None:
    with pytest.raises(GatewayError, match="copilot-gateway auth") as caught:
        tokens_at(exchange.url, Clock(), secrets=MemorySecrets(token)).current()
    assert caught.value.kind == "login_required"


def test_a_dead_login_is_not_asked_again_at_once(exchange: Exchange) -> None:
    clock, secrets = Clock(), MemorySecrets()
    state = MemoryState(clock)
    exchange.answers = [Response('{"message":"Bad credentials"}', 401)]
    first, second = (tokens_at(exchange.url, clock, state=state, secrets=secrets) for _ in range(2))
    for tokens in (first, first, second):
        with pytest.raises(GatewayError) as caught:
            tokens.current()
        assert caught.value.kind == "login_required"
    assert len(exchange.requests) == 1
    secrets.save(GITHUB_TOKEN, "gho_another")
    assert first.current().value == "tid=2"


def test_a_refusal_learned_while_the_lease_was_waited_for_is_not_asked_for_again(exchange: Exchange) -> None:
    clock = Clock()

    class Overtaken(MemoryState):
        """Another process exchanges just before this one gets the lease."""

        def claim(self, kind: str, key: str, owner: str, *, expires_at: float) -> bool:
            if not self.records:
                with pytest.raises(GatewayError):
                    other.current()
            return super().claim(kind, key, owner, expires_at=expires_at)

    state = Overtaken(clock)
    shared = MemoryState(clock, state.records, state.leases)
    other = tokens_at(exchange.url, clock, state=shared)
    exchange.answers = [Response('{"message":"Bad credentials"}', 401)]
    with pytest.raises(GatewayError):
        tokens_at(exchange.url, clock, state=state).current()
    assert 1 == len(exchange.requests)


def test_a_login_that_a_refusal_repeats_is_neither_told_nor_kept(exchange: Exchange) -> None:
    """A token of no form that is known beforehand."""
    clock, login = Clock(), "canary-0123456789"
    state = MemoryState(clock)
    exchange.answers = [Response(json.dumps({"message": f"no access for {login}"}), 403)]
    tokens = tokens_at(exchange.url, clock, state=state, secrets=MemorySecrets(login))
    for _ in range(2):
        with pytest.raises(GatewayError) as caught:
            tokens.current()
        assert login not in caught.value.message
    assert 1 == len(exchange.requests)
    assert login.encode() not in b"".join(record for record, _ in state.records.values())


def test_the_old_token_serves_while_a_renewal_fails(exchange: Exchange) -> None:
    clock = Clock()
    tokens = tokens_at(exchange.url, clock)
    old = tokens.current()
    clock.time += 1400
    exchange.answers = [Response("", 500) for _ in range(3)]
    assert tokens.current() == old
    clock.time += 161
    with pytest.raises(GatewayError):
        tokens.current()
    clock.time += 10
    assert tokens.current().value == "tid=5"


def test_only_the_token_that_failed_is_forgotten(exchange: Exchange) -> None:
    clock = Clock()
    state = MemoryState(clock)
    tokens, other = (tokens_at(exchange.url, clock, state=state) for _ in range(2))
    old = tokens.current()
    assert other.current() == old
    tokens.invalidate(old)
    new = tokens.current()
    tokens.invalidate(old)
    other.invalidate(old)
    assert (new, new, 2) == (tokens.current(), other.current(), len(exchange.requests))


def test_tokens_that_are_refused_at_once_do_not_hammer_the_exchange(exchange: Exchange) -> None:
    clock = Clock()
    tokens = tokens_at(exchange.url, clock)
    found = [tokens.invalidate(tokens.current()) for _ in range(8)]
    assert ([True] * 4 + [False] * 4, 5) == (found, len(exchange.requests))
    clock.time += 61
    assert tokens.invalidate(tokens.current())
    assert tokens.current().value == "tid=6"


def test_another_account_never_gets_this_one_s_token(exchange: Exchange) -> None:
    clock = Clock()
    state = MemoryState(clock)
    found = [
        tokens_at(exchange.url, clock, state=state, secrets=MemorySecrets(login)).current().value
        for login in ("gho_a", "gho_b", "gho_a")
    ]
    assert found == ["tid=1", "tid=2", "tid=1"]


def test_the_account_s_name_follows_its_login(exchange: Exchange) -> None:
    clock, secrets = Clock(), MemorySecrets("gho_a")
    tokens = tokens_at(exchange.url, clock, secrets=secrets)
    before = tokens.scope()
    assert before == tokens.scope()
    secrets.save(GITHUB_TOKEN, "gho_b")  # as another process does
    tokens.invalidate(tokens.current())
    assert before != tokens.scope()
    assert tokens.account().startswith(tokens.scope())


def test_the_direct_identity_uses_the_login_itself(exchange: Exchange) -> None:
    clock = Clock()
    settings = settings_at(exchange.url, identity="direct")
    expected = CopilotToken(
        value=Secret(GITHUB), base_url="https://api.githubcopilot.com", expires_at=clock() + 900
    )
    assert tokens_at(exchange.url, clock, settings=settings).current() == expected
    tenant = Settings(identity="direct", enterprise_host="acme.ghe.com")
    assert tokens_at("", clock, settings=tenant).current().base_url == "https://copilot-api.acme.ghe.com"
    assert exchange.requests == []


@pytest.mark.parametrize("identity", ["vscode", "direct"])
def test_an_account_that_logs_in_elsewhere_is_used_within_half_a_minute(
    exchange: Exchange, identity: Identity
) -> None:
    clock, secrets = Clock(), MemorySecrets("gho_a")
    settings = settings_at(exchange.url, identity=identity)
    tokens = tokens_at(exchange.url, clock, secrets=secrets, settings=settings)
    first, scope = tokens.current(), tokens.scope()
    secrets.save(GITHUB_TOKEN, "gho_b")
    clock.time += 31
    second = tokens.current()
    assert ("tid=2" if identity == "vscode" else "gho_b") == second.value != first.value
    assert scope != tokens.scope()
    assert second == tokens.current()


def test_another_account_that_is_refused_is_not_served_with_the_old_ones_token(exchange: Exchange) -> None:
    clock, secrets = Clock(), MemorySecrets("gho_a")
    tokens = tokens_at(exchange.url, clock, secrets=secrets)
    tokens.current()
    secrets.save(GITHUB_TOKEN, "gho_b")
    exchange.answers = [Response(status=401)]
    clock.time += 31
    with pytest.raises(GatewayError) as caught:
        tokens.current()
    assert "login_required" == caught.value.kind


class Remembering(MemorySecrets):
    """Secrets that are read once, as from a store in the cloud, until it is told to forget."""

    def __init__(self) -> None:
        super().__init__()
        self.held: str | None = None

    def load(self, name: str) -> str | None:
        self.held = self.held or super().load(name)
        return self.held

    def forget(self) -> None:
        self.held = None


@pytest.mark.parametrize("identity", ["vscode", "direct"])
def test_a_refused_login_that_was_replaced_elsewhere_is_read_anew(
    exchange: Exchange, identity: Identity
) -> None:
    clock = Clock()
    secrets = Remembering()
    settings = settings_at(exchange.url, identity=identity)
    tokens = CopilotTokens(
        settings, secrets, MemoryState(clock), GitHub(now=clock), now=clock, new_id=Ids(), wait=clock.wait,
        forget_login=secrets.forget,
    )  # fmt: skip
    refused = tokens.current()
    secrets.save(GITHUB_TOKEN, "gho_new")
    exchange.answers = [Response('{"message":"Bad credentials"}', 401)]
    tokens.invalidate(refused)
    assert tokens.current().value == {"vscode": "tid=3", "direct": "gho_new"}[identity]
    assert tokens.github_token() == "gho_new"


def test_a_refused_login_that_is_still_the_same_stays_refused(exchange: Exchange) -> None:
    clock = Clock()
    exchange.answers = [Response('{"message":"Bad credentials"}', 401)]
    tokens = tokens_at(exchange.url, clock)
    for _ in range(2):
        with pytest.raises(GatewayError) as caught:
            tokens.current()
        assert caught.value.kind == "login_required"
    assert len(exchange.requests) == 1


def test_a_broken_state_store_costs_sharing_not_service(exchange: Exchange) -> None:
    class Broken(MemoryState):
        def load(self, kind: str, key: str) -> bytes | None:
            return self._fail()

        def save(self, kind: str, key: str, value: bytes, *, expires_at: float | None = None) -> None:
            self._fail()

        def claim(self, kind: str, key: str, owner: str, *, expires_at: float) -> bool:
            return bool(self._fail())

        def release(self, kind: str, key: str, owner: str) -> None:
            self._fail()

        def _fail(self) -> None:
            from core.ports import StoreError

            raise StoreError("the disk is full")

    clock = Clock()
    assert tokens_at(exchange.url, clock, state=Broken(clock)).current().value == "tid=1"


def test_records_that_cannot_be_read_are_ignored(exchange: Exchange) -> None:
    clock = Clock()
    state = MemoryState(clock)
    tokens = tokens_at(exchange.url, clock, state=state)
    tokens.current()
    for address in list(state.records):
        state.records[address] = (b"\xff{", float("inf"))
    assert tokens_at(exchange.url, clock, state=state).current().value == "tid=2"


def test_forty_threads_share_one_exchange(exchange: Exchange) -> None:
    tokens = tokens_at(exchange.url, Clock())
    gate = threading.Barrier(40)

    def ask(_number: int) -> str:
        gate.wait()
        return tokens.current().value

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(ask, range(40))) == {"tid=1"}
    assert len(exchange.requests) == 1


def test_a_lease_left_by_a_dead_process_is_taken_over(exchange: Exchange) -> None:
    clock = Clock()
    state = MemoryState(clock)
    tokens = tokens_at(exchange.url, clock, state=state)
    state.claim("copilot-token-lease", tokens.account(), "the dead", expires_at=clock() + 20)
    assert tokens.current().value == "tid=1"
    assert 1_000_020 <= clock() <= 1_000_021


def test_a_lease_that_never_ends_is_not_waited_for_for_ever(exchange: Exchange) -> None:
    clock = Clock()
    state = MemoryState(clock)
    tokens = tokens_at(exchange.url, clock, state=state)
    state.claim("copilot-token-lease", tokens.account(), "the stuck", expires_at=clock() + 1e6)
    assert tokens.current().value == "tid=1"
    assert 1_000_024 <= clock() <= 1_000_026


def _one_process(
    url: str, path: Path, gate: "multiprocessing.synchronize.Barrier", found: "multiprocessing.Queue[str]"
) -> None:
    now = time.time
    state = SqliteStateStore(path, now)
    tokens = CopilotTokens(
        settings_at(url), MemorySecrets(), state, GitHub(now=now), now=now, new_id=lambda: f"{id(gate)}-{time.time_ns()}-{_pid()}",
        wait=time.sleep,
    )  # fmt: skip
    gate.wait(60)
    found.put(str(tokens.current().value))
    state.close()


def _pid() -> int:
    import os

    return os.getpid()


def test_eight_processes_share_one_exchange(exchange: Exchange, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    gate, found = context.Barrier(8), context.Queue()
    arguments = (exchange.url, tmp_path / "state.sqlite3", gate, found)
    processes = [context.Process(target=_one_process, args=arguments) for _ in range(8)]
    for process in processes:
        process.start()
    values = {found.get(timeout=90) for _ in processes}
    for process in processes:
        process.join(30)
    found.close()
    found.join_thread()
    assert ({"tid=1"}, 1) == (values, len(exchange.requests))


# Clocks that jump, logins that cannot be read


def test_a_token_that_lives_is_used_while_the_login_cannot_be_read(exchange: Exchange) -> None:
    """A denied or broken secret store stops no call that can do without it."""
    clock, secrets = Clock(), UnreadableSecrets()
    tokens = tokens_at(exchange.url, clock, secrets=secrets)
    first = tokens.current()
    secrets.broken = True
    clock.time = first.expires_at - 200
    assert [first] * 5 == [tokens.current() for _ in range(5)]
    assert 1 == secrets.refused  # and asked again only after a pause
    clock.time += 10
    assert (first, 2) == (tokens.current(), secrets.refused)
    clock.time = first.expires_at + 1
    with pytest.raises(GatewayError, match="login cannot be read: denied") as caught:
        tokens.current()
    assert "overloaded" == caught.value.kind
    secrets.broken = False
    assert "tid=2" == tokens.current().value


def test_a_token_that_lives_is_used_while_github_is_down(exchange: Exchange) -> None:
    clock = Clock()
    tokens = tokens_at(exchange.url, clock)
    first = tokens.current()
    exchange.answers = [Response("down", status=503) for _ in range(9)]
    clock.time = first.expires_at - 200
    assert [first] * 5 == [tokens.current() for _ in range(5)]
    assert 2 == len(exchange.requests)


def test_a_process_that_just_began_uses_a_stored_token_that_lives_while_github_is_down(
    exchange: Exchange,
) -> None:
    clock = Clock()
    state = MemoryState(clock)
    first = tokens_at(exchange.url, clock, state=state).current()
    exchange.answers = [Response("down", status=503) for _ in range(9)]
    clock.time = first.expires_at - 200
    assert first == tokens_at(exchange.url, clock, state=state).current()
    clock.time = first.expires_at + 1
    with pytest.raises(GatewayError):
        tokens_at(exchange.url, clock, state=state).current()


def test_a_login_revoked_while_the_token_lives_is_told_when_it_ends(exchange: Exchange) -> None:
    clock = Clock()
    tokens = tokens_at(exchange.url, clock)
    first = tokens.current()
    exchange.answers = [Response('{"message": "Bad credentials"}', status=401) for _ in range(9)]
    clock.time = first.expires_at - 200
    assert first == tokens.current()
    clock.time = first.expires_at + 60
    with pytest.raises(GatewayError, match="copilot-gateway auth") as caught:
        tokens.current()
    assert "login_required" == caught.value.kind


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_a_clock_that_jumps_costs_one_exchange_at_most(exchange: Exchange, jump: float) -> None:
    clock = Clock()
    tokens = tokens_at(exchange.url, clock)
    tokens.current()
    clock.time += jump
    assert {"tid=1" if jump < 0 else "tid=2"} == {tokens.current().value for _ in range(3)}
    # Set back, the token looks longer-lived than it is: a refusal of upstream's renews it all the same.
    if jump < 0:
        assert tokens.invalidate(tokens.current())
        assert "tid=2" == tokens.current().value


def test_a_refusal_from_before_the_clock_was_set_back_is_forgotten(exchange: Exchange) -> None:
    clock = Clock()
    state = MemoryState(clock)
    exchange.answers = [Response("down", status=503) for _ in range(2)]
    with pytest.raises(GatewayError):
        tokens_at(exchange.url, clock, state=state).current()
    clock.time -= 7200
    assert "tid=3" == tokens_at(exchange.url, clock, state=state).current().value


class UnreadableSecrets(MemorySecrets):
    """Secrets that can be made unreadable."""

    broken, refused = False, 0

    def load(self, name: str) -> str | None:
        if self.broken:
            self.refused += 1
            raise StoreError("denied")
        return super().load(name)
