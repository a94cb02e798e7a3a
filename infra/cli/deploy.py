"""`copilot-gateway deploy`: from nothing to a tried gateway in the user's own AWS account."""

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from core.access.managed_keys import ManagedKeys
from infra import smoke
from infra.cli import exits
from infra.cli.console import can_ask, say, warn
from infra.cli.first_login import wait_for_login
from infra.cli.keys import named
from infra.cli.notice import NOTICE
from infra.cli.smoke import check, temporary_key, verdict
from infra.cli.stage import SERVICE, Place, find_stage, open_account
from infra.cli.tools import check_node, find_tool, run_tool

if TYPE_CHECKING:
    from infra.aws.stage import Account, Stage

FIRST_KEY: Final = "first"
# Letters of a service and a stage together: of the 64 that a function's name and a role's may have, the longest of ours
# takes `-embeddings`.
LONGEST: Final = 52
# No telemetry and no questions from what is run.
QUIET: Final = {
    "SLS_TELEMETRY_DISABLED": "1",
    "SLS_NOTIFICATIONS_MODE": "off",
    "SLS_INTERACTIVE_SETUP_ENABLE": "0",
}


class Plan:
    """What is to be done, and the words for it: also what `--dry-run` shows."""

    def __init__(self, root: Path, place: Place, front: str, params: Sequence[str], *, build: bool) -> None:
        self.root, self.place = root, place
        # Wheels with native code are for one processor and one Python: those of the function.
        values = dict(param.split("=", 1) for param in params)
        architecture, runtime = values.get("architecture", "arm64"), values.get("runtime")
        python = ["--python-version", runtime.removeprefix("python")] if runtime else []
        self.build = ["infra.aws.build_zip", "--arch", architecture, *python] if build else None
        self.zip = f"dist/copilot-gateway-{architecture}.zip"  # where serverless.yml looks for it
        chosen = [f"front={front}", *([f"name={place.service}"] if place.service != SERVICE else []), *params]
        options = ["--stage", place.stage, "--region", place.region]
        self.osls = ["osls", "deploy", *options, *(part for param in chosen for part in ("--param", param))]

    def needs_install(self) -> bool:
        """Say whether osls is not there yet."""
        return not (self.root / "node_modules" / ".bin" / "osls").exists()

    def steps(self) -> list[str]:
        """Return the steps in words."""
        return [
            *(["install osls: npm ci"] if self.needs_install() else []),
            f"build {self.zip}" if self.build else f"take {self.zip} as it is",
            f"deploy: npx {' '.join(self.osls)}",
            "make the first API key, if there is none, and show it",
            "wait until you are logged in to GitHub at the gateway's /login page",
            "try everything from outside, with one small prompt",
        ]


