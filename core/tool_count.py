"""How many tools Copilot takes in a request, on every path."""

from typing import Final

from core.errors import UnsupportedFeatureError

MOST_TOOLS: Final = 128


def check_count(count: int) -> None:
    """Raise `UnsupportedFeatureError` for more tools than Copilot takes: its own answer would be a bare 400.

    Tools that a hosted search is to find are not counted: they are not shown to the model.
    """
    if count > MOST_TOOLS:
        raise UnsupportedFeatureError(f"Copilot takes at most {MOST_TOOLS} tools, not {count}", param="tools")
