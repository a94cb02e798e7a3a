"""A very small model: reads a conversation and answers, always the same way.

Prompts may script it: `[[say:TEXT]]`, `[[think:TEXT]]`, `[[tool:NAME {json}]]` (repeat it for parallel
calls), `[[words:N]]`, `[[stop:length]]`, and `[[then]]` between the rounds of a tool loop.
"""

import re
from typing import Any, Final

from tests.emulators.copilot.conversation import Answer, Call, Conversation, Picture, Tool, ToolResult, Turn
from tests.emulators.copilot.delivery import STAMP
from tests.emulators.copilot.fill import Filler
from tests.emulators.copilot.intent import fill_arguments, wanted_calls
from tests.emulators.copilot.shapes import decode, encode, members

DIRECTIVE: Final = re.compile(r"\[\[(say|think|tool|words|stop|then)(?::(.*?))?\]\]", re.DOTALL)
# What agents put around the user's own words.
WRAPPED: Final = re.compile(
    r"<(system-reminder|environment_context|user_instructions|INSTRUCTIONS|environment_details|permissions[^>]*"
    r"|skills_instructions|context|current_datetime|reminder|task_progress)>.*?</\1>",
    re.DOTALL,
)
EXACTLY: Final = re.compile(
    r"\b(?:reply|answer|respond|say)\s+(?:with\s+)?(?:exactly|only|just)[:\s]+(?:the\s+words?\s+|with\s+)?"
    r"[\"'`]?([^\"'`\n]+?)[\"'`]?[.!]?\s*$",
    re.IGNORECASE | re.MULTILINE,
)
MY_FACT: Final = re.compile(r"\bwhat(?:'s| is| was) my ([\w ]+?)\s*\?", re.IGNORECASE)
SUM: Final = re.compile(r"(-?\d+)\s*([-+*x×])\s*(-?\d+)")
SUMS: Final = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "x": int.__mul__, "×": int.__mul__}
# A call and its result told in words, as the gateway does where no signature is left: nobody asks for anything.
TOLD: Final = re.compile(r"The tool \S+ was called with .*? and answered:\n?", re.DOTALL)
LONG: Final = 2_000


def answer(asked: Conversation, *, stamped: bool = False) -> Answer:
    """Answer a conversation; `stamped` makes `[[words:N]]` words carry the time they were sent."""
    given = _considered(asked, stamped=stamped)
    if asked.thinking and not given.thinking:
        given.thinking = f"The user wants: {' '.join(prompt_of(asked).split()[:8])}. I will answer briefly."
    if not asked.thinking:
        given.thinking = ""
    if given.calls:
        given.stop = "tool"
        return given
    return _limited(asked, given)


def prompt_of(asked: Conversation) -> str:
    """Return the user's last own words, without what an agent wrapped around them."""
    for turn in reversed(asked.turns):
        if text := _own_words(turn):
            return text
    return ""


def _own_words(turn: Turn) -> str:
    """Return what a user wrote; text beside tool results is the agent's, unless it is a script."""
    if turn.role != "user" or TOLD.match(turn.text) or (turn.results and "[[" not in turn.text):
        return ""
    return WRAPPED.sub("", turn.text).strip()


def _considered(asked: Conversation, *, stamped: bool) -> Answer:
    prompt, tail = prompt_of(asked), _tail(asked)
    results = [result for turn in tail for result in turn.results]
    told = [f"Result: {TOLD.sub('', turn.text, count=1)}" for turn in tail if TOLD.match(turn.text)]
    script = DIRECTIVE.findall(prompt)
    if script and (step := _step(script, _rounds(asked))):
        return _scripted(asked, step, prompt, stamped=stamped)
    if results or told:
        return Answer(text=" ".join([*map(_quoted, results), *told])[:LONG])
    if calls := wanted_calls(asked, prompt):
        return Answer(text="", calls=calls)
    if asked.schema is not None or asked.any_json:
        value = Filler(asked.schema, prompt).fill() if asked.schema else {"answer": prompt[:LONG]}
        return Answer(text=encode(value).decode())
    return Answer(text=_plain(asked, prompt, [p for turn in tail for p in turn.pictures]))


