"""`copilot-gateway check-usage`: what is left of the subscription."""

from typing import TYPE_CHECKING

import click

from infra.cli.console import plain, result
from infra.cli.options import json_option, print_json, settings, verbose_option
from infra.cli.session import Session
from infra.cli.stage import Place, stage_options, stage_secrets

if TYPE_CHECKING:
    from core.copilot.usage import Allowance, Quota


@click.command("check-usage")
@verbose_option
@json_option
@stage_options
def command(*, verbose: bool | None, as_json: bool, place: Place) -> None:
    """Show what is left of the subscription that this machine, or a stage, is logged in to."""
    secrets = stage_secrets(place) if place.stage else None
    quota = Session(settings({"verbose": verbose}), secrets=secrets).services.quota()
    if as_json:
        print_json(quota)
    else:
        show(quota)


def show(quota: "Quota") -> None:
    """Print the plan and a line for each quota."""
    for line in lines(quota):
        result().print(plain(line), markup=False, soft_wrap=True)


def lines(quota: "Quota") -> list[str]:
    """Return what to say of the account."""
    unit = "credits" if quota.credits else "requests"
    head = f"{quota.login or 'unknown account'}: plan {quota.plan or 'unknown'}"
    if quota.sku:
        head += f" ({quota.sku})"
    resets = [f"resets on {quota.resets_on[:10]}"] if quota.resets_on else []
    return [head, *(f"{name}: {remainder(entry, unit)}" for name, entry in quota.allowances.items()), *resets]


def remainder(entry: "Allowance", unit: str) -> str:
    """Say in words what is left of one quota; the amounts may be negative, where usage runs over."""
    if entry.exhausted:
        text = "used up"
    elif entry.unlimited:
        return "unlimited"
    else:
        text = ""
    if entry.entitlement is not None and entry.remaining is not None:
        amount = f"{entry.remaining:g} of {entry.entitlement:g} {unit} left"
        text = f"{text}, {amount}" if text else amount
    if entry.percent_remaining is not None and not entry.exhausted:
        text += f" ({entry.percent_remaining:g} %)"
    if entry.overage_count:
        text += f", {entry.overage_count:g} beyond the plan"
    return text.strip() or "not stated"