@click.command("deploy")
@click.option(
    "--stage",
    default="dev",
    show_default=True,
    help="Name of the deployment; several can stand side by side.",
)
@click.option("--region", help="AWS region.  [AWS_REGION or the profile's]")
@click.option(
    "--service", default=SERVICE, help="What the names of everything in AWS begin with.  [copilot-gateway]"
)
@click.option(
    "--front", type=click.Choice(["url", "rest"]), default="url", show_default=True,
    help="One function URL, or an API Gateway with a function per endpoint.",
)  # fmt: skip
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of serverless.yml, as memory=1024.",
)
@click.option("--browser", is_flag=True, help="Open the login page in the browser.")
@click.option("--no-build", is_flag=True, help="Deploy the zip in dist/ as it is.")
@click.option("--no-login", is_flag=True, help="Do not wait for the login, and try nothing.")
@click.option(
    "--dry-run", is_flag=True, help="Check the tools and the account, say what would be done, and stop."
)
def command(
    *, stage: str, region: str | None, service: str, front: str, params: tuple[str, ...], browser: bool,
    no_build: bool, no_login: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Deploy the gateway into your own AWS account, log it in, and try it.

    Run it again to upgrade: keys, login and state stay.
    """
    _check_words(stage, region or "x", service, params)
    root = project_root(Path.cwd())
    say(f"Node.js {check_node(os.environ.get('PATH'))}")
    account = open_account(region or "")
    _introduce(account)
    plan = Plan(root, Place(stage, account.region, service), front, params, build=not no_build)
    if dry_run:
        for number, step in enumerate(plan.steps(), 1):
            say(f"{number}. {step}")
        return
    say(NOTICE)
    deploy(plan)
    _finish(account, find_stage(account, plan.place), plan.place, browser=browser, wait=not no_login)


def project_root(directory: Path) -> Path:
    """Return the checkout: the current directory, or where this file is. Raises CommandError."""
    for root in (directory, Path(__file__).resolve().parents[2]):
        if (root / "serverless.yml").is_file():
            return root
    raise exits.CommandError(
        "There is no serverless.yml here. Deploy from a checkout of the gateway: git clone it and change into it."
    )


def deploy(plan: Plan) -> None:
    """Build and deploy. Raises CommandError."""
    environ = {**os.environ, **QUIET}
    path = environ.get("PATH")
    if plan.needs_install():
        run_tool([find_tool("npm", path), "ci", "--no-audit", "--no-fund"], plan.root, environ)
    if plan.build:
        run_tool([sys.executable, "-m", *plan.build], plan.root, environ)
    elif not (plan.root / plan.zip).is_file():
        raise exits.CommandError(f"There is no {plan.zip}. Leave out --no-build.")
    run_tool([find_tool("npx", path), "--no-install", *plan.osls], plan.root, environ)


def _introduce(account: "Account") -> None:
    from infra.aws.stage import StageError  # noqa: PLC0415 - needs boto3

    try:
        caller = account.caller()
    except StageError as error:
        raise exits.CommandError(str(error)) from error
    say(f"AWS account {caller.account} in {account.region}, as {caller.identity}")


def _finish(account: "Account", stage: "Stage", place: Place, *, browser: bool, wait: bool) -> None:
    keys = ManagedKeys(account.state_store(stage), time.time)
    _first_key(keys)
    say(f"The gateway is deployed at {stage.url}", "bold green")
    if not wait:
        say(f"Log in at {stage.url}/login, then try it: copilot-gateway smoke {place.flags()}")
        return
    with temporary_key(keys) as key:
        wait_for_login(smoke.Smoke(stage.url, key), place, browser=browser and can_ask())
        findings = check(stage.url, key)
    if code := smoke.exit_code(findings):
        raise exits.CommandError(verdict(findings, stage.url), code)
    say(f"OpenAI clients:    OPENAI_BASE_URL={stage.url}/v1   OPENAI_API_KEY=your key")
    say(f"Anthropic clients: ANTHROPIC_BASE_URL={stage.url}   ANTHROPIC_API_KEY=your key")


def _first_key(keys: ManagedKeys) -> None:
    now = time.time()
    if any(key.lives(now) for key in keys.list()):
        return
    named(lambda: keys.revoke(FIRST_KEY))  # an expired one would only be in the way
    clear = named(lambda: keys.create(FIRST_KEY))
    say("Your API key. It is shown only now; keep it in a password manager:", "bold")
    click.echo(clear)


def _check_words(stage: str, region: str, service: str, params: Sequence[str]) -> None:
    """Refuse what AWS would refuse later, or what would be read as an option."""
    for option, word in (("--stage", stage), ("--region", region), ("--service", service)):
        if re.fullmatch(r"[a-z][a-z0-9-]{0,30}[a-z0-9]|[a-z]", word) is None:
            raise click.UsageError(f"{option} takes small letters, digits and '-', as in dev; at most 32.")
    if len(service + stage) > LONGEST:
        raise click.UsageError(
            f"--service and --stage have {len(service + stage)} letters together; names in AWS leave room for {LONGEST}."
        )
    for param in params:
        if re.fullmatch(r"[a-z0-9-]+=[^\r\n]+", param) is None:
            raise click.UsageError(f"--param takes NAME=VALUE, not {param}.")
        if param.partition("=")[0] in {"name", "front", "zip"}:
            warn(f"--param {param} is for osls alone; this command may not find what it deploys.")
