"""`copilot-gateway check-usage`: what is left of the subscription, and what went through the gateway."""

import time
from typing import TYPE_CHECKING, Final

import click
import msgspec

from infra.cli.console import plain, result
from infra.cli.options import json_option, print_json, settings, verbose_option
from infra.cli.session import Session
from infra.cli.stage import Place, stage_options, stage_secrets, stage_state

if TYPE_CHECKING:
    from core.copilot.usage import Allowance, Quota
    from core.ledger.ledger import Ledger
    from core.ledger.report import Report
    from core.ledger.summary import Summary

TITLES: Final = ("requests", "failed", "input", "cached", "output", "credits", "first token")
MOST_COLUMNS: Final = 1000


@click.command("check-usage")
@verbose_option
@json_option
@stage_options
def command(*, verbose: bool | None, as_json: bool, place: Place) -> None:
    """Show what is left of the subscription, and what the gateway on this machine, or a stage, was asked for.

    Days are UTC. Credits are Copilot's own figures where it names them, else the price list's.
    """
    from core.errors import GatewayError  # noqa: PLC0415 - not needed for `--help`
    from core.ledger.report import report  # noqa: PLC0415

    secrets = stage_secrets(place) if place.stage else None
    session = Session(settings({"verbose": verbose}), secrets=secrets)
    services = session.services
    told = report(_stage_ledger(place) if place.stage else services.ledger, time.time())
    try:
        quota = services.quota()
    except GatewayError:
        if told.last_30_days.requests:  # known here, whatever GitHub says
            if as_json:
                print_json({"gateway": told})
            else:
                show_ledger(told)
        raise
    if as_json:
        print_json({**msgspec.to_builtins(quota), "gateway": told})
        return
    show(quota)
    show_ledger(told)


def show(quota: "Quota") -> None:
    """Print the plan and a line for each quota."""
    for line in lines(quota):
        result().print(plain(line), markup=False, soft_wrap=True)


def show_ledger(told: "Report") -> None:
    """Print today, the last thirty days, and those by key and model."""
    if not told.last_30_days.requests:
        result().print("\nThis gateway has answered nothing in the last 30 days.", soft_wrap=True)
        return
    from rich.table import Table  # noqa: PLC0415 - a tenth of a second, not needed for JSON
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("this gateway", no_wrap=True)
    for title in TITLES:
        table.add_column(title, justify="right", no_wrap=True)
    for name, summary in rows(told):
        table.add_row(*(Text(plain(cell)) for cell in (name, *cells(summary))))
    console = result()
    needed = console.measure(table, options=console.options.update(max_width=MOST_COLUMNS)).maximum
    console.width = max(console.width, needed)
    console.print()
    console.print(table)


def rows(told: "Report") -> "list[tuple[str, Summary]]":
    """Return the table's lines, those of keys and models with the largest first."""
    groups = (("key", told.by_key), ("model", told.by_model))
    return [
        ("today", told.today),
        ("last 30 days", told.last_30_days),
        *(
            (f"  {group} {name}", summary)
            for group, summaries in groups
            for name, summary in sorted(summaries.items(), key=lambda item: -item[1].requests)
        ),
    ]


def cells(summary: "Summary") -> tuple[str, ...]:
    """Return one line's figures."""
    cached = "-" if summary.cache_hit_rate is None else f"{summary.cache_hit_rate:.0%}"
    first = summary.first_token.p50
    return (
        f"{summary.requests:,}",
        f"{summary.failed:,}",
        f"{summary.input_tokens:,}",
        cached,
        f"{summary.output_tokens:,}",
        f"{summary.credits:,.2f}" if summary.priced_requests else "-",
        "-" if first is None else f"{first:.1f} s",
    )


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


def _stage_ledger(place: Place) -> "Ledger":
    from core.ledger.ledger import Ledger  # noqa: PLC0415

    return Ledger(stage_state(place), time.time, time.monotonic)
