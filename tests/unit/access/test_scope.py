"""Which surfaces and models a key may use."""

import pytest

from core.access.caller import Caller, Limits
from core.access.scope import SURFACES, check_model, check_surface, may_use
from core.errors import GatewayError
from core.model import Model

ANYTHING = Caller("laptop")


def key(**limits: tuple[str, ...]) -> Caller:
    return Caller("agent", Limits(**limits))  # type: ignore[arg-type]  # surfaces and models are tuples


@pytest.mark.parametrize("surface", SURFACES)
def test_a_key_without_limits_may_use_everything(surface: str) -> None:
    check_surface(ANYTHING, surface)
    check_model(ANYTHING, "gpt-4.1")


def test_a_refusal_names_the_surface_and_what_the_key_may_use() -> None:
    with pytest.raises(GatewayError) as caught:
        check_surface(key(surfaces=("chat", "embeddings")), "messages")
    error = caught.value
    assert (403, "permission", "surface_not_allowed") == (error.status, error.kind, error.code)
    assert "The key agent may not use messages; it may use chat, embeddings." == error.message


@pytest.mark.parametrize(("surface", "may"), [("messages", True), ("responses", True), ("chat", False)])
def test_who_may_ask_may_count(surface: str, *, may: bool) -> None:
    caller = key(surfaces=(surface,))
    if may:
        check_surface(caller, "count_tokens")
    else:
        with pytest.raises(GatewayError):
            check_surface(caller, "count_tokens")


@pytest.mark.parametrize("model", ["claude-opus-5", "CLAUDE-haiku-4.5", "gpt-4.1"])
def test_a_pattern_stands_for_models_in_any_case(model: str) -> None:
    check_model(key(models=("claude-*", "GPT-4.1")), model)


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "my-claude-x", "auto", ""])
def test_another_model_is_refused_by_name(model: str) -> None:
    with pytest.raises(GatewayError) as caught:
        check_model(key(models=("claude-*", "gpt-4.1")), model)
    assert (403, "model_not_allowed") == (caught.value.status, caught.value.code)
    assert f"the model {model}; it may use claude-*, gpt-4.1." in caught.value.message


def test_auto_may_be_allowed_by_its_own_name() -> None:
    check_model(key(models=("auto",)), "claude-opus-5", "auto")
    with pytest.raises(GatewayError):
        check_model(key(models=("auto",)), "claude-opus-5")


def test_the_list_shows_what_the_key_may_use() -> None:
    models = [Model(id="claude-opus-5"), Model(id="gpt-4.1"), Model(id="text-embedding-3", kind="embeddings")]

    def listed(limits: Limits) -> list[str]:
        return [model.id for model in models if may_use(limits, model)]

    assert [model.id for model in models] == listed(Limits(per_minute=1))
    assert ["claude-opus-5"] == listed(Limits(models=("claude-*",)))
    assert ["text-embedding-3"] == listed(Limits(surfaces=("embeddings",)))
    assert ["claude-opus-5", "gpt-4.1"] == listed(Limits(surfaces=("responses",)))


def test_only_a_key_without_limits_is_an_owners() -> None:
    assert [True, False] == [ANYTHING.is_owner, key(models=("*",)).is_owner]
