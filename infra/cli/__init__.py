"""The `copilot-gateway` command."""

from infra.cli.app import main

__all__ = ["main"]
