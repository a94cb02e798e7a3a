"""Break each guard on purpose, in a copy of the tree, and see that its tests fail: `make mutants`.

A mutant is a file, a text in it that occurs once, what stands there instead, and tests that pass without it (`make test` says so)
and must fail with it. Exit code 1 when a mutant survives, or could not be made. Words choose mutants: `make mutants ARGS=Origin`.
"""

# ruff: noqa: T201 - it speaks to people

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tests.security.attacks import ROOT, tracked

PATIENCE = 150  # seconds for the tests of one mutant
LONGEST = 30  # seconds for one of them: some wait for what a broken guard keeps from coming
WORKERS = 2
PAGES, STRANGERS, DISK, BOUNDS = (
    f"tests/security/test_{name}.py" for name in ("pages", "strangers", "disk", "bounds")
)
GUARD, DOOR, PARSER = (
    "tests/unit/test_guard.py",
    "tests/contract/test_local_door.py",
    "infra/local/strict_http.py",
)


class Mutant(NamedTuple):
    """One guard, broken."""

    what: str
    file: str
    exact: str
    broken: str
    tests: str  # a file, or a test, and words for pytest's -k after a blank


MUTANTS = [
    # The door
    Mutant("any Host", "handlers/guard.py", "    check_host(request, given.settings)\n", "", f"{PAGES} weakness_02_a_page"),
    Mutant("any address as Host", "handlers/hosts.py", "is_loopback(settings.host) or not _is_address(host)", "not _is_address(host)", f"{GUARD} bare_address"),
    Mutant("a Host with more behind it", "handlers/hosts.py", "match = AUTHORITY.fullmatch(authority)", "match = AUTHORITY.match(authority)", f"{GUARD} other_names"),
    Mutant("any Origin", "handlers/guard.py", "    check_origin(request, given)\n", "", f"{PAGES} weakness_03_a_foreign"),
    Mutant("any page of this machine", "handlers/origins.py", 'if (name, port or _PORTS[scheme]) == _with_port(incoming.headers.get("Host", ""), scheme):', 'if name == _split(incoming.headers.get("Host", ""))[0]:', f"{GUARD} from_elsewhere"),
    Mutant("a sandboxed page without a key", "handlers/origins.py", " and (origin != OPAQUE or given.keys is not None)", "", f"{GUARD} opaque"),
    Mutant("images and frames of foreign pages", "handlers/origins.py", 'return follows_link and incoming.method == "GET"', "return True", f"{GUARD} browsers_say"),
    Mutant("CORS for everybody", "handlers/origins.py", 'headers["Access-Control-Allow-Origin"] = origin', 'headers["Access-Control-Allow-Origin"] = "*"', f"{PAGES} weakness_13_only"),
    Mutant("a wildcard in allowed_origins", "infra/setting_values.py", '    "allowed_origins": _origins,\n', "", f"{PAGES} weakness_13_nobody"),
    Mutant("any content type", "handlers/guard.py", "            check_content(incoming)\n", "            pass\n", f"{PAGES} weakness_03_what"),
    Mutant("no key", "handlers/guard.py", "caller = identify(given.keys, incoming)", "pass", f"{STRANGERS} weakness_05_no_route"),
    Mutant("open paths by their beginning", "handlers/guard.py", 'return incoming.path.rstrip("/") in OPEN_PATHS', "return incoming.path.startswith(tuple(OPEN_PATHS))", f"{STRANGERS} weakness_05_no_spelling"),
    Mutant("bodies without a key", "handlers/guard.py", "        except GatewayError:\n            return 0\n", "        except GatewayError:\n            pass\n", f"{STRANGERS} weakness_04_no_body"),
    Mutant("bodies of any length", "handlers/guard.py", "(incoming.content_length or 0) > body_limit(incoming, given)", "(incoming.content_length or 0) > 10**12", f"{BOUNDS} weakness_14_a_body"),
    Mutant("films for the login page", "handlers/guard.py", "return min(LARGEST_FORM, largest) if _is_open(incoming) else largest", "return largest", f"{BOUNDS} weakness_14_without"),
    Mutant("chunks without end", PARSER, "if len(body) > limit or self.body_bytes_received > 2 * limit + FRAMING:", "if limit < 0:", f"{DOOR} measured_while"),
    Mutant("100 Continue for everybody", PARSER, "self.wants_continue, self.expect_continue = self.expect_continue, False", "self.wants_continue = self.expect_continue", f"{DOOR} word_to_go_on"),
    Mutant("two framings", PARSER, 'if self.chunked and "CONTENT_LENGTH" in self.headers:', "if False:", f"{DOOR} apps_to_answer and framings"),
    Mutant("another host in the target", PARSER, "        self._check_target()\n", "", f"{DOOR} apps_to_answer and target"),
    Mutant("thousands of fields", PARSER, "MOST_FIELDS: Final = 200", "MOST_FIELDS: Final = 200_000", f"{DOOR} apps_to_answer and fields"),
    Mutant("endless chunk heads", PARSER, "if len(body.control_line) > LONGEST_CHUNK_HEAD or", "if limit < 0 or", f"{DOOR} apps_to_answer and endless_chunk or apps_to_answer and extension"),
    Mutant("slow clients", "infra/local/patience.py", "return limit is not None and now - self.since >= limit", "return False", "tests/unit/test_patience.py"),
    Mutant("trickles", "infra/local/patience.py", "moved - self._mark >= quantum", "moved - self._mark >= 0", "tests/unit/test_patience.py trickle"),
    Mutant("frames", "handlers/guard.py", "    headers.extend({name: value for name, value in DEFENCES.items() if name not in said})\n", "", f"{PAGES} every_answer"),
    Mutant("caches", "handlers/guard.py", '    "Cache-Control": "no-store",\n', "", f"{PAGES} every_answer"),
    Mutant("cookies for scripts", "handlers/browser.py", "        secure=not is_local(),\n        httponly=True,", "        secure=not is_local(),\n        httponly=False,", f"{PAGES} weakness_07_a_session"),
    Mutant("forms without a token", "handlers/sign_in.py", 'if not is_form_token(opened, request.form.get("token", "")):', "if False:", f"{PAGES} weakness_07_a_local"),
    # Beyond this machine
    Mutant("no key beyond this machine", "infra/settings.py", "    if not is_exposed(settings):\n        return\n", "    return\n", "tests/unit/cli/test_settings.py beyond_this_machine"),
    Mutant("no word about TLS", "infra/settings.py", "if not settings.allow_plain_http and not is_loopback(settings.host):", "if False:", f"{STRANGERS} weakness_22_nobody"),
    Mutant("no key on Lambda", "infra/aws/services.py", "keys=ManagedKeys(state, time.time, notes_use=only not in READERS),", "keys=None,", f"{STRANGERS} weakness_04_a_function"),
    # Keys and files
    Mutant("keys compared letter by letter", "core/access/keys.py", "hmac.compare_digest(_digest(presented), self._digest)", "_digest(presented) == self._digest", f"{STRANGERS} weakness_17"),
    Mutant("keys in clear", "core/access/managed_keys.py", "return hashlib.sha256(clear.encode()).hexdigest()", "return clear", f"{DISK} weakness_10"),
    Mutant("keys that never end", "core/access/managed_keys.py", "return self.expires_at is None or now < self.expires_at", "return True", "tests/unit/access/test_managed_keys.py"),
    Mutant("files for everybody", "infra/local/private.py", "FILE_MODE: Final = 0o600", "FILE_MODE: Final = 0o644", f"{DISK} weakness_09_files"),
    Mutant("files that were there", "infra/local/private.py", "os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW", "os.O_WRONLY | os.O_CREAT | _NO_FOLLOW", f"{DISK} weakness_09_every"),
    Mutant("directories of others", "infra/local/private.py", "directory.stat().st_mode & _OTHERS_WRITE", "directory.stat().st_mode & 0", f"{DISK} weakness_09_a_directory"),
    Mutant("secrets in logs", "core/redaction.py", "return _without_secrets(text, lambda _secret: HIDDEN)", "return text", "tests/unit/test_redaction.py"),
    Mutant("tokens for anybody's host", "core/copilot/hosts.py", 'return known and url.scheme == "https" and url.port in {None, 443}', "return True", "tests/unit/copilot hosts"),
    # Limits, parsers and streams
    Mutant("no rate limit", "core/access/limits.py", "        while not self._take(owner):\n", "        while False:\n", "tests/unit/access/test_limits.py"),
    Mutant("deep JSON", "core/dialects/messages/schema.py", "    except RecursionError:\n        raise InvalidRequestError(", "    except ZeroDivisionError:\n        raise InvalidRequestError(", f"{BOUNDS} weakness_14_no_json and deep and messages"),
    Mutant("a cut stream is a success", "core/dialects/chat/stream_decoder.py", "            raise UpstreamProtocolError(\"upstream's stream ended before its finish reason\")\n", "            return []\n", "tests/unit/dialects/chat"),
    Mutant(
        "no heartbeats",
        "handlers/stream.py",
        "        if self._silence >= self._next_ping:\n",
        "        if self._silence < 0:\n",
        "tests/e2e/test_silence.py pings_fill",
    )]  # fmt: skip


