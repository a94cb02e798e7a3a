"""The client against scripted faults: which retries happen, what each status becomes, how streams end."""

import json
import logging
import socket
import threading
from collections.abc import Callable

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from core.copilot.catalogue import Catalogue
from core.copilot.client import CopilotClient, UpstreamReply
from core.copilot.token import CopilotTokens
from core.errors import GatewayError
from core.model import Model
from core.outgoing import Outgoing
from core.settings import Settings
from tests.listening import free_port
from tests.unit.copilot.doubles import (
    GITHUB,
    PATIENCE,
    Clock,
    Ids,
    MemorySecrets,
    MemoryState,
    answers,
    close,
    closed_transports,
    grant,
    read_request,
    scripted,
    settings_at,
    tokens_at,
    transport,
    whole,
)

__all__ = ["closed_transports"]  # a fixture that closes what `transport` opened

CHAT = Outgoing(path="/chat/completions", body=b'{"model":"gpt-4.1"}', stream=True)
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-github-request-id: AB:1\r\n\r\n"
EVENT = b"9\r\ndata: 1\n\n\r\n"


class Upstream:
    """Exchange and Copilot on one server; `answers` are given out in order, then 200."""

    def __init__(self, httpserver: HTTPServer) -> None:
        self.url = httpserver.url_for("").rstrip("/")
        self.answers: list[Response | Callable[[Request], Response]] = []
        self.exchanges = 0
        self.requests: list[dict[str, str]] = []
        self.hosts: list[str] = []
        self.clock = Clock()
        httpserver.expect_request("/copilot_internal/v2/token").respond_with_handler(self.exchange)
        for path in ("/chat/completions", "/models", "/embeddings"):
            httpserver.expect_request(path).respond_with_handler(self.answer)

    def exchange(self, _request: Request) -> Response:
        self.exchanges += 1
        host = self.hosts.pop(0) if self.hosts else self.url
        return Response(json.dumps(grant(host, f"tid={self.exchanges}-canary")))

    def answer(self, request: Request) -> Response:
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        if not self.answers:
            return Response("ok", 200, {"x-github-request-id": "AB:1"})
        answer = self.answers.pop(0)
        return answer if isinstance(answer, Response) else answer(request)

    def client(self, **settings: float) -> CopilotClient:
        return client_at(self.url, self.clock, **settings)


def client_at(
    url: str, clock: Clock, tokens: CopilotTokens | None = None, **settings: object
) -> CopilotClient:
    made = settings_at(url, **settings)
    client = transport(clock)
    return CopilotClient(
        made, tokens or tokens_at(url, clock, settings=made), client, now=clock, new_id=Ids()
    )


@pytest.fixture
def upstream(httpserver: HTTPServer) -> Upstream:
    return Upstream(httpserver)


def refused(upstream: Upstream, outgoing: Outgoing = CHAT) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        upstream.client().open(outgoing)
    return caught.value


def initiators(upstream: Upstream) -> list[str]:
    return [request["x-initiator"] for request in upstream.requests]


def test_a_good_reply_is_handed_over(upstream: Upstream) -> None:
    reply = upstream.client().open(CHAT)
    assert (200, "AB:1", b"ok") == (reply.status, reply.request_id, reply.read_all())
    assert upstream.requests[0]["authorization"] == "Bearer tid=1-canary"


@pytest.mark.parametrize(
    "text", ["unauthorized: token expired\n", "IDE token expired: unauthorized: token expired"]
)
def test_a_dead_token_costs_one_exchange_and_one_retry(upstream: Upstream, text: str) -> None:
    upstream.answers = [Response(text, 401)]
    assert upstream.client().open(CHAT).read_all() == b"ok"
    bearers = [request["authorization"] for request in upstream.requests]
    assert (2, ["Bearer tid=1-canary", "Bearer tid=2-canary"]) == (upstream.exchanges, bearers)
    assert initiators(upstream) == ["user", "user"]


def test_a_token_that_stays_dead_is_not_retried_again(upstream: Upstream) -> None:
    upstream.answers = [Response("unauthorized: token expired", 401) for _ in range(5)]
    assert refused(upstream).kind == "login_required"
    assert (2, 2) == (upstream.exchanges, len(upstream.requests))


