"""JSON with comments is edited where it has to be and nowhere else."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.clients.jsonc import JsoncDocument
from infra.clients.paths import MISSING, Entry, FormatError, Place

SETTINGS = """\
// Zed settings
{
  /* the look */
  "theme": "One Dark", // dark is better
  "vim_mode": true,
  "language_models": {
    "openai": {
      "api_url": "https://api.openai.com/v1" // theirs
    },
  },
}
"""


def test_a_new_member_is_all_that_changes() -> None:
    document = JsoncDocument(SETTINGS)
    document.set(("language_models", "ours", "api_url"), "http://127.0.0.1:4141/v1")
    expected = SETTINGS.replace(
        "    },\n  },\n",
        '    },\n    "ours": {\n      "api_url": "http://127.0.0.1:4141/v1"\n    },\n  },\n',
    )
    assert expected == document.text


def test_a_member_after_the_last_goes_behind_its_comment() -> None:
    document = JsoncDocument(SETTINGS)
    document.set(("language_models", "openai", "models"), ["a"])
    expected = SETTINGS.replace(
        'v1" // theirs\n', 'v1", // theirs\n      "models": [\n        "a"\n      ]\n'
    )
    assert expected == document.text


def test_a_value_is_replaced_in_its_place() -> None:
    document = JsoncDocument(SETTINGS)
    document.set(("theme",), "Day")
    assert SETTINGS.replace('"One Dark"', '"Day"') == document.text


@pytest.mark.parametrize(
    ("before", "place", "after"),
    [
        ('{"a": 1}', ("b",), '{"a": 1, "b": 0}'),
        ('{"a": 1,}', ("b",), '{"a": 1, "b": 0,}'),
        ("{}", ("b",), '{\n  "b": 0\n}'),
        ("", ("b",), '{\n  "b": 0\n}\n'),
        ("// nothing yet\n", ("b",), '// nothing yet\n{\n  "b": 0\n}\n'),
        ("{\n}\n", ("b",), '{\n  "b": 0\n}\n'),
        ("{\n  // soon\n}\n", ("b",), '{\n  "b": 0\n  // soon\n}\n'),
        ("{ // mine\n}\n", ("b",), '{ // mine\n  "b": 0\n}\n'),
        ("{ /* mine */ }\n", ("b",), '{ /* mine */\n  "b": 0\n}\n'),
        ('{\n\t"a": 1\n}\n', ("b",), '{\n\t"a": 1,\n\t"b": 0\n}\n'),
        ('{\r\n  "a": 1\r\n}\r\n', ("b",), '{\r\n  "a": 1,\r\n  "b": 0\r\n}\r\n'),
        ('\N{ZERO WIDTH NO-BREAK SPACE}{\n  "a": 1\n}', ("b",), '\N{ZERO WIDTH NO-BREAK SPACE}{\n  "a": 1,\n  "b": 0\n}'),
        ('{\n    "a": {\n        "x": 1\n    }\n}', ("a", "b"), '{\n    "a": {\n        "x": 1,\n        "b": 0\n    }\n}'),
        ('{"a": 1, "a": 2}', ("a",), '{"a": 1, "a": 0}'),
    ],
)  # fmt: skip
def test_the_files_own_manner_is_kept(before: str, place: Place, after: str) -> None:
    document = JsoncDocument(before)
    document.set(place, 0)
    assert after == document.text


@pytest.mark.parametrize(
    ("text", "place", "left"),
    [
        ('{"a": 1, "b": 2}', ("b",), '{"a": 1}'),
        ('{"a": 1, "b": 2}', ("a",), '{ "b": 2}'),
        ('{\n  "a": 1, // one\n  "b": 2\n}\n', ("b",), '{\n  "a": 1 // one\n}\n'),
        ('{\n  "a": 1,\n  "b": 2, // two\n  "c": 3\n}\n', ("b",), '{\n  "a": 1,\n  "c": 3\n}\n'),
        ('{\n  "a": 1\n}\n', ("a",), "{}\n"),
        ('{\n  // why\n  "a": 1\n}\n', ("a",), "{\n  // why\n}\n"),
        ('{\n  "a": 1\n}\n', ("b",), '{\n  "a": 1\n}\n'),
        ('{\n  "a": 1\n}\n', ("b", "c"), '{\n  "a": 1\n}\n'),
    ],
)
def test_a_member_is_taken_out_with_its_line(text: str, place: Place, left: str) -> None:
    document = JsoncDocument(text)
    document.delete(place)
    assert left == document.text


@pytest.mark.parametrize("text", ["{ // mine\n}\n", "{ /* mine */ }\n", "{ /* mine\n */ }\n"])
def test_a_remark_in_an_empty_object_outlives_the_member(text: str) -> None:
    document = JsoncDocument(text)
    document.set(("a",), 1)
    document.delete(("a",))
    assert "mine" in document.text


def test_items_of_a_list_are_found_by_what_names_them() -> None:
    document = JsoncDocument('[\n  {"name": "theirs", "url": "x"}\n]\n')
    document.set((Entry("name", "ours"),), {"name": "ours"})
    document.set((Entry("name", "ours"),), {"name": "ours", "url": "y"})
    assert [{"name": "theirs", "url": "x"}, {"name": "ours", "url": "y"}] == json.loads(document.text)
    document.delete((Entry("name", "ours"),))
    assert '[\n  {"name": "theirs", "url": "x"}\n]\n' == document.text


@pytest.mark.parametrize(
    "text", ["{", '{"a"}', '{"a": }', '{"a": 1 "b": 2}', "[1, 2", '{"a": nope}', "{} {}", '{"a": "\n"}', "[" * 5000]
)  # fmt: skip
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        JsoncDocument(text)


@pytest.mark.parametrize(
    ("text", "place"), [("[]", ("a",)), ('{"a": 1}', ("a", "b")), ("{}", (Entry("k", "v"),))]
)
def test_what_has_another_shape_is_refused(text: str, place: Place) -> None:
    document = JsoncDocument(text)
    with pytest.raises(FormatError):
        document.set(place, 0)
    assert text == document.text


KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=4)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.dictionaries(KEYS, VALUES, max_size=4),
    KEYS,
    VALUES,
    st.sampled_from([None, 2, "\t"]),
    st.sampled_from([",", " ,\n"]),
)
def test_every_edit_is_what_a_parser_sees_and_can_be_taken_back(
    members: dict[str, Any], key: str, value: Any, indent: int | str | None, comma: str
) -> None:
    document = JsoncDocument(json.dumps(members, indent=indent, separators=(comma, ": ")))
    document.set((key,), value)
    assert members | {key: value} == json.loads(document.text)
    assert value == document.find((key,))
    document.delete((key,))
    assert {name: kept for name, kept in members.items() if name != key} == json.loads(document.text)
    assert document.find((key,)) is MISSING