def copy_tree(place: Path) -> None:
    """Copy what git knows to a place."""
    for path in tracked():
        copy = place / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def run_tests(place: Path, selection: str) -> tuple[int, str]:
    """Run tests of the copy and return pytest's exit code and what it said."""
    path, _, words = selection.partition(" ")
    chosen = ["-k", words] if words else []
    options = ["-q", "-x", f"--timeout={LONGEST}", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, *chosen, path]
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COPILOT_GATEWAY_"))
    }
    with subprocess.Popen(
        command, cwd=place, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            told, _ = process.communicate(timeout=PATIENCE)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)  # with the gateway that its test has started
            if isinstance(error, subprocess.TimeoutExpired):
                return 1, "1 failed to end"
            raise
    return process.returncode, told


def verdict(place: Path, mutant: Mutant) -> str:
    """Return "" when the mutant's tests fail, else what is wrong."""
    file = place / mutant.file
    whole = file.read_text()
    if whole.count(mutant.exact) != 1:
        return f"its text occurs {whole.count(mutant.exact)} times in {mutant.file}"
    file.write_text(whole.replace(mutant.exact, mutant.broken))
    try:
        code, said = run_tests(place, mutant.tests)
    finally:
        file.write_text(whole)
    # An error while a test is set up would mean that nothing was tried.
    if code == 1 and re.search(r"^\d+ failed\b", said, re.MULTILINE):
        return ""
    return "\n".join([f"it SURVIVES (pytest's code {code}):", *said.splitlines()[-15:]])


def work(todo: "queue.SimpleQueue[Mutant]", failed: list[str]) -> None:
    """Try mutants until there is none left."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        place = Path(directory)
        copy_tree(place)
        while not todo.empty():
            try:
                mutant = todo.get_nowait()
            except queue.Empty:
                return
            began = time.monotonic()
            wrong = verdict(place, mutant)
            if wrong:
                failed.append(mutant.what)
            print(
                f"{'FAILED' if wrong else 'caught'}  {mutant.what} ({time.monotonic() - began:.0f} s)  {wrong}",
                flush=True,
            )


def main(words: list[str]) -> int:
    """Try all mutants, or those that one of the words names; return the exit code."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.what for word in words)]
    todo: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in chosen:
        todo.put(mutant)
    failed: list[str] = []
    workers = [threading.Thread(target=work, args=(todo, failed)) for _ in range(min(WORKERS, len(chosen)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(f"{len(chosen) - len(failed)} of {len(chosen)} broken guards were caught.")
    for what in failed:
        print(f"not caught: {what}")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
