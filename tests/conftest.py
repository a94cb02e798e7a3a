"""What holds for every test."""

import logging
from collections.abc import Iterator

import pytest

from infra.logs.records import OURS


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Take back what a command or a function set up for its own process, so that no test hears less than it should."""
    root = logging.getLogger()
    handlers, levels = list(root.handlers), {name: logging.getLogger(name).level for name in (None, *OURS)}
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
