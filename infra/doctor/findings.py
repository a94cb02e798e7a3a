"""Findings, and the order of the checks: what cannot be told because of an earlier failure is said to be so."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from core.errors import GatewayError
from core.ports import StoreError
from infra.cli.exits import BY_KIND, FAILURE, OK

Mark = Literal["ok", "warning", "wrong", "skipped"]
_WIDTH: Final = 12


class Finding(Struct, frozen=True):
    """What one check found. code: the command's exit code where this alone is wrong."""

    name: str
    mark: Mark
    told: str
    remedy: str = ""
    code: int = FAILURE

    def line(self) -> str:
        """Return it as people read it."""
        text = " ".join(part for part in (self.told, self.remedy) if part)
        return f"{self.mark:<8} {self.name:<{_WIDTH}} {text}"


class Wrong(Exception):  # noqa: N818 - the name of what it is
    """Ends a check: what is wrong, what to do, and the exit code."""

    def __init__(self, told: str, remedy: str = "", code: int = FAILURE) -> None:
        super().__init__(told)
        self.told, self.remedy, self.code = told, remedy, code


class Dubious(Exception):  # noqa: N818
    """Ends a check with a warning."""

    def __init__(self, told: str, remedy: str = "") -> None:
        super().__init__(told)
        self.told, self.remedy = told, remedy


class Unasked(Exception):  # noqa: N818
    """Ends a check that has nothing to look at."""


class Check(NamedTuple):
    """One look. needs: the checks that must not be wrong. make: return what is well, raise what is not."""

    name: str
    doing: str
    needs: tuple[str, ...]
    make: Callable[[], str]


def examine(checks: Sequence[Check], progress: Callable[[str], None]) -> Iterator[Finding]:
    """Make the checks in order. progress: told what is done before each."""
    causes: dict[str, str] = {}  # a check that told nothing -> the first failure that it goes back to
    for check in checks:
        cause = next((causes[name] for name in check.needs if name in causes), None)
        if cause is not None:
            causes[check.name] = cause
            yield Finding(check.name, "skipped", f"not checked, because of: {cause}", code=OK)
            continue
        progress(check.doing)
        finding = _made(check)
        if finding.mark == "wrong":
            causes[check.name] = check.name
        yield finding


def exit_code(findings: Sequence[Finding]) -> int:
    """Return how the command ends: by the code of what is wrong, where that is one."""
    codes = {finding.code for finding in findings if finding.mark == "wrong"}
    if not codes:
        return OK
    return codes.pop() if len(codes) == 1 else FAILURE


def _made(check: Check) -> Finding:
    try:
        return Finding(check.name, "ok", _line(check.make()), code=OK)
    except Unasked as reason:
        return Finding(check.name, "skipped", _line(str(reason)), code=OK)
    except Dubious as doubt:
        return Finding(check.name, "warning", _line(doubt.told), _line(doubt.remedy), OK)
    except Wrong as fault:
        return Finding(check.name, "wrong", _line(fault.told), _line(fault.remedy), fault.code)
    except GatewayError as error:
        return Finding(check.name, "wrong", _line(error.message), "", BY_KIND.get(error.kind, FAILURE))
    except (StoreError, OSError) as error:
        return Finding(check.name, "wrong", _line(str(error)))
    except Exception as error:  # noqa: BLE001 - a doctor with a defect still makes its other checks
        told = f"this check failed itself ({type(error).__name__}: {error})"
        return Finding(check.name, "wrong", _line(told), "Please report it.")


def _line(text: str) -> str:
    return " ".join(text.split())
