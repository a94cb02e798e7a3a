"""What a process holds, as Linux tells: memory, threads, files, sockets by state."""

import re
from pathlib import Path
from statistics import median
from typing import Final

from msgspec import Struct

STATES: Final = {
    "01": "established", "02": "syn_sent", "04": "fin_wait1", "05": "fin_wait2", "06": "time_wait", "08": "close_wait", "0A": "listen",
}  # fmt: skip


class Sample(Struct, frozen=True):
    """One look. `rss` in bytes; `files` that are no sockets; `sockets` by side and state."""

    rss: int
    threads: int
    files: int
    sockets: dict[str, int]

    def of(self, side: str, *states: str) -> int:
        """Count the sockets of a side (`client`, `upstream`, `other`), in these states or in any."""
        keys = [f"{side} {state}" for state in states]
        return sum(
            number for key, number in self.sockets.items() if (key in keys if keys else key.startswith(side))
        )


def look(pid: int, *, client: int, upstream: int) -> Sample:
    """Look at a process. client: the port it serves; upstream: the port of its upstream."""
    proc = Path("/proc") / str(pid)
    fields = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
    inodes, files = set[str](), 0
    for link in (proc / "fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:  # closed meanwhile
            continue
        if found := re.fullmatch(r"socket:\[([0-9]+)\]", target):
            inodes.add(found[1])
        else:
            files += 1
    return Sample(
        int(fields["VmRSS"].split()[0]) * 1024,
        int(fields["Threads"]),
        files,
        _sockets(proc, inodes, {client: "client", upstream: "upstream"}),
    )


def _sockets(proc: Path, inodes: set[str], sides: dict[int, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        for line in (proc / "net" / name).read_text().splitlines()[1:]:
            _, local, remote, state, *rest = line.split()
            if rest[5] not in inodes:
                continue
            ports = [int(address.rpartition(":")[2], 16) for address in (local, remote)]
            side = next((sides[port] for port in ports if port in sides), "other")
            key = f"{side} {STATES.get(state, state)}"
            counts[key] = counts.get(key, 0) + 1
    return counts


def growth(samples: list[Sample]) -> tuple[int, int]:
    """Return the median memory of the first and of the last third, in bytes."""
    third = max(len(samples) // 3, 1)
    return tuple(int(median(sample.rss for sample in part)) for part in (samples[:third], samples[-third:]))  # type: ignore[return-value]  # two parts
