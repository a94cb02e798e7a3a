"""`copilot-gateway start`: serve the gateway; log in first if needed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from core.copilot.headers import VERSION
from core.copilot.hosts import is_loopback, stand_in
from core.errors import GatewayError
from core.model import Model
from core.settings import Settings
from infra.cli import approving, claude_code, exits
from infra.cli.console import can_ask, is_terminal, say, show_secret, warn
from infra.cli.keys import local_keys
from infra.cli.notice import NOTICE
from infra.cli.options import settings, show_token_option, verbose_option
from infra.cli.session import Session
from infra.local.patience import Patience
from infra.settings import ANY_ADDRESS, check_exposure

if TYPE_CHECKING:
    from flask import Flask

    from handlers.services import Services


@click.command("start")
@click.option("--port", "-p", type=int, help="Port to listen on; 0 takes a free one.  [4141]")
@click.option("--host", "-H", help="Address to listen on; beyond this machine only with a key.  [127.0.0.1]")
@click.option(
    "--allow-plain-http/--no-allow-plain-http",
    default=None,
    help="Listen beyond this machine without TLS.  [off]",
)
@verbose_option
@click.option(
    "--account-type", "-a", type=click.Choice(["individual", "business", "enterprise"]),
    help="No longer needed: GitHub names the right host.",
)  # fmt: skip
@click.option("--manual/--no-manual", default=None, help="Ask before each request, also on the dashboard.")
@click.option("--rate-limit", "-r", type=float, help="Least seconds between two requests.")
@click.option(
    "--wait/--no-wait", "-w", default=None, help="Hold early requests back instead of refusing them."
)
@click.option("--github-token", "-g", help="GitHub token; better in COPILOT_GATEWAY_GITHUB_TOKEN.")
@click.option(
    "--claude-code", "-c", "for_claude_code", is_flag=True, help="Print the command that starts Claude Code."
)
@show_token_option
@click.option("--proxy-env/--no-proxy-env", default=None, help="Use HTTPS_PROXY and NO_PROXY.  [on]")
@click.option(
    "--log-file",
    metavar="PATH",
    help="Keep the log there; `off`: nowhere.  [gateway.log in the data directory]",
)
@click.option(
    "--capture",
    "capture_dir",
    metavar="DIRECTORY",
    help="Keep whole exchanges there, for a bug report: secrets and words redacted.",
)
@click.option(
    "--capture-bodies",
    type=click.Choice(["redacted", "full"]),
    help="`full` keeps the words of prompts and answers, too.  [redacted]",
)
@click.option("--dev", is_flag=True, help="Use Flask's development server.")
def command(*, for_claude_code: bool, dev: bool, account_type: str | None, **flags: Any) -> None:
    """Serve the gateway; log in first if needed.

    Each option is also a setting: COPILOT_GATEWAY_PORT and so on, or port in the data directory's config.toml.
    """
    current = settings(flags)
    check_exposure(current, lambda: bool(local_keys(current).list()))
    if not current.api_key:
        local_keys(current).list()  # a store that cannot be read lets no client in: better said now
    _remark(flags, account_type)
    session = Session(current, serving=True)
    session.ensure_login()
    models = _models(session)
    if current.show_token:
        _show_tokens(session)
    choice = claude_code.choose(models, current) if for_claude_code else None
    _serve(session, models, choice, dev=dev)


def base_url(host: str, port: int) -> str:
    """Return where clients on this machine reach the gateway."""
    host = ANY_ADDRESS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def introduction(url: str, models: Sequence[Model], *, keyed: bool) -> list[str]:
    """Return the lines that say what runs here and how clients reach it. keyed: a key is asked."""
    key = "the gateway's key" if keyed else "any text"
    names = ", ".join(model.id for model in models)
    return [
        f"Copilot Gateway {VERSION}",
        NOTICE,
        f"Models ({len(models)}): {names}" if models else "Models: not known yet",
        f"OpenAI clients:    OPENAI_BASE_URL={url}/v1   OPENAI_API_KEY={key}",
        f"Anthropic clients: ANTHROPIC_BASE_URL={url}   ANTHROPIC_API_KEY={key}",
        "Your tools:        copilot-gateway setup   (Claude Code, Codex, editors: shows or makes the change)",
    ]


def _remark(flags: dict[str, Any], account_type: str | None) -> None:
    if account_type is not None:
        say("--account-type is no longer needed: the right host comes with Copilot's token.")
    if flags["github_token"]:
        warn("--github-token shows in the process list; COPILOT_GATEWAY_GITHUB_TOKEN does not.")


def _models(session: Session) -> Sequence[Model]:
    """Return the catalogue; empty while Copilot cannot be reached, for that may pass. Logs in anew when it must."""
    try:
        return _listed(session)
    except GatewayError as error:
        if error.kind != "login_required" or session.token_source() != "stored" or not is_terminal():
            raise
        warn(error.message)
    session.log_in()
    return session.services.catalogue.refresh()


def _listed(session: Session) -> Sequence[Model]:
    try:
        return session.services.catalogue.models()
    except GatewayError as error:
        if exits.BY_KIND.get(error.kind) != exits.UNREACHABLE:
            raise
        warn(f"The models could not be listed: {error.message}")
        return ()


def _show_tokens(session: Session) -> None:
    tokens = session.services.copilot.tokens
    show_secret(f"GitHub token: {tokens.github_token()}")
    try:
        show_secret(f"Copilot token: {tokens.current().value}")
    except GatewayError as error:
        warn(f"There is no Copilot token to show: {error.message}")


def _serve(
    session: Session, models: Sequence[Model], choice: claude_code.Choice | None, *, dev: bool
) -> None:
    from handlers import create_app  # noqa: PLC0415 - Flask is slow to import, and refusals come before
    from handlers.guard import body_allowance  # noqa: PLC0415
    from infra.local.server import serve, serve_dev  # noqa: PLC0415

    current, services = session.settings, session.services
    if services.approvals is not None and can_ask():
        services.approvals.attend(approving.ask_in_terminal)

    def on_ready(port: int) -> None:
        _announce(services, base_url(current.host, port), models, choice)

    app = create_app(services)
    if current.capture_dir:
        _capture(app, services)
    try:
        if dev:
            serve_dev(app, current.host, current.port, on_ready=on_ready)
            return
        serve(
            app, current.host, current.port,
            allowance=body_allowance(services), patience=_patience(current), chore=services.ledger.tend,
            on_ready=on_ready,
        )  # fmt: skip
    finally:
        services.ledger.flush()


def _announce(
    services: "Services", url: str, models: Sequence[Model], choice: claude_code.Choice | None
) -> None:
    current, keyed = services.settings, services.keys is not None
    for line in introduction(url, models, keyed=keyed):
        say(line)
    if (upstream := stand_in(current)) is not None:
        warn(f"NOT GitHub Copilot: a stand-in at {upstream} answers.")
    if not is_loopback(current.host):
        warn("Other machines can reach the gateway. The connection is not encrypted: put TLS in front of it.")
    if current.manual and not can_ask():
        warn(f"There is no terminal to ask in: each request waits for your approval on {url}/dashboard.")
    if choice is not None:
        claude_code.announce(url, choice, keyed=keyed)
    say(f"Listening on {url} (Ctrl-C stops)", "bold green")


def _patience(current: Settings) -> Patience:
    return Patience(
        head=current.head_timeout,
        body=current.body_timeout,
        send=current.send_timeout,
        keep_alive=current.keep_alive,
    )


def _capture(app: "Flask", services: "Services") -> None:
    from infra.capture.store import install  # noqa: PLC0415 - on request only

    kept = (
        "prompts and answers as they are"
        if services.settings.capture_bodies == "full"
        else "without their words"
    )
    warn(
        f"Exchanges are captured in {install(app, services)}, {kept}. Take the setting out when you are done."
    )
