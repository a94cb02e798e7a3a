"""Every route of the API: one row each, in the order in which people read it."""

from typing import Any, Final

from core.openapi.errors import ANSWERED, JSON, SPENT, headers
from core.openapi.shapes import Schema, named, only, text, whole

EVENT_STREAM: Final = "text/event-stream"
MODELS, STORED, ACCOUNT, SERVICE = "Models", "Stored responses", "Account", "The gateway itself"

# Statuses by what a route does. Every route looks at Host and Origin, and may find that a store fails.
OPEN: Final = (403, 500)
KEYED: Final = (*OPEN, 401)
OURS: Final = (*KEYED, 503)
BODY: Final = (*OURS, 400, 408, 413, 415)
COUNT: Final = (*BODY, 404, 429, 502, 504)
CALL: Final = (*COUNT, 424)

# Anthropic has statuses of its own for an overload and for used-up credits; OpenAI has 429 for the latter.
SPELLED: Final[dict[str, dict[int, tuple[int, ...]]]] = {
    "OpenAI": {},
    "Anthropic": {503: (529,), 429: (402, 429)},
    "Either": {503: (503, 529), 429: (402, 429)},
}


class Route:
    """One method of one path.

    errors: statuses; `surface` says in whose envelope. also: other paths of the same route.
    """

    def __init__(
        self, method: str, path: str, name: str, summary: str, *, group: str, success: dict[str, Schema],
        errors: tuple[int, ...], surface: str = "OpenAI", body: str = "", parameters: tuple[Schema, ...] = (),
        description: str = "", keyed: bool = True,
    ) -> None:  # fmt: skip
        self.method, self.path, self.name, self.summary, self.group = method, path, name, summary, group
        self.success, self.errors, self.surface, self.body = success, errors, surface, body
        self.parameters, self.description, self.keyed = parameters, description, keyed

    @property
    def also(self) -> tuple[str, ...]:
        """Return the path with or without `/v1`, where both work."""
        if self.path == "/usage":
            return ("/v1/usage",)
        return (self.path.removeprefix("/v1"),) if self.path.startswith("/v1/") else ()

    def statuses(self) -> tuple[int, ...]:
        """Return the statuses of errors as this surface says them."""
        said = {spelled for status in self.errors for spelled in SPELLED[self.surface].get(status, (status,))}
        return tuple(sorted(said))

    def operation(self) -> dict[str, Any]:
        """Return the operation object."""
        errors = {
            str(status): {"$ref": f"#/components/responses/{self.surface}{status}"}
            for status in self.statuses()
        }
        found: dict[str, Any] = {
            "operationId": self.name,
            "summary": self.summary,
            "tags": [self.group],
            "responses": {**self.success, **errors},
        }
        if self.description:
            found["description"] = self.description
        if self.parameters:
            found["parameters"] = list(self.parameters)
        if self.body:
            found["requestBody"] = {"required": True, "content": {JSON: {"schema": named(self.body)}}}
        if not self.keyed:
            found["security"] = []
        return found


def _json(
    schema: Schema, description: str = "The answer.", names: dict[str, str] | None = None
) -> dict[str, Schema]:
    content = {JSON: {"schema": schema}}
    return {"200": {"description": description, "headers": headers(names or {}), "content": content}}


# OpenAPI 3.1 has no words for the events of a stream: `x-event-data` names the schema of each one's data.
EXAMPLE: Final = {
    "Chat": 'data: {"id":"chatcmpl-1","object":"chat.completion.chunk",...}\n\ndata: [DONE]\n\n',
    "Messages": 'event: message_start\ndata: {"type":"message_start",...}\n\n',
    "Responses": 'event: response.created\ndata: {"type":"response.created",...}\n\n',
}


def _answer(surface: str) -> dict[str, Schema]:
    """Return what a model's answer looks like, complete or as events."""
    found = _json(named(f"{surface}Reply"), "The whole answer, or its stream.", ANSWERED)
    found["200"]["content"][EVENT_STREAM] = {
        "x-event-data": named(f"{surface}Chunk" if surface == "Chat" else f"{surface}Event"),
        "example": EXAMPLE[surface],
    }
    return found


def _parameter(name: str, where: str, schema: Schema, description: str) -> Schema:
    return {
        "name": name, "in": where, "required": where == "path", "schema": schema, "description": description,
    }  # fmt: skip


BETA: Final = _parameter("anthropic-beta", "header", text(), "Feature flags.")
VERSION: Final = _parameter(
    "anthropic-version",
    "header",
    text(),
    "As Anthropic's clients send it; any value will do.",
)
SHAPE: Final = _parameter("anthropic-version", "header", text(), "Asks for Anthropic's shape.")
RESPONSE_ID: Final = _parameter("response_id", "path", text(pattern="^[A-Za-z0-9_-]{1,80}$"), "As `id` said.")
STORED_ERRORS: Final = (*OURS, 400, 404)

