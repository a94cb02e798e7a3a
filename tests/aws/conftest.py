"""The zip and the packaged stacks, each made once a session; everything runs offline or on loopback."""

import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.aws import build_zip

ROOT = Path(__file__).resolve().parents[2]
OSLS = ROOT / "node_modules" / ".bin" / "osls"
FRONTS = ("url", "rest")
REGION = "eu-central-1"
PATIENCE = 180
MACHINE = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64"}.get(platform.machine(), "")
# What a careless developer has in the environment: none of it may get into what is deployed.
CANARIES = {
    "GH_TOKEN": "gho_canaryA7f3kQ9",
    "GITHUB_TOKEN": "ghp_canaryB1x8mZ2",
    "COPILOT_GATEWAY_GITHUB_TOKEN": "gho_canaryC5t6nR4",
    "COPILOT_GATEWAY_API_KEY": "cgw_canaryD9w2pL7",
    "AWS_SECRET_ACCESS_KEY": "canaryE3v8sH5",
    "AWS_SESSION_TOKEN": "canaryF6y1dJ0",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.aws)
            item.add_marker(pytest.mark.timeout(300))


@dataclass(frozen=True)
class Packaged:
    """What osls wrote: the template, and the folder with all of it."""

    folder: Path
    template: dict[str, Any]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        resources = self.template["Resources"]
        return {name: each.get("Properties", {}) for name, each in resources.items() if each["Type"] == kind}


def osls(*arguments: str, environ: dict[str, str], offline: bool = False) -> str:
    """Run osls and return what it says; with `offline`, where the system allows it, in a network namespace without any network."""
    if not OSLS.exists():
        pytest.fail("osls is not installed: run `npm ci`, or `make test-aws`.")
    command = [str(OSLS), *arguments]
    if offline and _can_unshare():
        command = ["unshare", "--map-root-user", "--net", *command]
    basic = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "NODE_NO_WARNINGS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=basic | environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def arm_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip as it is deployed."""
    out = tmp_path_factory.mktemp("zip") / "gateway.zip"
    build_zip.build(out, arch="arm64", say=print)
    return out


@pytest.fixture(scope="session")
def local_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for this machine and this Python."""
    if not MACHINE:
        pytest.skip(f"there is no Lambda on {platform.machine()}")
    out = tmp_path_factory.mktemp("zip") / "gateway.zip"
    build_zip.build(out, arch=MACHINE, python="{}.{}".format(*sys.version_info), say=print)
    return out


@pytest.fixture(scope="session")
def local_task(local_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The local zip, unpacked as Lambda does."""
    task = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(local_zip) as archive:
        archive.extractall(task)
    return task


@pytest.fixture(scope="session")
def package(arm_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Packaged]:
    """Return what packages the stack for a front, offline, amid canaries."""

    def run(front: str, **params: str) -> Packaged:
        folder = tmp_path_factory.mktemp(f"packaged-{front}")
        values = {"front": front, "zip": str(arm_zip), **{k.replace("_", "-"): v for k, v in params.items()}}
        flags = [f"--param={name}={value}" for name, value in values.items()]
        environ = {**CANARIES, "HOME": str(folder), "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}
        osls("package", "--stage", "prod", "--region", REGION, "--package", str(folder), *flags,
             environ=environ, offline=True)  # fmt: skip
        template = json.loads((folder / "cloudformation-template-update-stack.json").read_text())
        return Packaged(folder, template)

    return run


@pytest.fixture(scope="session")
def packages(package: Callable[..., Packaged]) -> dict[str, Packaged]:
    return {front: package(front) for front in FRONTS}


@pytest.fixture(params=FRONTS)
def packaged(packages: dict[str, Packaged], request: pytest.FixtureRequest) -> Packaged:
    return packages[request.param]


def _can_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "--map-root-user", "--net", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
