"""The login and what it opens: token, plan, models, and one real request."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self, cast

import msgspec

from core.copilot.catalogue import decode_catalogue
from core.copilot.hosts import hosts_of
from core.errors import GatewayError
from core.model import Model
from core.ports import GITHUB_TOKEN, SecretStore
from core.settings import Secret, Settings
from handlers.services import Services
from infra.cli.exits import FAILURE, LOGIN, UNREACHABLE
from infra.cli.usage import lines
from infra.doctor.cheapest import cheapest
from infra.doctor.findings import Check, Dubious, Unasked, Wrong
from infra.doctor.network import Network
from infra.doctor.remedies import BY_CODE, BY_STATUS, from_refusal
from infra.local.state import SqliteStateStore
from infra.settings import ambient_token
from infra.wiring import join

KINDS: Final[Mapping[str, str]] = {
    "gho_": "of an OAuth app",
    "ghu_": "of a GitHub app",
    "ghs_": "of an installation of a GitHub app",
}
VARIABLES: Final = ("COPILOT_GATEWAY_GITHUB_TOKEN", "COPILOT_GATEWAY_GH_TOKEN")
NO_LOGIN: Final = "Run `copilot-gateway auth`."
WORDS: Final = 16  # tokens that the answer may have: fewer, some models refuse
SHOWN: Final = 3  # models by name
# What may pass, by status; unless it is one of these, which do not pass by themselves.
AWAY: Final = frozenset({429, 502, 503, 504})
FINAL: Final = frozenset({"insufficient_quota", "quota_exceeded", "extension_blocked"})
UPDATE: Final = "Update the gateway, or set editor_version and api_version to what VS Code sends now."


class Account:
    """The checks of the account. They share nothing with a running gateway: each token and list is asked for anew."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        environ: Mapping[str, str],
        secrets: Callable[[], SecretStore],
        network: Network,
    ) -> None:
        self._plain = settings
        self._environ = environ
        self._secrets = secrets
        self._network = network
        self._own = TemporaryDirectory(prefix="copilot-gateway-doctor-")
        self._built: Services | None = None
        self.models: tuple[Model, ...] = ()
        self.multipliers: Mapping[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._network.close()
        self._own.cleanup()

    def checks(self, *, request: bool) -> list[Check]:
        """Return what is looked at, in order. request: whether a request may be sent."""
        told = [
            Check("token", "Exchanging the login for a Copilot token", ("login", "github api"), self.token),
            Check("copilot", "Reaching Copilot", ("token",), self.copilot),
            Check("plan", "Asking for the plan", ("login", "github api", "token"), self.plan),
            Check("catalogue", "Asking for the models", ("token", "copilot"), self.catalogue),
        ]
        if request:
            told.append(Check("request", "Sending one short request", ("catalogue",), self.request))
        return told

    def login_check(self) -> Check:
        """Return the check that needs no network."""
        return Check("login", "Looking for the login", ("settings", "directory"), self.login)

    @property
    def services(self) -> Services:
        """The gateway's own parts on a state of their own, so that nothing remembered is believed."""
        if self._built is None:
            joined = join(
                self._settings(),
                secrets=self._secrets(),
                state=SqliteStateStore(Path(self._own.name) / "state.sqlite3", time.time),
                clients=self._network.clients,
                keys=None,
            )
            # Nobody is at hand to approve of the doctor's own request, and nothing is to be limited.
            self._built = msgspec.structs.replace(joined, gates=())
        return self._built

    def login(self) -> str:
        """Find the token, and say whose it is and of which kind; never the token."""
        source = self._source()
        try:
            token = self.services.copilot.tokens.github_token()
        except GatewayError as error:
            raise Wrong(error.message, code=LOGIN) from error
        kind = next((words for prefix, words in KINDS.items() if token.startswith(prefix)), "")
        if not kind and self._settings().identity == "vscode":
            raise Dubious(f"A token of no known kind ({source}).", NO_LOGIN)
        return f"a token {kind or 'of another kind'} ({source})."

    def token(self) -> str:
        """Exchange the login; `direct` needs no exchange."""
        try:
            token = self.services.copilot.tokens.current()
        except GatewayError as error:
            raise from_refusal(error) from error
        if self._settings().identity == "direct":
            return f"none is needed (identity direct); requests go to {token.base_url}."
        plan = f" ({token.sku})" if token.sku else ""
        return f"good for {(token.expires_at - time.time()) / 60:.0f} minutes at {token.base_url}{plan}."

    def copilot(self) -> str:
        """Reach the host that the token is for."""
        return self._network.reach_copilot(self.services.copilot.tokens.current().base_url)

    def plan(self) -> str:
        """Say what is left; that it cannot be asked for stops nothing."""
        try:
            quota = self.services.quota()
        except GatewayError as error:
            raise Dubious(error.message) from error
        text = "; ".join(line.replace("\n", " ") for line in lines(quota))
        if any(one.exhausted and not one.overage_permitted for one in quota.allowances.values()):
            raise Dubious(f"{text}.", BY_STATUS[402])
        return f"{text}."

    def catalogue(self) -> str:
        """Ask for the models: how many, and which wait for somebody's consent."""
        try:
            body = self.services.copilot.get("/models")
            self.models = decode_catalogue(body, self._settings())
        except GatewayError as error:
            raise from_refusal(error) from error
        self.multipliers = multipliers(body)
        chat = [model for model in self.models if model.kind == "chat"]
        closed = [model.id for model in chat if model.policy != "enabled"]
        page = f"{hosts_of(self._settings()).github}/settings/copilot"
        if len(closed) == len(chat):
            raise Wrong("Copilot offers this account no chat model.", f"Look at {page}.")
        text = f"{len(chat)} chat models, {len(self.models) - len(chat)} others"
        if old := sorted({warning for model in chat for warning in model.warnings if "version" in warning}):
            raise Dubious(f"{text}; Copilot says: {old[0]}", UPDATE)
        if not closed:
            return f"{text}."
        more = f" and {len(closed) - SHOWN} more" if len(closed) > SHOWN else ""
        return f"{text}; not enabled: {', '.join(closed[:SHOWN])}{more} (enable what you want at {page})."

    def request(self) -> str:
        """Send one short request through the gateway's own front door."""
        from handlers import create_app  # noqa: PLC0415 - Flask is not needed for what comes before

        model = cheapest(self.models, self.multipliers)
        if model is None:
            raise Unasked("no model to ask.")
        asked = {
            "model": model.id,
            "max_tokens": WORDS,
            "messages": [{"role": "user", "content": "Say: ok"}],
        }
        ticks = time.perf_counter()
        reply = create_app(self.services).test_client().post("/v1/chat/completions", json=asked)
        if reply.status_code != 200:  # noqa: PLR2004 - the one success
            raise refused(model.id, reply.status_code, reply.get_data())
        return f"{model.id} answers in {time.perf_counter() - ticks:.1f} s."

    def _settings(self) -> Settings:
        current = self._plain()
        if current.github_token or self._secrets().load(GITHUB_TOKEN) is not None:
            return current
        return msgspec.structs.replace(current, github_token=ambient_token(self._environ))

    def _source(self) -> str:
        plain = self._plain()
        if plain.github_token:
            set_by = next((name for name in VARIABLES if self._environ.get(name)), "config.toml")
            stored = self._secrets().load(GITHUB_TOKEN) is not None
            return f"{set_by}, before the stored login" if stored else set_by
        if self._secrets().load(GITHUB_TOKEN) is not None:
            return "stored"
        return (
            "GH_TOKEN"
            if ambient_token(self._environ) == Secret(self._environ.get("GH_TOKEN", "-"))
            else "GITHUB_TOKEN"
        )


def refused(model_id: str, status: int, body: bytes) -> Wrong:
    """Return what a refused request means."""
    try:
        error = cast("dict[str, Any]", json.loads(body))["error"]
        message, codes = str(error["message"]), [str(error.get("code")), str(error.get("type"))]
    except (ValueError, LookupError, TypeError, AttributeError):
        message, codes = f"status {status}", list[str]()
    known = next((BY_CODE[code] for code in codes if code in BY_CODE), "")
    away = status in AWAY and not FINAL.intersection(codes)
    return Wrong(
        f"{model_id}: {message}", known or BY_STATUS.get(status, ""), UNREACHABLE if away else FAILURE
    )


class _Billing(msgspec.Struct):
    multiplier: float | None = None


class _Entry(msgspec.Struct):
    id: str
    billing: _Billing | None = None


class _Listed(msgspec.Struct):
    data: list[msgspec.Raw]


def multipliers(catalogue: bytes) -> dict[str, float]:
    """Return what a request costs by model, on plans that count requests; what is not stated is left out."""
    found: dict[str, float] = {}
    for raw in msgspec.json.decode(catalogue, type=_Listed).data:
        try:
            entry = msgspec.json.decode(raw, type=_Entry)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue
        if entry.billing is not None and entry.billing.multiplier is not None:
            found[entry.id] = entry.billing.multiplier
    return found
