"""OpenAI's Responses: what a request may hold, what a reply and the events of a stream do, and stored responses."""

from typing import Final

from core.openapi.shapes import (
    Schema,
    anything,
    either,
    many,
    maybe,
    members,
    named,
    number,
    only,
    picture,
    switch,
    text,
    whole,
)

SAID: Final = either(
    members("type text", type=only("input_text", "output_text"), text=text(minLength=1)),
    members(
        "type image_url",
        type=only("input_image"),
        image_url=picture(),
        detail=text(),
    ),
    members(
        "type filename file_data",
        type=only("input_file"),
        filename=text(),
        file_data=text("A `data:` URL with base64."),
    ),
    members("type refusal", type=only("refusal"), refusal=text()),
)
OUTPUT: Final = either(text(), many(named("ResponsesPart"), minItems=1))
ITEM: Final = either(
    members(
        "role content",
        type=only("message"),
        role=only("user", "assistant", "system", "developer"),
        content=either(text(minLength=1), many(named("ResponsesPart"), minItems=1)),
    ),
    members(
        "type summary",
        type=only("reasoning"),
        id=text(),
        summary=many(members("type text", type=only("summary_text"), text=text())),
        encrypted_content=maybe(text("Goes back only to where it came from.")),
    ),
    members(
        "type call_id name arguments",
        type=only("function_call"),
        call_id=text(minLength=1),
        name=text(minLength=1),
        arguments=text("JSON, as text."),
    ),
    members(
        "type call_id output", type=only("function_call_output"), call_id=text(minLength=1), output=OUTPUT
    ),
    members(
        "type call_id name input",
        type=only("custom_tool_call"),
        call_id=text(minLength=1),
        name=text(minLength=1),
        input=text(),
    ),
    members(
        "type call_id output", type=only("custom_tool_call_output"), call_id=text(minLength=1), output=OUTPUT
    ),
)
TOOL: Final = either(
    members(
        "type name",
        type=only("function"),
        name=text(pattern="^[a-zA-Z0-9_-]{1,64}$"),
        description=maybe(text()),
        parameters=maybe(anything("JSON Schema of the arguments.")),
        strict=maybe(switch()),
    ),
    members("type name", type=only("custom"), name=text(minLength=1), description=maybe(text())),
    members("type", "Also where the model has no search of its own.", type=only("web_search")),
)
FORMAT: Final = either(
    members("type", type=only("text", "json_object")),
    members(
        "type name schema",
        type=only("json_schema"),
        name=text(minLength=1),
        schema=anything(),
        strict=maybe(switch()),
    ),
)

REQUEST: Final = members(
    "model input",
    model=text("An id from `/v1/models`, an alias, or a close spelling.", minLength=1),
    input=either(text(minLength=1), many(named("ResponsesItem"), minItems=1)),
    instructions=maybe(text()),
    stream=maybe(switch("Answer as server-sent events.")),
    tools=maybe(many(named("ResponsesTool"))),
    tool_choice=maybe(
        either(
            only("none", "auto", "required"),
            members("type name", type=only("function"), name=text(minLength=1)),
        )
    ),
    parallel_tool_calls=maybe(switch()),
    max_output_tokens=maybe(whole(minimum=16, maximum=2**53)),
    temperature=maybe(number(minimum=0, maximum=2)),
    top_p=maybe(number(minimum=0, maximum=1)),
    reasoning=maybe(members(effort=maybe(text()), summary=maybe(text()))),
    text=maybe(members(format=maybe(FORMAT), verbosity=maybe(text()))),
    user=maybe(text()),
    prompt_cache_key=maybe(text()),
    store=maybe(switch("Kept only where the setting `store_responses` is on; the answer says which.")),
    previous_response_id=maybe(text("Needs `store_responses`; without it a 400.")),
    include=maybe(many(text())),
    background={"enum": [False, None], "description": "Background responses are not supported."},
    conversation={"type": "null", "description": "Conversation objects are not supported."},
)
USAGE: Final = members(
    "input_tokens output_tokens total_tokens",
    "Counts of tokens; `input_tokens` includes the cached ones.",
    input_tokens=whole(minimum=0),
    output_tokens=whole(minimum=0),
    total_tokens=whole(minimum=0),
    input_tokens_details=maybe(anything()),
    output_tokens_details=maybe(anything()),
)
REPLY: Final = members(
    "id object created_at status model output",
    id=text(),
    object=only("response"),
    created_at=number("Seconds since 1970."),
    status=only("completed", "incomplete", "failed", "in_progress", "queued", "cancelled"),
    model=text("The id that the request asked for."),
    output=many(members("type", type=text())),
    error=maybe(anything()),
    incomplete_details=maybe(members(reason=text())),
    usage=maybe(named("ResponsesUsage")),
    store=switch(),
    previous_response_id=maybe(text()),
)
EVENT: Final = members(
    "type sequence_number",
    "One event's data; its `type` is the event's name too. `response.completed`, `response.incomplete`, "
    "`response.failed` or `error` ends the stream.",
    type=text(),
    sequence_number=whole(minimum=0),
    response=named("ResponsesReply"),
)
ITEMS: Final = members(
    "object data has_more first_id last_id",
    object=only("list"),
    data=many(members("type", type=text(), id=text())),
    has_more=switch(),
    first_id=maybe(text()),
    last_id=maybe(text()),
)
DELETED: Final = members(
    "id object deleted", id=text(), object=only("response.deleted"), deleted={"const": True}
)
COUNTED: Final = members(
    "object input_tokens", object=only("response.input_tokens"), input_tokens=whole(minimum=0)
)

SCHEMAS: Final[dict[str, Schema]] = {
    "ResponsesRequest": REQUEST,
    "ResponsesItem": ITEM,
    "ResponsesPart": SAID,
    "ResponsesTool": TOOL,
    "ResponsesReply": REPLY,
    "ResponsesEvent": EVENT,
    "ResponsesUsage": USAGE,
    "ResponsesItems": ITEMS,
    "ResponsesDeleted": DELETED,
    "ResponsesInputTokens": COUNTED,
    "ResponsesCancel": anything("Nothing in it is read."),
}
