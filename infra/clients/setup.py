"""Make a set-up's changes, remember them, and take them back: exactly while nobody else has touched the file.

What was there before is kept in the data directory, readable by its owner only; a copy lies beside each file, too.
"""

import difflib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from infra.clients import files
from infra.clients.documents import Written, apply, take_out
from infra.clients.files import FileError
from infra.clients.paths import FormatError, Place, spell
from infra.clients.plan import Change, Form, Key, Plan
from infra.local import private

FOLDER: Final = "setup"


class Record(Struct, frozen=True, kw_only=True):
    """What was done to one file. before: its text without our part; None: there was no file."""

    path: str
    form: Form
    before: str | None
    after: str  # SHA-256 of what was written
    written: tuple[Written, ...]
    backup: str = ""


class Edit(Struct, frozen=True, kw_only=True):
    """A file as it is and as it becomes."""

    path: Path
    form: Form
    now: str | None
    base: str | None  # without what an earlier set-up put in
    text: str
    written: tuple[Written, ...]

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return self.now != self.text

    def difference(self) -> Iterator[str]:
        """Yield the lines of a unified diff."""
        old, new = (self.now or "").splitlines(), self.text.splitlines()
        yield from difflib.unified_diff(old, new, str(self.path), str(self.path), lineterm="")


class Undone(Struct, frozen=True):
    """What became of one file. left: places that were changed since, which stay."""

    path: str
    told: str
    left: tuple[Place, ...] = ()


class Setups:
    """The set-ups that were made on this machine, one record file a client."""

    def __init__(self, data_dir: Path, moment: Callable[[], str]) -> None:
        """moment: says the time for a backup's name."""
        self._folder = data_dir / FOLDER
        self._moment = moment

    def exists(self, client: str) -> bool:
        """Say whether this client was set up."""
        return bool(self._load(client))

    def edits(self, client: str, plan: Plan) -> list[Edit]:
        """Return what the plan does to the files as they are now. Raises FileError."""
        known = {record.path: record for record in self._load(client)}
        return [self._edit(change, known.get(str(change.path))) for change in plan.changes]

    def write(self, client: str, edits: list[Edit], key: Key) -> list[Path]:
        """Make the changes and return the backups. Raises FileError before the first one, unless a disk fails."""
        for edit in edits:
            if key.kind == "literal" and key.value in edit.text and not files.is_private(edit.path):
                raise FileError(
                    f"Others may read {edit.path}, so the key does not go there. Run `chmod 600 {edit.path}`, or use "
                    "--key env."
                )
        known = {record.path: record for record in self._load(client)}
        backups: list[Path] = []
        for edit in edits:
            if not edit.changes:
                continue
            old = known.get(str(edit.path))
            # What setup wrote itself is no one's to keep, and may hold a key.
            is_theirs = edit.now is not None and (old is None or _digest(edit.now) != old.after)
            backup = files.back_up(edit.path, self._moment()) if is_theirs else None
            backups += [backup] if backup else []
            # Known before it is done: whatever happens next can be taken back.
            known[str(edit.path)] = Record(
                path=str(edit.path), form=edit.form, before=edit.base, after=_digest(edit.text), written=edit.written,
                backup=old.backup if old else str(backup or ""),
            )  # fmt: skip
            self._save(client, tuple(known.values()))
            files.replace(edit.path, edit.text)
        return backups

    def undo(self, client: str) -> list[Undone]:
        """Take back what was done to this client's files. Raises FileError."""
        done: list[Undone] = []
        records = self._load(client)
        for number in reversed(range(len(records))):
            done.append(self._undo(records[number]))
            self._save(client, records[:number])
        return done

    def _edit(self, change: Change, record: Record | None) -> Edit:
        now = files.read(change.path)
        try:
            base = now if record is None else _without(record, now)[0]
            text, written = apply(base or "", change.form, change.settings)
        except FormatError as error:
            raise FileError(f"{change.path} cannot be changed: {error}. Nothing was written.") from error
        return Edit(path=change.path, form=change.form, now=now, base=base, text=text, written=tuple(written))

    def _undo(self, record: Record) -> Undone:
        path = Path(record.path)
        now = files.read(path)
        if now is None:
            return Undone(record.path, "is gone; there is nothing to take back")
        try:
            text, left = _without(record, now)
        except FormatError as error:
            raise FileError(
                f"{path} cannot be changed: {error}. What was there before is in {record.backup}."
            ) from error
        exact = _digest(now) == record.after
        if text is None:
            files.remove(path)
            return Undone(record.path, "was made by setup and is deleted")
        files.replace(path, text)
        if exact and record.backup:
            files.remove(Path(record.backup))
        told = (
            "is as it was before" if exact else "was changed since; only what setup had written is taken out"
        )
        return Undone(record.path, told, tuple(left))

    def _load(self, client: str) -> tuple[Record, ...]:
        try:
            return msgspec.json.decode(self._path(client).read_bytes(), type=tuple[Record, ...])
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.DecodeError, UnicodeError) as error:
            raise FileError(
                f"{self._path(client)}, which says what setup did, cannot be read: {error}"
            ) from error

    def _save(self, client: str, records: tuple[Record, ...]) -> None:
        path = self._path(client)
        if not records:
            files.remove(path)
            return
        private.ensure_directory(path.parent.parent)
        files.replace(path, msgspec.json.encode(records).decode())
        path.chmod(private.FILE_MODE)

    def _path(self, client: str) -> Path:
        return self._folder / f"{client}.json"


def _without(record: Record, now: str | None) -> tuple[str | None, list[Place]]:
    """Return the file's text without our part, None for no file. Raises FormatError."""
    if now is None:
        return None, []
    if _digest(now) == record.after:
        return record.before, []
    text, left = take_out(now, record.form, record.written)
    if record.before is None and not left and text.strip() in {"", "{}", "[]"}:
        return None, []
    return text, left


def left_alone(undone: Undone) -> str:
    """Say which places were changed since."""
    return ", ".join(spell(place) or "all of it" for place in undone.left)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
