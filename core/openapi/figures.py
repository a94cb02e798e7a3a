"""Models, embeddings, and what was used: the schemas of the last straight from the structs that are sent."""

from typing import Any, Final

import msgspec

from core.copilot.usage import Quota
from core.embeddings import MOST_INPUTS, MOST_TOKENS
from core.ledger.report import Report
from core.openapi.shapes import Schema, either, many, maybe, members, named, number, only, switch, text, whole

EMBEDDINGS: Final = members(
    "model input",
    model=text("The id of an embeddings model.", minLength=1),
    input=either(
        text(minLength=1),
        many(text(minLength=1), minItems=1, maxItems=MOST_INPUTS),
        many(whole(minimum=0), "Token ids.", minItems=1, maxItems=MOST_TOKENS),
        many(
            many(whole(minimum=0), minItems=1, maxItems=MOST_TOKENS),
            minItems=1,
            maxItems=MOST_INPUTS,
        ),
    ),
    encoding_format=maybe(only("float", "base64")),
    dimensions=maybe(whole(minimum=1)),
)
EMBEDDED: Final = members(
    "object data model usage",
    object=only("list"),
    data=many(
        members(
            "object index embedding",
            object=only("embedding"),
            index=whole(minimum=0),
            embedding=either(many(number()), text("Little-endian 32-bit floats.", contentEncoding="base64")),
        )
    ),
    model=text(),
    usage=members(
        "prompt_tokens total_tokens", prompt_tokens=whole(minimum=0), total_tokens=whole(minimum=0)
    ),
)
OPENAI_MODEL: Final = members(
    "id object created owned_by",
    id=text(),
    object=only("model"),
    created=whole("Copilot does not say when: always the same moment."),
    owned_by=text(),
    display_name=text(),
    type=only("chat", "embeddings", "completion"),
    context_window=maybe(whole(minimum=0)),
    max_input_tokens=maybe(whole(minimum=0)),
    max_output_tokens=maybe(whole(minimum=0)),
    supported_endpoints=many(text(), "The dialects that upstream offers it in."),
    reasoning_efforts=many(text()),
    vision=maybe(switch()),
    tools=maybe(switch()),
    policy=maybe(text("Whether the account's settings allow it: `enabled`, `disabled`, `unconfigured`.")),
    preview=switch(),
)
ANTHROPIC_MODEL: Final = members(
    "type id display_name created_at",
    type=only("model"),
    id=text(),
    display_name=text(),
    created_at=text(format="date-time"),
    lifecycle=text(),
    max_input_tokens=maybe(whole(minimum=0)),
    max_tokens=maybe(whole(minimum=0)),
)
MODELS: Final = members("object data", object=only("list"), data=many(named("OpenAIModel")))
PAGE: Final = members(
    "data has_more first_id last_id",
    data=many(named("AnthropicModel")),
    has_more=switch(),
    first_id=maybe(text()),
    last_id=maybe(text()),
)

SCHEMAS: Final[dict[str, Schema]] = {
    "EmbeddingsRequest": EMBEDDINGS,
    "EmbeddingsReply": EMBEDDED,
    "OpenAIModel": OPENAI_MODEL,
    "AnthropicModel": ANTHROPIC_MODEL,
    "OpenAIModels": MODELS,
    "AnthropicModels": PAGE,
}


def ledger_schemas() -> dict[str, Any]:
    """Return the schemas of `/usage`: Quota and Report as they are written, and the two together."""
    _, components = msgspec.json.schema_components(
        [Quota, Report], ref_template="#/components/schemas/{name}"
    )
    gateway = {"gateway": maybe(named("Report"))}
    usage = either(
        {"allOf": [named("Quota"), members("gateway", **gateway)]},
        members("gateway", "For a key with limits: what it used itself.", **gateway),
    )
    return {**components, "Usage": usage}
