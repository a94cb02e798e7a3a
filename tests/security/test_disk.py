"""Attacks by other users and programs of the same machine, and by who gets a copy of something: weaknesses 9, 10, 11, 15, 23."""

import base64
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.ports import StoreError
from infra.local.secrets import FileSecretStore
from infra.local.state import STATE_FILE, SqliteStateStore
from tests.e2e.asking import PATH, SURFACES, ask
from tests.e2e.cli_driver import COMMAND, Started, environment, run, store_login
from tests.e2e.hosting import Wire
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot
from tests.security.attacks import KEY, ROOT, files_with, secrets_of, tracked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions are inherited there")
SECRET_PROMPT = "canary-prompt-5b21e9"


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in [directory, *directory.rglob("*")]}


def test_weakness_09_files_are_private_whatever_the_umask_says(fake: FakeCopilot, tmp_path: Path) -> None:
    """Row 09: the login, the state and its companions, while the gateway runs."""
    environ = environment(tmp_path, fake)
    command = shlex.join([*COMMAND, "keys", "create", "laptop"])
    subprocess.run(
        ["sh", "-c", f"umask 0; {command}"], env=environ, cwd=ROOT, check=True, capture_output=True
    )
    script = "import os, sys; os.umask(0); from pathlib import Path; from infra.local.secrets import FileSecretStore; FileSecretStore(Path(sys.argv[1])).save('github-token', sys.argv[2])"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "data"), DEMO_TOKEN], cwd=ROOT, check=True)
    program = Started(environ)
    try:
        assert 401 == Wire(program.url()).get("/v1/models").status
        seen = modes(tmp_path / "data")
    finally:
        program.stop()
    assert {"data", "github-token", STATE_FILE} <= seen.keys()
    assert {0o700} == {
        mode for name, mode in seen.items() if (tmp_path / "data" / name).is_dir() or name == "data"
    }
    assert {0o600} == {mode for name, mode in seen.items() if (tmp_path / "data" / name).is_file()}


@pytest.mark.parametrize("name", ["github-token", STATE_FILE])
def test_weakness_09_a_planted_link_is_not_followed(fake: FakeCopilot, tmp_path: Path, name: str) -> None:
    """Row 09: the file that it leads to stays as it is, and gets no secret."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    victim.chmod(0o644)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / name).symlink_to(victim)
    if name == "github-token":
        FileSecretStore(data).save(name, DEMO_TOKEN)
        assert (False, 0o600) == ((data / name).is_symlink(), stat.S_IMODE((data / name).stat().st_mode))
    else:
        with pytest.raises(StoreError, match="symbolic link"):
            SqliteStateStore(data / name, lambda: 0.0).save("a", "b", b"c")
    assert ("mine", 0o644) == (victim.read_text(), stat.S_IMODE(victim.stat().st_mode))


def test_weakness_09_a_directory_that_others_may_write_to_is_refused(
    fake: FakeCopilot, tmp_path: Path
) -> None:
    """Row 09: they could swap any file in it."""
    environ = environment(tmp_path, fake)
    store_login(environ)
    (tmp_path / "data").chmod(0o777)
    told = run(environ, "start", "--port", "0")
    assert (1, True) == (told.returncode, "chmod 700" in told.stderr)


OPENS = """
import os, sys
from pathlib import Path
directory = Path(sys.argv[1])
seen = []
def look(event, given):
    if event == "open" and isinstance(given[0], str) and given[0].startswith(str(directory)) and isinstance(given[2], int):
        if given[2] & os.O_CREAT or given[2] & (os.O_WRONLY | os.O_RDWR):
            seen.append((given[0], bool(given[2] & os.O_EXCL), bool(given[2] & os.O_NOFOLLOW)))
sys.addaudithook(look)
from infra.local.secrets import FileSecretStore
from infra.local.state import SqliteStateStore
os.umask(0)
for _ in range(2):
    FileSecretStore(directory).save("github-token", "x")
    SqliteStateStore(directory / "state.sqlite", lambda: 0.0).save("a", "b", b"c")
