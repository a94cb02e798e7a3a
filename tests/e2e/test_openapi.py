"""The API's description and the API say the same: routes, members, statuses, bodies and events."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from msgspec.structs import fields
from openapi_spec_validator import OpenAPIV31SpecValidator

from core.dialects.chat.request_decode import KNOWN as CHAT_MEMBERS
from core.dialects.messages.schema import RequestBody
from core.dialects.responses.request_decode import KNOWN as RESPONSES_MEMBERS
from core.openapi.document import document
from core.openapi.operations import ROUTES, Route
from core.settings import Secret, Settings
from handlers import create_app
from handlers.guard import FAULT, WITHHELD
from handlers.services import EXTENSION
from infra.local.services import build_services
from tests.e2e.asking import PATH, SURFACES, ask
from tests.e2e.conftest import Host
from tests.e2e.hosting import ONLY_MESSAGES, Wire
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot

KEY = "sk-test-0123456789abcdef"
SECOND = {"chat": "gpt-4.1", "messages": ONLY_MESSAGES, "responses": "gpt-5.5"}


def described(server: str = "http://127.0.0.1") -> dict[str, Any]:
    return json.loads(json.dumps(document(server)))


DOCUMENT = described()


def judge(schema: dict[str, Any], value: object) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    errors = [
        f"{error.json_path}: {error.message}"[:300]
        for error in Draft202012Validator(whole).iter_errors(value)
    ]
    assert errors == []


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): operation
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if not method.startswith("x-")
    }


def resolve(value: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in value:
        return value
    found: Any = DOCUMENT
    for name in value["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def rules_of(app: Flask) -> set[tuple[str, str]]:
    return {
        (method.lower(), rule.rule.replace("<path:", "<").replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method != "HEAD"
    }


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_is_described_and_every_description_has_its_route(host: Host) -> None:
    """A page of its own belongs into core/openapi/pages.py, all else into core/openapi/operations.py."""
    said = {
        (method, spelling)
        for method, path in operations()
        for spelling in (path, *DOCUMENT["paths"][path].get("x-also-at", ()))
    }
    assert rules_of(host().app) == said


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for operation in operations().values()]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(
    ("schema", "read"),
    [
        ("ChatRequest", CHAT_MEMBERS),
        ("MessagesRequest", frozenset(field.name for field in fields(RequestBody))),
        ("ResponsesRequest", RESPONSES_MEMBERS | {"store", "previous_response_id", "include", "background", "conversation"}),
    ],
)  # fmt: skip
def test_every_member_that_is_read_is_described(schema: str, read: frozenset[str]) -> None:
    assert read == DOCUMENT["components"]["schemas"][schema]["properties"].keys()


def test_the_document_needs_no_key_and_tells_nothing_of_the_installation(host: Host) -> None:
    gateway = host(api_key=Secret(KEY))
    answer = Wire(gateway.url).get("/openapi.json")
    assert (200, "application/json") == (answer.status, answer.headers["content-type"])
    assert described(gateway.url) == answer.json


def test_the_server_is_the_address_that_was_asked(host: Host) -> None:
    gateway = host(allowed_hosts=("ai.example",))
    wire = Wire(gateway.url)
    asked = wire.get("/openapi.json", Host="ai.example", X_Forwarded_Proto="https")
    assert "https://ai.example" == asked.json["servers"][0]["url"]
    client = gateway.app.test_client()
    staged = client.get("/openapi.json", environ_overrides={"SCRIPT_NAME": "/prod", "HTTP_HOST": "127.0.0.1"})
    assert "http://127.0.0.1/prod" == json.loads(staged.data)["servers"][0]["url"]


def content(method: str, path: str, status: int, kind: str) -> dict[str, Any]:
    return resolve(operations()[method, path]["responses"][str(status)])["content"][kind]


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("model", SECOND.values())
def test_requests_replies_and_headers_are_as_described(gateway: Wire, surface: str, model: str) -> None:
    body = ask(surface, model, "What is the weather in Paris? Use the tool.", tools=True, image=True)
    operation = operations()["post", PATH[surface]]
    judge(operation["requestBody"]["content"]["application/json"]["schema"], body)
    answer = gateway.post(PATH[surface], body)
    judge(content("post", PATH[surface], answer.status, "application/json")["schema"], answer.json)
    said = operation["responses"]["200"]["headers"].keys()
    ours = {name for name in answer.headers if name.startswith("x-gateway-") or name == "request-id"}
    assert ours - said == set()


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("model", SECOND.values())
def test_every_event_of_a_stream_is_as_described(gateway: Wire, surface: str, model: str) -> None:
    body = ask(surface, model, "What is the weather in Paris? Use the tool.", stream=True, tools=True)
    answer = gateway.post(PATH[surface], body)
    schema = content("post", PATH[surface], 200, "text/event-stream")["x-event-data"]
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    events = [json.loads(line) for line in lines if line != "[DONE]"]
    assert events
    for event in events:
        judge(schema, event)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "/v1/models", None),
        ("get", "/v1/models/gpt-4.1", None),
        ("get", "/usage", None),
        ("get", "/openapi.json", None),
        ("post", "/v1/messages/count_tokens", ask("messages", "gpt-4.1", "hi")),
        ("post", "/v1/responses/input_tokens", ask("responses", "gpt-5.5", "hi")),
        ("post", "/v1/embeddings", {"model": "text-embedding-3-small", "input": ["a", "b"]}),
        ("post", "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a", "encoding_format": "base64"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("anthropic", [False, True], ids=["openai", "anthropic"])
def test_other_answers_are_as_described(
    gateway: Wire, method: str, path: str, body: object, *, anthropic: bool
) -> None:
    headers: dict[str, str | None] = {"anthropic-version": "2023-06-01"} if anthropic else {}
    answer = gateway.send(method.upper(), path, body, headers)
    route = path.replace("gpt-4.1", "{model_id}")
    judge(content(method, route, answer.status, "application/json")["schema"], answer.json)


def test_stored_responses_are_as_described(host: Host) -> None:
    wire = Wire(host(store_responses=True).url)
    stored = wire.post("/v1/responses", ask("responses", "gpt-5.5", "hi")).json["id"]
    for method, path in (
        ("get", "/v1/responses/{response_id}"),
        ("get", "/v1/responses/{response_id}/input_items"),
        ("delete", "/v1/responses/{response_id}"),
    ):
        answer = wire.send(method.upper(), path.replace("{response_id}", stored))
        judge(content(method, path, answer.status, "application/json")["schema"], answer.json)


# Every documented status can happen.

GOOD: dict[str, Any] = {
    "ChatRequest": ask("chat", "gpt-4.1", "hi"),
    "MessagesRequest": ask("messages", "claude-sonnet-4.6", "hi"),
    "ResponsesRequest": ask("responses", "gpt-5.5", "hi"),
    "ResponsesCancel": {},
    "EmbeddingsRequest": {"model": "text-embedding-3-small", "input": "hi"},
}
# What upstream says for a status of ours: (status, error code).
UPSTREAM = {
    402: (402, "quota_exceeded"),
    424: (424, "dependency_failed"),
    429: (429, "rate_limited"),
    502: (500, "internal"),
    503: (503, "model_overloaded"),
    504: (408, "timeout"),
    529: (503, "model_overloaded"),
}
CASES = [(route, status) for route in ROUTES for status in route.statuses()]


@pytest.fixture
def app(fake: FakeCopilot, tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Return what builds the app, with a key and nothing fetched yet; nobody listens."""
    with ExitStack() as stack:

        def build(**settings: Any) -> Flask:
            chosen: dict[str, Any] = {
                "github_url": fake.github_url, "github_api_url": fake.api_url, "github_token": Secret(DEMO_TOKEN),
                "data_dir": str(tmp_path), "api_key": Secret(KEY), "store_responses": True, **settings,
            }  # fmt: skip
            services = build_services(Settings(**chosen))
            stack.callback(services.copilot.transport.close)
            return create_app(services)

        yield build


