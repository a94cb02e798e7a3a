"""Count tokens locally, with vocabularies that ship in the package."""

import math
import zlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import accumulate, pairwise
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from tiktoken import Encoding

Family = Literal["claude", "other"]
Vocabulary = Literal["o200k_base", "cl100k_base"]

# Claude's tokenizer is not published. Users who compared o200k x 1.15 with Anthropic's own count found it up to 40 %
# short on agents' prompts, and since Opus 4.7 the same text makes 1.2 to 1.45 times the tokens it made before. A count
# that is too high makes an agent compact early; one that is too low ends its session with a 400. So: high.
CLAUDE_FACTOR: Final = 1.6

SIZE: Final[dict[Vocabulary, int]] = {"o200k_base": 199_998, "cl100k_base": 100_256}

_LETTER_END: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_LOWER: Final = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_UPPER: Final = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
# How o200k_base cuts text into pieces before merging: part of the encoding, as its vocabulary is.
_O200K_PIECES: Final = "|".join(
    [
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_LETTER_END}",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_LETTER_END}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)

# tiktoken overflows its stack on a megabyte of spaces; slices keep time and memory linear, at one token a border.
_SLICE: Final = 32_768

_loading: Final = Lock()


def count_text(text: str, family: Family = "other", *, claude_factor: float = CLAUDE_FACTOR) -> int:
    """Count the tokens of any string; special tokens' names count as ordinary text.

    Exact for OpenAI's models since gpt-4o; for `claude` that count times `claude_factor`, rounded up. The first call
    loads the vocabulary (about 0.3 s, 80 MB).
    """
    encode = _o200k().encode_ordinary
    count = sum(len(encode(text[start : start + _SLICE])) for start in range(0, len(text), _SLICE))
    return math.ceil(count * claude_factor) if family == "claude" else count


def token_bytes(ids: Sequence[int]) -> bytes:
    """Return the bytes that token ids stand for; embeddings input may be ids, and upstream takes only text.

    Raises ValueError for an id that the vocabulary of OpenAI's embedding models lacks.
    """
    tokens = _tokens("cl100k_base")
    for number in ids:
        if not 0 <= number < len(tokens):
            raise ValueError(f"{number} is not a token of cl100k_base")
    return b"".join(tokens[number] for number in ids)


def _o200k() -> "Encoding":
    with _loading:  # two threads would each build 80 MB
        return _load_o200k()


@cache
def _load_o200k() -> "Encoding":
    # Imported here: most runs never count.
    from tiktoken import Encoding  # noqa: PLC0415

    ranks = {token: rank for rank, token in enumerate(read_vocabulary("o200k_base"))}
    return Encoding("o200k_base", pat_str=_O200K_PIECES, mergeable_ranks=ranks, special_tokens={})


@cache
def _tokens(vocabulary: Vocabulary) -> list[bytes]:
    return read_vocabulary(vocabulary)


def read_vocabulary(vocabulary: Vocabulary) -> list[bytes]:
    """Read a vocabulary's tokens in order of rank; the file form is described beside the files."""
    packed = (files("core") / "vocabulary" / f"{vocabulary}.zlib").read_bytes()
    table = zlib.decompress(packed)
    borders = accumulate(table[: SIZE[vocabulary]], initial=SIZE[vocabulary])
    return [table[start:end] for start, end in pairwise(borders)]
