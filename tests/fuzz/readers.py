"""The laws of what is read beside the dialects: framing, GitHub's documents, the catalogue, embeddings, settings."""

import json
import random
import tempfile
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from core import embeddings, opaque
from core.copilot.auto_session import read_session
from core.copilot.catalogue import decode_catalogue
from core.copilot.device_login import DeviceCode, DeviceLogin
from core.copilot.exchange import exchange
from core.copilot.failures import as_error, read_failure
from core.copilot.faults import TransportError
from core.copilot.github import Answer, GitHub
from core.copilot.http1 import ResponseParser
from core.copilot.inflate import Inflate
from core.copilot.usage import fetch_quota, read_quota_headers
from core.settings import Settings
from core.sse import EventTooLargeError, ServerSentEvent, SSEDecoder
from infra.settings import SettingsError, load_settings
from tests.fuzz import corpus
from tests.fuzz.holding import bounded, check_refusal, tried
from tests.fuzz.hunting import Target
from tests.fuzz.mutation import Mutator, chunkings
from tests.fuzz.shapes import BY_NAME, SEALED, SEALED_CLAUDE, THOUGHT

NOW: Final = 1_763_846_400.0
TOKEN: Final = "gho_" + "0" * 36


class Canned(GitHub):
    """GitHub with one answer to everything."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(now=lambda: NOW)
        self._answer = answer

    def fetch(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, timeout: float, limit: int = 0
    ) -> Answer:  # fmt: skip
        return self._answer


def _answers(body: bytes) -> list[Answer]:
    headers = {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "²",
        "retry-after": body[:20].decode("latin-1"),
    }
    return [Answer(status, headers, body) for status in (200, 400, 401, 403, 404, 429, 500)]


def hold_login(body: bytes) -> None:
    code = DeviceCode(
        device_code="d", user_code="U", verification_uri="https://github.com/", expires_at=NOW + 9, interval=5
    )
    for answer in _answers(body):
        login = DeviceLogin(Settings(), Canned(answer), now=lambda: NOW)
        made, _ = tried(login.start)
        if made is not None:
            assert made.verification_uri.startswith("https://github.com/")
            assert 0 < made.interval <= 3600
        tried(login.poll_once, code)


def hold_exchange(body: bytes) -> None:
    for answer in _answers(body):
        grant, _ = tried(exchange, Canned(answer), Settings(), TOKEN, lambda: NOW)
        if grant is not None:
            assert grant.value.isprintable()
            assert grant.base_url.startswith("https://")
            assert grant.base_url.endswith(".githubcopilot.com")
            assert NOW < grant.expires_at < NOW + 10**6


def hold_quota(body: bytes) -> None:
    fetch = partial(fetch_quota, now=lambda: NOW)
    for answer in _answers(body):
        quota, _ = tried(fetch, Canned(answer), Settings(), TOKEN)
        if quota is not None:
            json.dumps([allowance.remaining for allowance in quota.allowances.values()], allow_nan=False)
    text = body.decode("latin-1")
    read_quota_headers({"x-quota-snapshot-chat": text, "x-usage-ratelimit-session": text})


def hold_catalogue(body: bytes) -> None:
    models, _ = tried(decode_catalogue, body, Settings())
    assert models is None or len({model.id for model in models}) == len(models)
    tried(read_session, body, "s", NOW)


def hold_failure(body: bytes) -> None:
    for answer in _answers(body):
        error = as_error(read_failure(answer.status, answer.headers, body, NOW))
        bounded(error.message.encode(), 0)
        for dialect in BY_NAME.values():
            assert json.loads(dialect.encode_error(error).body)
        assert TOKEN not in error.message


def hold_embeddings(body: bytes) -> None:
    request, error = tried(embeddings.decode_request, body)
    if error is not None:
        check_refusal(BY_NAME["chat"], error)
    if request is not None:
        sent = [json.loads(batch) for batch, _ in embeddings.encode_batches(request, "m", 2)]
        assert [item for batch in sent for item in batch["input"]] == request.inputs
    reply, _ = tried(embeddings.decode_reply, body, 2)
    if reply is not None:
        for encoding in ("float", "base64"):
            asked = embeddings.EmbeddingsRequest("m", ["a", "b"], encoding)
            json.loads(tried(embeddings.encode_response, [reply], asked)[0] or b"{}")


def hold_sse(data: bytes) -> None:
    def read(chunks: list[bytes]) -> list[ServerSentEvent]:
        decoder = SSEDecoder()
        return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.close()

    whole, *others = map(read, chunkings(data))
    assert others == [whole] * len(others), "the pieces show"
    assert not any(b"\r" in event.data for event in whole)
    small = SSEDecoder(limit=40)
    try:
        for chunk in chunkings(data)[1]:
            assert sum(len(event.data) for event in small.feed(chunk)) <= 40 + len(chunk)
    except EventTooLargeError:
        pass


def hold_http(data: bytes) -> None:
    def read(chunks: list[bytes]) -> tuple[object, ...]:
        parser, body = ResponseParser(), b""
        try:
            for chunk in chunks:
                body += parser.feed(chunk)
            ended = parser.done
            parser.end()
        except TransportError as error:
            return error.kind, parser.status
        return parser.status, parser.headers, body, ended

    whole, *others = map(read, chunkings(data))
    assert others == [whole] * len(others), "the pieces show"


def hold_inflate(data: bytes) -> None:
    for packed in (data, zlib.compress(data), zlib.compress(data)[2:-4], zlib.compress(data)[:-1] + b"x"):

        def read(chunks: list[bytes]) -> object:
            inflate, body = Inflate(), b""
            try:
                for chunk in chunks:
                    body += inflate.feed(chunk)
                    while more := inflate.feed(b""):
                        body += more
                inflate.close()
            except TransportError as error:
                return error.kind
            return body

        whole, *others = map(read, chunkings(packed))
        assert others == [whole] * len(others), "the pieces show"


def hold_opaque(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    packed = opaque.PREFIX + urlsafe_b64encode(data).decode().rstrip("=")
    for sealed in (text, packed, opaque.PREFIX + text):
        for surface in BY_NAME:
            value = opaque.unseal(sealed, surface)
            assert opaque.unseal(opaque.seal(value, surface), surface) in {
                value,
                opaque.unseal(value.value, surface),
            }


def hold_settings(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.toml"
        path.write_bytes(data)
        path.chmod(0o600)
        _settings({"data_dir": directory}, {})
        text = data.decode("utf-8", "replace").replace("\x00", "")
        for line in text.split("\n"):
            name, _, value = line.partition("=")
            _settings(
                {"data_dir": directory + "/none"}, {"COPILOT_GATEWAY_" + name.strip().upper(): value.strip()}
            )


def _settings(flags: dict[str, object], environ: dict[str, str]) -> None:
    try:
        load_settings(flags, environ)
    except SettingsError as error:
        str(error).encode("utf-8", "backslashreplace")


def _from(samples: tuple[bytes, ...], *, text: bool = False) -> Callable[[random.Random], bytes]:
    def make(rng: random.Random) -> bytes:
        mutator = Mutator(rng)
        way = rng.randrange(10)
        if way == 0:
            return mutator.noise()
        sample = rng.choice(samples)
        return mutator.bytes_(sample) if text or way < 3 else mutator.json(sample)

    return make


def _streams(rng: random.Random) -> bytes:
    return Mutator(rng).stream(
        rng.choice(corpus.streams(rng.choice(corpus.DIALECTS))), corpus.streams("chat")
    )


def _documents(*values: Any) -> tuple[bytes, ...]:
    return tuple(json.dumps(value).encode() for value in values)


LOGINS: Final = _documents(
    {"device_code": "d", "user_code": "ABCD-1234", "verification_uri": "https://github.com/login/device", "expires_in": 899, "interval": 5},
    {"access_token": TOKEN, "token_type": "bearer", "scope": "read:user"}, {"error": "authorization_pending"}, {"error": "slow_down", "interval": 10},
    {"error": "access_denied", "error_description": "no"},
)  # fmt: skip
GRANTS: Final = _documents(
    {"token": "tid=a;exp=1", "expires_at": 1, "refresh_in": 1500, "sku": "yearly", "endpoints": {"api": "https://api.individual.githubcopilot.com"}},
    {"error_details": {"message": "m", "title": "t", "url": "https://x", "notification_id": "n"}}, {"message": "Bad credentials", "status": "401"},
)  # fmt: skip
SNAPSHOT: Final = {
    "entitlement": 300,
    "remaining": 200,
    "quota_remaining": 200.5,
    "percent_remaining": 66.6,
    "unlimited": False,
    "overage_count": 0,
}
QUOTAS: Final = _documents(
    {
        "login": "me",
        "copilot_plan": "individual",
        "quota_reset_date": "2025-12-01",
        "quota_snapshots": {"premium_interactions": SNAPSHOT, "chat": {"unlimited": True}},
    },
)
MODEL: Final = {
    "id": "gpt-5", "name": "GPT", "vendor": "OpenAI", "version": "v", "preview": False, "model_picker_enabled": True, "policy": {"state": "enabled"},
    "supported_endpoints": ["/responses", "/chat/completions"], "warning_messages": [{"code": "c", "message": "m"}],
    "billing": {"token_prices": {"default": {"input_price": 1, "output_price": 2, "cache_price": 0.1}, "batch_size": 1000000}},
    "capabilities": {"type": "chat", "family": "gpt", "limits": {"max_output_tokens": 10, "vision": {"max_prompt_images": 1}}, "supports": {"tool_calls": True,
    "reasoning_effort": ["low"], "max_thinking_budget": 32000}},
}  # fmt: skip
MODELS: Final = _documents(
    {
        "data": [
            MODEL,
            {"id": "text-embedding-3", "capabilities": {"type": "embeddings", "limits": {"max_inputs": 512}}},
        ],
        "object": "list",
    },
    {"session_token": "t", "selected_model": "gpt-5", "available_models": ["gpt-5"], "expires_at": 1},
)
FAILURES: Final = (
    *_documents(
        {"error": {"message": "prompt token count of 9 exceeds the limit of 8", "code": "model_max_prompt_tokens_exceeded"}}, {"error": "x", "message": {"message": "{}"}},
        {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}}, {"message": '{"error":{"message":"m"}}'},
        {"error": {"code": "rate_limited:pro", "message": f"token {TOKEN}"}, "authorize_url": "https://x"},
    ),
    b"<html><title>Bad <b>gateway</b></title></html>", b"unauthorized: token expired\n",
)  # fmt: skip
EMBEDDINGS: Final = _documents(
    {"model": "m", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 5}, {"model": "m", "input": [[1, 2], [3]]}, {"model": "m", "input": "a"},
    {"data": [{"embedding": [0.1, -2], "index": 1, "object": "embedding"}, {"embedding": [1e39], "index": 0}], "usage": {"prompt_tokens": 1, "total_tokens": 1}},
)  # fmt: skip
HTTP: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Too Many\r\nretry-after: 3\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
)  # fmt: skip
OPAQUES: Final = _documents(
    {"dialect": "responses", "value": "gAAAA", "item_id": "rs_1", "scope": "a"},
    {"dialect": "chat", "value": ""},
    {"dialect": "messages", "value": "E", "x": [[1]]},
)
SETTINGS: Final = (
    b'host = "127.0.0.1"\nport = 4141\napi_key = "k"\nverbose = true\naliases = { "a" = "b" }\nquirks = { "gpt*" = { sampling = true } }\nrate_limit = 1.5\n',
    b"PORT = 80\nRATE_LIMIT=1e3\nVERBOSE=yes\nALIASES=a=b,c=d\nALLOWED_HOSTS=a,b\nAPI_KEY=x\nCOPILOT_URL=https://x\nENTERPRISE_HOST=acme.ghe.com\n",
    b'copilot_url = "https://api.x.githubcopilot.com"\nlog_format = "json"\nheartbeat = 5\nstore_ttl = inf\nenterprise_host = "a.ghe.com"\n',
)  # fmt: skip

FRAMING: Final = (
    Target("sse", _streams, hold_sse),
    Target("http", _from(HTTP, text=True), hold_http),
    Target("inflate", _from((*HTTP, *corpus.streams("chat")[:2]), text=True), hold_inflate),
)
GITHUB: Final = (
    Target("device-login", _from(LOGINS), hold_login),
    Target("exchange", _from((*GRANTS, *LOGINS)), hold_exchange),
    Target("quota", _from((*QUOTAS, b"ent=300&rem=50.5&ov=0&ovPerm=true&rst=2025")), hold_quota),
    Target("catalogue", _from(MODELS), hold_catalogue),
    Target("failure", _from(FAILURES), hold_failure),
)
OTHERS: Final = (
    Target("embeddings", _from(EMBEDDINGS), hold_embeddings),
    Target(
        "opaque",
        _from((*OPAQUES, SEALED.encode(), SEALED_CLAUDE.encode(), THOUGHT.value.encode())),
        hold_opaque,
    ),
    Target("settings", _from(SETTINGS, text=True), hold_settings),
)
