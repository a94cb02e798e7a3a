"""Catalogue entries become models; broken ones are left out."""

import logging
from typing import Any

import msgspec
import pytest

from core.copilot.catalogue import decode_catalogue
from core.copilot.quirks import Quirks, quirks_of
from core.errors import GatewayError
from core.model import Model, Prices
from core.settings import Settings

SONNET: dict[str, Any] = {
    "id": "claude-sonnet-4.6",
    "name": "Claude Sonnet 4.6",
    "vendor": "Anthropic",
    "version": "claude-sonnet-4.6",
    "preview": False,
    "model_picker_enabled": True,
    "policy": {"state": "unconfigured", "terms": "x"},
    "billing": {
        "is_premium": True,
        "token_prices": {
            "batch_size": 1000000,
            "default": {
                "input_price": 300,
                "output_price": 1500,
                "cache_price": 30,
                "cache_write_price": 375,
                "context_max": 200000,
            },
            "long_context": {
                "input_price": 600,
                "output_price": 2250,
                "cache_read_price": 60,
                "cache_write_price": 750,
                "max_prompt_tokens": 1000000,
            },
        },
    },
    "capabilities": {
        "type": "chat",
        "family": "claude-sonnet-4.6",
        "limits": {
            "max_context_window_tokens": 264000,
            "max_prompt_tokens": 200000,
            "max_output_tokens": 64000,
            "max_non_streaming_output_tokens": 16000,
            "vision": {
                "max_prompt_image_size": 3145728,
                "max_prompt_images": 5,
                "supported_media_types": ["image/png"],
            },
        },
        "supports": {
            "tool_calls": True,
            "parallel_tool_calls": True,
            "structured_outputs": True,
            "vision": True,
            "adaptive_thinking": True,
            "min_thinking_budget": 1024,
            "max_thinking_budget": 32000,
            "reasoning_effort": ["high", "low", "max", "medium"],
        },
    },
    "warning_messages": [{"code": "client_version_deprecated", "message": "Update."}],
    "supported_endpoints": ["/v1/messages", "/chat/completions", "ws:/responses"],
}


def decoded(*entries: object, settings: Settings | None = None) -> tuple[Model, ...]:
    return decode_catalogue(msgspec.json.encode({"object": "list", "data": entries}), settings or Settings())


def test_a_full_entry_becomes_a_model() -> None:
    expected = Model(
        id="claude-sonnet-4.6",
        name="Claude Sonnet 4.6",
        vendor="Anthropic",
        family="claude-sonnet-4.6",
        version="claude-sonnet-4.6",
        kind="chat",
        dialects=("messages", "chat"),
        policy="unconfigured",
        warnings=("Update.",),
        context_window=264000,
        max_prompt=200000,
        max_output=64000,
        max_non_streaming_output=16000,
        vision=True,
        max_images=5,
        max_image_bytes=3145728,
        image_types=("image/png",),
        tools=True,
        parallel_tools=True,
        structured_outputs=True,
        efforts=("low", "medium", "high", "max"),
        thinking_budget=(1024, 32000),
        adaptive_thinking=True,
        prefill=False,
        prices=Prices(
            batch=1000000,
            input=300,
            output=1500,
            cache_read=30,
            cache_write=375,
            context_max=200000,
            beyond=Prices(
                batch=1000000, input=600, output=2250, cache_read=60, cache_write=750, context_max=1000000
            ),
        ),
    )
    assert decoded(SONNET) == (expected,)


def test_missing_endpoints_mean_chat_completions_only() -> None:
    assert decoded({"id": "gpt-4.1", "capabilities": {"type": "chat"}})[0].dialects == ("chat",)


def test_embeddings_have_no_dialect() -> None:
    model = decoded({"id": "e", "capabilities": {"type": "embeddings", "limits": {"max_inputs": 512}}})[0]
    assert ("embeddings", (), 512) == (model.kind, model.dialects, model.max_inputs)


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ({"default": {"input_price": 1, "cache_read_price": 2}}, Prices(input=1, cache_read=2)),
        ({"batch_size": 1000, "input_price": 1, "output_price": 3}, Prices(batch=1000, input=1, output=3)),
        ({"default": {"input_price": 1}, "long_context": {"context_max": 9}}, Prices(input=1)),
        ({"default": {"input_price": 1}, "long_context": "no"}, Prices(input=1)),
        ({"default": {"input_price": 1, "context_max": -5}}, Prices(input=1)),
        ({"default": {"promo": {}}}, None),
        ({}, None),
        (None, None),
        ("free", None),
    ],
)
def test_prices_are_read_in_every_spelling(prices: object, expected: Prices | None) -> None:
    assert expected == decoded({"id": "m", "billing": {"token_prices": prices}})[0].prices


