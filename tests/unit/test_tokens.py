"""Local token counting: right, robust, linear, offline and lazy."""

import base64
import hashlib
import math
import socket
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.tokens import CLAUDE_FACTOR, SIZE, Vocabulary, count_text, read_vocabulary, token_bytes

ROOT = Path(__file__).parents[2]

# SHA-256 of OpenAI's own files, as tiktoken 0.14 states them.
PUBLISHED: dict[Vocabulary, str] = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}

# Counts on which three independent implementations agree.
KNOWN = {
    "": 0,
    "hello world": 2,
    "1234567890": 4,
    "def f(x):\n    return x**2\n": 10,
    "I'LL don't's": 5,
    "    \n\n  x\t": 4,
    "नमस्ते दुनिया": 5,
    "你好，世界": 3,
    "👩\u200d👩\u200d👧\u200d👦": 11,
    "a\x00b\ufffd": 4,
}


@pytest.mark.parametrize("vocabulary", PUBLISHED)
def test_vocabulary_is_the_published_one(vocabulary: Vocabulary) -> None:
    tokens = read_vocabulary(vocabulary)
    lines = [base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens)]
    assert len(tokens) == SIZE[vocabulary]
    assert hashlib.sha256(b"".join(lines)).hexdigest() == PUBLISHED[vocabulary]


@pytest.mark.parametrize("text", KNOWN)
def test_counts_agree_with_other_implementations(text: str) -> None:
    assert count_text(text) == KNOWN[text]


def test_names_of_special_tokens_are_ordinary_text() -> None:
    assert count_text("<|endoftext|>") == 7


@pytest.mark.parametrize("text", ["a\ud800b", "\udfff" * 100_000, "\x00" * 10, "\ufffe\uffff", "\u0301" * 10])
def test_odd_strings_are_counted(text: str) -> None:
    assert count_text(text) > 0


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(codec=None)))
def test_any_string_has_at_most_four_tokens_a_character(text: str) -> None:
    assert min(len(text), 1) <= count_text(text) <= 4 * len(text)


def test_claude_counts_are_higher_by_the_factor() -> None:
    """Users' trouble 54: a count that is too low lets an agent run into a hard 400."""
    text = "The quick brown fox jumps over the lazy dog. " * 20
    assert count_text(text, "claude") == math.ceil(count_text(text) * CLAUDE_FACTOR)
    assert count_text(text, "claude", claude_factor=1.0) == count_text(text)
    assert count_text("", "claude") == 0


@pytest.mark.parametrize("unit", ["a", " ", "\n", "=", "ab", "界", "\u2003", " \n", "\u0301"])
def test_repetition_costs_memory_in_proportion(unit: str) -> None:
    """A megabyte of one character: counted, in bounded memory, with the rate of a short run."""
    short, long = count_text(unit * 32_768), count_text(unit * (1_048_576 // len(unit)))
    tracemalloc.start()
    count_text(unit * 65_536)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert long == pytest.approx(short * 32 / len(unit), rel=0.01)
    assert peak < 32_000_000


def test_slices_add_at_most_a_token_a_border() -> None:
    from tiktoken import Encoding

    from core import tokens

    text = "Some ordinary prose, with numbers like 12345 and names like HTTPResponse.\n" * 3000
    whole: Encoding = tokens._o200k()
    assert 0 <= count_text(text) - len(whole.encode_ordinary(text)) <= len(text) // 32_768


def test_many_threads_count_alike() -> None:
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(count_text, ["hello world"] * 64)) == {2}


def test_token_ids_become_the_bytes_they_stand_for() -> None:
    """Embeddings input may be ids of cl100k_base: [15339, 1917] is `hello world`."""
    assert token_bytes([15339, 1917]) == b"hello world"
    assert token_bytes([]) == b""


@pytest.mark.parametrize("number", [-1, 100_256, 2**70])
def test_unknown_token_ids_are_named(number: int) -> None:
    with pytest.raises(ValueError, match=f"{number} is not a token of cl100k_base"):
        token_bytes([number])


def test_import_loads_neither_tokenizer_nor_vocabulary() -> None:
    script = "import sys, core.tokens; print('tiktoken' in sys.modules, core.tokens._load_o200k.cache_info().currsize)"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "0"]


def test_counting_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    from core import tokens

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("counting must not use the network")

    monkeypatch.setattr(socket, "socket", refuse)
    tokens._load_o200k.cache_clear()
    assert count_text("hello world") == 2