@pytest.mark.parametrize(
    "body",
    [
        '{"error":{"message":"input item ID does not belong to this connection","code":""}}',
        '{"message":"authorize","authorize_url":"https://github.com/x"}',
        "this PAT lacks the Copilot Requests permission",
    ],
)
def test_a_401_about_something_else_keeps_the_token(upstream: Upstream, body: str) -> None:
    upstream.answers = [Response(body, 401)]
    refused(upstream)
    assert (1, 1) == (upstream.exchanges, len(upstream.requests))


@pytest.mark.parametrize(
    "body", ["forbidden: access denied\n", "unauthorized: not authorized to use this Copilot feature\n"]
)
def test_a_policy_403_fetches_a_token_at_most_once(upstream: Upstream, body: str) -> None:
    upstream.answers = [Response(body, 403) for _ in range(3)]
    assert refused(upstream).kind == "permission"
    assert (2, 2) == (upstream.exchanges, len(upstream.requests))


def test_a_lasting_refusal_keeps_its_reason_and_spares_the_exchange(upstream: Upstream) -> None:
    upstream.answers = [Response("forbidden: access denied", 403) for _ in range(40)]
    client = upstream.client()
    kinds: list[str] = []
    for _ in range(10):
        with pytest.raises(GatewayError) as caught:
            client.open(CHAT)
        kinds.append(caught.value.kind)
    assert (["permission"] * 10, 5) == (kinds, upstream.exchanges)


def test_a_refused_login_of_the_direct_identity_is_told_at_once(upstream: Upstream) -> None:
    upstream.answers = [Response("unauthorized", 401) for _ in range(10)]
    client = client_at(upstream.url, upstream.clock, identity="direct", copilot_url=upstream.url)
    for _ in range(6):
        with pytest.raises(GatewayError, match="copilot-gateway auth") as caught:
            client.open(CHAT)
        assert caught.value.kind == "login_required"
    assert (0, 6) == (upstream.exchanges, len(upstream.requests))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, "Access to this endpoint is forbidden. Please review our Terms of Service"),
        (403, "Forbidden: access denied. Please review our Terms of Service"),
        (403, '{"error":{"message":"access denied","code":"extension_blocked"}}'),
        (403, "something else"),
        (400, '{"error":{"message":"no","code":"model_not_supported"}}'),
        (402, '{"error":{"message":"You have no quota","code":"quota_exceeded"}}'),
        (404, "404 page not found\n"),
        (413, "Request Entity Too Large\n"),
        (422, "filtered"),
        (424, "failed"),
        (429, '{"error":{"message":"slow","code":"rate_limited"}}'),
        (466, "old client"),
        (499, ""),
        (503, "busy"),
        (504, ""),
        (529, ""),
    ],
)
def test_no_other_refusal_is_repeated(upstream: Upstream, status: int, body: str) -> None:
    """AC-50, AC-63."""
    upstream.answers = [Response(body, status)]
    refused(upstream)
    assert (1, 1) == (upstream.exchanges, len(upstream.requests))


def test_a_misdirected_request_goes_to_the_new_host(upstream: Upstream) -> None:
    with scripted(answers(whole(b"other"))) as other:
        upstream.hosts = [upstream.url, other]
        upstream.answers = [Response("Misdirected Request", 421)]
        assert upstream.client().open(CHAT).read_all() == b"other"
    assert (2, 1) == (upstream.exchanges, len(upstream.requests))


@pytest.mark.parametrize("status", [408, 500, 502])
def test_a_stumble_is_repeated_once_as_agent(upstream: Upstream, status: int) -> None:
    """AC-63: nobody asked for the second attempt, so it is not the user's."""
    upstream.answers = [Response("", status)]
    assert upstream.client().open(CHAT).read_all() == b"ok"
    assert initiators(upstream) == ["user", "agent"]


@pytest.mark.parametrize("status", [408, 500, 502])
def test_a_second_stumble_is_an_error(upstream: Upstream, status: int) -> None:
    upstream.answers = [Response("", status), Response("", status)]
    refused(upstream)
    assert len(upstream.requests) == 2


