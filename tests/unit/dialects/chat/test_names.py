"""Names that every upstream accepts."""

import re

from hypothesis import given
from hypothesis import strategies as st

from core.names import full_name, restore, short_call_id, short_name

FITS = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@given(st.text(max_size=200))
def test_every_name_fits_and_comes_back(name: str) -> None:
    """AC-61."""
    short = short_name(name)
    assert FITS.fullmatch(short)
    assert name == restore([name]).get(short, short)
    assert FITS.fullmatch(short_call_id(name))


def test_names_that_fit_stay_and_others_stay_apart() -> None:
    """AC-61."""
    assert ("Read_file-2", {}) == (short_name("Read_file-2"), restore(["Read_file-2"]))
    assert short_name("x" * 65) != short_name("x" * 66)
    assert short_name("a.b") != short_name("a:b")


def test_dotted_ids_may_stay() -> None:
    assert "functions.read:0" == short_call_id("functions.read:0", dotted=True)
    assert "functions.read:0" != short_call_id("functions.read:0")


def test_a_namespace_is_part_of_the_flat_name() -> None:
    assert ("f", "ns__f") == (full_name("f"), full_name("f", "ns"))
