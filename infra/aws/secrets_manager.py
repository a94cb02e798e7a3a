"""Secrets in AWS Secrets Manager, held in memory for a while after they were read."""

import re
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from core.ports import StoreError
from infra.aws.service import AwsService, Refusal, store_error
from infra.store_rules import check_secret, check_secret_name

MEMORY: Final = 900.0  # seconds that a secret is used before it is read again

_ARN: Final = "arn:"
_ARN_NAME: Final = re.compile(r"arn:.*:secret:(.+?)(-[A-Za-z0-9]{6})?")  # AWS adds six characters to the name
# What stands where a secret was deleted. The port allows no secret of line breaks alone, and AWS no empty one.
_ERASED: Final = "\n"
# A secret keeps the version before the last one under a label; a second marker pushes the secret out of that, too.
_LABELLED_VERSIONS: Final = 2
_LARGEST: Final = 65_536
_MISSING: Final = "ResourceNotFound"  # no such secret, or no value in it yet, as a fresh stack makes it
_EXISTS: Final = "ResourceExists"


class SecretsManagerStore:
    """A `SecretStore` whose secrets are called `<prefix>/<name>`.

    prefix: also the ARN of one secret; then there is only that one, whatever its name.
    make_client: returns boto3's client, made at the first call. now: a clock in seconds.

    A secret is read once in 15 minutes, and again after `forget`. What is missing is asked for anew each time, so that
    a login elsewhere is seen at once. `delete` overwrites the value and leaves the secret itself, which belongs to the
    stack and to the policies that name it: AWS would keep a deleted one for a week, and give a new one another ARN.
    """

    def __init__(
        self, prefix: str, make_client: Callable[[], Any], now: Callable[[], float] = time.time
    ) -> None:
        self._prefix = prefix
        self._secrets = AwsService("secretsmanager", make_client)
        self._now = now
        self._lock = threading.Lock()  # writers one after the other, so that memory ends with the last one
        self._held: dict[str, tuple[str, float]] = {}
        self._changes = 0

    def load(self, name: str) -> str | None:
        """Return the secret, or None when there is none; line breaks at its end are not part of it."""
        check_secret_name(name)
        text, until = self._held.get(name, ("", 0.0))
        if self._now() < until:
            return text
        changes = self._changes
        found = self._read(name)
        if found is not None:
            with self._lock:
                if changes == self._changes:  # else this may be the value before a change
                    self._hold(name, found)
        return found

    def save(self, name: str, secret: str) -> None:
        """Create or replace the secret. Raises ValueError when it is empty or ends with a line break."""
        check_secret_name(name)
        check_secret(secret)
        if len(secret.encode()) > _LARGEST:
            raise StoreError(
                f"{self._what(name)} would be larger than the {_LARGEST:,} bytes that AWS keeps."
            )
        with self._lock:
            self._changes += 1
            self._held.pop(name, None)
            if not self._put(name, secret):
                self._create(name, secret)
            self._hold(name, secret)

    def delete(self, name: str) -> None:
        """Overwrite the secret and the version before it; do nothing when there is none."""
        check_secret_name(name)
        with self._lock:
            self._changes += 1
            self._held.pop(name, None)
            if self._read(name) is not None:
                for _ in range(_LABELLED_VERSIONS):
                    self._put(name, _ERASED)

    def forget(self) -> None:
        """Read secrets anew from now on: one that is no longer accepted may have been replaced elsewhere."""
        with self._lock:
            self._changes += 1
            self._held.clear()

    def _hold(self, name: str, secret: str) -> None:
        self._held[name] = (secret, self._now() + MEMORY)

    def _read(self, name: str) -> str | None:
        try:
            answer = self._secrets.call("get_secret_value", SecretId=self._id(name))
        except Refusal as refusal:
            if refusal.code == _MISSING:
                return None
            raise self._error(refusal, name) from refusal
        text = answer.get("SecretString")
        if not isinstance(text, str):
            raise StoreError(f"{self._what(name)} holds bytes, not text. Log in again to replace it.")
        return text.rstrip("\r\n") or None

    def _put(self, name: str, text: str) -> bool:
        """Replace the value; return whether there is such a secret."""
        try:
            self._secrets.call("put_secret_value", SecretId=self._id(name), SecretString=text)
        except Refusal as refusal:
            if refusal.code == _MISSING:
                return False
            raise self._error(refusal, name) from refusal
        return True

    def _create(self, name: str, text: str) -> None:
        if self._prefix.startswith(_ARN):  # AWS makes up ARNs itself
            raise StoreError(
                f"{self._what(name)} does not exist. Remove the stage and deploy it anew, which makes it."
            )
        try:
            self._secrets.call("create_secret", Name=self._id(name), SecretString=text)
        except Refusal as refusal:
            if refusal.code != _EXISTS or not self._put(name, text):
                raise self._error(refusal, name) from refusal

    def _id(self, name: str) -> str:
        return self._prefix if self._prefix.startswith(_ARN) else f"{self._prefix}/{name}"

    def _what(self, name: str) -> str:
        return f"The secret {self._name(name)}"

    def _name(self, name: str) -> str:
        """Return the secret's name: its ARN would tell clients the account's number."""
        arn = _ARN_NAME.fullmatch(self._prefix)
        return arn[1] if arn else self._id(name)

    def _error(self, refusal: Refusal, name: str) -> StoreError:
        if refusal.code == "InvalidRequest" and "marked" in refusal.message:
            return StoreError(
                f"{self._what(name)} is marked for deletion. Take that back with "
                f"`aws secretsmanager restore-secret --secret-id {self._name(name)}`."
            )
        return store_error(refusal, self._what(name))
