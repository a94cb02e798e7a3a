"""Decide from a prompt which of the offered tools to call, and with what."""

import re
from typing import Final

from tests.emulators.copilot.conversation import Call, Conversation, Tool
from tests.emulators.copilot.fill import ARITHMETIC, PATH, Filler, places, quoted
from tests.emulators.copilot.shapes import Obj, items, members

SHELL: Final = re.compile(r"bash|shell|exec|terminal|run_command|powershell|execute", re.IGNORECASE)
READ: Final = re.compile(
    r"^(?:read|view|cat|open)(?:_?file.*)?$|read_?file|str_replace_based_edit", re.IGNORECASE
)
# Tools that agents carry for themselves: a word in a prompt never calls them.
INTERNAL: Final = re.compile(
    r"task|agent|todo|plan|skill|notebook|search|fetch|web|edit|write|patch|input|glob|grep|kill|stdin|image|ask|mode",
    re.IGNORECASE,
)
RUN: Final = re.compile(r"\b(?:run|execute|call|invoke)\b[^`\n]{0,60}?`([^`]+)`", re.IGNORECASE)
RUN_PLAIN: Final = re.compile(
    r"\b(?:run|execute)\s+(?:the\s+)?(?:shell\s+|bash\s+)?(?:command:?\s+)?"
    r"((?:echo|ls|cat|pwd|date|uname|printf|python3?|node|git|head|wc|grep)\b[^\n.;,]*?)"
    r"(?=\s+(?:and\s+(?:tell|show|report|say|give)|then)\b|[.;,\n]|$)",
    re.IGNORECASE,
)
READ_FILE: Final = re.compile(
    r"\b(?:read|open|show|view|cat|print|look at|what(?:'s| is) in)\b", re.IGNORECASE
)
GENERIC_PARTS: Final = frozenset(
    {"get", "set", "tool", "the", "run", "call", "function", "fetch", "current", "list"}
)
ARITHMETIC_TOOL: Final = re.compile(r"calc|math|arithmetic|\badd\b|multiply|evaluate", re.IGNORECASE)


def wanted_calls(asked: Conversation, prompt: str) -> list[Call]:
    """Return the calls a prompt wants; several places want one each when parallel calls are allowed."""
    if not asked.tools or asked.tool_choice == "none":
        return []
    # `validated` is what Copilot CLI asks of a Gemini: calls as it likes, but well-formed ones.
    if asked.tool_choice not in {"auto", "required", "validated"}:
        chosen = [tool for tool in asked.tools if tool.name == asked.tool_choice]
        return _calls(chosen[:1], prompt, parallel=asked.parallel)
    if call := _shell_call(asked.tools, prompt) or _read_call(asked.tools, prompt):
        return [call]
    named = [tool for tool in asked.tools if _mentioned(tool, prompt)]
    if named:
        return _calls(named if asked.parallel else named[:1], prompt, parallel=asked.parallel)
    return _calls(asked.tools[:1], prompt, parallel=False) if asked.tool_choice == "required" else []


def _calls(tools: list[Tool], prompt: str, *, parallel: bool) -> list[Call]:
    calls: list[Call] = []
    for tool in tools:
        found = places(prompt) if "city" in str(tool.schema) or "location" in str(tool.schema) else []
        chosen: list[str | None] = [*(found if parallel else found[:1])] or [None]
        calls += [_call(tool, fill_arguments(tool, prompt, place)) for place in chosen]
    return calls


def _call(tool: Tool, arguments: Obj | str) -> Call:
    return Call(tool.name, arguments, tool.custom, tool.namespace)


def fill_arguments(tool: Tool, prompt: str, place: str | None = None) -> Obj | str:
    """Return arguments for a tool: its required properties, read from the prompt."""
    if tool.custom:
        return quoted(prompt) or prompt[:200]
    if SHELL.search(tool.name) and (command := _command(prompt)):
        return shell_arguments(tool, command)
    return members(Filler(tool.schema, prompt, place).fill())


def shell_arguments(tool: Tool, command: str) -> Obj:
    """Return a shell-like tool's arguments for a command."""
    properties = members(tool.schema.get("properties"))
    name = next((n for n in ("command", "cmd", "script", "code", "input") if n in properties), "command")
    arguments = members(Filler(tool.schema, command).fill())
    is_list = members(properties.get(name)).get("type") == "array"
    arguments[name] = ["bash", "-lc", command] if is_list else command
    return {n: v for n, v in arguments.items() if n == name or n in items(tool.schema.get("required"))}


def _command(prompt: str) -> str:
    match = RUN.search(prompt) or RUN_PLAIN.search(prompt)
    return match[1].strip() if match else ""


def _shell_call(tools: list[Tool], prompt: str) -> Call | None:
    command = _command(prompt)
    shell = find_shell(tools) if command else None
    return _call(shell, shell_arguments(shell, command)) if shell else None


def find_shell(tools: list[Tool]) -> Tool | None:
    """Return the tool that runs commands."""
    named = [tool for tool in tools if SHELL.search(tool.name) and not tool.custom]
    whole = [tool for tool in named if {"command", "cmd"} & members(tool.schema.get("properties")).keys()]
    return next(iter(whole or named), None)


def _read_call(tools: list[Tool], prompt: str) -> Call | None:
    path = PATH.search(prompt)
    if path is None or not READ_FILE.search(prompt):
        return None
    if reader := next((tool for tool in tools if READ.search(tool.name) and not tool.custom), None):
        return _call(reader, members(Filler(reader.schema, path[0]).fill()))
    shell = find_shell(tools)
    return _call(shell, shell_arguments(shell, f"cat {path[0]}")) if shell else None


def _mentioned(tool: Tool, prompt: str) -> bool:
    words = prompt.lower()
    if re.search(rf"\b{re.escape(tool.name.lower())}\b", words):
        return not INTERNAL.search(tool.name) or f"the {tool.name.lower()} tool" in words
    if INTERNAL.search(tool.name) or SHELL.search(tool.name):
        return False
    if ARITHMETIC_TOOL.search(tool.name) and (ARITHMETIC.search(prompt) or "calculate" in words):
        return True
    parts = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", tool.name).lower())
    return any(len(part) >= 4 and part not in GENERIC_PARTS and part in words for part in parts)
