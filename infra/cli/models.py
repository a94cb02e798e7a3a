"""`copilot-gateway models`: what the subscription offers."""

from collections.abc import Sequence
from typing import Final

import click

from core.model import Model
from infra.cli.console import plain, result
from infra.cli.options import json_option, print_json, settings, verbose_option
from infra.cli.session import Session

THOUSAND: Final = 1000
MOST_COLUMNS: Final = 1000


@click.command("models")
@verbose_option
@json_option
def command(*, verbose: bool | None, as_json: bool) -> None:
    """List the models that your subscription offers.

    Prices are credits (1 credit = 0.01 USD) per million tokens.
    """
    session = Session(settings({"verbose": verbose}))
    models = session.services.catalogue.refresh()
    if as_json:
        print_json(list(models))
    else:
        show(models)


def show(models: Sequence[Model]) -> None:
    """Print the table."""
    from rich.table import Table  # noqa: PLC0415 - a tenth of a second, not needed for JSON
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("id", no_wrap=True)
    table.add_column("spoken natively")
    for title in ("context", "output", "price in/out"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("policy")
    for model in models:
        table.add_row(*(Text(plain(cell)) for cell in row(model)))
    # As wide as it has to be: in a narrow window or a pipe, an id that is cut short is worth nothing.
    console = result()
    needed = console.measure(table, options=console.options.update(max_width=MOST_COLUMNS)).maximum
    console.width = max(console.width, needed)
    console.print(table)


def row(model: Model) -> tuple[str, str, str, str, str, str]:
    """Return the cells of one model."""
    dialects = ", ".join(model.dialects) if model.kind == "chat" else model.kind
    policy = model.policy + (", preview" if model.preview else "")
    return model.id, dialects, tokens(model.context_window), tokens(model.max_output), price(model), policy


def tokens(count: int | None) -> str:
    """Return a size in tokens, short: `128k`."""
    if count is None:
        return "-"
    return f"{count // THOUSAND}k" if count >= THOUSAND else str(count)


def price(model: Model) -> str:
    """Return input and output price in credits per million tokens."""
    if model.prices is None or model.prices.batch <= 0:
        return "-"
    scale = 1_000_000 / model.prices.batch
    return f"{model.prices.input * scale:g}/{model.prices.output * scale:g}"
