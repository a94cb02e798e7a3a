"""Run the command as a person does: its own process, with or without a terminal, against the fake Copilot."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from codecs import getincrementaldecoder
from io import IncrementalNewlineDecoder
from pathlib import Path

from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot
from tests.listening import free_port

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "infra.cli"]
PATIENCE = 60


def environment(tmp_path: Path, fake: FakeCopilot) -> dict[str, str]:
    """Return variables that know this fake and nothing of the developer's own settings."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": str(tmp_path),
        "COPILOT_GATEWAY_DATA_DIR": str(tmp_path / "data"),
        "COPILOT_GATEWAY_GITHUB_URL": fake.github_url,
        "COPILOT_GATEWAY_GITHUB_API_URL": fake.api_url,
    }


def run(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def store_login(environ: dict[str, str], token: str = DEMO_TOKEN) -> None:
    data = Path(environ["COPILOT_GATEWAY_DATA_DIR"])
    data.mkdir(mode=0o700)
    (data / "github-token").write_text(token)
    (data / "github-token").chmod(0o600)


def offer_code(fake: FakeCopilot, *, interval: int = 1) -> str:
    """Make the next device login poll fast, and return its user code."""
    code = fake.state.open_device()
    code.interval = interval
    fake.force(
        "POST", "/login/device/code", 200,
        {
            "device_code": code.device_code, "user_code": code.user_code, "expires_in": 900, "interval": interval,
            "verification_uri": f"{fake.github_url}/login/device",
        },
    )  # fmt: skip
    return code.user_code


def unreachable(environ: dict[str, str]) -> dict[str, str]:
    """Point the command at a port where nobody listens."""
    nobody = f"http://127.0.0.1:{free_port()}"
    return environ | {"COPILOT_GATEWAY_GITHUB_URL": nobody, "COPILOT_GATEWAY_GITHUB_API_URL": nobody}


class Started:
    """A `start` that serves; what it says is collected while it runs."""

    def __init__(self, environ: dict[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "start", "--port", "0", *arguments], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.said: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))
            if line.startswith("Listening on "):
                self._ready.set()
        self._ready.set()

    def is_ready(self) -> bool:
        """Wait until it listens or has ended; say whether it listens."""
        assert self._ready.wait(PATIENCE)
        return any(line.startswith("Listening on ") for line in self.said)

    def url(self) -> str:
        assert self._ready.wait(PATIENCE)
        (line,) = [line for line in self.said if line.startswith("Listening on ")]
        return line.split()[2]

    def stop(self, number: int = signal.SIGINT) -> int:
        try:
            self.process.send_signal(number)
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self._reader.join()
            assert self.process.stderr is not None
            self.process.stderr.close()


class Terminal:
    """A command with a terminal for its standard input and its messages."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self._master, slave = os.openpty()
        self.process = subprocess.Popen(command, cwd=ROOT, env=environ, stdin=slave, stderr=slave)
        os.close(slave)
        self._decoder = IncrementalNewlineDecoder(getincrementaldecoder("utf-8")(), translate=True)
        self._unread = ""

    def read_until(self, text: str) -> str:
        """Return what is shown up to and with the text."""
        while text not in self._unread:
            assert self.process.poll() is None, self._unread
            self._unread += self._decoder.decode(os.read(self._master, 65_536))
        before, found, self._unread = self._unread.partition(text)
        return before + found

    def answer(self, question: str, text: str) -> None:
        """Wait for the question, then type the answer."""
        self.read_until(question)
        os.write(self._master, f"{text}\n".encode())

    def stop(self) -> int:
        """Interrupt the command and return its exit code."""
        try:
            self.process.send_signal(signal.SIGINT)
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            os.close(self._master)


def chat(url: str) -> int:
    """Send a small chat request and return the status."""
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
    request = urllib.request.Request(  # noqa: S310 - a URL of our own
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:  # noqa: S310
            return reply.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def get(url: str) -> dict[str, list[dict[str, object]]]:
    with urllib.request.urlopen(url, timeout=PATIENCE) as reply:  # noqa: S310 - a URL of our own
        return json.load(reply)
