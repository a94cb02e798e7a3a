"""What a request cost."""

import json

import pytest

from core.canonical import Usage
from core.dialects.chat import CHAT
from core.dialects.messages import MESSAGES
from core.dialects.responses import RESPONSES
from core.ledger.prices import credits_of
from core.model import Prices

PRICES = Prices(input=300, output=1500, cache_read=30, cache_write=375)
LONG = Prices(input=600, output=2250, cache_read=60, cache_write=750, context_max=1_000_000)
TIERED = Prices(input=300, output=1500, cache_read=30, cache_write=375, context_max=200_000, beyond=LONG)
USAGE = Usage(1_000_000, 100_000, cache_read_tokens=600_000, cache_write_tokens=200_000)


@pytest.mark.parametrize(
    ("usage", "prices", "expected"),
    [
        (USAGE, PRICES, 60 + 18 + 75 + 150),
        (USAGE, Prices(input=300, output=1500), 300 + 150),
        (USAGE, Prices(batch=1000, input=0.3, output=1.5), 300 + 150),
        (Usage(1, 1, nano_credits=2_500_000_000), PRICES, 2.5),
        (Usage(1, 1, nano_credits=0), PRICES, 0.0),
        (USAGE, None, None),
        (USAGE, Prices(batch=0, input=1), None),
        (USAGE, TIERED, 120 + 36 + 150 + 225),
        (Usage(200_000, 100_000), TIERED, 60 + 150),
        (Usage(200_001, 0, cache_read_tokens=200_000), TIERED, 0.0006 + 12),
        (USAGE, Prices(input=300, output=1500, beyond=LONG), 300 + 150),  # nobody says from where on
        (USAGE, Prices(input=300, output=1500, context_max=9), 300 + 150),
        (Usage(input_tokens=5, cache_read_tokens=9), Prices(batch=1, input=1, cache_read=1), 9.0),
    ],
)
def test_upstreams_own_price_comes_first_then_the_catalogues(
    usage: Usage, prices: Prices | None, expected: float | None
) -> None:
    spent = credits_of(usage, prices)
    assert spent == (None if expected is None else pytest.approx(expected))


CHAT_BODY = {
    "choices": [],
    "usage": {
        "prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
    "copilot_usage": {"total_nano_aiu": 77},
}  # fmt: skip
MESSAGES_BODY = {
    "content": [],
    "usage": {
        "input_tokens": 5,
        "output_tokens": 4,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 1,
    },
    "copilot_usage": {"total_nano_aiu": 77},
}
RESPONSES_BODY = {
    "output": [],
    "usage": {
        "input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 3},
        "output_tokens_details": {"reasoning_tokens": 2},
    },
    "copilot_usage": {"total_nano_aiu": 77},
}  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "body", "expected"),
    [
        (CHAT, CHAT_BODY, Usage(9, 4, 3, 0, 2, 77)),
        (MESSAGES, MESSAGES_BODY, Usage(9, 4, 3, 1, 0, 77)),
        (RESPONSES, RESPONSES_BODY, Usage(9, 4, 3, 0, 2, 77)),
        (CHAT, MESSAGES_BODY, None),  # another dialect's: nobody may take it for nothing used
    ],
    ids=["chat", "messages", "responses", "foreign"],
)
def test_complete_reply_tells_what_it_used(dialect: object, body: object, expected: Usage | None) -> None:
    assert expected == dialect.reply_usage(json.dumps(body).encode())  # type: ignore[attr-defined]


@pytest.mark.parametrize("dialect", [CHAT, MESSAGES, RESPONSES], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b"{}", b'{"usage": null}', b'{"usage": 5}', b'{"usage": [1]}', b"[" * 9999],
)
def test_reply_without_usage_tells_none(dialect: object, body: bytes) -> None:
    assert dialect.reply_usage(body) is None  # type: ignore[attr-defined]
