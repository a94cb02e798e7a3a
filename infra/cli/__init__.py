"""The copilot-gateway command."""
