"""Anthropic's Messages: what a request may hold, what a reply and the events of a stream do."""

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
    switch,
    text,
    whole,
)

CACHE: Final = maybe(members(type=only("ephemeral"), ttl=only("5m", "1h")))
SOURCE: Final = either(
    members(
        "type media_type data",
        type=only("base64"),
        media_type=only("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"),
        data=text("Base64.", contentEncoding="base64"),
    ),
    members("type url", type=only("url"), url=text(format="uri")),
    members("type data", type=only("text"), media_type=only("text/plain"), data=text()),
)
PROSE: Final = members("type text", type=only("text"), text=text(minLength=1), cache_control=CACHE)
# A picture or a document of a tool's result, or of the user.
SHOWN: Final = (
    PROSE,
    members("type source", type=only("image"), source=SOURCE, cache_control=CACHE),
    members(
        "type source",
        type=only("document"),
        source=SOURCE,
        title=maybe(text()),
        context=maybe(text()),
        citations=maybe(members(enabled=switch())),
        cache_control=CACHE,
    ),
    members(
        "type source title content",
        type=only("search_result"),
        source=text(),
        title=text(),
        content=many(PROSE),
        cache_control=CACHE,
    ),
)
BLOCK: Final = either(
    *SHOWN,
    members("type thinking signature", type=only("thinking"), thinking=text(), signature=text()),
    members("type data", type=only("redacted_thinking"), data=text()),
    members(
        "type id name input",
        type=only("tool_use"),
        id=text(minLength=1),
        name=text(minLength=1),
        input=anything(),
        cache_control=CACHE,
    ),
    members(
        "type tool_use_id",
        type=only("tool_result"),
        tool_use_id=text(minLength=1),
        content=either(text(), many(either(*SHOWN))),
        is_error=switch(),
        cache_control=CACHE,
    ),
)
MESSAGE: Final = members(
    "role content",
    role=only("user", "assistant", "system"),
    content=either(text(minLength=1), many(named("MessagesBlock"), minItems=1)),
)
TOOL: Final = either(
    members(
        "name input_schema",
        name=text(pattern="^[a-zA-Z0-9_-]{1,64}$"),
        description=text(),
        input_schema=members("type", type=only("object"), properties=anything()),
        strict=maybe(switch()),
        defer_loading=maybe(switch()),
        cache_control=CACHE,
    ),
    members(
        "type name",
        "Anthropic's search of the web, for every model. Its other hosted tools run where Copilot runs them.",
        type=text(pattern="^web_search_[0-9]{8}$"),
        name=only("web_search"),
    ),
)
FORMAT: Final = members("type schema", type=only("json_schema"), schema=anything())

REQUEST: Final = members(
    "model messages",
    model=text("An id from `/v1/models`, an alias, or a close spelling.", minLength=1),
    messages=many(named("MessagesMessage"), minItems=1),
    system=maybe(either(text(), many(PROSE))),
    max_tokens=maybe(
        whole("Most tokens of the answer; the model's own bound where it is left out.", minimum=1)
    ),
    stream=maybe(switch("Answer as server-sent events.")),
    temperature=maybe(number(minimum=0, maximum=1)),
    top_p=maybe(number(minimum=0, maximum=1)),
    top_k=maybe(whole(minimum=0)),
    stop_sequences=maybe(many(text())),
    tools=maybe(many(named("MessagesTool"))),
    tool_choice=maybe(
        either(
            members("type", type=only("auto", "any", "none"), disable_parallel_tool_use=switch()),
            members("type name", type=only("tool"), name=text(minLength=1)),
        )
    ),
    thinking=maybe(
        either(
            members("type budget_tokens", type=only("enabled"), budget_tokens=whole(minimum=1024)),
            members("type", type=only("adaptive", "disabled"), display=maybe(text())),
        )
    ),
    output_config=maybe(
        members(effort=maybe(only("low", "medium", "high", "xhigh", "max")), format=maybe(FORMAT))
    ),
    output_format=maybe(FORMAT),
    metadata=maybe(members(user_id=maybe(text()))),
    thread={"type": "null", "description": "Message threads are not supported: send the whole history."},
)

USAGE: Final = members(
    "input_tokens output_tokens",
    "Counts of tokens; `input_tokens` excludes what was read from or written to the cache.",
    input_tokens=whole(minimum=0),
    output_tokens=whole(minimum=0),
    cache_read_input_tokens=maybe(whole(minimum=0)),
    cache_creation_input_tokens=maybe(whole(minimum=0)),
)
REPLY: Final = members(
    "id type role model content stop_reason stop_sequence usage",
    id=text(),
    type=only("message"),
    role=only("assistant"),
    model=text("The id that the request asked for."),
    content=many(members("type", type=text())),
    stop_reason=maybe(
        text("`end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `pause_turn`, `refusal`.")
    ),
    stop_sequence=maybe(text()),
    usage=named("MessagesUsage"),
)
STARTED: Final = members("type message", type=only("message_start"), message=named("MessagesReply"))
EVENT: Final = either(
    STARTED,
    members(
        "type index content_block",
        type=only("content_block_start"),
        index=whole(minimum=0),
        content_block=members("type", type=text()),
    ),
    members(
        "type index delta",
        type=only("content_block_delta"),
        index=whole(minimum=0),
        delta=members("type", type=text()),
    ),
    members("type index", type=only("content_block_stop"), index=whole(minimum=0)),
    members("type delta usage", type=only("message_delta"), delta=anything(), usage=anything()),
    members("type", type=only("message_stop", "ping")),
    named("AnthropicError"),
    description="One event's data; its `type` is the event's name too. `message_stop` or `error` ends the stream.",
)

SCHEMAS: Final[dict[str, Schema]] = {
    "MessagesRequest": REQUEST,
    "MessagesMessage": MESSAGE,
    "MessagesBlock": BLOCK,
    "MessagesTool": TOOL,
    "MessagesReply": REPLY,
    "MessagesEvent": EVENT,
    "MessagesUsage": USAGE,
    "TokenCount": members("input_tokens", input_tokens=whole(minimum=1)),
}
