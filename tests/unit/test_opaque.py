"""Signatures travel through foreign clients and come home unchanged."""

from hypothesis import given
from hypothesis import strategies as st

from core.canonical import Opaque
from core.opaque import PREFIX, comes_home, seal, unseal

DIALECTS = st.sampled_from(["chat", "messages", "responses"])
TEXT = st.text(st.characters(blacklist_categories=["Cs"]))
OPAQUES = st.builds(Opaque, DIALECTS, TEXT.filter(lambda text: not text.startswith(PREFIX)), TEXT, TEXT)


@given(OPAQUES, DIALECTS)
def test_a_sealed_value_comes_back(opaque: Opaque, surface: str) -> None:
    """AC-07, AC-31."""
    back = unseal(seal(opaque, surface), surface)
    assert (opaque.dialect, opaque.value, opaque.item_id) == (back.dialect, back.value, back.item_id)
    assert back.scope in {opaque.scope, ""}


def test_a_native_signature_stays_bare() -> None:
    assert seal(Opaque("messages", "EqQB…", scope="a1"), "messages") == "EqQB…"


@given(TEXT, DIALECTS)
def test_any_text_unseals_to_something(text: str, surface: str) -> None:
    assert isinstance(unseal(PREFIX + text, surface), Opaque)
    assert isinstance(unseal(text, surface), Opaque)


def test_another_accounts_value_stays_out() -> None:
    """AC-60."""
    assert comes_home(Opaque("chat", "x", scope="a"), "chat", "a")
    assert comes_home(Opaque("chat", "x"), "chat", "a")
    assert not comes_home(Opaque("chat", "x", scope="b"), "chat", "a")
    assert not comes_home(Opaque("chat", "x", scope="a"), "messages", "a")
