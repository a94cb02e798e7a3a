"""The official openai SDK on embeddings and models, and the exceptions that it raises for upstream's refusals."""

import math
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.hosting import ONLY_MESSAGES, Wire
from tests.emulators.copilot import FakeCopilot

# The SDK asks for base64 by default and decodes it after validating the reply, so it cannot validate strictly.
EMBEDDER = "text-embedding-3-small"
CHAT = ["gpt-4.1", ONLY_MESSAGES, "gpt-5.5"]
HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def lenient(gateway: Wire) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="local", base_url=gateway.url, max_retries=0) as client:
        yield client


def test_embeddings_come_as_floats_whichever_encoding_travels(lenient: openai.OpenAI) -> None:
    """AC-64."""
    default = lenient.embeddings.create(model=EMBEDDER, input="a sentence")
    floats = lenient.embeddings.create(model=EMBEDDER, input=["a sentence"], encoding_format="float")
    assert len(default.data[0].embedding) == 1536
    pairs = zip(default.data[0].embedding, floats.data[0].embedding, strict=True)
    assert all(math.isclose(one, other, abs_tol=1e-6) for one, other in pairs)
    assert (EMBEDDER, "list", 0) == (default.model, default.object, default.data[0].index)
    assert default.usage.prompt_tokens > 0


def test_token_arrays_and_dimensions_are_embedded(lenient: openai.OpenAI) -> None:
    """Upstream reads text: the same vectors come back as for the words."""
    by_ids = lenient.embeddings.create(model=EMBEDDER, input=[[15339, 1917], [15339]], dimensions=8)
    by_words = lenient.embeddings.create(model=EMBEDDER, input=["hello world", "hello"], dimensions=8)
    assert [vector.embedding for vector in by_words.data] == [vector.embedding for vector in by_ids.data]
    assert [8, 8] == [len(vector.embedding) for vector in by_ids.data]


def test_batches_over_the_models_limit_are_split_and_joined(
    lenient: openai.OpenAI, fake: FakeCopilot
) -> None:
    reply = lenient.embeddings.create(model=EMBEDDER, input=[f"text {n}" for n in range(1025)], dimensions=2)
    alone = lenient.embeddings.create(model=EMBEDDER, input="text 1024", dimensions=2)
    assert list(range(1025)) == [vector.index for vector in reply.data]
    assert reply.data[1024].embedding == alone.data[0].embedding
    assert len(fake.requests("/embeddings")) == 4


def test_embedding_with_a_chat_model_is_refused(oai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        oai.embeddings.create(model="gpt-4.1", input="x")


def test_models_are_listed_and_retrieved(oai: openai.OpenAI) -> None:
    """AC-53."""
    ids = [model.id for model in oai.models.list()]
    assert {"gpt-4.1", "claude-sonnet-4.6", "gpt-5.5", EMBEDDER} <= set(ids)
    one = oai.models.retrieve("gpt-4.1")
    extra = one.model_extra or {}
    assert ("gpt-4.1", "model", 128_000, 16_384) == (
        one.id, one.object, extra["max_input_tokens"], extra["max_output_tokens"],
    )  # fmt: skip


def test_dated_id_is_retrieved_as_its_model(oai: openai.OpenAI) -> None:
    """AC-47."""
    assert "claude-sonnet-4.6" == oai.models.retrieve("claude-sonnet-4-6-20260101").id


def test_unknown_model_names_the_nearest(oai: openai.OpenAI) -> None:
    """AC-47."""
    for ask in (
        lambda: oai.models.retrieve("gpt-4.7"),
        lambda: oai.chat.completions.create(model="gpt-4.7", messages=HELLO),
        lambda: oai.responses.create(model="gpt-4.7", input="hello"),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            ask()
        assert "gpt-4.1" in caught.value.message
        assert caught.value.code == "model_not_found"


def test_unknown_embeddings_model_names_those_that_embed(oai: openai.OpenAI) -> None:
    """AC-47."""
    with pytest.raises(openai.NotFoundError) as caught:
        oai.embeddings.create(model="text-embedding-3-large", input="hello")
    assert EMBEDDER in caught.value.message
    assert "gpt-" not in caught.value.message


@pytest.mark.parametrize(
    ("status", "body", "raised", "code"),
    [
        (400, {"message": "thinking: bad"}, openai.BadRequestError, None),
        (402, {"error": {"message": "You have no quota", "code": "quota_exceeded"}}, openai.RateLimitError, "quota_exceeded"),
        (403, {"error": {"message": "Terms of Service violation"}}, openai.PermissionDeniedError, None),
        (413, "Request Entity Too Large\n", openai.APIStatusError, None),
        (429, {"error": {"message": "slow down", "code": "user_model_rate_limited"}}, openai.RateLimitError, None),
        (500, "<html><title>Unicorn!</title></html>", openai.InternalServerError, None),
        (503, "busy", openai.InternalServerError, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("model", CHAT)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_raise_the_sdks_exceptions(
    *, oai: openai.OpenAI, fake: FakeCopilot, model: str, status: int, body: object, raised: type[openai.APIStatusError],
    code: str | None, stream: bool,
) -> None:  # fmt: skip
    """AC-48, AC-49, AC-50."""
    for path in ("/chat/completions", "/v1/messages", "/responses"):
        fake.force("POST", path, status, body, times=0)
    with pytest.raises(raised) as caught:
        oai.chat.completions.create(model=model, messages=HELLO, stream=stream)
    assert caught.value.message
    assert "<" not in caught.value.message.removeprefix("Error code")
    assert code in (None, caught.value.code)


def test_rate_limit_is_waited_out_and_retried_by_the_sdk(gateway: Wire, fake: FakeCopilot) -> None:
    """AC-48, AC-63: the gateway passes a 429 on; waiting is the client's."""
    fake.force(
        "POST", "/chat/completions", 429, {"error": {"message": "slow down"}}, headers={"retry-after": "0"}
    )
    with openai.OpenAI(api_key="local", base_url=gateway.url, max_retries=2) as client:
        raw = client.chat.completions.with_raw_response.create(model="gpt-4.1", messages=HELLO)
    assert (1, 2) == (raw.retries_taken, len(fake.requests("/chat/completions")))


def test_exhausted_quota_is_not_retried_by_the_sdk(gateway: Wire, fake: FakeCopilot) -> None:
    fake.account.quota_code = "quota_exceeded"
    with (
        openai.OpenAI(api_key="local", base_url=gateway.url, max_retries=2) as client,
        pytest.raises(openai.RateLimitError),
    ):
        client.chat.completions.create(model="gpt-4.1", messages=HELLO)
    assert len(fake.requests("/chat/completions")) == 1


def test_single_stumble_of_upstream_is_never_seen(oai: openai.OpenAI, fake: FakeCopilot) -> None:
    """AC-63."""
    fake.force("POST", "/chat/completions", 502, "bad gateway")
    assert oai.chat.completions.create(model="gpt-4.1", messages=HELLO).choices[0].message.content
    assert ["user", "agent"] == [entry.headers["x-initiator"] for entry in fake.requests("/chat/completions")]
