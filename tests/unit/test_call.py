"""What the engine decides for a call beside the dialects."""

import msgspec
import pytest

from core.call import Engine
from core.canonical import Opaque
from core.model import Model
from core.opaque import seal
from core.settings import Settings
from core.surfaces import DIALECTS

MODELS = (
    Model(id="gemini-3.8-flash", vendor="Google"),
    Model(id="gpt-4.1", vendor="OpenAI"),
)
ENGINE = Engine(Settings(), DIALECTS, lambda: MODELS, lambda: "me", lambda: 1.0, lambda prefix: f"{prefix}1")


@pytest.mark.parametrize(("model", "sent"), [("gemini-3.8-flash", "SIGNED"), ("gpt-4.1", None)])
def test_a_signature_goes_back_to_its_own_vendor_only(model: str, sent: str | None) -> None:
    """AC-31: on chat, Gemini's signature means nothing to a GPT."""
    signature = seal(Opaque("chat", "SIGNED", scope="me/Google"), "messages")
    thinking = {"type": "thinking", "thinking": "hm", "signature": signature}
    ask = {
        "model": model,
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [thinking, {"type": "text", "text": "b"}]},
            {"role": "user", "content": "c"},
        ],
    }
    call = ENGINE.prepare(DIALECTS["messages"], msgspec.json.encode(ask))
    turns = msgspec.json.decode(call.outgoing.body)["messages"]
    assert sent == turns[1].get("reasoning_opaque")
    assert (sent is None) is ("thinking" in call.losses)
