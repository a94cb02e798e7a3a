"""Files that only their owner may read: how the local stores create and check them."""

import contextlib
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Final

from core.ports import StoreError

FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700

# Absent on Windows, where permissions are inherited from the user's profile instead.
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def ensure_directory(directory: Path) -> None:
    """Create the directory with mode 0700 when it is missing; check it as `check_directory` does."""
    try:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        check_directory(directory)
    except OSError as error:
        raise unusable(directory, error) from error


def check_directory(directory: Path) -> None:
    """Raise StoreError when others may put files into the directory, OSError when it cannot be seen.

    The directory is never changed: it may be one that the user shares on purpose.
    """
    if sys.platform != "win32" and directory.stat().st_mode & _OTHERS_WRITE:
        raise StoreError(
            f"Other users may write to {directory}. Run `chmod 700 {directory}`, or set "
            "COPILOT_GATEWAY_DATA_DIR to a directory of your own."
        )


def create(path: Path) -> int:
    """Create a file that did not exist, mode 0600, and return its descriptor. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _BINARY, FILE_MODE)


def create_empty(path: Path) -> None:
    """Create an empty file of mode 0600 unless there is a file already. Raises OSError.

    Closing any descriptor of a file drops all locks that the process holds on it, those of SQLite too. So the
    file is created and closed under another name, where nobody has locked it yet.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    os.close(create(temporary))
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    except OSError:  # a file system without hard links
        with contextlib.suppress(FileExistsError):
            os.close(create(path))
    finally:
        temporary.unlink()


def make_private(path: Path) -> None:
    """Take the permissions of others away from a file, without opening it.

    Raises FileNotFoundError when there is no such file, and StoreError for a symbolic link, for anything
    but a plain file, and for a file that this process may not change.
    """
    # Nobody else can swap the file between these steps: `ensure_directory` refuses directories of that kind.
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise StoreError(f"{path} is a symbolic link. Replace it by the file itself.")
    if not stat.S_ISREG(mode):
        raise StoreError(f"{path} is not a plain file. Move it away and try again.")
    if sys.platform == "win32" or not mode & _OTHERS:
        return
    try:
        path.chmod(FILE_MODE)
    except OSError as error:
        raise StoreError(
            f"Other users may read {path} and this process may not change that. Run `chmod 600 {path}` as its owner."
        ) from error


def open_for_reading(path: Path) -> int:
    """Return the descriptor of an existing file. Raises OSError."""
    return os.open(path, os.O_RDONLY | _NO_FOLLOW | _BINARY)


def sync_directory(directory: Path) -> None:
    """Make a rename in the directory survive a power cut, where the platform can. Raises OSError."""
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unusable(path: Path, error: OSError) -> StoreError:
    """Say what stands in the way of using the path and what to do about it."""
    return StoreError(
        f"Cannot use {path}: {error.strerror or error}. Check its permissions and the free space, or set "
        "COPILOT_GATEWAY_DATA_DIR to a directory of your own."
    )
