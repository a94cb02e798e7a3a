"""`copilot-gateway logs`: what the gateway has logged, here or on a stage, and what comes."""

import re
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

import click
import msgspec

from core.redaction import redact
from infra.cli.console import is_coloured, say
from infra.cli.exits import CommandError
from infra.cli.options import settings
from infra.cli.stage import Place, find_stage, open_account, stage_options
from infra.logs.setup import log_path

if TYPE_CHECKING:
    from infra.logs.reading import Line
    from infra.logs.text import TextFormatter

UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
USUAL: Final = 50  # lines, where nothing says how far back to go
STAGE_BACK: Final = 3600.0  # seconds; CloudWatch is asked by time and not by number
PAUSE: Final = 0.25  # seconds between two looks at a file
STAGE_PAUSE: Final = 2.0
# Names of what stands in a line beside an event's own members; CloudWatch's metrics have theirs in capitals.
_FRAME: Final = frozenset({"time", "level", "logger", "event", "traceback", "_aws", "lambda_request_id"})


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})([smhdw])", value)
    if match is None:
        raise click.BadParameter("a time is a number with s, m, h, d or w behind it, as 30m or 2d")
    return int(match[1]) * UNITS[match[2]]


@click.command("logs")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes; Ctrl-C ends it.")
@click.option("--since", callback=_seconds, metavar="TIME", help="Go back this far: 30m, 2h, 7d.")
@click.option(
    "--lines", "-n", type=click.IntRange(0), help=f"At most so many of what was.  [{USUAL}, or all --since]"
)
@click.option("--key", default="", metavar="NAME", help="Only requests with this key.")
@click.option("--model", default="", metavar="ID", help="Only requests for this model; `*` is any text.")
@click.option("--errors", is_flag=True, help="Only what failed.")
@click.option("--json", "as_json", is_flag=True, help="Print the lines as JSON.")
@click.option("--log-file", metavar="PATH", help="Read this file.  [where the gateway logs to]")
@stage_options
def command(
    *,
    follow: bool,
    since: float | None,
    lines: int | None,
    as_json: bool,
    log_file: str | None,
    place: Place,
    **chosen: str | bool,
) -> None:
    """Show what the gateway has logged: a line for each request, and what else happened.

    `copilot-gateway logs -f --errors` shows what goes wrong as it does.
    """
    from infra.logs.reading import Choice, last  # noqa: PLC0415 - not for `--help`

    begin = 0.0 if since is None else time.time() - since
    choice = msgspec.convert({"since": begin, **chosen}, Choice)
    most = USUAL if lines is None and since is None else lines
    past, new, pause = _stage(place, begin) if place.stage else _local(log_file, follow=follow)
    show = _printer(as_json=as_json)
    show(last(past(), choice, most))
    while follow:
        time.sleep(pause)
        show(line for line in new() if choice.takes(line))


Source = tuple[Callable[[], "Iterable[Line]"], Callable[[], "Iterable[Line]"], float]


def _local(log_file: str | None, *, follow: bool) -> Source:
    from infra.logs.reading import LogReader  # noqa: PLC0415

    path = log_path(settings({"log_file": log_file}))
    if path is None:
        raise CommandError(
            "The log file is switched off (log_file = off). Take that setting out, or name a file with --log-file."
        )
    if not path.exists():
        if not follow:
            raise CommandError(f"There is no log at {path} yet: the gateway writes it while it runs.")
        say(f"Waiting for {path}.")
    reader = LogReader(path)
    return reader.past, reader.new, PAUSE


def _stage(place: Place, begin: float) -> Source:
    from infra.aws.stage import StageError  # noqa: PLC0415

    account = open_account(place.region)
    find_stage(account, place)  # says so when there is none
    log = account.log(place.stage, place.service)

    def explained(read: Callable[[], "Iterable[Line]"]) -> Callable[[], "Iterable[Line]"]:
        def lines() -> "Iterable[Line]":
            try:
                return list(read())
            except StageError as error:
                raise CommandError(str(error)) from error

        return lines

    return explained(lambda: log.past(begin or time.time() - STAGE_BACK)), explained(log.new), STAGE_PAUSE


def _printer(*, as_json: bool) -> Callable[["Iterable[Line]"], None]:
    from infra.logs.text import TextFormatter  # noqa: PLC0415

    form = TextFormatter(coloured=is_coloured(sys.stdout))

    def show(lines: "Iterable[Line]") -> None:
        for line in lines:
            if as_json:
                click.echo(redact(msgspec.json.encode(line).decode()))
            else:
                click.echo(_text(form, line), color=True)

    return show


def _text(form: "TextFormatter", line: "Line") -> str:
    members = {name: value for name, value in line.items() if name not in _FRAME and name.islower()}
    text = form.line(_at(line), str(line.get("level", "info")), str(line.get("event", "")), members)
    trace = str(line.get("traceback", ""))
    return "\n    ".join([text, *redact(trace).splitlines()])


def _at(line: "Line") -> str:
    from infra.logs.reading import moment  # noqa: PLC0415

    logged = datetime.fromtimestamp(moment(line)).astimezone()
    is_today = logged.date() == datetime.now().astimezone().date()
    return logged.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S")
