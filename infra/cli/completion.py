"""`copilot-gateway completion`: what completes the command in a shell."""

from typing import Final

import click
from click.shell_completion import get_completion_class

VARIABLE: Final = "_COPILOT_GATEWAY_COMPLETE"  # by which the shell's function asks, as click derives it
EPILOG: Final = """\b
To have it in every new shell:
  bash   copilot-gateway completion bash > ~/.local/share/bash-completion/completions/copilot-gateway
  zsh    copilot-gateway completion zsh > "${fpath[1]}/_copilot-gateway"
  fish   copilot-gateway completion fish > ~/.config/fish/completions/copilot-gateway.fish
"""


@click.command("completion", epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> None:
    """Print the completion for SHELL."""
    from infra.cli.app import PROGRAM, cli  # noqa: PLC0415 - which imports this module

    made = get_completion_class(shell)
    if made is None:  # the choices are click's own
        raise click.UsageError(f"click knows no completion for {shell}")
    click.echo(made(cli, {}, PROGRAM, VARIABLE).source())
