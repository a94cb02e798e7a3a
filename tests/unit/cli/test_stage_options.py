"""The options that name a deployment: nothing that was meant for one is done on this machine."""

import click
import pytest

from infra.cli.stage import Place, stage_options


@click.command()
@stage_options
def command(place: Place) -> Place:
    return place


def read(*arguments: str) -> Place:
    return command.main(list(arguments), standalone_mode=False)


@pytest.mark.parametrize(
    "arguments",
    [["--stage", ""], ["--region", "eu-central-1"], ["--service", "mine"], ["--stage=", "--region=x"]],
)
def test_place_without_a_stage_is_refused(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError, match="--stage is missing"):
        read(*arguments)


def test_no_option_means_this_machine() -> None:
    assert [Place(), Place("dev"), Place("dev", "eu-central-1", "mine")] == [
        read(), read("--stage", "dev", "--region", ""),
        read("--stage", "dev", "--region", "eu-central-1", "--service", "mine"),
    ]  # fmt: skip