def test_what_must_not_be_repeated_is_not(upstream: Upstream) -> None:
    upstream.answers = [Response("", 502)]
    refused(upstream, Outgoing(path="/chat/completions", body=b"{}", repeatable=False))
    assert len(upstream.requests) == 1


def test_nothing_is_sent_for_a_client_that_left_while_the_token_was_fetched(upstream: Upstream) -> None:
    class LeftError(Exception):
        pass

    def leave() -> None:
        raise LeftError

    with pytest.raises(LeftError):
        upstream.client().begin(CHAT, wanted=leave).wait(5)
    assert (1, []) == (upstream.exchanges, upstream.requests)


def test_every_attempt_has_its_own_request_id(upstream: Upstream) -> None:
    upstream.answers = [Response("", 502), Response("unauthorized: token expired", 401)]
    assert upstream.client().open(CHAT).read_all() == b"ok"
    assert len({request["x-request-id"] for request in upstream.requests}) == 3


@pytest.mark.parametrize(
    ("text", "seconds"), [("51", 51), ("183600", 183600), ("Mon, 12 Jan 1970 13:47:40 GMT", 60)]
)
@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_429_is_passed_on_with_its_hint_and_never_slept(
    upstream: Upstream, text: str, seconds: int, accept: str
) -> None:
    """AC-48, AC-49."""
    body = '{"error":{"message":"slow down","code":"user_global_rate_limited:pro"}}'
    upstream.answers = [Response(body, 429, {"retry-after": text, "x-github-request-id": "AB:2"})]
    error = refused(upstream, Outgoing(path="/chat/completions", body=b"{}", stream="stream" in accept))
    assert (429, "rate_limit", seconds, "AB:2", "slow down") == (
        error.status,
        error.kind,
        error.retry_after,
        error.upstream_request_id,
        error.message,
    )


def test_a_redirect_is_not_followed_with_the_bearer(upstream: Upstream) -> None:
    upstream.answers = [Response("", 307, {"location": f"{upstream.url}/embeddings"})]
    assert refused(upstream).kind == "upstream"
    assert len(upstream.requests) == 1


def test_a_bearer_that_a_refusal_repeats_is_not_passed_on(upstream: Upstream) -> None:
    """A token of no form that is known beforehand."""
    login = "canary-0123456789"
    upstream.answers = [Response(f"bad header: Bearer {login}", 400)]
    settings = settings_at(upstream.url, identity="direct", copilot_url=upstream.url)
    tokens = tokens_at(upstream.url, upstream.clock, secrets=MemorySecrets(login), settings=settings)
    client = client_at(upstream.url, upstream.clock, tokens, identity="direct", copilot_url=upstream.url)
    with pytest.raises(GatewayError, match=r"bad header: Bearer \*\*\*$"):
        client.open(CHAT)


def test_an_endless_reply_is_bounded(upstream: Upstream) -> None:
    upstream.answers = [Response("x" * 11, 200, {"x-github-request-id": "AB:1"})]
    reply = upstream.client().open(CHAT)
    with pytest.raises(GatewayError, match="over 10 bytes") as caught:
        reply.read_all(10)
    assert ("upstream_too_large", "AB:1") == (caught.value.code, caught.value.upstream_request_id)


def test_an_endless_error_body_is_bounded(upstream: Upstream) -> None:
    upstream.answers = [Response("x" * 3_000_000, 400)]
    assert len(refused(upstream).message) < 3_000


