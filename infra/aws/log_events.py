"""The log of a stage, from CloudWatch Logs: the lines that its functions wrote, in order."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from infra.logs.reading import Line, parse

# CloudWatch shows an event some seconds after it was written, not always in order.
OVERLAP: Final = 30.0


class StageLog:
    """Reads all functions of one stage. Every method raises StageError.

    prefix: what the names of its log groups begin with. ask: runs a call of boto3 and explains its refusal.
    """

    def __init__(self, client: Any, prefix: str, ask: Callable[[Callable[[], Any]], Any]) -> None:
        self._client = client
        self._ask = ask
        self._prefix = prefix
        self._groups: list[str] | None = None
        self._seen: dict[str, float] = {}
        self._read_to = 0.0

    def past(self, since: float) -> Iterator[Line]:
        """Yield what was logged since then (unix seconds), the oldest first."""
        self._read_to = time.time()
        yield from self._between(since)

    def new(self) -> Iterator[Line]:
        """Yield what has been logged since the last time."""
        since, self._read_to = self._read_to - OVERLAP, time.time()
        self._seen = {number: at for number, at in self._seen.items() if at >= since - OVERLAP}
        yield from self._between(since)

    def _between(self, since: float) -> Iterator[Line]:
        events = [event for group in self._found() for event in self._events(group, since)]
        for event in sorted(events, key=lambda event: event["timestamp"]):
            if event["eventId"] in self._seen:
                continue
            self._seen[event["eventId"]] = event["timestamp"] / 1000
            line = parse(event["message"])
            if line is not None and "event" in line:  # the others are the platform's own
                yield line | {"time": _written(event["timestamp"])}

    def _events(self, group: str, since: float) -> Iterator[dict[str, Any]]:
        yield from self._all("filter_log_events", "events", logGroupName=group, startTime=int(since * 1000))

    def _found(self) -> list[str]:
        if self._groups is None:
            groups = self._all("describe_log_groups", "logGroups", logGroupNamePrefix=self._prefix)
            names = [str(group["logGroupName"]) for group in groups]
            # Of the stage `dev`, not of `dev-eu`: no function's own name has a hyphen.
            self._groups = [name for name in names if "-" not in name.removeprefix(self._prefix)]
        return self._groups

    def _all(self, operation: str, member: str, **asked: Any) -> Iterator[dict[str, Any]]:
        """Yield this member of every page."""
        while True:
            page = self._ask(lambda: getattr(self._client, operation)(**asked))
            yield from page.get(member, [])
            if not page.get("nextToken"):
                return
            asked["nextToken"] = page["nextToken"]


def _written(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
