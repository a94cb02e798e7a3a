"""What attackers know: the routes, what secrets look like, and how to send what no client library would."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from core.settings import Settings
from handlers import create_app
from infra.local.services import build_services
from tests.e2e.hosting import routes_of
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot

ROOT = Path(__file__).parents[2]
KEY = "canary-key-8c1f0e5b7d2a4936"
# What may be asked without a key: liveness, the description of the API, and the pages, which ask for the key in a form of their own.
OPEN = frozenset({"/healthz", "/", "/dashboard", "/login", "/openapi.json"})
# Where peers of this gateway show a token, their configuration or their accounts.
PEERS = (
    "/token", "/v1/token", "/api/token", "/auth/token", "/copilot_internal/v2/token", "/config", "/api/config",
    "/admin", "/admin/api/accounts", "/api/accounts", "/users", "/register", "/v1/admin/keys", "/keys", "/settings",
    "/debug", "/env", "/.env", "/api/login", "/agents", "/v1/agents", "/state.sqlite", "/github-token", "/config.toml",
)  # fmt: skip


def routes() -> list[tuple[str, str]]:
    """Return every (method, path) that the app serves, its variables filled in."""
    with tempfile.TemporaryDirectory() as directory:
        app = create_app(build_services(Settings(data_dir=directory)))
    return routes_of(app)


def secrets_of(fake: FakeCopilot) -> list[str]:
    """Return the tokens that the gateway holds by now."""
    sessions = [session.copilot_token for session in fake.state.sessions.values()]
    return [DEMO_TOKEN, *sessions, *(token.split(";")[0] for token in sessions)]


def spent(fake: FakeCopilot) -> list[str]:
    """Return what was asked of upstream that costs something or changes who is logged in."""
    costly = ("/chat/completions", "/responses", "/v1/messages", "/embeddings", "/login/device/code")
    return [entry.path for entry in fake.log if entry.path in costly]


def tracked() -> Iterator[Path]:
    """Yield every file of the repository that git knows, or would."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )  # fmt: skip
    names = listed.stdout.splitlines() if listed.returncode == 0 else []
    paths = [ROOT / name for name in names] or list(ROOT.rglob("*"))
    return (path for path in paths if path.is_file())


def files_with(directory: Path, *needles: bytes) -> list[str]:
    """Return which files below the directory hold one of these."""
    return [
        f"{path.name}: {needle!r}"
        for path in directory.rglob("*") if path.is_file()
        for needle in needles if needle in path.read_bytes()
    ]  # fmt: skip
