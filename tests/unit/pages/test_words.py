"""Figures and moments as the pages say them."""

import pytest

from handlers.pages import words


@pytest.mark.parametrize(
    ("amount", "said"),
    [(None, "–"), (0, "0"), (999, "999"), (9_999, "9,999"), (12_345, "12.3 k"), (999_400, "999 k"), (1_234_567, "1.23 M"), (2.5e9, "2.5 G"), (7e12, "7,000 G")],
)  # fmt: skip
def test_large_amounts_are_short(amount: float | None, said: str) -> None:
    assert said == words.brief(amount)


@pytest.mark.parametrize(
    ("amount", "said"),
    [(None, "–"), (0, "0"), (1204.4, "1,204"), (12.345, "12.35"), (0.5, "0.50"), (0.0031, "0.0031"), (-3.5, "-3.50")],
)  # fmt: skip
def test_credits_have_as_many_digits_as_say_something(amount: float | None, said: str) -> None:
    assert said == words.credits_(amount)


@pytest.mark.parametrize(
    ("part", "said"), [(None, "–"), (0, "0 %"), (0.031, "3.1 %"), (0.37, "37 %"), (1, "100 %")]
)
def test_parts_are_percents(part: float | None, said: str) -> None:
    assert said == words.percent(part)


@pytest.mark.parametrize(
    ("amount", "said"), [(None, "–"), (0.34, "340 ms"), (1.24, "1.2 s"), (59.9, "59.9 s"), (90, "1.5 min")]
)
def test_times_have_a_unit(amount: float | None, said: str) -> None:
    assert said == words.seconds(amount)


@pytest.mark.parametrize(
    ("amount", "said"),
    [(-5, "a moment"), (0.2, "a moment"), (1, "1 second"), (61, "2 minutes"), (3600, "1 hour"), (86_400, "1 day"), (200_000, "2 days")],
)  # fmt: skip
def test_what_is_left_is_said_in_one_unit(amount: float, said: str) -> None:
    assert said == words.lasting(amount)


@pytest.mark.parametrize(
    ("at", "said", "machine"),
    [
        (None, "–", ""),
        (1_795_445_100.0, "23 Nov 2026, 14:45", "2026-11-23T14:45:00Z"),
        (1e20, "–", ""),
        (float("nan"), "–", ""),
    ],
)
def test_moments_are_utc(at: float | None, said: str, machine: str) -> None:
    assert (said, machine) == (words.moment(at), words.iso(at))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-12-01", "1 Dec 2026"),
        ("2026-12-01T00:00:00.000Z", "1 Dec 2026"),
        ("2026-12-01T03:00:00+02:00", "1 Dec 2026, 01:00 UTC"),
        ("soon", "soon"),
        ("x" * 500, "x" * 60),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_what_upstream_calls_a_moment_is_read_or_shown_as_it_is(text: str, said: str) -> None:
    assert said == words.said_moment(text)
