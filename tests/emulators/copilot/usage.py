"""Token counts that agree with each other, and the prices Copilot adds to them."""

from typing import Final

from tests.emulators.copilot.conversation import Answer, Conversation, Usage, output_tokens, tokens_in
from tests.emulators.copilot.shapes import Obj, encode
from tests.emulators.copilot.state import FakeState

BATCH: Final = 1_000_000
NANO: Final = 1_000_000_000
COSTS: Final = {"input": 300, "cache_read": 30, "cache_write": 375, "output": 1500}


def measure(state: FakeState, account: str, asked: Conversation, answer: Answer, *, writes: bool) -> Usage:
    """Count a reply; `writes` says that cache writes are reported (messages only)."""
    texts = [
        call.arguments if isinstance(call.arguments, str) else encode(call.arguments).decode()
        for call in answer.calls
    ]
    reasoning = tokens_in(answer.thinking)
    prompt = asked.prompt_tokens
    usage = Usage(prompt, output_tokens(answer, texts) + reasoning, reasoning)
    _apply_cache(state, (account, asked.model), asked, usage)
    if not writes:
        usage.cache_write = usage.cache_write_hour = 0
    return usage


def _apply_cache(state: FakeState, owner: tuple[str, str], asked: Conversation, usage: Usage) -> None:
    key, total = hash(owner), 3
    for segment in asked.segments:
        key, total = hash((key, segment.text)), total + segment.tokens
        if not segment.mark or total < state.cache_minimum:
            continue
        if state.prefixes.seen(key):
            usage.cache_read = total
            usage.cache_write = usage.cache_write_hour = 0
        else:
            state.prefixes.remember(key)
            usage.cache_write = total - usage.cache_read
            usage.cache_write_hour = usage.cache_write if segment.hour else 0


def copilot_usage(usage: Usage) -> Obj:
    """Return the price list entry that accompanies usage."""
    counts = {
        "input": usage.prompt - usage.cache_read - usage.cache_write,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "output": usage.output,
    }
    details = [
        {"batch_size": BATCH, "cost_per_batch": COSTS[kind] * NANO, "token_count": count, "token_type": kind}
        for kind, count in counts.items()
        if count or kind in {"input", "output"}
    ]
    total = sum(COSTS[kind] * NANO * count // BATCH for kind, count in counts.items())
    return {"token_details": details, "total_nano_aiu": total}
