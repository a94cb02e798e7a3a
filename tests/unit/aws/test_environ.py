"""Every kind of event becomes the environ that Flask expects; apig-wsgi, which others wrote, is asked for its view."""

import base64
from typing import Any
from urllib.parse import unquote
from wsgiref.validate import validator

import pytest
from werkzeug.wrappers import Request

from core.settings import Settings
from handlers.hosts import OWN_HOST, check_host
from infra.aws.environ import build_environ
from infra.aws.events import NotHttpError, read_event
from tests.unit.aws.events import API_DOMAIN, URL_DOMAIN, alb_event, rest_event, url_event

BODY = '{"text": "naïve ☃"}'
ENCODED = base64.b64encode(BODY.encode()).decode()


def environ_of(event: object) -> dict[str, Any]:
    return build_environ(read_event(event), None, lambda: 60.0)


def request_of(event: object) -> Request:
    return Request(environ_of(event))


CASES: dict[str, dict[str, Any]] = {
    "url": url_event(path="/v1/models", query="a=1&a=2&b=%20x"),
    "url_encoded_path": url_event(path="/v1/models/a%20b%2Fc%C3%A9"),
    "url_body": url_event("POST", "/v1/messages", body=BODY),
    "url_base64": url_event("POST", "/v1/messages", body=ENCODED, isBase64Encoded=True),
    "url_cookies": url_event(cookies=["a=1", "b=2"]),
    "url_empty_path": url_event(path="/"),
    "url_joined_headers": url_event(headers={"accept": "a,b", "x-api-key": "k"}),
    "rest": rest_event(path="/v1/models", query={"a": ["1", "2"], "b c": ["ü&="]}),
    "rest_encoded_path": rest_event(path="/v1/models/a%20b"),
    "rest_body": rest_event("POST", "/v1/messages", body=BODY),
    "rest_base64": rest_event("POST", "/v1/messages", body=ENCODED, isBase64Encoded=True),
    "rest_headers": rest_event(headers={"x-thing": ["a", "b"], "cookie": ["a=1"]}),
    "alb": alb_event(path="/v1/models", query={"a%20b": "c%26d"}),
    "alb_body": alb_event("POST", "/v1/messages", body=BODY),
    "alb_multi": alb_event(
        "POST", multiValueQueryStringParameters={"a": ["1", "%20"]},
        multiValueHeaders={"host": ["lb.example"], "x-a": ["1", "2"], "x-forwarded-proto": ["https"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_request_is_seen_as_apig_wsgi_sees_it(name: str) -> None:
    apig_wsgi = pytest.importorskip("apig_wsgi")
    theirs: list[Request] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        theirs.append(Request(environ))
        start("204 No Content", [])
        return []

    apig_wsgi.make_lambda_handler(app)(CASES[name], None)
    [expected], found = theirs, request_of(CASES[name])
    assert _seen(expected) == _seen(found)
    assert expected.get_data() == found.get_data()


def _seen(request: Request) -> dict[str, Any]:
    # Where the headers do not say it, apig-wsgi has no name, port or cookie order of its own.
    headers = {name.lower(): value.replace(", ", ",") for name, value in request.headers}
    headers.pop("content-length", None)
    return {
        "method": request.method, "path": request.path, "args": request.args.to_dict(flat=False),
        "cookies": request.cookies.to_dict(), "host": request.host, "scheme": request.scheme,
        "headers": {name: value for name, value in headers.items() if name != "cookie" and value},
    }  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_environ_obeys_pep_3333(name: str) -> None:
    def app(_environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    chunks = validator(app)(environ_of(CASES[name]), _start)
    assert [b"ok"] == list(chunks)
    chunks.close()  # type: ignore[attr-defined]


def _start(_status: str, _headers: list[tuple[str, str]], _exc_info: Any = None) -> Any:
    return lambda _content: None


@pytest.mark.parametrize("make", [url_event, rest_event, alb_event])
@pytest.mark.parametrize("path", ["/modèles/☃", "/mod%C3%A8les/%E2%98%83", "/mod%C3%A8les/☃"])
def test_paths_are_text_however_they_came(make: Any, path: str) -> None:
    assert "/modèles/☃" == request_of(make(path=path)).path


def test_broken_escapes_in_a_path_are_kept_or_replaced() -> None:
    assert "/%zz/�" == request_of(url_event(path="/%zz/%ff")).path


def test_repeated_query_names_of_a_rest_api_are_all_there() -> None:
    args = request_of(rest_event(query={"a": ["1", "2"], "b": ["x y&z"]})).args
    assert {"a": ["1", "2"], "b": ["x y&z"]} == args.to_dict(flat=False)


def test_query_of_a_load_balancer_is_not_encoded_twice() -> None:
    assert "a b" == request_of(alb_event(query={"q": "a%20b"})).args["q"]


@pytest.mark.parametrize(
    "event", [url_event(query="q=ü☃"), alb_event(query={"q": "ü☃"}), rest_event(query={"q": ["ü☃"]})]
)
def test_raw_text_in_a_query_is_escaped(event: Any) -> None:
    assert environ_of(event)["QUERY_STRING"].isascii()
    assert "ü☃" == request_of(event).args["q"]


@pytest.mark.parametrize(
    "event",
    [
        {"httpMethod": "GET", "path": "/x", "requestContext": {}},
        {"httpMethod": "GET", "path": "/x", "headers": None, "queryStringParameters": None, "body": None},
        {
            "httpMethod": "GET",
            "path": "/x",
            "multiValueHeaders": None,
            "multiValueQueryStringParameters": None,
        },
        {"requestContext": {"http": {"method": "GET"}}, "rawPath": "/x"},
    ],
)
def test_members_that_are_missing_or_null_are_nothing(event: Any) -> None:
    request = request_of(event)
    assert ("GET", "/x", "", b"", "https") == (
        request.method, request.path, request.query_string.decode(), request.get_data(), request.scheme,
    )  # fmt: skip


def test_cookies_of_a_function_url_become_one_header() -> None:
    assert "a=1; b=2" == environ_of(url_event(cookies=["a=1", "b=2"]))["HTTP_COOKIE"]


def test_body_is_read_though_the_client_sent_it_in_chunks() -> None:
    event = url_event("POST", headers={"transfer-encoding": "chunked"}, body=BODY)
    assert BODY.encode() == request_of(event).get_data()


def test_half_a_surrogate_pair_reaches_the_app_as_broken_utf8() -> None:
    assert b'"\xed\xa0\x80"' == request_of(url_event("POST", body='"\ud800"')).get_data()


def test_name_with_an_underscore_is_not_mistaken_for_the_one_with_a_hyphen() -> None:
    event = url_event(headers={"x_api_key": "evil"})
    assert "HTTP_X_API_KEY" not in environ_of(event)


@pytest.mark.parametrize(
    ("event", "peer"),
    [
        (url_event(headers={"x-forwarded-for": "6.6.6.6"}), "203.0.113.7"),
        (rest_event(headers={"x-forwarded-for": ["6.6.6.6, 203.0.113.7"]}), "203.0.113.7"),
        (alb_event(headers={"x-forwarded-for": "6.6.6.6, 203.0.113.7"}), "203.0.113.7"),
    ],
)
def test_peer_is_who_aws_saw_not_who_the_client_names(event: Any, peer: str) -> None:
    assert peer == environ_of(event)["REMOTE_ADDR"]


@pytest.mark.parametrize(
    ("event", "host"), [(url_event(), URL_DOMAIN), (rest_event(), API_DOMAIN), (alb_event(), "")]
)
def test_domain_that_aws_serves_is_told_apart_from_the_host_header(event: Any, host: str) -> None:
    if "http" in event["requestContext"]:
        event = {**event, "headers": {"host": "evil.example"}}
    assert host == environ_of(event)[OWN_HOST]


@pytest.mark.parametrize("make", [url_event, rest_event])
def test_domain_that_an_event_does_not_name_is_the_one_that_was_called(make: Any) -> None:
    event = make()
    del event["requestContext"]["domainName"]
    assert event["headers"]["host"] == environ_of(event)[OWN_HOST]
    assert read_event(make()).source == read_event(event).source


def test_health_check_of_a_load_balancer_may_come_in_without_a_host() -> None:
    event = alb_event(path="/healthz") | {"headers": {"user-agent": "ELB-HealthChecker/2.0"}}
    request = request_of(event)
    check_host(request, Settings())
    assert ("localhost", "/healthz") == (request.host, request.path)


@pytest.mark.parametrize(
    ("stage", "path", "seen"),
    [
        ("prod", "/prod/v1/models", ("/prod", "/v1/models")),
        ("prod", "/prod", ("/prod", "/")),
        ("prod", "/production", ("", "/production")),
        ("$default", "/v1/models", ("", "/v1/models")),
        ("", "//v1/models", ("", "/v1/models")),  # Werkzeug takes two slashes for one
    ],
)
def test_stage_of_an_http_api_is_the_script_name(stage: str, path: str, seen: tuple[str, str]) -> None:
    event = url_event(path=path)
    event["requestContext"] |= {"domainName": API_DOMAIN, "stage": stage}
    request = request_of(event)
    assert seen == (request.root_path, request.path)


def test_stage_of_a_rest_api_is_the_script_name() -> None:
    request = request_of(rest_event(path="/v1/models"))
    assert ("/prod", "/v1/models") == (request.root_path, request.path)
    custom = rest_event(path="/v1/models")
    custom["requestContext"]["path"] = "/v1/models"
    assert "" == request_of(custom).root_path


@pytest.mark.parametrize(
    ("resource", "parameters", "path"),
    [
        ("/v1/messages", None, "/v1/messages"),
        ("/v1/messages", None, "/v1/messages/"),
        ("/messages", None, "/messages"),
        ("/v1/models/{proxy+}", {"proxy": "openai/gpt 5"}, "/v1/models/openai/gpt%205"),
        ("/v1/models/{proxy+}", {"proxy": "a%20b"}, "/v1/models/a%20b"),
        ("/{proxy+}", {"proxy": "healthz"}, "/healthz"),
        ("/", None, "/"),
    ],
)
@pytest.mark.parametrize("base", ["", "/messages", "/ai/copilot"])
def test_base_path_of_a_custom_domain_is_part_of_the_script_name(
    resource: str, parameters: dict[str, str] | None, path: str, base: str
) -> None:
    # API Gateway leaves it on the path, and on the context's.
    event = rest_event(path=base + path, resource=resource, pathParameters=parameters)
    event["requestContext"]["path"] = base + path
    request = request_of(event)
    assert (base, unquote(path)) == (request.root_path, request.path)


def test_path_that_does_not_fit_its_resource_stays_whole() -> None:
    for resource in ("", "$default", "/{proxy+}", "/v1/other"):
        request = request_of(rest_event(path="/x/v1/models", resource=resource))
        assert ("/prod", "/x/v1/models") == (request.root_path, request.path)


@pytest.mark.parametrize("proto", ["", "ftp", "javascript:", "HTTPS"])
def test_scheme_is_https_unless_a_balancer_says_http(proto: str) -> None:
    assert "https" == request_of(alb_event(headers={"x-forwarded-proto": proto})).scheme
    assert (
        "http"
        == request_of(alb_event(headers={"x-forwarded-proto": "http", "x-forwarded-port": "80"})).scheme
    )


@pytest.mark.parametrize(
    "event", [None, [], "x", {}, {"httpMethod": ""}, {"source": "aws.events"}, {"requestContext": []}]
)
def test_event_that_is_no_request_is_refused(event: Any) -> None:
    with pytest.raises(NotHttpError):
        read_event(event)


@pytest.mark.parametrize(
    ("event", "source"),
    [
        (url_event(), "url"), (rest_event(), "rest"), (alb_event(), "alb"),
        (url_event(requestContext={"domainName": "api.example", "http": {"method": "GET"}}), "http"),
    ],
)  # fmt: skip
def test_source_of_an_event_is_known(event: Any, source: str) -> None:
    assert source == read_event(event).source