Change = dict[str, Any]


def upstream_says(fake: FakeCopilot, status: int) -> None:
    """Make everything upstream fail, so that what a route asks first does."""
    said, code = UPSTREAM[status]
    body = json.dumps({"error": {"message": "no", "code": code}})
    paths = ("/chat/completions", "/v1/messages", "/responses", "/embeddings")
    for method, path in [
        *(("POST", path) for path in paths),
        ("GET", "/models"),
        ("GET", "/copilot_internal/user"),
    ]:
        fake.force(
            method, path, said, body, headers={"retry-after": "900"}, content_type="application/json", times=0
        )


def refused(status: int, route: Route) -> Change:
    """Return how the request has to differ from a good one for this status; empty where upstream alone decides."""
    unknown = GOOD.get(route.body, {}) | {"model": "no-such-model"}
    table: dict[int, Change] = {
        400: {"data": b"{}", "query_string": "limit=0&stream=true"},
        401: {"headers": {"authorization": "Bearer wrong"}},
        403: {"headers": {"host": "foreign.example"}},
        404: {"data": json.dumps(unknown)},
        408: {"environ_overrides": {FAULT: (408, "too slow")}},
        413: {"data": b" " * 2_000_000},
        415: {"content_type": "text/plain"},
        500: {"environ_overrides": {FAULT: (500, "broken")}},
        503: {"environ_overrides": {WITHHELD: True}},
        529: {"environ_overrides": {WITHHELD: True}},
    }
    return table.get(status, {})


