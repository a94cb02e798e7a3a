"""TOML and YAML keep their comments and their order."""

import tomllib

import pytest

from infra.clients.documents import apply
from infra.clients.paths import MISSING, Entry, FormatError, Place
from infra.clients.plan import Setting
from infra.clients.trees import TomlDocument, TreeDocument, YamlDocument

TOML = """\
# my Codex
model = "gpt-5"  # the usual
approval_policy = "on-request"

[mcp_servers.files]  # tools
command = "npx"
"""
YAML = """\
# Continue
name: Mine
models:
  # the local one
  - name: Llama
    provider: ollama
rules:
  - Be brief.
"""


def test_toml_gets_keys_before_tables_and_tables_at_its_end() -> None:
    document = TomlDocument(TOML)
    document.set(("model",), "gpt-5.5")
    document.set(("model_provider",), "gateway")
    document.set(("model_providers", "gateway"), {"name": "Gateway", "wire_api": "responses"})
    expected = TOML.replace('"gpt-5"', '"gpt-5.5"').replace(
        'approval_policy = "on-request"\n', 'approval_policy = "on-request"\nmodel_provider = "gateway"\n'
    )
    assert document.text.startswith(expected)
    parsed = tomllib.loads(document.text)
    assert {"gateway": {"name": "Gateway", "wire_api": "responses"}} == parsed["model_providers"]
    assert "[model_providers]" not in document.text


def test_toml_is_as_before_when_everything_is_taken_out() -> None:
    document = TomlDocument(TOML)
    document.set(("model_provider",), "gateway")
    document.set(("model_providers", "gateway"), {"name": "Gateway"})
    document.delete(("model_providers", "gateway"))
    document.delete(("model_providers",))
    document.delete(("model_provider",))
    assert tomllib.loads(TOML) == tomllib.loads(document.text)
    assert "# tools" in document.text


@pytest.mark.parametrize(
    "text",
    [
        'model_providers = {other = {name = "x"}}\n',
        'model_providers.other.name = "x"\n',
        '[model_providers]\nother.name = "x"\n',
        '[model_providers]\nother = {name = "x"}\n',
        '[model_providers.other]\nname = "x"\n',
    ],
)
def test_toml_takes_a_table_however_its_neighbours_are_written(text: str) -> None:
    document = TomlDocument(text)
    document.set(("model_providers", "gateway"), {"name": "Gateway"})
    document.set(("model",), "gpt-5.5")
    expected = {
        "model_providers": {"other": {"name": "x"}, "gateway": {"name": "Gateway"}},
        "model": "gpt-5.5",
    }
    assert expected == tomllib.loads(document.text)
    document.delete(("model_providers", "gateway"))
    document.delete(("model",))
    assert tomllib.loads(text) == tomllib.loads(document.text)


@pytest.mark.parametrize("mark", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"])
@pytest.mark.parametrize(("kind", "text"), [(TomlDocument, TOML), (YamlDocument, YAML)])
def test_a_file_from_windows_stays_one(kind: type[TreeDocument], text: str, mark: str) -> None:
    given = mark + text.replace("\n", "\r\n")
    assert given == kind(given).text
    document = kind(given)
    document.set(("gateway",), {"a": {"b": "c"}})
    assert document.text.startswith(mark)
    assert document.text.count("\n") == document.text.count("\r\n") > given.count("\n")


def test_yaml_lists_get_their_item_and_keep_their_manner() -> None:
    document = YamlDocument(YAML)
    document.set(("models", Entry("name", "Ours")), {"name": "Ours", "provider": "openai"})
    expected = YAML.replace(
        "    provider: ollama\n", "    provider: ollama\n  - name: Ours\n    provider: openai\n"
    )
    assert expected == document.text
    document.delete(("models", Entry("name", "Ours")))
    assert YAML == document.text


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_yaml_file_becomes_what_is_put_in(text: str) -> None:
    document = YamlDocument(text)
    document.set((Entry("model_id", "a"),), {"model_id": "a"})
    assert f"{text}- model_id: a\n" == document.text
    assert {"model_id": "a"} == document.find((Entry("model_id", "a"),))
    assert document.find(("models",)) is MISSING


@pytest.mark.parametrize("text", ["a: [", "\t- x", "a: b: c", "a: *nobody"])
def test_what_is_no_yaml_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        YamlDocument(text)


@pytest.mark.parametrize("text", ["a = ", "[a", "a = 1\na = 2"])
def test_what_is_no_toml_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        TomlDocument(text)


@pytest.mark.parametrize(
    ("text", "place"), [("models: none", ("models", "x")), ("- a", ("x",)), ("a: 1", (Entry("k", "v"),))]
)
def test_another_shape_is_refused(text: str, place: Place) -> None:
    with pytest.raises(FormatError):
        YamlDocument(text).set(place, 1)


def test_a_file_that_cannot_take_the_settings_is_refused_before_it_is_written() -> None:
    with pytest.raises(FormatError):
        apply("null\n", "yaml", [Setting(("model",), "x")])