ROUTES: Final = (
    Route(
        "post", "/v1/chat/completions", "createChatCompletion", "OpenAI Chat Completions", group=MODELS,
        body="ChatRequest", success=_answer("Chat"), errors=CALL,
    ),
    Route(
        "post", "/v1/messages", "createMessage", "Anthropic Messages", group=MODELS, surface="Anthropic",
        body="MessagesRequest", success=_answer("Messages"), errors=CALL, parameters=(VERSION, BETA),
    ),
    Route(
        "post", "/v1/messages/count_tokens", "countMessageTokens", "Count a prompt", group=MODELS,
        surface="Anthropic", body="MessagesRequest", errors=COUNT,
        parameters=(VERSION, BETA), success=_json(named("TokenCount"), names={"x-gateway-count": "GatewayCount"}),
    ),
    Route(
        "post", "/v1/responses", "createResponse", "OpenAI Responses", group=MODELS,
        body="ResponsesRequest", success=_answer("Responses"), errors=CALL,
    ),
    Route(
        "post", "/v1/responses/input_tokens", "countResponseTokens", "Count an input", group=MODELS,
        body="ResponsesRequest", errors=COUNT,
        success=_json(named("ResponsesInputTokens"), names={"x-gateway-count": "GatewayCount"}),
    ),
    Route(
        "post", "/v1/embeddings", "createEmbedding", "Embeddings", group=MODELS, body="EmbeddingsRequest",
        success=_json(named("EmbeddingsReply"), names={"x-gateway-model": "GatewayModel", **SPENT}), errors=CALL,
        description="Batches over the model's limit are split and joined again.",
    ),
    Route(
        "get", "/v1/models", "listModels", "List the models", group=MODELS, surface="Either",
        errors=(*OURS, 400, 429, 502, 504),
        parameters=(
            SHAPE,
            _parameter("limit", "query", whole(minimum=1, maximum=1000), "In Anthropic's shape alone."),
            _parameter("after_id", "query", text(), "In Anthropic's shape alone."),
            _parameter("before_id", "query", text(), "In Anthropic's shape alone."),
        ),
        success=_json(
            {"anyOf": [named("OpenAIModels"), named("AnthropicModels")]},
            names={"x-gateway-versions": "GatewayVersions", "x-gateway-body-limit": "GatewayBodyLimit"},
        ),
    ),
    Route(
        "get", "/v1/models/{model_id}", "getModel", "Describe one model", group=MODELS, surface="Either",
        errors=(*OURS, 404, 429, 502, 504),
        parameters=(
            SHAPE,
            _parameter("model_id", "path", text(minLength=1), "An id or a close spelling; may hold slashes."),
        ),
        success=_json({"anyOf": [named("OpenAIModel"), named("AnthropicModel")]}),
    ),
    Route(
        "get", "/v1/responses/{response_id}", "getResponse", "A stored response", group=STORED,
        errors=STORED_ERRORS, success=_json(named("ResponsesReply")),
        parameters=(
            RESPONSE_ID,
            _parameter("stream", "query", only("false"), "A stored response cannot be streamed again."),
        ),
    ),
    Route(
        "delete", "/v1/responses/{response_id}", "deleteResponse", "Forget a stored response", group=STORED,
        errors=STORED_ERRORS, success=_json(named("ResponsesDeleted")), parameters=(RESPONSE_ID,),
    ),
    Route(
        "get", "/v1/responses/{response_id}/input_items", "listResponseInput", "What the model was given",
        group=STORED, errors=STORED_ERRORS, success=_json(named("ResponsesItems")),
        parameters=(
            RESPONSE_ID,
            _parameter("limit", "query", whole(minimum=1, maximum=100), "How many; 20."),
            _parameter("order", "query", only("asc", "desc"), "Newest first: desc."),
            _parameter("after", "query", text(minLength=1), "The id of the item before."),
        ),
    ),
    Route(
        "post", "/v1/responses/{response_id}/cancel", "cancelResponse", "Always refused", group=STORED,
        errors=BODY, success={}, parameters=(RESPONSE_ID,), body="ResponsesCancel",
        description="There are no background responses: close the connection to cancel an answer.",
    ),
    Route(
        "get", "/usage", "getUsage", "Copilot's quota and the gateway's ledger", group=ACCOUNT,
        errors=(*OURS, 429, 502, 504), success=_json(named("Usage")),
    ),
    Route(
        "get", "/metrics", "getMetrics", "Figures for Prometheus", group=ACCOUNT, errors=(*OURS, 404),
        success={
            "200": {
                "description": "As text, or in OpenMetrics where `Accept` asks for it.",
                "headers": headers({}),
                "content": {
                    "text/plain": {"schema": text()},
                    "application/openmetrics-text": {"schema": text()},
                },
            }
        },
        description="404 where the gateway was installed without `prometheus-client`, as on AWS.",
    ),
    Route(
        "get", "/healthz", "getHealth", "Whether it is alive", group=SERVICE, errors=OPEN, keyed=False,
        success={
            "200": {
                "description": "It is.",
                "headers": headers({}),
                "content": {"text/plain": {"schema": only("ok\n")}},
            }
        },
    ),
    Route(
        "get", "/openapi.json", "getOpenApi", "This document", group=SERVICE, errors=OPEN, keyed=False,
        success=_json({"type": "object", "required": ["openapi", "info", "paths"]}),
    ),
)  # fmt: skip
