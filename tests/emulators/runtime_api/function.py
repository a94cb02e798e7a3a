"""One Lambda function: its process, started as Lambda starts it, and both doors."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.emulators.runtime_api.api import RuntimeApi
from tests.emulators.runtime_api.front import FunctionUrl
from tests.emulators.runtime_api.invocation import Invocation
from tests.emulators.runtime_api.wire import PATIENCE

ROOT = Path(__file__).parents[3]
WRAPPER = ROOT / "infra" / "aws" / "bootstrap"


class Lambda:
    """Serves one invocation after the other; the process starts with the first and again after it ended.

    handler: as in the function's configuration. environ: beside Lambda's own variables. seconds: the function's timeout.
    mercy: how much later than that the process is killed.
    """

    def __init__(
        self, handler: str, environ: Mapping[str, str], seconds: float = 60.0, mercy: float = 0.0
    ) -> None:
        self.api = RuntimeApi()
        self.front = FunctionUrl(self._invoke_in_turn, self._kill)
        self.seconds, self.mercy = seconds, mercy
        self.log: list[str] = []
        self.starts: list[int] = []
        self._environ = {
            "PATH": os.environ["PATH"],
            "LAMBDA_TASK_ROOT": str(ROOT),
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "AWS_LAMBDA_FUNCTION_NAME": "gateway",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "_HANDLER": handler,
            "COPILOT_GATEWAY_STREAMING": "1",
            **environ,
        }
        self._process: subprocess.Popen[str] | None = None
        self._watchers: list[threading.Thread] = []
        self._turn = threading.Lock()
        self._stack = ExitStack()
        self._starting = threading.Lock()
        self._closing = False
        self._last: Invocation | None = None

    @property
    def url(self) -> str:
        return self.front.url

    def __enter__(self) -> Self:
        self._stack.enter_context(self.api)
        self._stack.enter_context(self.front)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        if self._process is not None:
            self._process.kill()
        for watcher in self._watchers:
            watcher.join()
        self._stack.close()

    def invoke(self, event: object, *, echo: bool = True) -> Invocation:
        """Start the process if there is none, and give it an event."""
        invocation = self.api.invoke(event, self.seconds, self.mercy, echo=echo)
        self.start()
        return invocation

    def start(self) -> None:
        """Start the process if there is none."""
        before = self._process
        if before is not None:
            if before.poll() is None:
                return
            self._watchers[-1].join()  # it ends what the process had in hand, and may start another
        with self._starting:
            if self._process is before:
                self._start()

    def _start(self) -> None:
        # What the managed runtime runs: Lambda hands it to the wrapper.
        command = [str(WRAPPER), sys.executable, "/var/runtime/bootstrap.py"]
        self._process = subprocess.Popen(
            command, env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.starts.append(self._process.pid)
        watcher = threading.Thread(target=self._watch, args=(self._process,))
        self._watchers.append(watcher)
        watcher.start()

    def logged(self, *marks: str) -> str:
        """Return the last line of the log with all of these marks; wait for one, as the pipe is read beside us."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if found := [line for line in self.log if all(mark in line for mark in marks)]:
                return found[-1]
            time.sleep(0.01)
        raise AssertionError(f"no line with {marks} in {self.log}")

    def wait(self) -> int:
        """Wait until the process ends."""
        assert self._process is not None
        return self._process.wait(60)

    def _invoke_in_turn(self, event: Any) -> Invocation:
        # Lambda would start another process for a second request; here it waits.
        with self._turn:
            before = self._last
            if before is not None:
                before.wait_over()
            self._last = self.invoke(event)
            return self._last

    def _watch(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        nexts = self.api.calls.count("invocation/next")
        with process.stdout:
            self.log.extend(process.stdout)
        process.wait()
        with self._starting:
            waiting = self.api.runtime_ended(never_began=self.api.calls.count("invocation/next") == nexts)
            if waiting and process is self._process and not self._closing:
                self._start()

    def _kill(self, invocation: Invocation) -> None:
        invocation.finish("timeout")
        if self._process is not None:
            self._process.kill()
            self._process.wait()
