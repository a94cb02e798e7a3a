"""The figures as tables: on the screen, in docs/performance.md and in the README."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE, README = ROOT / "docs" / "performance.md", ROOT / "README.md"
TRANSLATED = "messages from chat"
Found = dict[str, Any]
Least = Callable[[float, float], bool]


def at_most(value: float, limit: float) -> bool:
    return value <= limit


def at_least(value: float, limit: float) -> bool:
    return value >= limit


# What is measured, where its figure lies, its unit, the goal, what would be better still, and which way is better.
TARGETS: list[tuple[str, tuple[str, str, str], str, float, float, Least]] = [
    ("first token added, passed through", ("latency", "chat", "first added"), "ms", 1.6, 1.2, at_most),
    ("first token added, translated", ("latency", TRANSLATED, "first added"), "ms", 2.0, 1.5, at_most),
    ("event delay added, 1 stream, translated, median", ("paced", f"{TRANSLATED}, 1", "added"), "ms", 0.20, 0.12, at_most),
    ("the same, 95 of 100", ("paced", f"{TRANSLATED}, 1", "added p95"), "ms", 0.30, 0.20, at_most),
    ("event delay added, 50 streams, 95 of 100", ("paced", f"{TRANSLATED}, 50", "added p95"), "ms", 0.6, 0.4, at_most),
    ("the same, 99 of 100", ("paced", f"{TRANSLATED}, 50", "added p99"), "ms", 2.0, 1.2, at_most),
    ("first token of 200 streams together, 95 of 100, ÷ direct", ("paced", f"{TRANSLATED}, 200", "first p95 ratio"), "times", 6, 3, at_most),
    ("flood, 1 stream, passed through, events/s ÷ direct", ("flood", "chat, 1", "ratio"), "times", 0.40, 0.55, at_least),
    ("flood, 1 stream, translated", ("flood", f"{TRANSLATED}, 1", "ratio"), "times", 0.30, 0.40, at_least),
    ("flood, 50 streams, passed through", ("flood", "chat, 50", "ratio"), "times", 0.40, 0.60, at_least),
    ("flood, 50 streams, translated", ("flood", f"{TRANSLATED}, 50", "ratio"), "times", 0.30, 0.45, at_least),
    ("flood, 200 streams, passed through", ("flood", "chat, 200", "ratio"), "times", 0.25, 0.35, at_least),
    ("flood, 200 streams, translated", ("flood", f"{TRANSLATED}, 200", "ratio"), "times", 0.20, 0.30, at_least),
    ("CPU for 100 thousand events, 1 stream, translated", ("flood", f"{TRANSLATED}, 1", "CPU s per 100k"), "s", 3.0, 2.0, at_most),
    ("CPU for 100 thousand events, 200 streams, translated", ("flood", f"{TRANSLATED}, 200", "CPU s per 100k"), "s", 10, 6, at_most),
    ("complete answers/s, 16 clients, ÷ direct", ("plain", "chat, 16", "ratio"), "times", 0.09, 0.12, at_least),
    ("CPU for a thousand complete answers", ("plain", "chat, 16", "CPU s per 1000"), "s", 1.1, 0.9, at_most),
    ("start to first answer", ("start", "start", "again s"), "s", 0.5, 0.35, at_most),
    ("memory, idle", ("start", "memory", "idle MB"), "MB", 60, 45, at_most),
    ("memory, after 200 streams at their most", ("start", "memory", "peak MB"), "MB", 95, 70, at_most),
]  # fmt: skip
# The few that the README shows.
FRONT = (0, 1, 2, 4, 12, 17, 18)


def shown(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def figure(found: Found, place: tuple[str, str, str]) -> float | None:
    group, row, name = place
    value = found["results"].get(group, {}).get(row, {}).get(name)
    return None if value is None else float(value)


def verdict(value: float, goal: float, stretch: float, holds: Least) -> str:
    return "better" if holds(value, stretch) else "met" if holds(value, goal) else "missed"


def rows(found: Found, wanted: Iterable[int] = range(len(TARGETS))) -> list[str]:
    lines = []
    for number in wanted:
        name, place, unit, goal, stretch, holds = TARGETS[number]
        value = figure(found, place)
        if value is not None:
            sign = "≤" if holds is at_most else "≥"
            lines.append(
                f"| {name} | {shown(value)} {unit} | {sign} {goal:g} / {stretch:g} | {verdict(value, goal, stretch, holds)} |"
            )
    return lines


def table(found: Found) -> str:
    """The targets, with what was reached."""
    return "\n".join(["| | measured | goal / better | |", "|---|---|---|---|", *rows(found)])


def grid(figures: dict[str, dict[str, float]]) -> list[str]:
    names = list(dict.fromkeys(name for row in figures.values() for name in row))
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for title, row in figures.items():
        lines.append(
            "| " + " | ".join([title, *(shown(row[name]) if name in row else "" for name in names)]) + " |"
        )
    return lines


TITLES = {
    "latency": "Milliseconds of an answer of ten words: its first word and its end when streamed, and the complete one",
    "paced": "Milliseconds of delay of an event, by lane and streams; later: from the sixth word on; of the first word, how many times as late as direct",
    "hop": "The same of a process that only forwards bytes, in the gateway's place: chat, by streams",
    "flood": "Events a second, by lane and streams",
    "plain": "Complete answers a second, by lane and clients",
    "codecs": "Microseconds of CPU: a stream's event in each lane, and a whole request, without server and network",
    "start": "Start and memory",
}


def details(found: Found) -> str:
    """All figures."""
    lines = []
    for group, figures in found["results"].items():
        lines += ["", f"**{TITLES[group]}**", "", *grid(figures)]
    said = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return "\n".join([*lines, "", f"{found['at']}; {said}."])


def front(found: Found) -> str:
    """The README's table: no verdicts, only figures."""
    lines = ["| added to Copilot's own time | |", "|---|---|"]
    for line in rows(found, FRONT):
        name, value = line.split(" | ")[:2]
        lines.append(f"{name} | {value} |")
    return "\n".join(lines)


def between(text: str, name: str, content: str) -> str:
    """Put content between the page's marks."""
    pattern = re.compile(rf"(<!-- {name}: .*? -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no marks for {name}")
    return pattern.sub(lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text)


def write(found: Found) -> None:
    """Put the figures into the page and the README."""
    text = between(PAGE.read_text(), "figures", table(found))
    PAGE.write_text(between(text, "details", details(found).strip()))
    README.write_text(between(README.read_text(), "figures", front(found)))
