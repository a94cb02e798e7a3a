"""All dialects by name; the engine's only place that knows the three together."""

from typing import Final

from core.dialect import Dialect
from core.dialects.chat import CHAT
from core.dialects.messages import MESSAGES
from core.dialects.responses import RESPONSES
from core.model import DialectName

DIALECTS: Final[dict[DialectName, Dialect]] = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSES}


def surface_named(segment: str) -> Dialect:
    """Return the dialect of a route by the first segment of its path; OpenAI's chat for everything else."""
    return {"messages": MESSAGES, "responses": RESPONSES}.get(segment, CHAT)
