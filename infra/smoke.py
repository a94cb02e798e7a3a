"""Try a running gateway from outside, in a minute: `python -m infra.smoke URL`. Needs nothing but Python.

It sends one small prompt. The key is read from COPILOT_GATEWAY_API_KEY.
"""

import http.client
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

Mark = Literal["ok", "FAILED", "skipped", "login"]

OK, FAILED, LOGIN, UNREACHABLE = 0, 1, 3, 4  # exit codes, those of the command
PATIENCE: Final = 90.0  # seconds of silence
APART: Final = 0.05  # seconds between the first and the last piece of a stream that really streams
BEYOND: Final = 64 * 1024  # bytes over the limit
USUAL_LIMIT: Final = 6 * 1024 * 1024
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
# Small and cheap ones first; any model will do.
PREFERRED: Final = ("gpt-5-mini", "gpt-4.1", "gpt-4o", "mini", "haiku", "flash", "gpt", "claude")
PROMPT: Final = "Count from 1 to 60, one number a line, nothing else."


class Finding(NamedTuple):
    """What one check found. mark: `login` where only the login to GitHub is missing."""

    name: str
    mark: Mark
    told: str


class Reply(NamedTuple):
    """One whole answer. pieces: when each read of the body came (seconds after the request)."""

    status: int
    headers: dict[str, str]
    body: bytes
    pieces: tuple[float, ...]

    def says(self) -> str:
        """Return the status and the message of an error."""
        message = _member(self.body, "error", "message")
        return f"status {self.status}" + (f": {message}" if message else "")

    def is_ours(self) -> bool:
        """Say whether the gateway answered, and not something before it."""
        return "x-request-id" in self.headers

    def code(self) -> object:
        """Return the code of an error."""
        return _member(self.body, "error", "code")


