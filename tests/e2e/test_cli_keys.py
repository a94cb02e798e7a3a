"""`keys` as a person runs it, and the gateway that accepts what it makes."""

import json
from pathlib import Path

import pytest

from tests.e2e import cli_driver as driver
from tests.e2e.cli_driver import Started, chat, run, store_login
from tests.e2e.hosting import Wire
from tests.emulators.copilot import FakeCopilot


@pytest.fixture
def environ(tmp_path: Path, fake: FakeCopilot) -> dict[str, str]:
    found = driver.environment(tmp_path, fake)
    store_login(found)
    return found


def test_a_key_that_was_made_is_the_only_way_in(environ: dict[str, str], fake: FakeCopilot) -> None:
    made = run(environ, "keys", "create", "laptop")
    key = made.stdout.strip()
    assert (0, 47) == (made.returncode, len(key))
    assert key not in made.stderr
    assert "asks every client for a key" in made.stderr
    gateway = Started(environ)
    try:
        url = gateway.url()
        assert [401, 200] == [chat(url), Wire(url).get("/v1/models", x_api_key=key).status]
    finally:
        gateway.stop()
    assert "OPENAI_API_KEY=the gateway's key" in "\n".join(gateway.said)
    assert key not in "\n".join(gateway.said)


def test_a_key_lets_the_gateway_listen_beyond_this_machine(environ: dict[str, str]) -> None:
    elsewhere = ["start", "--host", "203.0.113.9", "--port", "0"]  # an address that no machine has
    refused = run(environ, *elsewhere)
    assert (2, True) == (refused.returncode, "copilot-gateway keys create" in refused.stderr)
    run(environ, "keys", "create", "laptop")
    tried = run(environ, *elsewhere, "--allow-plain-http")
    assert (1, True) == (tried.returncode, "cannot listen on 203.0.113.9" in tried.stderr)


def test_keys_are_listed_and_revoked_by_name(environ: dict[str, str]) -> None:
    run(environ, "keys", "create", "laptop")
    key = run(environ, "keys", "create", "guest", "--expires", "2d").stdout.strip()
    told = json.loads(run(environ, "keys", "list", "--json").stdout)
    assert [("laptop", None), ("guest", 172_800.0)] == [
        (k["name"], k["expires_at"] and round(k["expires_at"] - k["created_at"])) for k in told
    ]
    shown = run(environ, "keys", "list").stdout
    assert (2, False) == (len(shown.splitlines()), key in shown)
    assert run(environ, "keys", "revoke", "guest").returncode == 0
    assert [k["name"] for k in json.loads(run(environ, "keys", "list", "--json").stdout)] == ["laptop"]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["create", "a b"], 1, "letters, digits"),
        (["create", "static"], 1, "choose another one"),
        (["create", "x", "--expires", "never"], 2, "12h or 90d"),
        (["create", "x", "--expires", "0d"], 2, "12h or 90d"),
        (["revoke", "nobody"], 1, "There is no key named nobody."),
        (["rotate", "nobody"], 1, "There is no key named nobody."),
        (["limit", "nobody", "--per-day", "1"], 1, "There is no key named nobody."),
        (["limit", "nobody"], 2, "Say which limit"),
        (["create", "x", "--per-minute", "-1"], 2, "per-minute"),
        (["create", "x", "--credits-per-day", "nan"], 2, "a number of credits"),
        (["create", "x", "--surface", "telnet"], 2, "surface"),
        (["create", "x", "--model", "a b"], 2, "claude-*"),
    ],
)
def test_refusals_say_why(environ: dict[str, str], arguments: list[str], code: int, expected: str) -> None:
    told = run(environ, "keys", *arguments)
    assert (code, True, "") == (told.returncode, expected in told.stderr, told.stdout), told.stderr


def test_limits_are_made_shown_changed_and_taken_away(environ: dict[str, str]) -> None:
    made = run(environ, "keys", "create", "agent", "--surface", "chat", "--model", "claude-*", "--per-minute", "30",
               "--credits-per-day", "1.5")  # fmt: skip
    assert "Its limits: chat; claude-*; 30 requests a minute; 1.5 credits a day." in made.stderr
    changed = run(
        environ, "keys", "limit", "agent", "--surface", "any", "--per-minute", "0", "--at-once", "2"
    )
    assert "The key agent: claude-*; 2 at once; 1.5 credits a day." in changed.stderr
    (told,) = json.loads(run(environ, "keys", "list", "--json").stdout)
    assert ({"models": ["claude-*"], "at_once": 2, "credits_per_day": 1.5}, None, False) == (
        told["limits"], told["last_used_at"], told["expired"],
    )  # fmt: skip
    assert "limits: claude-*; 2 at once; 1.5 credits a day" in run(environ, "keys", "list").stdout
    new = run(environ, "keys", "rotate", "agent")
    assert (0, 47, True) == (new.returncode, len(new.stdout.strip()), new.stdout != made.stdout)
