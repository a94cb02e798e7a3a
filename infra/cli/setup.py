"""`copilot-gateway setup`: point other programs at the gateway."""

import difflib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Final

import click

from core.model import Model
from core.preferences import suggest_main, suggest_small, usable
from core.settings import Settings
from infra import smoke
from infra.cli import exits
from infra.cli.console import can_ask, plain, result, say, warn
from infra.cli.options import json_option, print_json, settings
from infra.cli.session import Session
from infra.clients import gateway
from infra.clients.check import Finding, check
from infra.clients.files import FileError
from infra.clients.plan import KEY_VARIABLE, NO_KEY, Client, Key, Plan, Situation
from infra.clients.registry import MODULES, SYNONYMS, client, clients
from infra.clients.setup import Edit, Setups, left_alone

HIDDEN: Final = "***"
LITTLE: Final = "no model that a client could use now"


@click.command("setup")
@click.argument("name", metavar="CLIENT", required=False)
@click.option("--url", help="The gateway's URL.  [this machine's]")
@click.option(
    "--key",
    metavar="KEY|env|-",
    help=f"The key that the client sends: env names {KEY_VARIABLE} in its settings, - asks for it.  [env, if one is asked]",
)
@click.option("--model", help="The model for the main work.  [the best one for the client]")
@click.option("--small-model", help="The model for titles and other side tasks.  [a small, fast one]")
@click.option("--write", is_flag=True, help="Make the change; each file gets a backup beside it.")
@click.option("--undo", is_flag=True, help="Take back what --write has done.")
@click.option("--check", "with_check", is_flag=True, help="Run the client, or make its kind of request.")
@click.option("--list", "listing", is_flag=True, help="List the clients; also what no CLIENT does.")
@json_option
def command(
    *,
    name: str | None,
    undo: bool,
    write: bool,
    with_check: bool,
    listing: bool,
    as_json: bool,
    **wishes: str | None,
) -> None:
    """Point CLIENT at the gateway: show the change, make it with --write, take it back with --undo.

    The models come from the gateway that runs, else from your subscription.
    """
    current = settings({})
    setups = Setups(Path(current.data_dir), lambda: time.strftime("%Y%m%d-%H%M%S"))
    if name is None or listing:
        show_clients(setups, as_json=as_json)
        return
    chosen = find(name)
    if undo and (write or with_check):
        raise click.UsageError("--undo goes alone.")
    try:
        if undo:
            take_back(chosen, setups, as_json=as_json)
        else:
            set_up(
                chosen,
                setups,
                situation(current, chosen, wishes),
                write=write,
                checks=with_check,
                as_json=as_json,
            )
    except FileError as error:
        raise exits.CommandError(str(error)) from error


def find(name: str) -> Client:
    """Return the client of this name. Raises CommandError naming those that are near."""
    try:
        return client(name.lower())
    except KeyError:
        near = difflib.get_close_matches(name.lower(), [*MODULES, *SYNONYMS], n=1)
        hint = f" Did you mean {SYNONYMS.get(near[0], near[0])}?" if near else ""
        raise exits.CommandError(
            f"There is no set-up for {name}.{hint} See: copilot-gateway setup", exits.USAGE
        ) from None


def situation(current: Settings, chosen: Client, wishes: dict[str, str | None]) -> Situation:
    """Find out what the set-up is for. Raises CommandError."""
    url = _url(current, wishes["url"])
    key, models = _offer(current, url, _key(wishes["key"]), is_own=wishes["url"] is None)
    offered = usable(models)
    if not offered:
        raise exits.CommandError(f"Your subscription offers {LITTLE}.")
    small = wishes["small_model"] or suggest_small(offered, chosen.prefers, current.small_model)
    return Situation(
        url=url,
        key=key,
        main=_named(offered, wishes["model"] or suggest_main(offered, chosen.prefers)),
        small=_named(offered, small),
        models=tuple(offered),
        home=Path.home(),
        environ=dict(os.environ),
        platform=sys.platform,
    )


def set_up(
    chosen: Client, setups: Setups, given: Situation, *, write: bool, checks: bool, as_json: bool
) -> None:
    """Show what is to be done, do it if wanted, and try it if wanted."""
    plan = chosen.plan(given)
    edits = setups.edits(chosen.name, plan)
    if not as_json:
        _show(chosen, plan, edits, given)
    backups = setups.write(chosen.name, edits, given.key) if write else []
    findings: list[Finding] = []
    if not as_json:
        _tell(edits, backups, plan, write=write)
    for finding in check(chosen, given, setups) if checks else ():
        findings.append(finding)
        if not as_json:
            result().print(
                plain(_hidden(f"{finding.mark:<9}{finding.name}: {finding.told}", given)),
                markup=False,
                soft_wrap=True,
            )
    if as_json:
        print_json({"client": chosen.name} | _report(plan, edits, given, backups, findings))
    if any(finding.mark == "FAILED" for finding in findings):
        raise exits.CommandError(f"{chosen.title} does not work with the gateway yet.")


def take_back(chosen: Client, setups: Setups, *, as_json: bool) -> None:
    """Undo the client's set-up and say what became of each file."""
    done = setups.undo(chosen.name)
    if as_json:
        print_json(done)
        return
    if not done:
        say(f"There is nothing to take back: setup has written nothing for {chosen.title}.")
    for undone in done:
        say(f"{undone.path} {undone.told}.")
        if undone.left:
            warn(f"Changed since and left alone: {left_alone(undone)}")


