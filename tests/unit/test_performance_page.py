"""The figures that the documents show are those of one run."""

import json
import re
from typing import Any

import pytest

from benchmarks import page
from benchmarks.bench import FOUND

FIGURES: dict[str, Any] = json.loads(FOUND.read_text())


def between(text: str, name: str) -> str:
    found = re.search(rf"<!-- {name}: .*? -->\n(.*?)<!-- end of {name} -->", text, re.DOTALL)
    assert found is not None
    return found[1].strip()


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (page.PAGE.read_text(), "figures", page.table(FIGURES)),
        (page.PAGE.read_text(), "details", page.details(FIGURES).strip()),
        (page.README.read_text(), "figures", page.front(FIGURES)),
    ],
    ids=["page", "details", "README"],
)
def test_documents_show_the_figures_of_one_run(text: str, name: str, expected: str) -> None:
    """Written by `make bench ARGS=--page`."""
    assert expected == between(text, name)


def test_every_target_was_measured() -> None:
    assert [] == [row[0] for row in page.TARGETS if page.figure(FIGURES, row[1]) is None]


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no marks for figures"):
        page.between("nothing", "figures", "a table")
