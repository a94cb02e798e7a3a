"""GitHub's and Copilot's HTTP APIs."""
