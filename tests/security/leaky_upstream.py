"""A GitHub and a Copilot in one that repeat everything they are told, in every place where a server can."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from tests.emulators.copilot.models import catalogue

# What a request's text may ask for: a status, and the form of the body that repeats its headers and its text.
FAIL: Final = "please-fail"
FORMS: Final = ("json", "nested", "text", "html", "openai")
STATUSES: Final = (400, 401, 402, 403, 404, 413, 421, 422, 429, 466, 500, 502, 503, 529)


class LeakyUpstream:
    """Listens on a port of its own. copilot_token, device_code, login_token: what it hands out. completion: what it says."""

    def __init__(self, *, copilot_token: str, device_code: str, login_token: str, completion: str) -> None:
        self.copilot_token = copilot_token
        self.device_code = device_code
        self.login_token = login_token
        self.completion = completion
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def known(self, path: str) -> Any:
        """Return what is answered to a request that does not ask for a model; None for one that does."""
        return {
            "/copilot_internal/v2/token": {
                "token": self.copilot_token,
                "expires_at": 4_000_000_000,
                "refresh_in": 1500,
                "endpoints": {"api": self.url},
                "tracking_id": self.copilot_token,
            },
            "/copilot_internal/user": {"login": "octocat", "copilot_plan": "individual", "token": self.copilot_token},
            "/models": {"data": catalogue()},
            "/login/device/code": {
                "device_code": self.device_code, "user_code": "ABCD-1234", "expires_in": 900, "interval": 1,
                "verification_uri": f"{self.url}/login/device",
            },
            "/login/oauth/access_token": {"access_token": self.login_token, "token_type": "bearer"},
        }.get(path)  # fmt: skip

    def chat(self, asked: dict[str, Any]) -> tuple[str, bytes]:
        """Return a chat reply, streamed where that is asked for."""
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        frame = {"id": "chatcmpl-1", "created": 1, "model": asked.get("model")}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": self.completion}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {**frame, "object": "chat.completion", "choices": [choice], "usage": usage}
            return "application/json", json.dumps(whole).encode()
        delta = {
            "index": 0,
            "delta": {"role": "assistant", "content": self.completion},
            "finish_reason": None,
        }
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        chunks = [
            {**frame, "choices": [delta]},
            {**frame, "choices": [end]},
            {**frame, "choices": [], "usage": usage},
        ]
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        return "text/event-stream", "".join([*lines, "data: [DONE]\n\n"]).encode()


def _repeating(form: str, headers: dict[str, str], text: str) -> bytes:
    said = f"refused: {headers.get('authorization', '')} {headers} {text}"
    match form:
        case "json":
            return json.dumps({"message": said, "code": "refused", "headers": headers}).encode()
        case "nested":
            return json.dumps({"error": {"message": json.dumps({"message": said})}}).encode()
        case "openai":
            return json.dumps(
                {"error": {"message": said, "type": "x", "code": headers.get("authorization")}}
            ).encode()
        case "html":
            return f"<html><title>{said}</title><body>{said}</body></html>".encode()
        case _:
            return said.encode()


def _handler(upstream: LeakyUpstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve(b"")

        def do_POST(self) -> None:
            self._serve(self.rfile.read(int(self.headers.get("content-length", "0"))))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def _serve(self, body: bytes) -> None:
            path = self.path.partition("?")[0]
            upstream.asked.append(path)
            text = body.decode("utf-8", "replace")
            known = upstream.known(path)
            if known is not None:
                self._answer(200, "application/json", json.dumps(known).encode())
            elif FAIL in text or path != "/chat/completions":
                status, form = _wanted(text)
                headers = {name.lower(): value for name, value in self.headers.items()}
                self._answer(
                    status,
                    "text/html" if form == "html" else "application/json",
                    _repeating(form, headers, text),
                )
            else:
                self._answer(200, *upstream.chat(json.loads(body)))

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.send_header("x-github-request-id", "AAAA:BBBB")
            self.send_header("x-debug-token", upstream.copilot_token)
            self.send_header("set-cookie", f"session={upstream.copilot_token}")
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _wanted(text: str) -> tuple[int, str]:
    for status in STATUSES:
        for form in FORMS:
            if f"{FAIL}-{status}-{form}-" in text:
                return status, form
    return 500, "json"