print([entry for entry in seen if entry[1:] != (True, True)], len(seen))
"""


def test_weakness_09_every_file_is_created_exclusively(tmp_path: Path) -> None:
    """Row 09: between a look and the creation nobody can put a file of their own."""
    told = subprocess.run([sys.executable, "-c", OPENS, str(tmp_path / "data")], cwd=ROOT, check=True, capture_output=True, text=True)  # fmt: skip
    wrong, count = told.stdout.strip().rsplit(" ", 1)
    assert ("[]", True) == (wrong, int(count) >= 3)


def test_weakness_10_the_state_holds_hashes_of_keys_and_no_login(fake: FakeCopilot, tmp_path: Path) -> None:
    """Row 10: one read of the database is no account. Row 15: and no prompt."""
    environ = environment(tmp_path, fake)
    key = run(environ, "keys", "create", "laptop").stdout.strip()
    assert key not in run(environ, "keys", "list").stdout
    (tmp_path / "data" / "github-token").write_text(DEMO_TOKEN)
    (tmp_path / "data" / "github-token").chmod(0o600)
    program = Started(environ)
    try:
        wire = Wire(program.url(), {"x-api-key": key})
        for surface in SURFACES:
            assert 200 == wire.post(PATH[surface], ask(surface, "gpt-4.1", SECRET_PROMPT)).status
        state = tmp_path / "state"
        state.mkdir()
        for path in (tmp_path / "data").glob(f"{STATE_FILE}*"):
            (state / path.name).write_bytes(path.read_bytes())
        forms = [
            key.encode(),
            key.removeprefix("cgw_").encode(),
            base64.b64encode(key.encode())[:-4],
            key.encode().hex().encode(),
        ]
        assert list(state.iterdir())
        assert [] == files_with(state, *forms, DEMO_TOKEN.encode())
        assert [] == files_with(tmp_path, SECRET_PROMPT.encode(), *forms)
    finally:
        program.stop()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_weakness_11_secrets_show_neither_in_the_process_list_nor_in_what_is_said(
    fake: FakeCopilot, tmp_path: Path
) -> None:
    """Row 11: arguments are for all users to see; a key in an address is in every log on the way."""
    environ = environment(tmp_path, fake) | {
        "COPILOT_GATEWAY_GITHUB_TOKEN": DEMO_TOKEN,
        "COPILOT_GATEWAY_API_KEY": KEY,
    }
    program = Started(environ, "--verbose")
    try:
        wire = Wire(program.url())
        assert 401 == wire.get(f"/v1/models?key={KEY}&api_key={KEY}&access_token={KEY}").status
        assert 200 == wire.post(PATH["chat"], ask("chat", "gpt-4.1", "hi"), x_api_key=KEY).status
        shown = Path(f"/proc/{program.process.pid}/cmdline").read_bytes().decode()
        hidden = [KEY, *secrets_of(fake)]
        assert [] == [secret for secret in hidden if secret in shown]
        assert 0o400 == stat.S_IMODE(Path(f"/proc/{program.process.pid}/environ").stat().st_mode)
    finally:
        program.stop()
    assert [] == [secret for secret in hidden if any(secret in line for line in program.said)]
    assert [] == files_with(tmp_path, KEY.encode(), DEMO_TOKEN.encode())


def test_weakness_11_no_document_shows_how_to_put_a_secret_into_an_argument() -> None:
    """Row 11: what people copy. The flag is there for those who know the older tool; it warns."""
    shown = re.compile(r"--(?:github-token|api-key|password)[ =](?!\[?TOKEN\b)[\"'$A-Za-z0-9]")
    texts = [
        path
        for path in tracked()
        if path.suffix in {".md", ".sh", ".toml", ".yml", ".yaml"} or path.name == "Dockerfile"
    ]
    assert len(texts) > 5
    assert [] == [
        str(path.relative_to(ROOT)) for path in texts if shown.search(path.read_text(errors="replace"))
    ]


IDS = {
    "an account": r"(?<![\w.])\d{12}(?!\w)",
    "a resource": r"\b(?:vpc|subnet|sg|igw|eni|rtb|ami|i)-[0-9a-f]{8,17}\b",
    "an address": r"\b[a-z0-9]{10,}\.(?:lambda-url|execute-api)\.[a-z0-9-]+\.(?:on\.aws|amazonaws\.com)",
    "an access key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a token": r"\b(?:gh[oprsu]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})\b",
}  # fmt: skip


@pytest.mark.parametrize("kind", IDS)
def test_weakness_23_nothing_that_is_deployed_names_somebodys_resources(kind: str) -> None:
    """Row 23."""
    deployed = [
        path for path in tracked()
        if path.suffix in {".yml", ".yaml", ".toml", ".env"} or path.name in {"package.json", "Makefile", "Dockerfile", "run"}
    ]  # fmt: skip
    assert ROOT / "serverless.yml" in deployed
    found = [(path.name, re.findall(IDS[kind], path.read_text(errors="replace"))) for path in deployed]
    assert [] == [entry for entry in found if entry[1]]
    assert not [name for name in os.listdir(ROOT) if name in {".env", "config.toml"}]  # noqa: PTH208 - names only
