"""The engine: canonical model, dialects, routing, the Copilot client. No Flask, no environment."""
