"""The fake as one object: a thread with its own event loop, driven from any other thread."""

import asyncio
import ssl
import threading
import traceback
from collections import deque
from types import TracebackType
from typing import Any, Final, Self, cast

from tests.emulators.copilot import capi, control, github, modes
from tests.emulators.copilot.certificate import Certificate
from tests.emulators.copilot.server import Listeners
from tests.emulators.copilot.shapes import Obj
from tests.emulators.copilot.state import DEMO_TOKEN, Account, Clock, FakeState, Forced, Logged
from tests.emulators.copilot.wire import Reply, Request, text_reply

HOSTS: Final = ("individual", "business")


def new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop where it is installed, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return cast("asyncio.AbstractEventLoop", uvloop.new_event_loop())


class FakeCopilot:
    """GitHub, its REST API and Copilot on one port, and a second Copilot host (`business`) on another.

    Usable as a context manager. `port` 0 lets the system choose; the second host takes the next free one.
    """

    def __init__(
        self, *, port: int = 0, address: str = "127.0.0.1", tls: bool = False, auto_approve: bool = False,
        realistic: bool = False, log_size: int = 2000,
        cached: bool = False,
    ) -> None:  # fmt: skip
        self.state = FakeState(log_size)
        self.state.auto_approve, self.state.cached = auto_approve, cached
        self._port, self._address = port, address
        self.certificate = Certificate.create() if tls else None
        self._loop = new_loop()
        self._thread = threading.Thread(target=self._run, name="fake-copilot", daemon=True)
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._open: dict[int, Logged] = {}
        if realistic:
            for model, wanted in modes.REALISTIC.items():
                self.state.set_modes(model, wanted)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; raise what the listening raised."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
        if self.certificate is not None:
            self.certificate.remove()

    def wait(self) -> None:
        """Block until stopped."""
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as error:
            self._failure = error
        finally:
            self._ready.set()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self) -> None:
        tls: ssl.SSLContext | None = self.certificate.server_context() if self.certificate else None
        listeners = Listeners(self._route, self._finished, tls)
        scheme = "https" if tls else "http"
        try:
            for number, host in enumerate(HOSTS):
                port = await listeners.open(host, self._address, self._port if number == 0 else 0)
                self.state.urls[host] = f"{scheme}://{self._address}:{port}"
            self.state.urls |= {"github": self.state.urls["individual"], "api": self.state.urls["individual"]}
            self._ready.set()
            await self._stop.wait()
        finally:
            await listeners.close()

    def _route(self, request: Request) -> Reply:
        if request.path.startswith("/_fake/"):
            return control.handle(self.state, request)
        entry = self.state.record(request)
        self._open[id(request)] = entry
        try:
            reply = self._answered(request)
        except Exception:  # noqa: BLE001 a fault of the fake itself must be seen by who drives it
            reply = text_reply(500, f"the fake itself failed:\n{traceback.format_exc()}")
        entry.status = reply.status
        return reply

    def _answered(self, request: Request) -> Reply:
        route = github.ROUTES.get((request.method, request.path))
        if route is None:
            return capi.handle(self.state, request)
        forced = self.state.take_forced(request)
        return forced.reply if forced is not None and forced.reply is not None else route(self.state, request)

    def _finished(self, request: Request, reply: Reply, outcome: str) -> None:
        entry = self._open.pop(id(request), None)
        if entry is not None:
            entry.outcome = outcome

    @property
    def github_url(self) -> str:
        """Return where the device login lives."""
        return self.state.urls["github"]

    @property
    def api_url(self) -> str:
        """Return where GitHub's REST API lives."""
        return self.state.urls["api"]

    @property
    def capi_url(self) -> str:
        """Return the Copilot host of individual accounts."""
        return self.state.urls["individual"]

    @property
    def business_url(self) -> str:
        """Return the Copilot host of business accounts; others get 421 there."""
        return self.state.urls["business"]

    @property
    def token(self) -> str:
        """Return the default account's GitHub token."""
        return DEMO_TOKEN

    @property
    def account(self) -> Account:
        """Return the default account."""
        return self.state.accounts[DEMO_TOKEN]

    @property
    def accounts(self) -> dict[str, Account]:
        """Return the accounts by GitHub token."""
        return self.state.accounts

    @property
    def models(self) -> list[Obj]:
        """Return the catalogue's entries; changing one changes it."""
        return self.state.models

    @property
    def log(self) -> list[Logged]:
        """Return the requests so far, oldest first (control requests are left out)."""
        return list(self.state.log)

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        return self.state.clock

    def requests(self, path: str) -> list[Logged]:
        """Return the logged requests to a path."""
        return [entry for entry in self.log if entry.path == path]

    def clear_log(self) -> None:
        """Forget the requests so far."""
        self.state.log = deque(maxlen=self.state.log.maxlen)

    def set_modes(self, model: str, **wanted: Any) -> None:
        """Set reply modes of a model (`*`: all); null takes one away. Names with `+` go through `state`."""
        if strangers := modes.unknown(wanted):
            raise ValueError(f"no such mode: {', '.join(strangers)}")
        self.state.set_modes(model, wanted)

    def force(
        self, method: str, path: str, status: int | None = None, body: object = "", *,
        headers: dict[str, str] | None = None, content_type: str = "", pieces: list[str] | None = None,
        nth: int = 1, times: int = 1, modes: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Answer the nth call (and `times` calls from there; 0: all) as told, or under these modes."""
        asked: Obj = {"status": status, "body": body, "headers": headers or {}, "content_type": content_type}
        asked |= {} if pieces is None else {"pieces": pieces}
        reply = None if status is None else control.forced_reply(asked)
        self.state.force(Forced(method, path, nth, times, reply, modes or {}))

    def approve(self, user_code: str, github_token: str = DEMO_TOKEN) -> bool:
        """Let the user approve a device login."""
        return self.state.decide_device(user_code, "approved", github_token)

    def deny(self, user_code: str) -> bool:
        """Let the user deny a device login."""
        return self.state.decide_device(user_code, "denied")

    def session_token(self, github_token: str = DEMO_TOKEN) -> str:
        """Mint a Copilot token without the exchange."""
        return self.state.open_session(self.state.accounts[github_token]).copilot_token

    def reset(self) -> None:
        """Return to the state of a fresh fake, listening where it does."""
        self.state.reset()
