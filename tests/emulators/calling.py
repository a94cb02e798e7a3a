"""Call a fake Copilot over its socket, with the headers an editor would send."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.emulators.copilot import FakeCopilot

EDITOR = {"Editor-Version": "vscode/1.105.0", "Copilot-Integration-Id": "vscode-chat"}
SAY = [{"role": "user", "content": "[[say:one two three]]"}]
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@dataclass
class Answered:
    """What came back, read to its end; `broken` says that the end was no proper one."""

    status: int
    headers: dict[str, str]
    body: bytes
    broken: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def events(self) -> list[Any]:
        """Every JSON that a `data:` line carries, in order."""
        return [
            json.loads(line)
            for line in re.findall(r"^data: ([{\[].*?)\r?$", self.text, re.MULTILINE)
            if line != "[DONE]"
        ]

    @property
    def names(self) -> list[str]:
        return re.findall(r"^event: (.*?)\r?$", self.text, re.MULTILINE)


@dataclass
class Caller:
    """One client with an exchanged token; `headers` can be changed for all that follows."""

    fake: FakeCopilot
    base: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self.base = self.base or self.fake.capi_url
        self.headers = {"Authorization": f"Bearer {self.fake.session_token()}", **EDITOR}

    def call(self, method: str, path: str, body: object = None, **headers: str | None) -> Answered:
        """Send one request; a header given as None is left out."""
        sent: dict[str, str | None] = {**self.headers, **{n.replace("_", "-"): v for n, v in headers.items()}}
        merged = {name: value for name, value in sent.items() if value is not None}
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        with requests.Session() as session:
            session.trust_env = False
            with session.request(method, self.base + path, data=raw, headers=merged, stream=True) as answer:
                return _read(answer)

    def get(self, path: str, **headers: str | None) -> Answered:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: object, **headers: str | None) -> Answered:
        return self.call("POST", path, body, **headers)

    def chat(self, model: str = "gpt-4.1", messages: object = SAY, **fields: object) -> Answered:
        return self.post("/chat/completions", {"model": model, "messages": messages, **fields})

    def messages(
        self, model: str = "claude-sonnet-4.6", messages: object = SAY, **fields: object
    ) -> Answered:
        return self.post("/v1/messages", {"model": model, "messages": messages, "max_tokens": 4096, **fields})

    def responses(self, model: str = "gpt-5.5", told: object = SAY, **fields: object) -> Answered:
        return self.post("/responses", {"model": model, "input": told, **fields})


def _read(answer: requests.Response) -> Answered:
    body = bytearray()
    broken = False
    try:
        for chunk in answer.iter_content(None):
            body += chunk
    except requests.RequestException:
        broken = True
    return Answered(answer.status_code, dict(answer.headers), bytes(body), broken)
