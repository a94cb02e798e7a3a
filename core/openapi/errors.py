"""Errors as each surface says them, by status, and the headers that answers carry."""

from typing import Final

from core.openapi.shapes import Schema, anything, maybe, members, only, text, whole

JSON: Final = "application/json"

SCHEMAS: Final[dict[str, Schema]] = {
    "OpenAIError": members(
        "error",
        "An error on every route but Anthropic's.",
        error=members(
            "message type param code",
            message=text("What is wrong and what to do, for a person."),
            type=text(),
            param=maybe(text("The JSON path of the member that is wrong.")),
            code=maybe(text("The reason, for a program.")),
        ),
    ),
    "AnthropicError": members(
        "type error",
        "An error on Anthropic's routes.",
        type=only("error"),
        error=members("type message", type=text(), message=text(), details=anything()),
        request_id=text("GitHub's id of the request, where upstream refused it."),
    ),
}

# What each status means, whatever the surface.
MEANING: Final[dict[int, str]] = {
    400: "The request is malformed, asks for what the model cannot do, or is longer than its context window.",
    401: "No key of this gateway, or a wrong one.",
    402: "The subscription's credits are used up.",
    403: "The key, the Host or Origin header, the plan or a policy forbids it; or nobody is logged in to GitHub.",
    404: "No such model or stored response.",
    408: "The body did not arrive in time.",
    413: "The body is larger than this gateway or upstream accepts.",
    415: "The body is no JSON, or it is compressed.",
    424: "Something that upstream needed for this request failed.",
    429: "Too many requests: by upstream's measure, the gateway's or the key's; or the credits are used up.",
    500: "A defect of the gateway.",
    502: "Upstream failed, or could not be reached.",
    503: "Upstream is overloaded, or a store of the gateway does not answer.",
    504: "Upstream did not answer in time.",
    529: "Upstream is overloaded, or a store of the gateway does not answer.",
}
# Statuses with a `retry-after`, where it is known.
LATER: Final = frozenset({429, 503, 529})

HEADERS: Final[dict[str, Schema]] = {
    "RequestId": {
        "description": "The id under which the gateway's log and ledger know this request; also `x-request-id`.",
        "required": True,
        "schema": text(),
    },
    "RetryAfter": {"description": "Seconds to wait before a retry.", "schema": whole(minimum=0)},
    "ShouldRetry": {"description": "`false` where a retry soon only costs.", "schema": only("false")},
    "GitHubRequestId": {"description": "GitHub's id of the request, for its support.", "schema": text()},
    "GatewayModel": {"description": "The model of the catalogue that answers.", "schema": text()},
    "GatewayUpstream": {
        "description": "The dialect that upstream was asked in.",
        "schema": only("chat", "messages", "responses"),
    },
    "GatewayInitiator": {
        "description": "Who upstream was told that the request is from.",
        "schema": only("user", "agent"),
    },
    "GatewayLosses": {
        "description": "Members of the request that the model could not be told, separated by commas.",
        "schema": text(),
    },
    "GatewayRepairs": {
        "description": "What was repaired in the request before upstream took it, separated by commas.",
        "schema": text(),
    },
    "GatewayTokens": {"description": "A count of tokens, on complete replies.", "schema": whole(minimum=0)},
    "GatewayCredits": {
        "description": "What the request cost in Copilot's AI credits, on complete replies.",
        "schema": text(pattern=r"^[0-9]+\.[0-9]{6}$"),
    },
    "GatewayCount": {
        "description": "Who counted.",
        "schema": only("upstream", "estimate"),
        "required": True,
    },
    "GatewayVersions": {"description": "What runs here.", "schema": text()},
    "GatewayBodyLimit": {"description": "Most bytes of a request's body.", "schema": whole(minimum=1)},
}
ALWAYS: Final = {"request-id": "RequestId"}
SPENT: Final = {
    "x-gateway-input-tokens": "GatewayTokens",
    "x-gateway-cached-tokens": "GatewayTokens",
    "x-gateway-output-tokens": "GatewayTokens",
    "x-gateway-credits": "GatewayCredits",
}
ANSWERED: Final = {
    "x-gateway-model": "GatewayModel",
    "x-gateway-upstream": "GatewayUpstream",
    "x-gateway-initiator": "GatewayInitiator",
    "x-gateway-losses": "GatewayLosses",
    "x-gateway-repairs": "GatewayRepairs",
    "x-github-request-id": "GitHubRequestId",
    **SPENT,
}


def headers(names: dict[str, str]) -> Schema:
    """Return the headers of an answer. names: of components by header."""
    return {header: {"$ref": f"#/components/headers/{name}"} for header, name in {**ALWAYS, **names}.items()}


def responses() -> dict[str, Schema]:
    """Return a component for each status on each surface, as `Anthropic429`."""
    found: dict[str, Schema] = {}
    for status, meaning in MEANING.items():
        named = {"retry-after": "RetryAfter"} if status in LATER else {}
        named |= {"x-should-retry": "ShouldRetry", "x-github-request-id": "GitHubRequestId"}
        for surface in ("OpenAI", "Anthropic"):
            schema = {"$ref": f"#/components/schemas/{surface}Error"}
            found[f"{surface}{status}"] = {
                "description": meaning,
                "headers": headers(named),
                "content": {JSON: {"schema": schema}},
            }
        both = {"anyOf": [{"$ref": f"#/components/schemas/{each}Error"} for each in ("OpenAI", "Anthropic")]}
        found[f"Either{status}"] = {
            "description": f"{meaning} In Anthropic's envelope where `anthropic-version` was sent.",
            "headers": headers(named),
            "content": {JSON: {"schema": both}},
        }
    return found
