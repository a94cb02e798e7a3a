"""`copilot-gateway auth`: log in to GitHub without starting the server."""

import click

from core.errors import GatewayError
from infra.cli.console import say, show_secret, warn
from infra.cli.notice import NOTICE
from infra.cli.options import settings, show_token_option, verbose_option
from infra.cli.session import Session
from infra.cli.stage import Place, stage_options, stage_secrets


@click.command("auth")
@verbose_option
@show_token_option
@click.option("--force", is_flag=True, help="Log in anew, also when a login is stored.")
@click.option("--browser", is_flag=True, help="Open GitHub's page in the browser.")
@stage_options
def command(*, force: bool, browser: bool, place: Place, **flags: bool | None) -> None:
    """Log in to GitHub without starting the server.

    Shows a short code to enter on GitHub's page; the login is kept in the data directory, readable by you only, or
    with --stage in AWS Secrets Manager.
    """
    session = Session(settings(flags), secrets=stage_secrets(place) if place.stage else None)
    say(NOTICE)
    if session.settings.github_token:
        warn(
            "A GitHub token is set (COPILOT_GATEWAY_GITHUB_TOKEN, GH_TOKEN or config.toml): it goes before this login."
        )
    elif not force and session.token_source() == "stored" and _still_good(session):
        return
    token = session.log_in(browser=browser)
    where = f"AWS Secrets Manager ({place.stage})" if place.stage else session.settings.data_dir
    say(f"The login is kept in {where}.")
    if session.settings.show_token:
        show_secret(f"GitHub token: {token}")


def _still_good(session: Session) -> bool:
    """Say whether the stored login works; a login that cannot be checked now counts as good."""
    try:
        name = session.services.quota().login
    except GatewayError as error:
        if error.kind in {"login_required", "authentication"}:
            warn(f"The stored login does not work any more: {error.message}")
            return False
        warn(f"A login is stored, but could not be checked: {error.message}")
    else:
        say(f"Already logged in as {name}. To log in anew, add --force.", "green")
    return True