def test_old_billing_without_prices_is_no_harm() -> None:
    assert decoded({"id": "m", "billing": {"is_premium": True, "multiplier": 1}})[0].prices is None


def test_broken_entries_are_skipped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        models = decoded({"id": 5}, "text", None, {}, {"id": ""}, {"id": "x", "capabilities": "no"}, SONNET)
    assert [model.id for model in models] == ["claude-sonnet-4.6"]
    assert len(caplog.records) == 6


@pytest.mark.parametrize("field", [name for name in SONNET if name not in {"id", "capabilities"}])
@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [None], -1.5])
def test_a_field_of_another_type_costs_only_itself(field: str, value: object) -> None:
    assert decoded({**SONNET, field: value})[0].id == "claude-sonnet-4.6"


def test_the_pickable_one_of_two_equal_ids_stays() -> None:
    hidden = {"id": "gpt-4.1", "model_picker_enabled": False, "name": "hidden"}
    assert [model.name for model in decoded(hidden, {"id": "gpt-4.1", "name": "shown"}, hidden)] == ["shown"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data":{}}', b'{"data":[]}', b'{"data":[{}]}', b"<html>"])
def test_no_list_is_an_error(body: bytes) -> None:
    with pytest.raises(GatewayError):
        decode_catalogue(body, Settings())


COMPLETION = Quirks(output_limit_name="max_completion_tokens", sampling=False)


@pytest.mark.parametrize(
    ("model_id", "expected"),
    [
        ("gpt-4.1", Quirks()),
        ("gpt-4o", Quirks()),
        ("gpt-41-copilot", Quirks()),
        ("gpt-3.5-turbo", Quirks()),
        ("gpt-5-mini", COMPLETION),
        ("gpt-5.4", COMPLETION),
        ("gpt-6.1-sol", COMPLETION),
        ("gpt-12", COMPLETION),
        ("o1", COMPLETION),
        ("o4-mini", COMPLETION),
        ("gpt-5.3-codex", COMPLETION),
        ("mai-code-1.1-flash", Quirks(sampling=False)),
        ("gemini-3.8-flash", Quirks()),
        ("grok-4.5", Quirks()),
        ("kimi-k3", Quirks(sampling=False, numbered_call_ids=True)),
        ("claude-haiku-4.5", Quirks()),
        ("claude-sonnet-4", Quirks()),
        ("claude-sonnet-4.5", Quirks()),
        ("claude-sonnet-4.6", Quirks(prefill=False)),
        ("claude-opus-4.6", Quirks(prefill=False)),
        ("claude-opus-4.8-fast", Quirks(prefill=False, adaptive_only=True, sampling=False, mid_system=True)),
        ("claude-opus-5.5", Quirks(prefill=False, adaptive_only=True, sampling=False, mid_system=True)),
        ("claude-sonnet-5", Quirks(prefill=False, mid_system=True)),
        ("claude-fable-5.1", Quirks(prefill=False, mid_system=True)),
    ],
)
def test_quirks_follow_family_and_generation(model_id: str, expected: Quirks) -> None:
    """AC-65."""
    assert expected == quirks_of(model_id, {})


def test_an_adaptive_only_model_takes_no_budget() -> None:
    model = decoded({**SONNET, "id": "claude-opus-4.8"})[0]
    assert (None, True, False) == (model.thinking_budget, model.adaptive_thinking, model.sampling)


def test_the_operator_corrects_what_we_believe() -> None:
    corrections: dict[str, dict[str, bool | str]] = {
        "gpt-5*": {"sampling": True, "output_limit_name": "max_tokens", "odd": 1}
    }
    assert quirks_of("gpt-5.4", corrections) == Quirks()
