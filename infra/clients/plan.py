"""What a set-up is made of: the situation that it is for, and the changes that it consists of."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from core.model import DialectName, Model
from infra.clients.paths import Place

PROVIDER: Final = "copilot-gateway"  # what the gateway is called in other programs' settings
TITLE: Final = "Copilot Gateway"
KEY_VARIABLE: Final = "COPILOT_GATEWAY_API_KEY"
CLIENT_KEY_VARIABLE: Final = "COPILOT_GATEWAY_CLIENT_KEY"  # for programs that want a variable's name
NO_KEY: Final = "no-key-needed"
# For a model whose sizes Copilot does not say (tokens): few models of today have less.
USUAL_CONTEXT: Final = 128_000
USUAL_OUTPUT: Final = 16_384

# All; an unknown model gets the first.
SURFACES: Final[tuple[DialectName, ...]] = ("chat", "messages", "responses")
# A model's own dialect carries more than chat does.
BEST: Final[tuple[DialectName, ...]] = ("messages", "responses", "chat")

Form: TypeAlias = Literal["json", "toml", "yaml", "text"]


class Key(Struct, frozen=True):
    """The gateway's key as a client gets it: none is asked, or a variable holds it, or it is written out."""

    kind: Literal["none", "variable", "literal"] = "none"
    value: str = NO_KEY

    def spelled(self, reference: str) -> str:
        """Return the key, or the client's own way to name a variable: `{env:%s}`."""
        return reference % KEY_VARIABLE if self.kind == "variable" else self.value

    def shown(self) -> str:
        """Return what a person is told to type."""
        return {"none": "any text", "literal": "the gateway's key"}.get(
            self.kind, f"the key in {KEY_VARIABLE}"
        )


class Situation(Struct, frozen=True, kw_only=True):
    """The gateway as clients reach it, what it offers, and the machine that the client is on."""

    url: str  # without /v1
    key: Key
    main: Model
    small: Model
    models: tuple[Model, ...]  # all that can chat, `main` and `small` among them
    home: Path
    environ: Mapping[str, str]
    platform: str

    @property
    def openai(self) -> str:
        """The base URL as OpenAI clients take it."""
        return f"{self.url}/v1"

    def folder(self, variable: str, *usual: str) -> Path:
        """Return the folder that the variable names, or the usual one in the home directory."""
        named = self.environ.get(variable, "")
        return Path(named) if named else self.home.joinpath(*usual)

    def config(self) -> Path:
        """Return where programs that follow the XDG specification keep their settings, on any system."""
        named = self.environ.get("XDG_CONFIG_HOME", "")
        return Path(named) if named.startswith("/") else self.home / ".config"

    def application_data(self) -> Path:
        """Return where the system wants programs to keep what is theirs."""
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        if self.platform == "win32":
            return self.folder("APPDATA", "AppData", "Roaming")
        return self.config()


class Setting(Struct, frozen=True):
    """One value at its place in a file. if_missing: what is there already is left as it is."""

    place: Place
    value: object
    if_missing: bool = False


class Change(Struct, frozen=True):
    """What one file gets."""

    path: Path
    form: Form
    settings: tuple[Setting, ...]


class Plan(Struct, frozen=True, kw_only=True):
    """How one client comes to use the gateway. steps: what a person does, in order."""

    changes: tuple[Change, ...] = ()
    steps: tuple[str, ...] = ()
    then: str = ""  # the command that starts the client
    needs_variable: bool = True  # a key in a variable works: it has to be set where the client runs


class Headless(Struct, frozen=True, kw_only=True):
    """How the client answers one prompt and ends. A word may hold {prompt}, or {file}: the first that was written.

    allow: the words that let it use its tools unasked. Tests give them in place of the word {allow}; nobody else does.
    """

    arguments: tuple[str, ...]
    allow: tuple[str, ...] = ()
    variables: Mapping[str, str] = {}


class Client(Struct, frozen=True, kw_only=True):
    """A program that can be set up."""

    name: str
    title: str
    plan: Callable[[Situation], Plan]
    surfaces: tuple[DialectName, ...]  # what it speaks; the first is what an unknown model gets
    programs: tuple[str, ...] = ()  # its commands, to see whether it is installed
    headless: Headless | None = None
    lists_models: bool = False
    prefers: Literal["claude", "gpt"] = "claude"
    tested: str = ""  # the version that the tests run; empty: checked against its documented format only


def context_of(model: Model) -> int:
    """Return how many tokens a prompt may have: what a client may fill, other than the window with the answer in it."""
    return model.max_prompt or model.context_window or USUAL_CONTEXT


def window_of(model: Model) -> int:
    """Return how many tokens prompt and answer may have together."""
    return model.context_window or context_of(model)


def output_of(model: Model) -> int:
    """Return how many tokens an answer may have."""
    return model.max_output or USUAL_OUTPUT


def title_of(model: Model) -> str:
    """Return the model's name as a picker shows it."""
    return f"{model.name or model.id} ({TITLE})"


def native(model: Model, spoken: tuple[DialectName, ...]) -> DialectName:
    """Return the client's surface on which the model answers untranslated, else the client's first."""
    found: list[DialectName] = [name for name in BEST if name in model.dialects and name in spoken]
    return found[0] if found else spoken[0]
