"""Chat Completions: what a request may hold, what a reply and the chunks of a stream do."""

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

COUNT: Final = {"minimum": 0, "maximum": 2**53}
RANGE: Final = {"minimum": -1e9, "maximum": 1e9}

PART: Final = either(
    members("type text", type=only("text"), text=text()),
    members(
        "type image_url",
        type=only("image_url"),
        image_url=members("url", url=picture(), detail=text()),
    ),
    members(
        "type file",
        type=only("file"),
        file=members("file_data", file_data=text("A `data:` URL with base64."), filename=text()),
    ),
    members("type refusal", type=only("refusal"), refusal=text()),
)
TEXTS: Final = either(text(), many(members("type text", type=only("text"), text=text()), minItems=1))
CALL: Final = members(
    "id type function",
    id=text(minLength=1),
    type=only("function"),
    function=members("name arguments", name=text(minLength=1), arguments=text("JSON, as text.")),
)
MESSAGE: Final = either(
    members("role content", role=only("system", "developer"), content=TEXTS),
    members(
        "role content",
        role=only("user"),
        content=either(text(minLength=1), many(named("ChatPart"), minItems=1)),
        name=text(),
    ),
    members(
        "role",
        role=only("assistant"),
        content=maybe(TEXTS),
        tool_calls=many(CALL),
        refusal=maybe(text()),
        reasoning_content=text("Thinking, as an earlier answer held it."),
        reasoning_opaque=text("Its signature; goes back only to where it came from."),
    ),
    members(
        "role tool_call_id content",
        role=only("tool"),
        tool_call_id=text(minLength=1),
        content=TEXTS,
    ),
)
TOOL: Final = either(
    members(
        "type function",
        type=only("function"),
        function=members(
            "name",
            name=text(pattern="^[a-zA-Z0-9_-]{1,64}$"),
            description=text(),
            parameters=anything("JSON Schema of the arguments."),
            strict=maybe(switch()),
        ),
    ),
    members("type custom", type=only("custom"), custom=members("name", name=text(minLength=1))),
)
CHOICE: Final = either(
    only("none", "auto", "required"),
    members("type function", type=only("function"), function=members("name", name=text(minLength=1))),
)
FORMAT: Final = either(
    members("type", type=only("text", "json_object")),
    members(
        "type json_schema",
        type=only("json_schema"),
        json_schema=members("name", name=text(minLength=1), schema=anything(), strict=maybe(switch())),
    ),
)

REQUEST: Final = members(
    "model messages",
    model=text("An id from `/v1/models`, an alias, or a close spelling.", minLength=1),
    messages=many(named("ChatMessage"), minItems=1),
    stream=maybe(switch("Answer as server-sent events.")),
    stream_options=maybe(members(include_usage=switch("End with a chunk that holds `usage`."))),
    tools=maybe(many(named("ChatTool"))),
    functions=maybe(many(anything(), "The older spelling of `tools`.")),
    tool_choice=maybe(CHOICE),
    function_call=maybe(either(text(), anything(), description="The older spelling of `tool_choice`.")),
    parallel_tool_calls=maybe(switch()),
    max_tokens=maybe(whole(**COUNT)),
    max_completion_tokens=maybe(whole(**COUNT)),
    temperature=maybe(number(**RANGE)),
    top_p=maybe(number(**RANGE)),
    top_k=maybe(whole(**COUNT)),
    frequency_penalty=maybe(number(**RANGE)),
    presence_penalty=maybe(number(**RANGE)),
    seed=maybe(whole(minimum=-(2**63), maximum=2**63 - 1)),
    stop=maybe(either(text(), many(text()))),
    n=maybe(whole("More than 1 only where the model speaks Chat itself.", minimum=1, maximum=128)),
    reasoning_effort=maybe(text()),
    thinking_budget=maybe(whole(**COUNT)),
    thinking=maybe(members(type=text(), budget_tokens=maybe(whole(**COUNT)))),
    reasoning=maybe(members(effort=maybe(text()), max_tokens=maybe(whole(**COUNT)), summary=maybe(text()))),
    verbosity=maybe(text()),
    response_format=maybe(FORMAT),
    user=maybe(text()),
    prompt_cache_key=maybe(text()),
    web_search_options=maybe(anything("Lets the model search the web.")),
    modalities=maybe(many(text(), "Only text is offered.")),
)

USAGE: Final = members(
    "prompt_tokens completion_tokens total_tokens",
    "Counts of tokens; `prompt_tokens` includes the cached ones.",
    prompt_tokens=whole(minimum=0),
    completion_tokens=whole(minimum=0),
    total_tokens=whole(minimum=0),
    prompt_tokens_details=maybe(anything()),
    completion_tokens_details=maybe(anything()),
)
REPLY: Final = members(
    "id object created model choices",
    id=text(),
    object=only("chat.completion"),
    created=whole("Seconds since 1970."),
    model=text("The id that the request asked for."),
    choices=many(
        members(
            "index message finish_reason",
            index=whole(),
            finish_reason=text("`stop`, `length`, `tool_calls`, `content_filter` or upstream's own word."),
            message=members(
                "role",
                role=only("assistant"),
                content=maybe(text()),
                refusal=maybe(text()),
                tool_calls=maybe(many(anything())),
                reasoning_content=maybe(text()),
                reasoning_opaque=maybe(text()),
            ),
        )
    ),
    usage=maybe(named("ChatUsage")),
)
CHUNK: Final = members(
    "id object created model choices",
    "One event's data. The stream ends with `data: [DONE]`; one that fails ends with a chunk that holds `error`.",
    id=text(),
    object=only("chat.completion.chunk"),
    created=whole(),
    model=text(),
    choices=many(members("index delta", index=whole(), delta=anything(), finish_reason=maybe(text()))),
    usage=maybe(named("ChatUsage")),
)

SCHEMAS: Final[dict[str, Schema]] = {
    "ChatRequest": REQUEST,
    "ChatMessage": MESSAGE,
    "ChatPart": PART,
    "ChatTool": TOOL,
    "ChatReply": REPLY,
    "ChatChunk": CHUNK,
    "ChatUsage": USAGE,
}
