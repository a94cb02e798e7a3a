"""`deploy` with programs of our own on the path: what is checked, what is run, and every way to be refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli.deploy import Plan, project_root
from infra.cli.exits import CommandError
from infra.cli.stage import Place
from infra.cli.tools import check_node

REPOSITORY = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "infra.cli", "deploy"]


def program(directory: Path, name: str, script: str) -> None:
    """Put a small program on the path."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    program(directory, "node", "echo v22.14.0")
    program(directory, "npm", f'echo "npm $*" >> {tmp_path}/called')
    program(directory, "npx", f'echo "npx $*" >> {tmp_path}/called; echo "what osls says"')
    return directory


def deploy(
    tmp_path: Path, tools: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    environ = {
        "PATH": str(tools), "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY), "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", **variables,
    }  # fmt: skip
    return subprocess.run(
        [*COMMAND, *arguments], cwd=tmp_path, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("release", ["v20.19.0", "v22.13.1", "v24.0.0", "v31.2.0"])
def test_releases_of_node_that_osls_runs_on_are_taken(tools: Path, release: str) -> None:
    program(tools, "node", f"echo {release}")
    assert release == check_node(str(tools))


@pytest.mark.parametrize(
    "release", ["v18.20.0", "v20.18.9", "v21.9.0", "v22.12.0", "v23.1.0", "nonsense", ""]
)
def test_other_releases_of_node_are_refused_with_the_remedy(tools: Path, release: str) -> None:
    program(tools, "node", f"echo {release}")
    with pytest.raises(CommandError, match=r"too old for osls\. Install Node\.js 22 or 24"):
        check_node(str(tools))


@pytest.mark.parametrize("missing", ["node", "npm", "npx"])
def test_a_missing_program_is_named_with_the_remedy(tmp_path: Path, tools: Path, missing: str) -> None:
    (tools / missing).unlink()
    told = deploy(tmp_path, tools, "--region", "eu-central-1")
    assert (1, True) == (
        told.returncode,
        f"There is no `{missing}` on the path. Install Node.js" in told.stderr,
    )


def test_missing_credentials_are_said_before_anything_is_done(tmp_path: Path, tools: Path) -> None:
    told = deploy(tmp_path, tools, "--region", "eu-central-1")
    assert (1, False) == (told.returncode, (tmp_path / "called").exists()), told.stderr
    assert "There are no AWS credentials: run `aws configure`" in told.stderr


def test_a_missing_region_is_said(tmp_path: Path, tools: Path) -> None:
    told = deploy(tmp_path, tools)
    assert (1, True) == (told.returncode, "pass --region" in told.stderr)


def test_an_unknown_profile_is_said(tmp_path: Path, tools: Path) -> None:
    told = deploy(tmp_path, tools, "--region", "eu-central-1", AWS_PROFILE="nobody")
    assert (1, True) == (told.returncode, "aws configure list-profiles" in told.stderr), told.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--stage", "--help-me"], ["--stage", "a b"], ["--stage", "Dev"], ["--service", "x" * 40], ["--region", "--x"],
        ["--param", "memory"], ["--param", "memory="], ["--param", "--force"], ["--front", "http"], ["--service", "x" * 32, "--stage", "y" * 21],
    ],
)  # fmt: skip
def test_words_that_would_be_misread_are_refused(tmp_path: Path, tools: Path, arguments: list[str]) -> None:
    told = deploy(tmp_path, tools, *arguments)
    assert (2, False) == (told.returncode, (tmp_path / "called").exists()), told.stderr


def test_the_steps_are_said_in_order(tmp_path: Path) -> None:
    place = Place("prod", "eu-central-1", "mine")
    plan = Plan(tmp_path, place, "rest", ["memory=1024"], build=True)
    assert [
        "install osls: npm ci",
        "build dist/copilot-gateway-arm64.zip",
        "deploy: npx osls deploy --stage prod --region eu-central-1 --param front=rest --param name=mine --param memory=1024",
        "make the first API key, if there is none, and show it",
        "wait until you are logged in to GitHub at the gateway's /login page",
        "try everything from outside, with one small prompt",
    ] == plan.steps()


@pytest.mark.parametrize(
    ("params", "zip_name", "options"),
    [
        ([], "arm64", ["--arch", "arm64"]),
        (["architecture=x86_64"], "x86_64", ["--arch", "x86_64"]),
        (["runtime=python3.14"], "arm64", ["--arch", "arm64", "--python-version", "3.14"]),
    ],
)
def test_the_zip_is_for_the_processor_and_the_python_of_the_function(
    tmp_path: Path, params: list[str], zip_name: str, options: list[str]
) -> None:
    plan = Plan(tmp_path, Place("dev", "eu-central-1"), "url", params, build=True)
    assert (f"dist/copilot-gateway-{zip_name}.zip", ["infra.aws.build_zip", *options]) == (
        plan.zip,
        plan.build,
    )


def test_a_place_is_named_again_by_the_options_that_differ() -> None:
    assert "--stage dev --region eu-central-1" == Place("dev", "eu-central-1").flags()
    assert "--stage dev --service mine" == Place("dev", "", "mine").flags()


def test_the_checkout_is_where_serverless_yml_is(tmp_path: Path) -> None:
    assert REPOSITORY == project_root(tmp_path)
    (tmp_path / "serverless.yml").write_text("")
    assert tmp_path == project_root(tmp_path)


def test_help_needs_no_aws(tmp_path: Path, tools: Path) -> None:
    told = deploy(tmp_path, tools, "--help", PATH=f"{tools}{os.pathsep}{os.defpath}")
    assert (0, True) == (told.returncode, "--dry-run" in told.stdout)
