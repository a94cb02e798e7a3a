"""The very small model: what it answers to plain prompts, tools, scripts and schemas."""

from typing import Any

import pytest

from tests.emulators.copilot.brain import answer
from tests.emulators.copilot.conversation import Call, Conversation, Tool, ToolResult, Turn
from tests.emulators.copilot.shapes import decode

PLACE = Tool(
    "get_weather", "", {"properties": {"city": {"type": "string"}}, "required": ["city"], "type": "object"}
)
BASH = Tool(
    "Bash", "", {"properties": {"command": {"type": "string"}}, "required": ["command"], "type": "object"}
)
EXEC = Tool(
    "exec_command", "", {"properties": {"cmd": {"type": "string"}}, "required": ["cmd"], "type": "object"}
)
LEGACY = Tool(
    "shell",
    "",
    {"properties": {"command": {"type": "array", "items": {"type": "string"}}}, "required": ["command"]},
)
READ = Tool(
    "Read", "", {"properties": {"file_path": {"type": "string"}}, "required": ["file_path"], "type": "object"}
)
CALC = Tool("calculator", "", {"properties": {"expression": {"type": "string"}}, "required": ["expression"]})
ADD = Tool(
    "add", "", {"properties": {"a": {"type": "number"}, "b": {"type": "integer"}}, "required": ["a", "b"]}
)
PATCH = Tool("apply_patch", "", {}, custom=True)
AGENT = [
    Tool("Task", "", {}),
    BASH,
    READ,
    Tool("WebSearch", "", {}),
    Tool("Edit", "", {}),
    Tool("TodoWrite", "", {}),
]


def ask(prompt: str, *tools: Tool, **fields: Any) -> Conversation:
    return Conversation("m", [Turn("user", prompt)], list(tools), **fields)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("How are you?", "You said: How are you?"),
        ("Reply with exactly: pong", "pong"),
        ("Say only `pong`.", "pong"),
        ("What is 6*7?", "6*7 = 42"),
        ("<system-reminder>be good</system-reminder>\nhello", "You said: hello"),
        ("[[say:as told]] whatever", "as told"),
        ("[[words:3]]", "word0 word1 word2"),
    ],
)
def test_plain_prompts_are_answered_the_same_way_always(prompt: str, text: str) -> None:
    assert text == answer(ask(prompt)).text == answer(ask(prompt)).text


def test_facts_told_earlier_are_remembered() -> None:
    turns = [
        Turn("user", "My favourite colour is teal."),
        Turn("assistant", "ok"),
        Turn("user", "What is my favourite colour?"),
    ]
    assert answer(Conversation("m", turns)).text == "Your favourite colour is teal."


@pytest.mark.parametrize(
    ("prompt", "tools", "calls"),
    [
        ("weather in Paris?", [PLACE], [Call("get_weather", {"city": "Paris"})]),
        (
            "What is the weather in Paris and in New York?",
            [PLACE],
            [Call("get_weather", {"city": "Paris"}), Call("get_weather", {"city": "New York"})],
        ),
        ("run `echo hello-42` and tell me its output", AGENT, [Call("Bash", {"command": "echo hello-42"})]),
        ("run `echo hello-42`", [EXEC], [Call("exec_command", {"cmd": "echo hello-42"})]),
        (
            "run the command echo hello-42 and tell me",
            [LEGACY],
            [Call("shell", {"command": ["bash", "-lc", "echo hello-42"]})],
        ),
        ("Read the file notes/todo.txt please", AGENT, [Call("Read", {"file_path": "notes/todo.txt"})]),
        ("Read /tmp/a.txt", [EXEC], [Call("exec_command", {"cmd": "cat /tmp/a.txt"})]),
        ("What is 12 * (3+4)?", [CALC], [Call("calculator", {"expression": "12 * (3+4)"})]),
        ("add 2 and 5", [ADD], [Call("add", {"a": 2.0, "b": 5})]),
        ("How are you?", AGENT, []),
        ("Tell me about your task", AGENT, []),
        ("[[tool:apply_patch *** Begin]]", [PATCH], [Call("apply_patch", "*** Begin", custom=True)]),
    ],
)
def test_tools_are_called_when_the_prompt_wants_one(
    prompt: str, tools: list[Tool], calls: list[Call]
) -> None:
    assert calls == answer(ask(prompt, *tools)).calls


def test_tool_choice_is_obeyed() -> None:
    assert answer(ask("hello", PLACE, tool_choice="required")).calls
    assert [] == answer(ask("weather in Rome", PLACE, tool_choice="none")).calls
    assert "add" == answer(ask("weather in Rome", PLACE, ADD, tool_choice="add")).calls[0].name
    assert 1 == len(answer(ask("weather in Rome and in Oslo", PLACE, parallel=False)).calls)


def test_results_are_quoted() -> None:
    turns = [
        Turn("user", "weather in Paris and Rome"),
        Turn("assistant", calls=2),
        Turn(
            "tool",
            results=[
                ToolResult("1", "sunny\n<system-reminder>hm</system-reminder>"),
                ToolResult("2", "broken", is_error=True),
            ],
        ),
    ]
    assert "Result: sunny Error: broken" == answer(Conversation("m", turns, [PLACE])).text


def test_scripts_go_step_by_step_through_a_tool_loop() -> None:
    turns = [Turn("user", "[[tool:f {}]][[then]][[tool:g {}]][[then]][[say:done]]")]
    seen: list[str] = []
    for _ in range(3):
        given = answer(Conversation("m", turns))
        seen += [call.name for call in given.calls] or [given.text]
        turns = [*turns, Turn("assistant", calls=1), Turn("tool", results=[ToolResult("x", "ok")])]
    assert ["f", "g", "done"] == seen


def test_text_beside_results_does_not_end_a_script() -> None:
    results = Turn("user", "Tool loaded.", results=[ToolResult("x", "ok")])
    turns = [Turn("user", "[[tool:f {}]][[then]][[say:done]]"), Turn("assistant", calls=1), results]
    assert "done" == answer(Conversation("m", turns)).text


def test_schemas_are_filled() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "kind": {"enum": ["red", "blue"]},
            "size": {"$ref": "#/$defs/size"},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
        },
        "required": ["name", "kind", "size", "tags", "maybe"],
        "$defs": {"size": {"type": "integer"}},
    }
    given = answer(ask('a blue thing called "box" of size 7', schema=schema)).text
    expected = {"name": "box", "kind": "blue", "size": 7, "tags": ["box", "box"], "maybe": True}
    assert expected == decode(given.encode())


def test_endless_schemas_end() -> None:
    loop = {"$ref": "#"}
    nested = {"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]}
    assert answer(ask("x", schema=loop)).text
    assert answer(ask("x", schema=nested)).text


def test_thinking_shows_only_when_asked_for() -> None:
    assert "" == answer(ask("[[think:hm]] hi")).thinking
    assert "hm" == answer(ask("[[think:hm]] hi", thinking=True)).thinking
    assert answer(ask("hi", thinking=True)).thinking
