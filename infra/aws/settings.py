"""What the functions' environment says: the gateway's settings, and where this stage keeps its things."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from core.settings import Settings
from infra.settings import PREFIX, SettingsError, load_settings

_TABLE, _SECRET = "TABLE", "SECRET"
# Read here, by the entry, or by nobody: names after the prefix that are no settings of the gateway.
KNOWN_ELSEWHERE: Final = frozenset({_TABLE, _SECRET, "SERVICE", "STAGE", "STREAMING", "METRICS"})

# The environment of a function is shown to whoever may read its configuration, and is part of the deployed template.
_CLEAR_SECRETS: Final = {
    "github_token": "log in with `copilot-gateway auth --stage STAGE` or at /login, which keep it in Secrets Manager",
    "api_key": "make keys with `copilot-gateway keys create NAME --stage STAGE`, which keeps their hashes",
}
_DEFAULTS: Final = {
    f"{PREFIX}LOG_FORMAT": "json",
    f"{PREFIX}MAX_BODY_BYTES": str(6 * 1024 * 1024),  # Lambda takes no larger request
}
_CODE: Final = "LAMBDA_TASK_ROOT"  # where the zip is unpacked; its config.toml, if any, holds settings


class Place(Struct, frozen=True, kw_only=True):
    """Where a stage keeps things. table: DynamoDB's. secret: what its secrets' names begin with, or the ARN of one."""

    table: str
    secret: str


def load_function_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings in force on Lambda. Raises SettingsError, for a secret in clear text too."""
    code = {f"{PREFIX}DATA_DIR": environ[_CODE]} if environ.get(_CODE) else {}
    given = {name: value for name, value in environ.items() if value.strip()}
    settings = load_settings({}, {**_DEFAULTS, **code, **given}, known_elsewhere=KNOWN_ELSEWHERE)
    for name, remedy in _CLEAR_SECRETS.items():
        if getattr(settings, name):
            raise SettingsError(
                f"{name} stands in the function's environment or files, where others may read it. Take it out and {remedy}."
            )
    if settings.log_file or settings.capture_dir:
        raise SettingsError(
            "log_file and capture_dir need a disk that stays, and a function has none: its log is in CloudWatch. Take them out."
        )
    if settings.manual:
        raise SettingsError("manual lets requests wait in one process, which a function is not. Take it out.")
    return settings


def load_place(environ: Mapping[str, str]) -> Place:
    """Return where this stage keeps things. Raises SettingsError."""
    missing = [PREFIX + name for name in (_TABLE, _SECRET) if not environ.get(PREFIX + name, "").strip()]
    if missing:
        raise SettingsError(
            f"{' and '.join(missing)} must be set; serverless.yml does that for its functions."
        )
    return Place(table=environ[PREFIX + _TABLE].strip(), secret=environ[PREFIX + _SECRET].strip())