def test_a_cut_before_the_head_is_repeated_once_as_agent() -> None:
    clock, seen = Clock(), list[bytes]()

    def keeps(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(whole(b"ok"))

    def cuts(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        close(connection)

    with scripted(cuts, keeps) as copilot, scripted(answers(whole(_granted(copilot)))) as github:
        assert client_at(github, clock).open(CHAT).read_all() == b"ok"
    assert [b"x-initiator: user" in seen[0], b"x-initiator: agent" in seen[1]] == [True, True]


def test_a_second_cut_is_an_error() -> None:
    cut = answers(then=close)
    with (
        scripted(cut, cut) as copilot,
        scripted(answers(whole(_granted(copilot)))) as github,
        pytest.raises(GatewayError, match="connection broke") as caught,
    ):
        client_at(github, Clock()).open(CHAT)
    assert caught.value.kind == "upstream"


def test_an_upstream_killed_mid_stream_is_an_error_not_an_end() -> None:
    """AC-05."""
    with (
        scripted(answers(HEAD, EVENT, then=close)) as copilot,
        scripted(answers(whole(_granted(copilot)))) as github,
    ):
        reply = client_at(github, Clock()).open(CHAT)
        assert reply.read(PATIENCE) == b"data: 1\n\n"
        with pytest.raises(GatewayError) as caught:
            reply.read(PATIENCE)
    assert ("upstream", "upstream_cut", "AB:1") == (
        caught.value.kind,
        caught.value.code,
        caught.value.upstream_request_id,
    )


def test_silence_is_none_until_the_patience_ends() -> None:
    clock, go = Clock(), threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        go.wait(PATIENCE)
        connection.sendall(HEAD + EVENT)

    with scripted(script) as copilot, scripted(answers(whole(_granted(copilot)))) as github:
        pending = client_at(github, clock, first_byte_timeout=60.0, idle_timeout=30.0).begin(CHAT)
        assert pending.wait(0.01) is None
        clock.time += 59
        assert pending.wait(0.01) is None
        go.set()
        reply: UpstreamReply | None = None
        while reply is None:
            reply = pending.wait(0.5)
        assert reply.read(PATIENCE) == b"data: 1\n\n"
        assert reply.read(0.01) is None
        clock.time += 30
        with pytest.raises(GatewayError, match="nothing for 30 seconds") as caught:
            reply.read(0.01)
    assert ("timeout", "idle_timeout") == (caught.value.kind, caught.value.code)


def test_a_head_that_never_comes_is_a_timeout() -> None:
    clock, left = Clock(), threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        if connection.recv(1) == b"":
            left.set()

    with scripted(script) as copilot, scripted(answers(whole(_granted(copilot)))) as github:
        pending = client_at(github, clock, first_byte_timeout=60.0).begin(CHAT)
        assert pending.wait(0.01) is None
        clock.time += 60
        with pytest.raises(GatewayError) as caught:
            pending.wait(0.01)
        assert left.wait(PATIENCE)
    assert ("timeout", "first_byte_timeout") == (caught.value.kind, caught.value.code)


def test_a_request_may_have_less_patience_than_the_rest() -> None:
    """A model list that does not come must not hold a model's request up for ten minutes."""
    clock, go = Clock(), threading.Event()
    stalls = answers(then=lambda _connection: go.wait(PATIENCE) and None)
    with scripted(stalls) as copilot, scripted(answers(whole(_granted(copilot)))) as github:
        pending = client_at(github, clock).begin(CHAT, patience=20.0)
        assert pending.wait(0.01) is None
        clock.time += 20
        with pytest.raises(GatewayError, match="within 20 seconds"):
            pending.wait(0.01)
        go.set()


def test_closing_a_reply_ends_it_upstream() -> None:
    left = threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(HEAD + EVENT)
        if connection.recv(1) == b"":
            left.set()

    with scripted(script) as copilot, scripted(answers(whole(_granted(copilot)))) as github:
        client_at(github, Clock()).open(CHAT).close()
        assert left.wait(PATIENCE)


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\n\r\n"])
def test_an_impossible_answer_is_an_upstream_error(answer: bytes) -> None:
    with (
        scripted(answers(answer)) as copilot,
        scripted(answers(whole(_granted(copilot)))) as github,
        pytest.raises(GatewayError) as caught,
    ):
        client_at(github, Clock()).open(CHAT)
    assert caught.value.kind == "upstream"


def test_an_unreachable_copilot_is_an_upstream_error() -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    with (
        scripted(answers(whole(_granted(gone)))) as github,
        pytest.raises(GatewayError, match="refused") as caught,
    ):
        client_at(github, Clock()).open(CHAT)
    assert caught.value.kind == "upstream"


def test_a_small_request_is_posted_and_read_whole(upstream: Upstream) -> None:
    upstream.answers = [Response('{"data":[]}')]
    assert upstream.client().post_json("/embeddings", b'{"input":["a"]}') == b'{"data":[]}'


@pytest.mark.parametrize(
    "ask", [lambda client: client.get("/models"), lambda client: client.post_json("/", b"{}")]
)
@pytest.mark.parametrize("sent", [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD, HEAD + EVENT])
def test_an_answer_to_the_gateway_itself_is_there_in_time_or_not_waited_for(
    ask: Callable[[CopilotClient], bytes], sent: bytes
) -> None:
    """Model requests wait for it, and a function on AWS would be stopped meanwhile."""
    clock = Clock()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        clock.time += 20
        connection.sendall(sent)
        assert connection.recv(1) == b""

    with (
        scripted(script) as copilot,
        scripted(answers(whole(_granted(copilot)))) as github,
        pytest.raises(GatewayError) as caught,
    ):
        ask(client_at(github, clock))
    assert "timeout" == caught.value.kind


def test_quota_headers_come_with_a_reply(upstream: Upstream) -> None:
    upstream.answers = [Response("ok", 200, {"x-quota-snapshot-chat": "ent=-1&rem=100.0"})]
    client = upstream.client()
    assert {} == client.quotas
    client.open(CHAT).close()
    assert client.quotas["chat"].unlimited


def test_neither_token_is_ever_shown(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """A canary: errors that echo the bearer, logs of every level, reprs of every object that holds a secret."""
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG):
        client = upstream.client()
        token = client.tokens.current()
        upstream.answers = [
            Response(f'{{"message":"bad {token.value} {GITHUB}"}}', 400),
            Response(f"unauthorized {token.value}", 403),
        ]
        for _ in range(2):
            try:
                client.open(CHAT)
            except GatewayError as error:
                shown += [str(error), repr(error), error.message]
        shown += [
            repr(token),
            repr(client),
            repr(client.tokens),
            repr(client.tokens.github_token()),
            repr(Settings()),
        ]
        shown += [repr(settings_at("http://127.0.0.1", github_token=client.tokens.github_token()))]
    shown.append(caplog.text)
    found = [text for text in shown if "canary" in text or GITHUB in text]
    assert found == []


def _granted(host: str) -> bytes:
    return json.dumps(grant(host)).encode()


def _catalogue(upstream: Upstream, state: MemoryState | None = None) -> Catalogue:
    client = upstream.client()
    state = state or MemoryState(upstream.clock)
    return Catalogue(
        client.settings, client, state, now=upstream.clock, new_id=Ids(), wait=upstream.clock.wait
    )


def _listed(*ids: str) -> Response:
    return Response(json.dumps({"data": [{"id": name} for name in ids]}))


def _ids(models: tuple[Model, ...]) -> list[str]:
    return [model.id for model in models]


def test_the_catalogue_is_fetched_once_a_ttl(upstream: Upstream) -> None:
    upstream.answers = [_listed("a"), _listed("b")]
    catalogue = _catalogue(upstream)
    assert _ids(catalogue.models()) == _ids(catalogue.models()) == ["a"]
    upstream.clock.time += 600
    assert _ids(catalogue.models()) == ["b"]


@pytest.mark.parametrize(
    "answer",
    [Response("", 404), Response("slow", 429), Response("<html>"), Response('{"data":[]}'), Response("{")],
)
def test_a_failed_refresh_keeps_the_old_list(upstream: Upstream, answer: Response) -> None:
    upstream.answers = [_listed("a"), answer]
    catalogue = _catalogue(upstream)
    catalogue.models()
    upstream.clock.time += 601
    assert _ids(catalogue.models()) == _ids(catalogue.models()) == ["a"]
    assert len(upstream.requests) == 2
    upstream.answers = [_listed("b")]
    upstream.clock.time += 61
    assert _ids(catalogue.models()) == ["b"]


def test_processes_share_one_list(upstream: Upstream) -> None:
    state = MemoryState(upstream.clock)
    upstream.answers = [_listed("a")]
    found = [_ids(_catalogue(upstream, state).models()) for _ in range(3)]
    assert ([["a"]] * 3, 1) == (found, len(upstream.requests))


def test_threads_share_one_fetch(upstream: Upstream) -> None:
    from concurrent.futures import ThreadPoolExecutor

    upstream.answers = [_listed("a")]
    catalogue = _catalogue(upstream)
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _n: _ids(catalogue.models()), range(20)))
    assert ([["a"]] * 20, 1) == (found, len(upstream.requests))


