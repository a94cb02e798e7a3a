"""The operator's own AWS setup, and what is wrong with it: each fault is one sentence, whoever of AWS's library raises it."""

from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from infra.aws.stage import Account, StageError

SETTINGS = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"),
    *("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"),
)
KEY = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x"}
SIGN_ON = """[default]
sso_start_url = https://x.awsapps.example/start
sso_region = eu-central-1
sso_account_id = 123456789012
sso_role_name = me
"""


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any AWS setup but what the test writes into this file."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "config"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return config


@pytest.mark.parametrize(
    ("environ", "config", "told"),
    [
        ({}, "", "There are no AWS credentials"),
        ({"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"}, "", "There are no AWS credentials"),
        (KEY | {"AWS_REGION": "not a region"}, "", "'not a region' doesn't match"),
        (KEY | {"AWS_ENDPOINT_URL": "nonsense"}, "", "Invalid endpoint: nonsense"),
        (KEY | {"AWS_MAX_ATTEMPTS": "many"}, "", "AWS cannot be asked"),
        (KEY | {"AWS_RETRY_MODE": "never"}, "", "AWS cannot be asked"),
        (KEY | {"AWS_PROFILE": "nobody"}, "", "aws configure list-profiles"),
        ({}, "this is no [configuration\n", "Unable to parse config file"),
        ({}, "[default]\ncredential_process = /bin/false\n", "retrieving credentials from custom-process"),
        ({}, "[default]\nrole_arn = arn:x\nsource_profile = nobody\n", 'source_profile "nobody"'),
        ({}, SIGN_ON, "Run `aws sso login`"),
    ],
)
def test_setup_that_cannot_be_used_is_told(
    environ: dict[str, str], config: str, told: str, nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody.write_text(config)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StageError, match=told):
        Account(environ.get("AWS_REGION", "eu-central-1")).find("dev")


def test_page_of_something_between_is_told(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    httpserver.expect_request("/").respond_with_data(
        "<!doctype html><p>Who are you?", content_type="text/html"
    )
    for name, value in (KEY | {"AWS_ENDPOINT_URL": httpserver.url_for("")}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StageError, match="AWS answered what cannot be read"):
        Account("eu-central-1").find("dev")
