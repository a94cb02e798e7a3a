"""Secrets in files of mode 0600, one file a secret."""

import contextlib
import os
import secrets
from pathlib import Path

from core.ports import StoreError
from infra.local import private
from infra.store_rules import check_secret, check_secret_name


class FileSecretStore:
    """A `SecretStore` in a directory that only its owner may use.

    A secret is written to a temporary file and renamed, so that a reader sees the old one or the new one.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, name: str) -> str | None:
        """Return the secret, or None when there is none; line breaks that an editor left at its end are not part of it."""
        path = self._path(name)
        try:
            private.check_directory(self._directory)
            private.make_private(path)
            with os.fdopen(private.open_for_reading(path), "rb") as file:
                text = file.read().decode()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise StoreError(f"{path} is damaged: it holds no text. Delete it and log in again.") from error
        except OSError as error:
            raise private.unusable(path, error) from error
        return text.rstrip("\r\n") or None

    def save(self, name: str, secret: str) -> None:
        """Create or replace the secret. Raises ValueError when it is empty or ends with a line break."""
        path = self._path(name)
        check_secret(secret)
        content = secret.encode()
        private.ensure_directory(self._directory)
        temporary = self._directory / f".{name}.{secrets.token_hex(8)}"
        try:
            _write(temporary, content)
            _move(temporary, path)
            private.sync_directory(self._directory)
        except OSError as error:
            raise private.unusable(path, error) from error

    def delete(self, name: str) -> None:
        """Remove the secret, and copies that a killed writer may have left."""
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
            for leftover in self._directory.glob(f".{name}.*"):
                leftover.unlink(missing_ok=True)
        except OSError as error:
            raise private.unusable(path, error) from error

    def _path(self, name: str) -> Path:
        check_secret_name(name)
        return self._directory / name


def _write(path: Path, content: bytes) -> None:
    descriptor = private.create(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _move(temporary: Path, path: Path) -> None:
    try:
        # The temporary file is gone when the secret was deleted meanwhile: saved, then deleted.
        with contextlib.suppress(FileNotFoundError):
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
