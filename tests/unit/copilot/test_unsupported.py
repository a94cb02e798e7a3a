"""What the model list tells about a refused model."""

import pytest

from core.copilot.unsupported import likely_reason, model_of
from core.model import Model
from core.outgoing import Outgoing

MODELS = (
    Model(id="open"),
    Model(id="closed", policy="unconfigured"),
    Model(id="elsewhere", dialects=("messages", "responses")),
    Model(id="nowhere", dialects=()),
    Model(id="embed", kind="embeddings", dialects=()),
)


@pytest.mark.parametrize(
    ("model", "path", "words"),
    [
        ("gone", "/chat/completions", "does not name it for this account"),
        ("closed", "/chat/completions", 'policy is "unconfigured"'),
        ("elsewhere", "/chat/completions", "on /v1/messages and /responses, not on /chat/completions."),
        ("nowhere", "/responses", "on no endpoint known here, not on /responses."),
        ("open", "/chat/completions", "closed to this client identity"),
        ("embed", "/embeddings", "closed to this client identity"),
    ],
)
def test_each_reason_has_its_words(model: str, path: str, words: str) -> None:
    assert words in likely_reason(model, path, MODELS)


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b'{"model":"a","x":[1]}', "a"), (b"{}", ""), (b"", ""), (b'{"model":1}', ""), (b"[" * 9999, ""), (b"\xff", "")],
)  # fmt: skip
def test_the_model_is_read_from_any_body(body: bytes, expected: str) -> None:
    assert model_of(Outgoing(path="/x", body=body)) == expected
