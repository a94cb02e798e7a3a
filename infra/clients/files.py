"""Other programs' files: read and replaced with care, for they are not ours."""

import contextlib
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Final

from infra.local import private

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
LARGEST: Final = 4 * 1024 * 1024  # bytes; no settings file is larger


class FileError(Exception):
    """A file is not one that may be changed; the message says why, and what to do."""


def read(path: Path) -> str | None:
    """Return the text, None when there is no file. Raises FileError for anything but a plain file of one's own."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(f"{path} cannot be looked at: {error.strerror or error}.") from error
    _check(path, status)
    try:
        # As it is: newline translation would change a file that comes from Windows.
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise FileError(f"{path} is not text in UTF-8. Nothing was changed.") from None
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error


def is_private(path: Path) -> bool:
    """Say whether nobody else may read the file; one that does not exist yet will be private."""
    try:
        return sys.platform == "win32" or not path.stat().st_mode & OTHERS
    except FileNotFoundError:
        return True


def replace(path: Path, text: str) -> None:
    """Put the text there at once and whole, with the mode that the file has, else 0600. Raises FileError."""
    try:
        path.parent.mkdir(mode=private.DIRECTORY_MODE, parents=True, exist_ok=True)
        _check_folder(path.parent)
        mode = path.stat().st_mode & 0o777 if path.exists() else private.FILE_MODE
        _write(path.with_name(f".{path.name}.{secrets.token_hex(8)}"), path, text, mode)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}.") from error


def back_up(path: Path, moment: str) -> Path:
    """Copy the file beside itself, readable by its owner only, and return where. Raises FileError."""
    for number in range(100):
        copy = path.with_name(f"{path.name}.{moment}{f'-{number}' if number else ''}.bak")
        try:
            with os.fdopen(private.create(copy), "wb") as file:
                file.write(path.read_bytes())
        except FileExistsError:
            continue
        except OSError as error:
            raise FileError(f"{copy} cannot be written: {error.strerror or error}.") from error
        return copy
    raise FileError(f"There are a hundred backups of {path} of this second.")


def remove(path: Path) -> None:
    """Delete the file and the folders that this leaves empty. Raises FileError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"{path} cannot be deleted: {error.strerror or error}.") from error


def _check(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise FileError(
            f"{path} is a symbolic link to {path.readlink()}. Nothing was changed: make the change there yourself."
        )
    if not stat.S_ISREG(status.st_mode):
        raise FileError(f"{path} is not a plain file. Nothing was changed.")
    if status.st_size > LARGEST:
        raise FileError(f"{path} is larger than any settings file. Nothing was changed.")
    if sys.platform == "win32":
        return
    if status.st_uid != os.geteuid():
        raise FileError(f"{path} belongs to another user. Nothing was changed.")
    if status.st_mode & OTHERS_WRITE:
        raise FileError(
            f"Other users may write to {path}: what it says cannot be trusted. Run `chmod go-w {path}` first."
        )


def _check_folder(folder: Path) -> None:
    """Refuse a folder where others could put a file of theirs in the way."""
    status = folder.stat()
    if sys.platform == "win32":
        return
    if status.st_uid != os.geteuid():
        raise FileError(f"{folder} belongs to another user. Nothing was changed.")
    if status.st_mode & OTHERS_WRITE and not status.st_mode & stat.S_ISVTX:
        raise FileError(f"Other users may write to {folder}. Run `chmod go-w {folder}` first.")


def _write(temporary: Path, path: Path, text: str, mode: int) -> None:
    try:
        with os.fdopen(private.create(temporary), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
