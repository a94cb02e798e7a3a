"""`python -m infra.cli` is `copilot-gateway`."""

from infra.cli.app import main

main()