def test_without_any_list_the_failure_is_told(upstream: Upstream) -> None:
    upstream.answers = [Response("", 404), _listed("a")]
    catalogue = _catalogue(upstream)
    for _ in range(3):
        with pytest.raises(GatewayError):
            catalogue.models()
    assert len(upstream.requests) == 1
    upstream.clock.time += 3
    assert _ids(catalogue.models()) == ["a"]


def test_refresh_fetches_now(upstream: Upstream) -> None:
    upstream.answers = [_listed("a"), _listed("b")]
    catalogue = _catalogue(upstream)
    catalogue.models()
    assert _ids(catalogue.refresh()) == _ids(catalogue.models()) == ["b"]


REFUSED = '{"error":{"message":"The requested model is not supported.","code":"model_not_supported"}}'


def _journey(upstream: Upstream) -> tuple[CopilotClient, Catalogue]:
    client = upstream.client()
    state = MemoryState(upstream.clock)
    return client, Catalogue(
        client.settings, client, state, now=upstream.clock, new_id=Ids(), wait=upstream.clock.wait
    )


def _refusal(client: CopilotClient) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        client.open(CHAT)
    return caught.value


def test_a_refused_model_refreshes_the_list_so_that_the_next_request_sees_the_truth(
    upstream: Upstream,
) -> None:
    client, catalogue = _journey(upstream)
    upstream.answers = [_listed("gpt-4.1", "b"), Response(REFUSED, 400), _listed("b")]
    assert _ids(catalogue.models()) == ["gpt-4.1", "b"]
    error = _refusal(client)
    expected = (
        "The requested model is not supported. Copilot's model list does not name it for this account: it is unknown, "
        "retired or outside your plan."
    )
    assert ("not_found", "model_not_supported", expected) == (error.kind, error.code, error.message)
    assert _ids(catalogue.models()) == ["b"]


