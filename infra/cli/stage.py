"""Commands against a stage on AWS: their options, and what they open."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from core.ports import SecretStore, StateStore
from infra.cli.exits import CommandError

if TYPE_CHECKING:
    from infra.aws.stage import Account, Stage

Command = TypeVar("Command", bound=Callable[..., Any])


def stage_options(command: Command) -> Command:
    """Add `--stage` and `--region`."""
    region = click.option("--region", help="AWS region of the stage.  [AWS_REGION or the profile's]")
    stage = click.option("--stage", help="Work on this deployed stage instead of this machine.")
    return stage(region(command))


def open_account(region: str | None) -> "Account":
    """Return the AWS account at hand. Raises CommandError."""
    from infra.aws.stage import Account, StageError  # noqa: PLC0415 - only who has a stage needs boto3

    try:
        return Account(region)
    except StageError as error:
        raise CommandError(str(error)) from error


def find_stage(account: "Account", name: str) -> "Stage":
    """Return the stage of this name. Raises CommandError."""
    from infra.aws.stage import StageError  # noqa: PLC0415

    try:
        return account.find(name)
    except StageError as error:
        raise CommandError(str(error)) from error


def stage_state(name: str, region: str | None) -> StateStore:
    """Return the shared records of a stage. Raises CommandError."""
    account = open_account(region)
    return account.state_store(find_stage(account, name))


def stage_secrets(name: str, region: str | None) -> SecretStore:
    """Return the secrets of a stage. Raises CommandError."""
    account = open_account(region)
    return account.secret_store(find_stage(account, name))
