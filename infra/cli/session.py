"""One run of a command: the services it talks to, and the login it may need first."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from core.copilot.device_login import DeviceLogin
from core.errors import GatewayError
from core.ports import GITHUB_TOKEN, SecretStore
from core.settings import Secret, Settings
from infra.cli import exits
from infra.cli.console import is_terminal, say
from infra.cli.login import log_in
from infra.logs.setup import configure
from infra.settings import ambient_token

if TYPE_CHECKING:
    from handlers.services import Services

DEMO: Final = "Without a subscription, try `make demo`."
NO_TERMINAL: Final = (
    "Nobody is logged in to GitHub, and there is no terminal to log in from: run `copilot-gateway auth` in one. "
    + DEMO
)


class Session:
    """The settings in force, the secrets on this machine, and the services once they are needed."""

    def __init__(
        self, settings: Settings, *, serving: bool = False, secrets: SecretStore | None = None
    ) -> None:
        """secrets: where the login is kept, if not on this machine; then no token of this machine is used."""
        configure(settings, serving=serving)
        self.secrets = secret_store(settings) if secrets is None else secrets
        if secrets is not None:
            settings = msgspec.structs.replace(settings, github_token=Secret(""))
        elif not settings.github_token and self._stored() is None:
            settings = msgspec.structs.replace(settings, github_token=ambient_token(os.environ))
        self.settings = settings
        self._built: Services | None = None

    @property
    def services(self) -> "Services":
        """The services, built at first use."""
        if self._built is None:
            from infra.local.services import build_services  # noqa: PLC0415 - `debug` does without

            self._built = build_services(self.settings, self.secrets)
        return self._built

    def token_source(self) -> str:
        """Say where the GitHub token comes from: `settings`, `stored` or `none`."""
        if self.settings.github_token:
            return "settings"
        return "none" if self._stored() is None else "stored"

    def log_in(self, *, browser: bool = False) -> Secret:
        """Lead a person through the login and keep the token. Raises GatewayError and StoreError."""
        login = DeviceLogin(self.settings, self.services.github, now=self.services.now)
        token = log_in(login, now=time.time, sleep=time.sleep, browser=browser)
        self.secrets.save(GITHUB_TOKEN, token)
        say("Logged in.", "green")
        return token

    def ensure_login(self) -> None:
        """Log in unless somebody is. Raises CommandError where that is impossible."""
        if self.token_source() != "none":
            return
        if not is_terminal():
            raise exits.CommandError(NO_TERMINAL, exits.LOGIN)
        try:
            self.log_in()
        except GatewayError as error:
            if error.kind == "login_required":
                raise
            raise exits.CommandError(
                f"Nobody is logged in to GitHub. {error.message} {DEMO}", exits.LOGIN
            ) from error

    def _stored(self) -> str | None:
        return self.secrets.load(GITHUB_TOKEN)


def secret_store(settings: Settings) -> SecretStore:
    """Return the store that the local services use, too."""
    from infra.local.secrets import FileSecretStore  # noqa: PLC0415 - not needed for `--help`

    return FileSecretStore(Path(settings.data_dir))
