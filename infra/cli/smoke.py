"""`copilot-gateway smoke`: try a running gateway from outside."""

from collections.abc import Generator
from contextlib import contextmanager
from secrets import token_hex
from time import time
from typing import Final

import click

from core.access.managed_keys import ManagedKeys
from infra import smoke
from infra.cli.console import can_ask, plain, result, say
from infra.cli.exits import USAGE, CommandError
from infra.cli.keys import named
from infra.cli.options import json_option, print_json, settings
from infra.cli.stage import Place, find_stage, open_account, stage_options

MOMENT: Final = 1800.0  # seconds that a key for one run is good, should it not be revoked at the end


@click.command("smoke")
@click.argument("url", required=False)
@click.option("--model", default="", help="The model that is asked to count.  [a small one]")
@json_option
@stage_options
def command(*, url: str | None, model: str, as_json: bool, place: Place) -> None:
    """Try the gateway at URL, or that of a stage: health, keys, streaming, limits, versions.

    The key is read from COPILOT_GATEWAY_API_KEY or asked for; for a stage, one is made and revoked at the end. One
    small prompt is sent.
    """
    if bool(url) == bool(place.stage):
        raise click.UsageError("Name the gateway's URL or its --stage.")
    if not place.stage:
        findings = check(_base(url or ""), _key(), model, as_json=as_json)
    else:
        account = open_account(place.region)
        found = find_stage(account, place)
        url = found.url
        with temporary_key(ManagedKeys(account.state_store(found), time)) as key:
            findings = check(url, key, model, as_json=as_json)
    if as_json:
        print_json([finding._asdict() for finding in findings])
    if code := smoke.exit_code(findings):
        raise CommandError(verdict(findings, url or ""), code)


def check(url: str, key: str, model: str = "", *, as_json: bool = False) -> list[smoke.Finding]:
    """Make all checks and show each as it is made, unless all are printed at the end."""
    findings: list[smoke.Finding] = []
    for finding in smoke.Smoke(url, key, model).run():
        findings.append(finding)
        if not as_json:
            result().print(plain(smoke.line(finding)), markup=False, soft_wrap=True)
    if not as_json and not smoke.exit_code(findings):
        say("Everything that was tried works.", "green")
    return findings


def verdict(findings: list[smoke.Finding], url: str) -> str:
    """Say in one line what is wrong."""
    failed = [finding.name for finding in findings if finding.mark == "FAILED"]
    if failed:
        return f"Failed: {', '.join(failed)}."
    return f"Only the login to GitHub is missing: open {url.rstrip('/') or 'the gateway'}/login in a browser."


@contextmanager
def temporary_key(keys: ManagedKeys) -> Generator[str]:
    """Yield a key that lives as long as the block, and half an hour at most."""
    name = f"smoke-{token_hex(4)}"
    clear = named(lambda: keys.create(name, time() + MOMENT))
    try:
        yield clear
    finally:
        named(lambda: keys.revoke(name))


def _base(url: str) -> str:
    try:
        return smoke.check_url(url)
    except ValueError as error:
        raise CommandError(str(error), USAGE) from error


def _key() -> str:
    found = str(settings({}).api_key)
    if found or not can_ask():
        return found
    return str(
        click.prompt(
            "The gateway's key (empty: none)", default="", show_default=False, hide_input=True, err=True
        )
    )