def _quoted(result: ToolResult) -> str:
    return f"{'Error' if result.is_error else 'Result'}: {WRAPPED.sub('', result.text).strip()}"


def _tail(asked: Conversation) -> list[Turn]:
    """Return the turns after the last assistant turn."""
    for position in range(len(asked.turns) - 1, -1, -1):
        if asked.turns[position].role == "assistant":
            return asked.turns[position + 1 :]
    return asked.turns


def _rounds(asked: Conversation) -> int:
    """Count the tool rounds since the user last spoke."""
    rounds = 0
    for turn in reversed(asked.turns):
        if _own_words(turn):
            break
        rounds += (turn.role == "assistant" and turn.calls > 0) or bool(TOLD.match(turn.text))
    return rounds


def _step(script: list[tuple[str, str]], rounds: int) -> list[tuple[str, str]]:
    steps: list[list[tuple[str, str]]] = [[]]
    for name, argument in script:
        if name == "then":
            steps.append([])
        else:
            steps[-1].append((name, argument))
    return steps[rounds] if rounds < len(steps) else []


def _scripted(asked: Conversation, step: list[tuple[str, str]], prompt: str, *, stamped: bool) -> Answer:
    given = Answer()
    for name, argument in step:
        match name:
            case "say":
                given.text += argument
            case "think":
                given.thinking += argument
            case "words":
                given.text += words(int(argument) if argument.isdigit() else 1, stamped=stamped)
            case "stop":
                given.stop = argument
            case _:
                given.calls += [_scripted_call(asked, argument, prompt)]
    if not given.text and not given.calls:
        given.text = _plain(asked, DIRECTIVE.sub("", prompt).strip(), [])
    return given


def words(count: int, *, stamped: bool = False) -> str:
    """Return so many words, each its own delta."""
    return " ".join(STAMP.format(n) if stamped else f"word{n}" for n in range(count))


def _scripted_call(asked: Conversation, argument: str, prompt: str) -> Call:
    name, _, rest = argument.strip().partition(" ")
    tool = next((t for t in asked.tools if t.name == name), Tool(name, "", {}))
    if tool.custom:
        return Call(name, rest, custom=True)
    if not rest.strip():
        return Call(name, fill_arguments(tool, DIRECTIVE.sub("", prompt)), namespace=tool.namespace)
    try:
        arguments: Any = decode(rest.encode())
    except ValueError:
        arguments = {"input": rest}
    return Call(name, members(arguments), namespace=tool.namespace)


def _plain(asked: Conversation, prompt: str, pictures: list[Picture]) -> str:
    if pictures:
        seen = ", ".join(
            f"{p.media_type} of {p.size} bytes{' (' + p.pixels + ')' if p.pixels else ''}" for p in pictures
        )
        return f"I see {len(pictures)} file(s): {seen}. You said: {prompt[:LONG]}"
    if match := EXACTLY.search(prompt):
        return match[1].strip()
    if match := MY_FACT.search(prompt):
        return _recalled(asked, match[1])
    if match := SUM.search(prompt):
        return f"{match[0]} = {SUMS[match[2]](int(match[1]), int(match[3]))}"
    return f"You said: {prompt[:LONG]}" if prompt else "Hello from the fake."


def _recalled(asked: Conversation, subject: str) -> str:
    pattern = re.compile(rf"\bmy {re.escape(subject)} (?:is|was) ([^.,!?\n]+)", re.IGNORECASE)
    for turn in reversed(asked.turns):
        if turn.role == "user" and (match := pattern.search(turn.text)):
            return f"Your {subject} is {match[1].strip()}."
    return f"You have not told me your {subject}."


def _limited(asked: Conversation, given: Answer) -> Answer:
    """Apply stop sequences and the output limit (a token a word)."""
    hits = [(given.text.find(stop), stop) for stop in asked.stop if stop and stop in given.text]
    if hits:
        at, stop = min(hits)
        given.text, given.stop, given.stop_sequence = given.text[:at], "stop_sequence", stop
    deltas = given.deltas
    if asked.max_tokens is not None and len(deltas) > asked.max_tokens:
        given.text, given.stop, given.stop_sequence = "".join(deltas[: asked.max_tokens]), "length", None
    return given
