"""Months of plausible traffic for the ledger, the same each time: what charts and screenshots show."""

import random

from core.access.caller import Caller
from core.canonical import Usage
from core.exchange import Exchange
from core.ledger.ledger import Ledger
from core.ports import StateStore

HOUR = 3600.0
MODELS = (
    ("claude-sonnet-4.6", "messages", 9), ("gpt-5-mini", "chat", 7), ("gpt-5.4", "responses", 4),
    ("claude-haiku-4.5", "messages", 3), ("gemini-3-pro", "chat", 1), ("text-embedding-3-small", "embeddings", 1),
)  # fmt: skip
KEYS = ("laptop", "laptop", "laptop", "ci", "phone")
FAILURES = (
    ("rate_limit", 429, "Sorry, you have exceeded your rate limit. Try again in 20 s."),
    ("overloaded", 503, ""),
    ("timeout", 504, "Copilot sent nothing for 300 s."),
    ("context_overflow", 400, ""),
)


def seed(state: StateStore, now: float, *, hours: int) -> None:
    """Write the traffic of so many hours until now (unix seconds)."""
    draw = random.Random(7)  # noqa: S311 - nothing secret
    moment = now
    ledger = Ledger(state, lambda: moment, lambda: moment, every=1e12)
    for back in range(hours, -1, -1):
        moment = now - back * HOUR
        busy = (
            max(0, 9 - abs(int(moment / HOUR) % 24 - 14)) if int(moment / HOUR / 24) % 7 not in {2, 3} else 1
        )
        for _ in range(draw.randint(0, busy)):
            ledger.note(_exchange(draw, f"req_{draw.getrandbits(128):032x}"))
    ledger.flush()


def _exchange(draw: random.Random, name: str) -> Exchange:
    model, surface, _ = draw.choices(MODELS, [weight for *_, weight in MODELS])[0]
    done = Exchange(
        id=name, began_at=0.0, surface=surface, model=model, requested=model, caller=Caller(draw.choice(KEYS)), status=200,
        streams=surface != "embeddings", admitted=True, duration=draw.uniform(2, 40),
    )  # fmt: skip
    if draw.random() < 0.03:
        kind, status, message = draw.choice(FAILURES)
        done.error, done.status, done.message, done.code = (
            kind,
            status,
            message,
            "idle_timeout" if kind == "timeout" else "",
        )
        done.upstream_id = ":".join(f"{draw.getrandbits(16):04X}" for _ in range(5))
        return done
    read = draw.randint(0, 60_000)
    done.usage = Usage(
        input_tokens=read + draw.randint(400, 9000),
        output_tokens=draw.randint(60, 2400),
        cache_read_tokens=read,
    )
    done.credits = done.usage.input_tokens / 90_000 + done.usage.output_tokens / 6000
    done.first_token = draw.lognormvariate(0.1, 0.6) if done.streams else None
    return done