def test_a_model_that_has_moved_to_another_endpoint_is_found_there_by_the_next_request(
    upstream: Upstream,
) -> None:
    client, catalogue = _journey(upstream)
    said = 'model \\"gpt-4.1\\" is not accessible via the /chat/completions endpoint'
    refused = f'{{"error":{{"message":"{said}","code":"unsupported_api_for_model"}}}}'
    moved = Response('{"data":[{"id":"gpt-4.1","supported_endpoints":["/responses"]}]}')
    upstream.answers = [_listed("gpt-4.1"), Response(refused, 400), moved]
    assert ("chat",) == catalogue.models()[0].dialects
    assert _refusal(client).message.endswith("Copilot offers it on /responses, not on /chat/completions.")
    assert ("responses",) == catalogue.models()[0].dialects


def test_refused_models_refresh_the_list_once_a_minute(upstream: Upstream) -> None:
    client, catalogue = _journey(upstream)
    refused = Response(REFUSED, 400)
    upstream.answers = [_listed("gpt-4.1"), refused, _listed("gpt-4.1"), refused, refused]
    catalogue.models()
    messages = {_refusal(client).message for _ in range(3)}
    assert (1, 5) == (len(messages), len(upstream.requests))
    upstream.clock.time += 60
    upstream.answers = [refused, _listed("b")]
    _refusal(client)
    assert _ids(catalogue.models()) == ["b"]


def test_a_refused_model_is_told_though_the_list_cannot_be_fetched(upstream: Upstream) -> None:
    client, catalogue = _journey(upstream)
    upstream.answers = [_listed("gpt-4.1"), Response(REFUSED, 400), Response("", 404)]
    catalogue.models()
    assert "closed to this client identity" in _refusal(client).message
    assert _ids(catalogue.models()) == ["gpt-4.1"]


def test_without_any_list_the_usual_reasons_are_told(upstream: Upstream) -> None:
    client, _catalogue = _journey(upstream)
    upstream.answers = [Response(REFUSED, 400), Response("", 404)]
    assert "may be switched off by a policy" in _refusal(client).message
