"""Commands against a stage on AWS: their options, and what they open."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from core.ports import SecretStore, StateStore
from infra.cli.exits import CommandError

if TYPE_CHECKING:
    from infra.aws.stage import Account, Stage

SERVICE = "copilot-gateway"  # serverless.yml's `name`, with which everything that it makes begins


class Place(Struct, frozen=True):
    """Which deployment a command is for; an empty stage means this machine."""

    stage: str = ""
    region: str = ""
    service: str = SERVICE

    def flags(self) -> str:
        """Return the options that name this place again."""
        given = (("stage", self.stage, ""), ("region", self.region, ""), ("service", self.service, SERVICE))
        return " ".join(f"--{option} {value}" for option, value, usual in given if value != usual)


def stage_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--stage`, `--region` and `--service`; the command gets them as `place`."""

    @wraps(command)
    def with_place(stage: str | None, region: str | None, service: str, **others: Any) -> Any:
        if stage == "" or (stage is None and (region or service != SERVICE)):
            # An unset variable of a script, mostly: what was meant for AWS must not be done here.
            raise click.UsageError("--stage is missing: name it, or leave out --region and --service, too.")
        return command(place=Place(stage or "", region or "", service), **others)

    options = (
        click.option("--stage", help="Work on this deployed stage instead of this machine."),
        click.option("--region", help="AWS region of the stage.  [AWS_REGION or the profile's]"),
        click.option(
            "--service", default=SERVICE, help="What the stage's names begin with, if not copilot-gateway."
        ),
    )
    wrapped: Callable[..., Any] = with_place
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def open_account(region: str) -> "Account":
    """Return the AWS account at hand. Raises CommandError."""
    from infra.aws.stage import Account, StageError  # noqa: PLC0415 - only who has a stage needs boto3

    try:
        return Account(region or None)
    except StageError as error:
        raise CommandError(str(error)) from error


def find_stage(account: "Account", place: Place) -> "Stage":
    """Return the stage of this name. Raises CommandError."""
    from infra.aws.stage import StageError  # noqa: PLC0415

    try:
        return account.find(place.stage, place.service)
    except StageError as error:
        raise CommandError(str(error)) from error


def stage_state(place: Place) -> StateStore:
    """Return the shared records of a stage. Raises CommandError."""
    account = open_account(place.region)
    return account.state_store(find_stage(account, place))


def stage_secrets(place: Place) -> SecretStore:
    """Return the secrets of a stage. Raises CommandError."""
    account = open_account(place.region)
    return account.secret_store(find_stage(account, place))
