"""Read the settings once: flag > `COPILOT_GATEWAY_*` > `config.toml` in the data directory > default."""

import difflib
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import msgspec

from core.copilot.hosts import hosts_of, is_loopback
from core.errors import GatewayError
from core.settings import Secret, Settings
from infra.setting_values import BadValueError, check_value, coerce

PREFIX: Final = "COPILOT_GATEWAY_"
FILE_NAME: Final = "config.toml"
# Other names of one setting, as the user may write it after the prefix.
SYNONYMS: Final = {"gh_token": "github_token"}
# What other tools keep a GitHub token in. Only tokens of an OAuth app can be exchanged for Copilot's.
AMBIENT_TOKENS: Final = ("GH_TOKEN", "GITHUB_TOKEN")
OAUTH_PREFIXES: Final = ("gho_", "ghu_")
# Hosts that are all addresses of this machine, and how its own clients reach a server that listens on them.
ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104

_FIELDS: Final = {field.name: field for field in msgspec.structs.fields(Settings)}
_SECRETS: Final = frozenset(name for name, field in _FIELDS.items() if field.type is Secret)


class SettingsError(Exception):
    """A setting is unknown, malformed or unsafe; the message names it, its source and the remedy."""


class _Found(NamedTuple):
    """One value as it was found: `where` names it in the words of its source."""

    name: str
    where: str
    value: object
    lenient: bool  # text that stands for a value of another type


def load_settings(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    platform: str = sys.platform,
    known_elsewhere: Collection[str] = (),
) -> Settings:
    """Return the settings in force. Raises SettingsError.

    flags: values by setting name; None means that the flag was not given.
    environ: an empty variable counts as not set.
    known_elsewhere: names after the prefix that another part reads (a table's name on AWS, say).
    """
    directory = data_directory(flags, environ, platform)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    sources = (
        _from_file(directory / FILE_NAME),
        _from_environment(environ, known_elsewhere),
        _from_flags(flags),
    )
    for source in sources:
        for found in source:
            values[found.name] = _accept(found)
            origins[found.name] = found.where
    values["data_dir"] = str(directory)
    settings = Settings(**values)
    _check_hosts(settings, origins)
    return settings


def data_directory(flags: Mapping[str, object], environ: Mapping[str, str], platform: str) -> Path:
    """Return the absolute directory that holds the login, the state and `config.toml`. Raises SettingsError."""
    chosen = flags.get("data_dir") or environ.get(f"{PREFIX}DATA_DIR")
    try:
        path = Path(str(chosen)).expanduser() if chosen else _default_directory(environ, platform)
    except RuntimeError as error:
        raise SettingsError(
            f"There is no home directory to keep the login in. Set {PREFIX}DATA_DIR to a directory of your own."
        ) from error
    return path.absolute()


def ambient_token(environ: Mapping[str, str]) -> Secret:
    """Return the OAuth token that another tool's variable holds, or an empty one.

    It is for machines without a login of their own: a personal access token, which these variables hold more
    often, is not taken, for Copilot refuses those.
    """
    candidates = (environ.get(name, "").strip() for name in AMBIENT_TOKENS)
    return Secret(next((token for token in candidates if token.startswith(OAUTH_PREFIXES)), ""))


def is_exposed(settings: Settings) -> bool:
    """Say whether other machines may call: the gateway listens for them, or has a name by which a proxy here passes them on."""
    return not all(is_loopback(host) for host in (settings.host, *settings.allowed_hosts))


def check_exposure(settings: Settings, has_keys: Callable[[], bool] = lambda: False) -> None:
    """Refuse to be reached by other machines without a key, or to listen for them without a word about TLS. Raises SettingsError.

    Without a key anybody could spend the subscription; without TLS anybody on the way could read the key.
    has_keys: says whether there are keys that `copilot-gateway keys create` made.
    """
    if not is_exposed(settings):
        return
    if settings.api_key or has_keys():
        _check_plain_http(settings)
        return
    doing, instead = f"listen on {settings.host}, which other machines can reach,", "listen on 127.0.0.1"
    if is_loopback(settings.host):
        names = ", ".join(settings.allowed_hosts)
        doing, instead = f"be called {names}, as a proxy lets other machines do,", "take allowed_hosts out"
    raise SettingsError(
        f"Refusing to {doing} without a key. Make one with `copilot-gateway keys create NAME`, or set {PREFIX}API_KEY "
        f"(or api_key in {FILE_NAME}) to a long random text, or {instead}."
    )


