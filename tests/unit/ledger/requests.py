"""Finished requests for the ledger's tests."""

from typing import Any

from core.access.caller import Caller
from core.canonical import Usage
from core.exchange import Exchange


def done(key: str = "laptop", model: str = "gpt-4.1", **members: Any) -> Exchange:
    """Return a request that went well, but for what is said of it."""
    usual: dict[str, Any] = {
        "id": "req_1", "began_at": 0.0, "caller": Caller(key), "surface": "chat", "model": model, "status": 200,
        "usage": Usage(100, 20, cache_read_tokens=60, cache_write_tokens=5, reasoning_tokens=7), "credits": 0.25,
        "first_token": 0.3, "duration": 2.0,
    }  # fmt: skip
    return Exchange(**(usual | members))


def failed(kind: str = "rate_limit", status: int = 429, **members: Any) -> Exchange:
    """Return a request that failed before it cost anything."""
    usual: dict[str, Any] = {
        "error": kind,
        "usage": None,
        "credits": None,
        "first_token": None,
        "duration": 0.1,
    }
    return done(status=status, **(usual | members))
