"""The key that a client presents."""

import pytest

from core.access.caller import Caller
from core.access.keys import KeyCheck
from core.settings import Secret


def test_right_key_is_named() -> None:
    assert KeyCheck(Secret("s3cret")).authenticate("s3cret") == Caller("static")


@pytest.mark.parametrize("presented", ["", "s3cre", "s3cret ", "S3CRET", "s3cret\0", "\ud800", "ключ"])
def test_any_other_key_is_refused(presented: str) -> None:
    assert KeyCheck(Secret("s3cret")).authenticate(presented) is None


def test_empty_key_would_let_everybody_in_so_it_is_no_key() -> None:
    with pytest.raises(ValueError, match="empty"):
        KeyCheck(Secret(""))
