"""The documents speak of what there is: settings, commands, targets, pages and routes."""

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import pytest
import yaml
from msgspec.structs import fields

from core.settings import Settings
from infra.cli.app import cli

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
WRITER = runpy.run_path(str(DOCS / "reference" / "write.py"))
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_every_setting_is_described_once() -> None:
    described = [name for entry in WRITER["words"]() for name in entry["names"]]
    assert sorted(field.name for field in fields(Settings)) == sorted(described)


def test_what_is_written_by_a_program_is_as_it_writes_it() -> None:
    """Run `make reference` after a change of docs/reference/settings.toml, core/settings.py or core/openapi."""
    written: dict[Path, str] = WRITER["pages"]()
    assert [] == [path.name for path, text in written.items() if path.read_text() != text]


def test_no_section_of_the_settings_is_left_out() -> None:
    marked = set(re.findall(r"<!-- settings: (.+?) -->", (DOCS / "settings.md").read_text()))
    assert {entry["section"] for entry in WRITER["words"]()} == marked


@every_page
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [] == [link for link in links if not (page.parent / link).exists()]


def test_every_page_is_in_the_site_once() -> None:
    def leaves(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        else:
            for item in value.values() if isinstance(value, dict) else value:
                yield from leaves(item)

    listed = sorted(leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")) == listed


def commands(page: Path) -> Iterator[list[str]]:
    """Yield what a page tells people to type after `copilot-gateway`, by line of its shell blocks."""
    blocks = re.findall(r"^```(?:sh|console|bash)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    for line in "".join(blocks).replace("\\\n", " ").splitlines():
        typed = re.match(r"(?:\$ )?(?:\w+=\S+ )*(?:\S*/)?copilot-gateway (.*)", line.strip())
        if typed is not None:
            yield shlex.split(re.split(r" [|>] | && ", typed[1])[0], comments=True)


@every_page
def test_every_command_of_a_page_is_one_that_the_program_takes(page: Path) -> None:
    for words in commands(page):
        command: click.Command = cli
        rest = words
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            found = command.commands.get(rest[0]) or command.get_command(click.Context(command), rest[0])
            assert found is not None, words
            command, rest = found, rest[1:]
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {
            "--help",
            "--version",
        }
        used = {word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"}
        assert set() == used - known, words


@every_page
def test_every_make_target_of_a_page_exists(page: Path) -> None:
    called = re.findall(r"(?:^|`|&& )make ((?:[a-z-]+(?: |$|(?=`)))+)", page.read_text(), re.MULTILINE)
    assert set() == {target for call in called for target in call.split()} - TARGETS


def test_pictures_are_whole_in_themselves_and_say_what_they_show() -> None:
    for path in sorted(DOCS.rglob("*.svg")):
        root = ET.fromstring(path.read_text())  # noqa: S314 - our own file
        assert "img" == root.get("role")
        names = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert {"title", "desc"} <= names
        assert not {"script", "image", "foreignObject"} & names
        assert "prefers-color-scheme: dark" in path.read_text()