@pytest.mark.parametrize(("route", "status"), CASES, ids=lambda value: getattr(value, "name", value))
def test_every_documented_status_can_happen(
    app: Callable[..., Flask], fake: FakeCopilot, monkeypatch: pytest.MonkeyPatch, route: Route, status: int
) -> None:
    if route.name == "getMetrics" and status == 404:
        monkeypatch.setitem(sys.modules, "prometheus_client", None)
    if status in UPSTREAM and status not in {503, 529}:
        upstream_says(fake, status)
    settings = {"store_responses": False} if (route.name, status) == ("deleteResponse", 400) else {}
    change = refused(status, route)
    sent: Change = {"data": json.dumps(GOOD[route.body])} if route.body else {}
    if route.method == "post":
        sent["content_type"] = "application/json"
    headers = {"authorization": f"Bearer {KEY}"}
    if route.surface == "Anthropic" or status in {402, 529} or (route.name, status) == ("listModels", 400):
        headers["anthropic-version"] = "2023-06-01"
    sent |= {**change, "headers": headers | change.get("headers", {})}
    path = re.sub(r"\{\w+\}", "absent", route.path)
    answer = (
        app(max_body_bytes=1_000_000, **settings)
        .test_client()
        .open(path, method=route.method.upper(), **sent)
    )
    assert status == answer.status_code, answer.text[:300]
    judge(content(route.method, route.path, status, "application/json")["schema"], answer.json)
    assert answer.headers["request-id"]


@pytest.mark.parametrize("path", ["/metrics", "/usage", "/v1/models"])
def test_a_method_that_is_not_described_is_told_as_that_whatever_it_sends(host: Host, path: str) -> None:
    wire = Wire(host(api_key=Secret(KEY)).url, {"authorization": f"Bearer {KEY}"})
    for body, kind in ((b"", None), (b"a=b", "application/x-www-form-urlencoded")):
        answer = wire.send("PUT", path, body, {"content-type": kind})
        assert (405, "GET, HEAD") == (answer.status, answer.headers["allow"])


def test_the_judge_of_these_tests_refuses_what_is_not_described() -> None:
    with pytest.raises(AssertionError):
        judge({"$ref": "#/components/schemas/OpenAIError"}, {"error": {"message": "no"}})


def test_where_each_endpoint_is_a_function_the_description_is_with_liveness(
    app: Callable[..., Flask],
) -> None:
    services = app().extensions[EXTENSION]
    served = {
        name: create_app(services, only=name).test_client().get("/openapi.json")
        for name in ("health", "usage")
    }
    assert {"health": 200, "usage": 404} == {name: answer.status_code for name, answer in served.items()}
