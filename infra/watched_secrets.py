"""A secret store that is watched, as the state store is: a login that cannot be read is told once, with the reason."""

import time

from core.ports import SecretStore
from infra.watched_store import Watch


class WatchedSecrets:
    """A `SecretStore` around another one."""

    def __init__(self, secrets: SecretStore) -> None:
        self._secrets = secrets
        self._reading = Watch("reading_secrets", time.monotonic)
        self._writing = Watch("writing_secrets", time.monotonic)

    def load(self, name: str) -> str | None:
        """Return the secret, or None when there is none."""
        return self._reading.call(self._secrets.load, name)

    def save(self, name: str, secret: str) -> None:
        """Create or replace the secret. Raises ValueError when it is empty or ends with a line break."""
        self._writing.call(self._secrets.save, name, secret)

    def delete(self, name: str) -> None:
        """Remove the secret; do nothing when there is none."""
        self._writing.call(self._secrets.delete, name)
