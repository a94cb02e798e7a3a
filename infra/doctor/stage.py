"""A stage on AWS as this machine sees it: account, stack, door, table, secret."""

import http.client
import time
from typing import TYPE_CHECKING

from core.ports import GITHUB_TOKEN
from infra import smoke
from infra.cli.exits import LOGIN, UNREACHABLE, CommandError
from infra.cli.stage import Place, find_stage, open_account
from infra.doctor.findings import Check, Dubious, Wrong

if TYPE_CHECKING:
    from infra.aws.stage import Account, Stage


class StageExam:
    """The checks of one stage; the account and the stage are there once their checks went well."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._account: Account
        self._stage: Stage

    def checks(self) -> list[Check]:
        """Return what is looked at."""
        return [
            Check("account", "Asking AWS who you are", (), self.account),
            Check("stack", "Looking for the stage", ("account",), self.stack),
            Check("health", "Calling the stage", ("stack",), self.health),
            Check("door", "Calling it without a key", ("stack", "health"), self.door),
            Check("table", "Reading its table", ("stack",), self.table),
            Check("secret", "Looking for its login", ("stack",), self.secret),
        ]

    def account(self) -> str:
        """Find out whether the credentials are good."""
        from infra.aws.stage import StageError  # noqa: PLC0415 - only who has a stage needs boto3

        try:
            self._account = open_account(self._place.region)
            caller = self._account.caller()
        except (CommandError, StageError) as error:
            raise Wrong(str(error)) from error
        return f"{caller.account} in {self._account.region}, as {caller.identity}."

    def stack(self) -> str:
        """Find what the deployment says of itself."""
        try:
            self._stage = find_stage(self._account, self._place)
        except CommandError as error:
            raise Wrong(str(error)) from error
        return f"{self._stage.url}."

    def health(self) -> str:
        """Ask whether it lives."""
        reply = self._ask("/healthz")
        if reply.status != http.client.OK or reply.body.strip() != b"ok":
            raise Wrong(
                f"/healthz answers {reply.says()}.",
                f"Look into its log in CloudWatch, or deploy again: copilot-gateway deploy {self._place.flags()}.",
            )
        return f"answers in {reply.pieces[-1]:.2f} s."

    def door(self) -> str:
        """See that it is closed."""
        reply = self._ask("/v1/models")
        if reply.status != http.client.UNAUTHORIZED:
            raise Wrong(
                f"A request without a key got {reply.says()}, where 401 is due.",
                f"Deploy again: copilot-gateway deploy {self._place.flags()}.",
            )
        return "a request without a key is refused."

    def table(self) -> str:
        """Read the keys."""
        from core.access.managed_keys import ManagedKeys  # noqa: PLC0415

        listed = ManagedKeys(self._account.state_store(self._stage), time.time).list()
        alive = sum(key.lives(time.time()) for key in listed)
        if not alive:
            raise Dubious(
                f"{self._stage.table} can be read, but holds no key that is good: nobody may call.",
                f"Run `copilot-gateway keys create NAME {self._place.flags()}`.",
            )
        return f"{self._stage.table} can be read; {alive} keys."

    def secret(self) -> str:
        """See whether a login is there; it is not told."""
        found = self._account.secret_store(self._stage).load(GITHUB_TOKEN)
        if found is None:
            raise Wrong(
                "Nobody is logged in.",
                f"Open {self._stage.url}/login, or run `copilot-gateway auth {self._place.flags()}`.",
                LOGIN,
            )
        if found.startswith(("ghp_", "github_pat_")):
            raise Wrong(
                "The stored login is a personal access token, which GitHub does not exchange.",
                f"Run `copilot-gateway auth --force {self._place.flags()}`.",
                LOGIN,
            )
        return f"{self._stage.secret} holds a login."

    def _ask(self, path: str) -> smoke.Reply:
        try:
            return smoke.Smoke(self._stage.url, "").ask("GET", path, {})
        except (OSError, http.client.HTTPException) as error:
            raise Wrong(
                f"{self._stage.url} cannot be reached: {error}.", "Check the network.", UNREACHABLE
            ) from error
