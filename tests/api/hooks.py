"""What Schemathesis loads: integers as this gateway reads them."""

from typing import Any

import schemathesis


def whole(value: Any) -> Any:
    """Write 2.0 as 2: JSON Schema calls both integers, and the gateway takes the latter alone."""
    match value:
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case list():
            return [whole(item) for item in value]
        case dict():
            return {name: whole(item) for name, item in value.items()}
        case _:
            return value


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    return whole(body)