def _check_plain_http(settings: Settings) -> None:
    if not settings.allow_plain_http and not is_loopback(settings.host):
        raise SettingsError(
            f"Refusing to listen on {settings.host} without TLS: keys and prompts could be read on the way. Put a "
            "proxy that speaks TLS in front and listen on 127.0.0.1; or, where the way is safe (a container, a private "
            f"network), say so with --allow-plain-http or {PREFIX}ALLOW_PLAIN_HTTP=true."
        )


def _check_hosts(settings: Settings, origins: Mapping[str, str]) -> None:
    try:
        hosts_of(settings)
    except GatewayError as error:
        where = [origin for name, origin in origins.items() if name in error.message.split()]
        raise SettingsError(" ".join([error.message, *(f"({origin})" for origin in where)])) from error


def _default_directory(environ: Mapping[str, str], platform: str) -> Path:
    home = Path(environ.get("HOME") or Path.home())
    if platform == "darwin":
        return home / "Library" / "Application Support" / "copilot-gateway"
    if platform == "win32":
        base = environ.get("LOCALAPPDATA")
        return (Path(base) if base else home / "AppData" / "Local") / "copilot-gateway"
    base = environ.get("XDG_DATA_HOME", "")
    # The XDG base directory specification: a relative path is invalid and to be ignored.
    return (Path(base) if base.startswith("/") else home / ".local" / "share") / "copilot-gateway"


def _from_flags(flags: Mapping[str, object]) -> Iterator[_Found]:
    for name, value in flags.items():
        if value is not None:
            yield _Found(name, "--" + name.replace("_", "-"), value, lenient=True)


def _from_environment(environ: Mapping[str, str], known_elsewhere: Collection[str]) -> Iterator[_Found]:
    # Synonyms first, so that a setting's own name wins.
    for variable in sorted(environ, key=lambda name: name.removeprefix(PREFIX).lower() not in SYNONYMS):
        value = environ[variable]
        suffix = variable.removeprefix(PREFIX)
        if suffix == variable or not value.strip() or suffix in known_elsewhere:
            continue
        name = SYNONYMS.get(suffix.lower(), suffix.lower())
        if name not in _FIELDS or suffix != suffix.upper():
            raise SettingsError(_unknown(variable, suffix.lower(), lambda near: PREFIX + near.upper()))
        yield _Found(name, variable, value.strip(), lenient=True)


def _from_file(path: Path) -> Iterator[_Found]:
    for key, value in _read_file(path).items():
        if key == "data_dir":
            raise SettingsError(f"{path}: data_dir says where this file lies. Set {PREFIX}DATA_DIR instead.")
        if key not in _FIELDS:
            raise SettingsError(_unknown(f"{path}: {key}", key.lower(), str))
        yield _Found(key, f"{path}: {key}", value, lenient=False)


def _read_file(path: Path) -> dict[str, object]:
    import tomllib  # noqa: PLC0415 - most machines have no such file

    try:
        # Editors of Windows begin a file with a byte order mark.
        with path.open(encoding="utf-8-sig") as file:
            members = cast("dict[str, object]", tomllib.loads(file.read()))
            _check_private(path, os.fstat(file.fileno()).st_mode, members)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error
    except OSError as error:
        raise SettingsError(f"Cannot read {path}: {error.strerror or error}.") from error
    return members


def _check_private(path: Path, mode: int, members: Mapping[str, object]) -> None:
    held = sorted(_SECRETS & members.keys())
    if held and os.name != "nt" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(f"{path} holds {held[0]}, and other users may read it. Run `chmod 600 {path}`.")


def _accept(found: _Found) -> object:
    field = _FIELDS.get(found.name)
    if field is None:
        raise SettingsError(_unknown(found.where, found.name, lambda near: "--" + near.replace("_", "-")))
    try:
        return check_value(found.name, coerce(field.type, found.value, lenient=found.lenient))
    except BadValueError as error:
        # A URL may hold a password.
        hidden = found.name in _SECRETS or "@" in str(found.value)
        shown = "" if hidden else f", not {found.value!r}"
        raise SettingsError(f"{found.where} must be {error}{shown}.") from error


def _unknown(where: str, name: str, spell: Callable[[str], str]) -> str:
    near = difflib.get_close_matches(name, _FIELDS, n=1)
    return f"{where} is no setting. Did you mean {spell(near[0])}?" if near else f"{where} is no setting."