@dataclass
class Smoke:
    """The checks, in order; each is made when the one before is told."""

    url: str
    key: str
    model: str = ""
    now: Callable[[], float] = time.monotonic
    limit: int = USUAL_LIMIT
    models: list[str] = field(default_factory=list[str])

    def run(self) -> Iterator[Finding]:
        """Check everything. Ends early when nothing answers."""
        try:
            yield self._health()
        except OSError as error:
            yield Finding("health", "FAILED", f"{self.url} cannot be reached: {error}")
            return
        except http.client.HTTPException as error:
            yield Finding("health", "FAILED", f"{self.url} answers what is no HTTP: {error!r}")
            return
        checks = (
            ("encryption", self._encryption),
            ("no key", lambda: self._refusal({})),
            ("wrong key", lambda: self._refusal({"x-api-key": "cgw_" + "0" * 43})),
            ("key", self._key),
            ("streaming", self._streaming),
            ("large body", self._large_body),
        )
        for name, check in checks:
            try:
                mark, told = check()
            except (OSError, http.client.HTTPException) as error:
                mark, told = "FAILED", f"the connection broke: {type(error).__name__} {error}"
            except UnicodeError:
                mark, told = "FAILED", "the key has letters that no header can carry"
            yield Finding(name, mark, told)

    def _health(self) -> Finding:
        reply = self.ask("GET", "/healthz", {})
        healthy = reply.status == http.HTTPStatus.OK and reply.body.strip() == b"ok"
        told = f"answers in {reply.pieces[-1]:.2f} s" if healthy else f"/healthz says {reply.says()}"
        return Finding("health", "ok" if healthy else "FAILED", told)

    def _encryption(self) -> tuple[Mark, str]:
        if self.url.startswith("https:"):
            return "ok", "https, with a certificate that this machine trusts"
        if self._is_local():
            return "skipped", "plain http on this machine"
        return "FAILED", "plain http: everybody on the way reads key and prompts"

    def _refusal(self, headers: dict[str, str]) -> tuple[Mark, str]:
        reply = self.ask("GET", "/v1/models", headers)
        if reply.status == http.HTTPStatus.UNAUTHORIZED:
            return "ok", "refused with 401"
        if self._is_local() and reply.status == http.HTTPStatus.OK:
            return "skipped", "this machine's own gateway asks for no key"
        return "FAILED", f"must be refused with 401, but got {reply.says()}"

    def _key(self) -> tuple[Mark, str]:
        reply = self.models_reply()
        if reply.status != http.HTTPStatus.OK:
            mark: Mark = "login" if reply.code() == "no_login" else "FAILED"
            return mark, reply.says()
        self.models = _ids(reply.body)
        stated = reply.headers.get("x-gateway-body-limit", "")
        self.limit = int(stated) if stated.isdecimal() else USUAL_LIMIT
        return (
            "ok",
            f"{len(self.models)} models; {reply.headers.get('x-gateway-versions', 'versions unknown')}",
        )

    def _streaming(self) -> tuple[Mark, str]:
        model = self.model or self._suitable()
        if not model:
            return "skipped", "no model to ask"
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
        reply = self.ask("POST", "/v1/chat/completions", self._keyed(), json.dumps(body).encode())
        if reply.status != http.HTTPStatus.OK:
            return "FAILED", f"{model}: {reply.says()}"
        if b"[DONE]" not in reply.body:
            return "FAILED", f"{model}: the stream did not end as it should: {reply.body[-200:]!r}"
        apart = reply.pieces[-1] - reply.pieces[0]
        told = f"{model}: {len(reply.pieces)} pieces, the first after {reply.pieces[0]:.2f} s, the last {apart:.2f} s later"
        return ("ok", told) if apart >= APART else ("FAILED", f"{told}: buffered on the way, not streamed")

    def _large_body(self) -> tuple[Mark, str]:
        body = json.dumps({"model": "none", "messages": [], "user": "x" * (self.limit + BEYOND)}).encode()
        reply = self.ask("POST", "/v1/chat/completions", self._keyed(), body)
        told = f"{len(body) / 1024 / 1024:.1f} MB: "
        if reply.status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return "ok", told + "refused with 413"
        return "FAILED", told + f"must be refused with 413, but got {reply.says()}"

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Reply:
        """Send one request and read the answer as it comes. Raises OSError, HTTPException."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=PATIENCE)
        sent = headers | ({} if body is None else {"content-type": "application/json"})
        started = self.now()
        try:
            try:
                connection.request(method, parts.path.rstrip("/") + path, body, sent)
            except (BrokenPipeError, ConnectionResetError):
                if body is None:
                    raise  # else the other side may have answered before it read everything
            reply = connection.getresponse()
            pieces: list[bytes] = []
            times: list[float] = []
            while piece := reply.read1(65_536):
                pieces.append(piece)
                times.append(self.now() - started)
            named = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(reply.status, named, b"".join(pieces), tuple(times) or (self.now() - started,))
        finally:
            connection.close()

    def models_reply(self) -> Reply:
        """Return what the gateway says to a question for its models. Raises OSError, HTTPException."""
        return self.ask("GET", "/v1/models", self._keyed())

    def _keyed(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    def _is_local(self) -> bool:
        return urlsplit(self.url).hostname in LOOPBACK

    def _suitable(self) -> str:
        usable = [model for model in self.models if "embedding" not in model]
        found = (model for part in PREFERRED for model in usable if part in model)
        return next(found, usable[0] if usable else "")


def exit_code(findings: list[Finding]) -> int:
    """Return how the program ends: a login that is missing has its own code, so has a host that is not there."""
    marks = {finding.mark for finding in findings}
    if "FAILED" in marks:
        return UNREACHABLE if len(findings) == 1 else FAILED
    return LOGIN if "login" in marks else OK


def check_url(text: str) -> str:
    """Return the base URL as the checks take it: without `/v1`, which clients add. Raises ValueError."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError("the gateway's URL begins with https:// (or http:// on this machine)")
    try:
        named = parts.port != 0 and parts.hostname.encode("idna")
    except ValueError:
        named = b""
    if not named or " " in text or not text.isprintable() or not parts.path.isascii():
        raise ValueError(f"{text!r} is no URL: look at its host, its port and its path")
    if parts.query or parts.fragment:  # as a browser shows it: clients put paths behind
        raise ValueError("the gateway's URL ends with its host, port or path, without ? or #")
    return text.rstrip("/").removesuffix("/v1")


def line(finding: Finding) -> str:
    """Return one finding as it is shown."""
    mark = "no login" if finding.mark == "login" else finding.mark
    return f"{mark:<9}{finding.name:<12}{finding.told}"


def _ids(body: bytes) -> list[str]:
    try:
        return [str(model["id"]) for model in json.loads(body)["data"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []


def _member(body: bytes, *path: str | int) -> Any:
    """Return what stands at this path of a JSON body, or None."""
    try:
        found: Any = json.loads(body)
        for step in path:
            found = found[step]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return found


def main(arguments: list[str]) -> int:
    """Check the gateway at the URL of the command line; return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: COPILOT_GATEWAY_API_KEY=... python -m infra.smoke URL\n")
        return 2
    try:
        smoke = Smoke(check_url(arguments[0]), os.environ.get("COPILOT_GATEWAY_API_KEY", ""))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    findings: list[Finding] = []
    for finding in smoke.run():
        sys.stdout.write(line(finding) + "\n")
        sys.stdout.flush()
        findings.append(finding)
    return exit_code(findings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
