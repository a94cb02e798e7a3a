"""What a setting's value may be: text to its type, then the range."""

import math
import re
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Final, cast, get_args, get_origin

import msgspec

from core.settings import Secret

TRUE: Final = frozenset({"true", "1", "yes", "on"})
FALSE: Final = frozenset({"false", "0", "no", "off"})
LARGEST_PORT: Final = 65_535


class BadValueError(Exception):
    """The value is not what the setting takes; the message completes "must be ..."."""


def coerce(kind: Any, value: object, *, lenient: bool) -> Any:
    """Return the value as the setting's type. Raises BadValueError.

    A kind that may be None is as the same kind without it: no source can say None.

    lenient: text may stand for numbers, switches, lists (`a,b`, or JSON) and tables (`a=b,c=d`, or JSON), as in
    variables and flags.
    """
    kind = _present(kind)
    if lenient and isinstance(value, str):
        value = _from_text(kind, value)
    try:
        if kind is Secret:
            return Secret(msgspec.convert(value, str))
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadValueError(expected(kind)) from error


def _present(kind: Any) -> Any:
    return (
        next(part for part in get_args(kind) if part is not NoneType) if isinstance(kind, UnionType) else kind
    )


def check_value(name: str, value: Any) -> Any:
    """Return the value, tidied, when it is in its setting's range. Raises BadValueError."""
    check = _CHECKS.get(name)
    return value if check is None else check(value)


def expected(kind: Any) -> str:
    """Say in words what a type takes."""
    if (
        get_origin(kind) is not None
        and (choices := get_args(kind))
        and all(isinstance(c, str) for c in choices)
    ):
        return "one of " + ", ".join(choices)
    return _WORDS.get(get_origin(kind) or kind, "text")


def _from_text(kind: Any, text: str) -> object:
    reader = _READERS.get(get_origin(kind) or kind)
    return text if reader is None else reader(text)


def _read_bool(text: str) -> bool:
    lowered = text.lower()
    if lowered not in TRUE | FALSE:
        raise BadValueError(_WORDS[bool])
    return lowered in TRUE


def _read_number(read: Callable[[str], object], kind: type) -> Callable[[str], object]:
    def number(text: str) -> object:
        try:
            return read(text)
        except ValueError as error:
            raise BadValueError(_WORDS[kind]) from error

    return number


def _in_json(text: str, opening: str, kind: type) -> object:
    """Return what the text says when it is JSON by its first character, else None. Raises BadValueError."""
    if not text.startswith(opening):
        return None
    try:
        return cast("object", msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadValueError(_WORDS[kind]) from error


def _read_list(text: str) -> object:
    found = _in_json(text, "[", tuple)
    return _split(text) if found is None else found


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _read_table(text: str) -> object:
    found = _in_json(text, "{", dict)
    return _read_pairs(text) if found is None else found


def _read_pairs(text: str) -> dict[str, str]:
    pairs = [item.partition("=") for item in _split(text)]
    if not all(key.strip() and separator and value.strip() for key, separator, value in pairs):
        raise BadValueError(_WORDS[dict])
    return {key.strip(): value.strip() for key, _, value in pairs}


def _whole(text: str) -> int:
    # int() also takes "4_141" and non-ASCII digits.
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text) is None:
        raise ValueError(text)
    return int(text)


_WORDS: Final[Mapping[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    tuple: "a list of texts (a,b)",
    dict: "a table (a=b,c=d or JSON)",
}
_READERS: Final[Mapping[Any, Callable[[str], object]]] = {
    bool: _read_bool,
    int: _read_number(_whole, int),
    float: _read_number(float, float),
    tuple: _read_list,
    dict: _read_table,
}


def _port(value: int) -> int:
    if not 0 <= value <= LARGEST_PORT:
        raise BadValueError(f"a port from 0 (any free one) to {LARGEST_PORT}")
    return value


def _count(value: int) -> int:
    if value < 1:
        raise BadValueError("a whole number above 0")
    return value


def _not_negative(value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise BadValueError("a number of seconds, 0 or more")
    return value


def _ceiling(value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise BadValueError("a number, 0 (off) or more")
    return value


def _positive(value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise BadValueError("a number above 0")
    return value


def _host(value: str) -> str:
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    # One colon is a port's; addresses of IPv6 have more.
    if not bare or re.search(r"[\s/@?#\[\]]", bare) or bare.count(":") == 1:
        raise BadValueError("an address or a name of this machine without a port, as 127.0.0.1")
    return bare


def _host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what no Host field would ever be equal to."""
    for name in value:
        if re.search(r"[\s/@?#*\[\]]", name) or name.count(":") == 1 or name.endswith("."):
            raise BadValueError("names without scheme, port or *, as gateway.example")
    return value


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what is no origin as browsers write them; above all `*`, which would be every page there is."""
    for origin in value:
        if origin != "null" and re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/*?#@\\]*", origin) is None:
            raise BadValueError(
                "exact origins, as https://app.example or app://obsidian.md, without a path or *"
            )
    return value


def _quirks(value: dict[str, dict[str, bool | str]]) -> dict[str, dict[str, bool | str]]:
    """Refuse corrections that would correct nothing."""
    from core.copilot.quirks import Quirks  # noqa: PLC0415 - few have this setting

    names = Quirks.__struct_fields__
    for correction in value.values():
        try:
            msgspec.convert(correction, Quirks)
            is_known = correction.keys() <= set(names)
        except msgspec.ValidationError:
            is_known = False
        if not is_known:
            raise BadValueError(f"corrections by id pattern, each of {', '.join(names)}")
    return value


def _header_text(value: str) -> str:
    """Refuse what would break a header."""
    if value and re.fullmatch(r"[\x21-\x7e]+", value) is None:
        raise BadValueError("printable ASCII without spaces")
    return value


_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "port": _port,
    "host": _host,
    "allowed_hosts": _host_names,
    "allowed_origins": _origins,
    "quirks": _quirks,
    "api_version": _header_text,
    "editor_version": _header_text,
    "editor_plugin_version": _header_text,
    "github_token": _header_text,
    "api_key": _header_text,
    "rate_limit": _not_negative,
    "approval_timeout": _positive,
    "requests_per_minute": _ceiling,
    "requests_per_day": _ceiling,
    "credits_per_day": _ceiling,
    "breaker_refusals": _ceiling,
    "max_body_bytes": _positive,
    "log_file_bytes": _positive,
    "log_file_count": _count,
    "store_ttl": _positive,
    "connect_timeout": _positive,
    "first_byte_timeout": _positive,
    "idle_timeout": _positive,
    "commit_after": _positive,
    "heartbeat": _positive,
    "head_timeout": _positive,
    "body_timeout": _positive,
    "send_timeout": _positive,
    "keep_alive": _positive,
    "catalogue_ttl": _not_negative,
}
