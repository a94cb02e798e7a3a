"""The hunt: cases from a seed, for as long as there is time; what breaks a law is made small and shown as a golden case.

`FUZZ_SECONDS`: how long each group of targets is fed. `FUZZ_SEED`: what the cases follow from (default: a new one
each day). `FUZZ_CASE`: one case alone, by the name that a failure shows.
"""

import hashlib
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

ROOT: Final = Path(__file__).parents[2]
KEPT: Final = ROOT / ".make" / "found"
SECONDS: Final = float(os.environ.get("FUZZ_SECONDS", "50"))
SEED: Final = os.environ.get("FUZZ_SEED") or time.strftime("%Y-%m-%d")
# Calls of functions that a case may cost: a constant and so many a byte. A case is one input fed in five ways.
STEPS: Final = (60_000, 600)
WATCHED: Final = 16  # every so many cases are counted
TRIES: Final = 400  # for making an input small


class Target(Struct, frozen=True):
    """What is fed. `make` draws an input; `hold` raises where a law is broken by it."""

    name: str
    make: Callable[[random.Random], bytes]
    hold: Callable[[bytes], None]


def hunt(target: Target, seconds: float, *, most: int = sys.maxsize) -> int:
    """Feed cases until the time is over; return how many. Raises AssertionError with the smallest input that breaks a law."""
    only = os.environ.get("FUZZ_CASE")
    if only:
        _judge(target, only, watched=True)
        return 1
    end, count = time.monotonic() + seconds, 0
    while count < most and (count == 0 or time.monotonic() < end):
        _judge(target, f"{SEED}:{target.name}:{count}", watched=count % WATCHED == 0)
        count += 1
    return count


def _judge(target: Target, case: str, *, watched: bool) -> None:
    made = target.make(random.Random(case))  # noqa: S311 - a test must repeat itself
    try:
        with counted(target, len(made)) if watched else _unwatched():
            target.hold(made)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        small = smallest(target, made, error)
        raise AssertionError(shown(target, case, small, error)) from error


@contextmanager
def _unwatched() -> Iterator[None]:
    yield


@contextmanager
def counted(target: Target, size: int) -> Iterator[None]:
    """Count the calls inside; AssertionError when there are more than the size of the input explains."""
    steps = 0

    def step(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal steps
        steps += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        yield
    finally:
        sys.setprofile(before)
    base, each = STEPS
    assert steps <= base + each * size, f"{target.name} took {steps} steps for {size} bytes"


def smallest(target: Target, data: bytes, found: BaseException) -> bytes:
    """Leave out what the failure does not need: events, then lines, then bytes."""
    left = TRIES

    def fails(candidate: bytes) -> bool:
        nonlocal left
        left -= 1
        try:
            target.hold(candidate)
        except BaseException as error:  # noqa: BLE001 - whatever it was the first time
            return likeness(error) == likeness(found)
        return False

    for separator in (b"\n\n", b"\n", b",", b""):
        size = max(1, len(_parts(data, separator)) // 2)
        while size and left > 0:
            parts, at = _parts(data, separator), 0
            while at < len(parts) and left > 0:
                shorter = parts[:at] + parts[at + size :]
                if len(shorter) < len(parts) and fails(separator.join(shorter)):
                    parts = shorter
                else:
                    at += size
            data = separator.join(parts)
            size //= 2
    return data


def likeness(error: BaseException) -> tuple[type[BaseException], str]:
    """Tell failures apart by their kind and their first words."""
    return type(error), str(error)[:12]


def _parts(data: bytes, separator: bytes) -> Sequence[bytes]:
    return data.split(separator) if separator else [data[at : at + 1] for at in range(len(data))]


def shown(target: Target, case: str, data: bytes, error: BaseException) -> str:
    """Return the failure as words that can be acted on, and keep its input."""
    kept = KEPT / target.name / hashlib.sha256(data).hexdigest()[:12]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(data)
    return (
        f"{target.name}: {type(error).__name__}: {error}\n"
        f"again: FUZZ_CASE='{case}' make fuzz ARGS='-k {target.name}'\n"
        f"golden case: mv {kept.relative_to(ROOT)} tests/golden/found/{target.name}/what_is_wrong\n{data!r}"
    )
