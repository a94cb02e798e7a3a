"""`copilot-gateway doctor`: say what is wrong, and what to do about it."""

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from core.ports import SecretStore
from core.settings import Settings
from infra.cli.console import people, plain, result, say
from infra.cli.exits import OK, CommandError
from infra.cli.options import json_option, print_json, verbose_option
from infra.cli.stage import Place, stage_options
from infra.doctor.findings import Check, Finding, examine, exit_code
from infra.logs.setup import configure

if TYPE_CHECKING:
    from rich.status import Status

STYLES: Final = {"ok": "green", "warning": "yellow", "wrong": "bold red", "skipped": "dim"}


@click.command(
    "doctor",
    epilog="Ends with 0 when nothing is wrong (warnings are not), with 3 when only the login is, with 4 when only the "
    "network is, else with 1.",
)
@verbose_option
@json_option
@click.option("--offline", is_flag=True, help="Look at this machine only; ask nobody.")
@click.option("--request/--no-request", default=True, help="Send one short request to a cheap model.  [on]")
@click.option("--proxy-env/--no-proxy-env", default=None, help="Use HTTPS_PROXY and NO_PROXY.  [on]")
@stage_options
def command(
    *,
    verbose: bool | None,
    as_json: bool,
    offline: bool,
    request: bool,
    place: Place,
    **flags: bool | None,
) -> int:
    """Check everything that a working gateway needs, and say what to do where something is wrong.

    Looks at this machine, the login, the way to GitHub and Copilot, your plan and models, and sends one request of a few
    tokens. With --stage: at a deployment on AWS. No secret is shown.
    """
    configure(Settings(verbose=bool(verbose)))
    if place.stage:
        from infra.doctor.stage import StageExam  # noqa: PLC0415 - only who has a stage needs boto3

        findings = show(StageExam(place).checks(), as_json=as_json)
    else:
        findings = _local(flags, as_json=as_json, offline=offline, request=request)
    if as_json:
        print_json([msgspec.structs.asdict(finding) for finding in findings])
    else:
        _conclude(findings)
    return exit_code(findings)


def _local(flags: Mapping[str, object], *, as_json: bool, offline: bool, request: bool) -> list[Finding]:
    from infra.doctor.account import Account  # noqa: PLC0415 - `--help` needs none of it
    from infra.doctor.machine import Machine  # noqa: PLC0415
    from infra.doctor.network import Network  # noqa: PLC0415
    from infra.local.secrets import FileSecretStore  # noqa: PLC0415

    machine = Machine(flags, os.environ)
    network = Network(lambda: machine.settings, os.environ)

    def secrets() -> SecretStore:
        return FileSecretStore(Path(machine.settings.data_dir))

    with Account(lambda: machine.settings, os.environ, secrets, network) as account:
        asked = [] if offline else [*network.checks(), *account.checks(request=request)]
        checks = [*machine.checks(), account.login_check(), *asked, *machine.later_checks()]
        return show(checks, as_json=as_json)


def show(checks: Sequence[Check], *, as_json: bool = False) -> list[Finding]:
    """Make the checks; show what is done on a terminal, and each finding as it is made, unless all come at the end."""
    findings: list[Finding] = []
    with _progress() as progress:
        for finding in examine(checks, progress):
            findings.append(finding)
            if not as_json:
                result().print(
                    plain(finding.line()), style=STYLES[finding.mark], markup=False, soft_wrap=True
                )
    return findings


@contextmanager
def _progress() -> Generator[Callable[[str], None]]:
    """Yield what shows that something is being done, on a terminal only."""
    if not people().is_terminal:
        yield lambda _doing: None
        return
    status: Status = people().status("Looking ...")
    with status:
        yield lambda doing: status.update(f"{doing} ...")


def _conclude(findings: Sequence[Finding]) -> None:
    code = exit_code(findings)
    wrong = [finding.name for finding in findings if finding.mark == "wrong"]
    if code != OK:
        raise CommandError(f"{len(wrong)} wrong: {', '.join(wrong)}.", code)
    doubts = sum(finding.mark == "warning" for finding in findings)
    say("Nothing is wrong." if not doubts else f"Nothing is wrong; {doubts} to look at.", "green")
