"""What a log record says: a dotted event and its members, however the call was written."""

import logging
import re
from functools import lru_cache
from typing import Final

# The loggers that are ours.
OURS: Final = ("gateway", "core", "handlers", "infra")
# A call as `log.info("copilot.retry status=%d id=%s", ...)`: the names stand in the text, the values beside it.
_TEMPLATE: Final = re.compile(r"([a-z_]+(?:\.[a-z_]+)+)((?: [a-z_]+=%[0-9.]*[a-z])*)")
_NAME: Final = re.compile(r" ([a-z_]+)=%")
_ENDING: Final = re.compile(r"""[\s"'=]""")  # where a value that is not quoted would seem to end


class Members(dict[str, object]):
    """Members that differ from call to call: `log.info("request.done %s", Members(status=200))`."""

    def __str__(self) -> str:
        return " ".join(f"{name}={spelled(value)}" for name, value in self.items())


def spelled(value: object) -> str:
    """Return a value as text for people, quoted where its end would not show."""
    text = f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return repr(text) if not text or _ENDING.search(text) else text


def read(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    """Return the event and its members; of a record that is written otherwise, no event and its `message`."""
    if isinstance(record.args, Members):
        return str(record.msg).partition(" ")[0], record.args
    found = _template(record.msg) if isinstance(record.msg, str) else None
    values = record.args if isinstance(record.args, tuple) else ()
    if found is None or len(found[1]) != len(values):
        return "", {"message": record.getMessage()}
    return found[0], dict(zip(found[1], values, strict=True))


@lru_cache(maxsize=256)
def _template(text: str) -> tuple[str, list[str]] | None:
    match = _TEMPLATE.fullmatch(text)
    return None if match is None else (match[1], _NAME.findall(match[2]))