def show_clients(setups: Setups, *, as_json: bool) -> None:
    """List what can be set up, and what of it is on this machine."""
    rows = [
        {
            "name": each.name,
            "title": each.title,
            "installed": any(shutil.which(program) for program in each.programs),
            "set_up": setups.exists(each.name),
            "tested": each.tested,
        }
        for each in clients()
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        state = "set up" if row["set_up"] else "installed" if row["installed"] else ""
        tested = f"tested with {row['tested']}" if row["tested"] else "by its documentation"
        result().print(
            f"{row['name']:<13}{row['title']:<27}{state:<11}{tested}", markup=False, soft_wrap=True
        )
    say("Show a set-up: copilot-gateway setup CLIENT. Make it: add --write. Take it back: --undo.")


def _url(current: Settings, wished: str | None) -> str:
    if wished is None:
        from infra.cli.start import base_url  # noqa: PLC0415 - it knows how clients here reach any address

        return base_url(current.host, current.port)
    try:
        return smoke.check_url(wished)
    except ValueError as error:
        raise exits.CommandError(str(error), exits.USAGE) from error


def _key(wished: str | None) -> Key | None:
    """Return the key that was asked for, or None when it depends on the gateway."""
    if wished is None:
        return None
    if wished == "env":
        return Key("variable", "")
    if wished == "-":
        asked = (
            click.prompt("The gateway's key", hide_input=True, err=True)
            if can_ask()
            else sys.stdin.readline()
        )
        return Key("literal", _checked(str(asked).strip()))
    warn(f"A key in the command line shows in the process list; --key - and {KEY_VARIABLE} do not.")
    return Key("literal", _checked(wished))


def _checked(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise exits.CommandError(
            "That is no key: keys are letters, digits and signs, without blanks.", exits.USAGE
        )
    return key


def _offer(current: Settings, url: str, key: Key | None, *, is_own: bool) -> tuple[Key, tuple[Model, ...]]:
    """Return the key to send and the models, from the gateway that runs, else from the subscription."""
    known = str(current.api_key)
    try:
        if key is not None:
            return key, gateway.models_at(url, known if key.kind == "variable" else key.value)
        return _unasked(url, known)
    except gateway.GatewayRefusedError as error:
        remedy = f" Set {KEY_VARIABLE} to the right one, or give it with --key -." if error.wants_key else ""
        raise exits.CommandError(
            f"The gateway at {url} refuses to list its models: {str(error).rstrip('.')}.{remedy}"
        ) from error
    except gateway.GatewayUnreachableError as error:
        if not is_own:
            raise exits.CommandError(f"Nothing answers at {url}: {error}", exits.UNREACHABLE) from error
        return key or Key(), _own(current, url)


def _unasked(url: str, known: str) -> tuple[Key, tuple[Model, ...]]:
    try:
        return Key(), gateway.models_at(url, "")
    except gateway.GatewayRefusedError as error:
        if not error.wants_key or not known:
            raise
    return Key("variable", ""), gateway.models_at(url, known)


def _own(current: Settings, url: str) -> tuple[Model, ...]:
    session = Session(current)
    if session.token_source() == "none":
        raise exits.CommandError(
            f"Nothing answers at {url}, and nobody is logged in. Start the gateway first: copilot-gateway start (or "
            "`make demo`).",
            exits.UNREACHABLE,
        )
    say(f"Nothing answers at {url} yet; the models are those of your subscription.")
    return session.services.catalogue.models()


def _named(models: list[Model], wanted: str) -> Model:
    for model in models:
        if model.id == wanted:
            return model
    near = difflib.get_close_matches(wanted, [model.id for model in models], n=3, cutoff=0.3)
    raise exits.CommandError(
        f"There is no model {wanted}. Nearest: {', '.join(near) or 'none'}.", exits.USAGE
    )


def _show(chosen: Client, plan: Plan, edits: list[Edit], given: Situation) -> None:
    say(f"{chosen.title}: {given.main.id}, for side tasks {given.small.id}, at {given.url}", "bold")
    for edit in edits:
        lines = list(edit.difference())
        shown = "\n".join(lines) if lines else f"{edit.path}: as it should be"
        result().print(plain(_hidden(shown, given)), markup=False, soft_wrap=True)
    for number, step in enumerate(plan.steps, 1):
        result().print(plain(f"{number}. {_hidden(step, given)}"), markup=False, soft_wrap=True)
    if given.key.kind == "variable" and plan.needs_variable:
        result().print(
            f"Set {KEY_VARIABLE} to the gateway's key where {chosen.title} runs.",
            markup=False,
            soft_wrap=True,
        )


def _tell(edits: list[Edit], backups: list[Path], plan: Plan, *, write: bool) -> None:
    if not edits:
        return
    changed = [edit for edit in edits if edit.changes]
    if not changed:
        say("There is nothing to do: everything is as it should be.", "green")
    elif not write:
        say("Nothing is written yet. Make the change: add --write.")
    else:
        for edit in changed:
            say(f"Written: {edit.path}", "green")
        for backup in backups:
            say(f"What was there before: {backup}")
    if (write or not changed) and plan.then:
        say(f"Start it with: {plan.then}")


def _report(
    plan: Plan, edits: list[Edit], given: Situation, backups: list[Path], findings: list[Finding]
) -> dict[str, Any]:
    return {
        "url": given.url,
        "model": given.main.id,
        "small_model": given.small.id,
        "files": [
            {
                "path": str(edit.path),
                "changes": edit.changes,
                "diff": _hidden("\n".join(edit.difference()), given),
            }
            for edit in edits
        ],
        "backups": [str(backup) for backup in backups],
        "steps": [_hidden(step, given) for step in plan.steps],
        "command": plan.then,
        "checks": findings,
    }


def _hidden(text: str, given: Situation) -> str:
    """Return the text without the key: it may be shown to others, or land in a log."""
    is_secret = given.key.kind == "literal" and given.key.value != NO_KEY
    return text.replace(given.key.value, HIDDEN) if is_secret else text
