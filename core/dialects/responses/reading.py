"""Reading of a client's JSON, piece by piece, so that an error names the piece."""

from collections.abc import Callable
from typing import TypeVar

from msgspec import DecodeError, Raw

from core.errors import InvalidRequestError, invalid_json

T = TypeVar("T")


def read(decode: Callable[[bytes | Raw], T], raw: bytes | Raw, path: str) -> T:
    """Decode one piece that stands at `path`. Raises `InvalidRequestError` with the path of the fault."""
    try:
        return decode(raw)
    except RecursionError:
        raise InvalidRequestError(f"the JSON is nested too deeply (at {path})", param=path) from None
    except (DecodeError, UnicodeDecodeError) as error:
        raise invalid_json(error, path) from None


def no_reference(path: str) -> InvalidRequestError:
    """Return the refusal of a reference that nothing stored stands behind; its remedies are the operator's and the client's."""
    return InvalidRequestError(
        "item references need stored responses, which are off here: the setting COPILOT_GATEWAY_STORE_RESPONSES turns them "
        f"on. Or send the items themselves: most clients do so when told store=false (at {path})",
        param=path,
    )


def split_data_url(url: str, path: str) -> tuple[str, str]:
    """Return media type and base64 text of a `data:` URL. Raises `InvalidRequestError`."""
    head, comma, body = url.partition(",")
    media_type, semicolon, coding = head.removeprefix("data:").rpartition(";")
    if not comma or not semicolon or coding != "base64" or not body:
        raise InvalidRequestError(f"a data URL must be base64 and not empty (at {path})", param=path)
    return media_type.partition(";")[0], body
