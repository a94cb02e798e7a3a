"""One Copilot call under way: what the checks have found out so far."""

from dataclasses import dataclass, field
from typing import Any

from tests.emulators.copilot.conversation import Answer, Conversation, Usage
from tests.emulators.copilot.shapes import Obj
from tests.emulators.copilot.state import Account, FakeState
from tests.emulators.copilot.wire import Reply, Request


@dataclass(slots=True)
class Call:
    """A request to Copilot with the account, model and modes it resolved to."""

    state: FakeState
    request: Request
    account: Account
    exchanged: bool
    request_id: str
    forced: Reply | None = None
    body: Obj = field(default_factory=dict[str, Any])
    model: Obj = field(default_factory=dict[str, Any])
    modes: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def model_id(self) -> str:
        """Return the id asked for."""
        return str(self.model.get("id", ""))

    @property
    def streams(self) -> bool:
        """Say whether a stream is asked for."""
        return self.body.get("stream") is True

    def on(self, mode: str) -> bool:
        """Say whether a reply mode is set."""
        return bool(self.modes.get(mode))

    def now(self) -> int:
        """Return the fake's unix time."""
        return int(self.state.clock.now())


@dataclass(slots=True)
class Spoken:
    """A finished answer with its cost, ready to be rendered in a dialect."""

    asked: Conversation
    answer: Answer
    usage: Usage
    number: int
