"""The live list of models: cached, shared between processes, and never lost to a failed refresh."""

import hashlib
import logging
import threading
import zlib
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from core.copilot.client import OWN_PATIENCE, CopilotClient
from core.copilot.entries import decode_entry
from core.copilot.headers import VERSION
from core.copilot.lease import Lease
from core.copilot.unsupported import likely_reason, model_of
from core.errors import GatewayError
from core.model import Model
from core.outgoing import Outgoing
from core.ports import StateStore, StoreError, read_stored
from core.settings import Settings

_log = logging.getLogger(__name__)

_KIND: Final = "copilot-catalogue"
_LEASES: Final = "copilot-catalogue-lease"
_KEEP: Final = 86_400.0  # how long a stale list is better than none
_STEP: Final = 0.1  # between two looks for the list that another process fetches
_PAUSE: Final = 60.0  # after a failed refresh; also between two that a refused model asked for
_SHORT_PAUSE: Final = 2.0  # the same without any list: requests that waited together fail together
_LIMIT: Final = 8 * 1024 * 1024


class _List(Struct):
    data: list[Raw]


class _Listing(Struct, frozen=True):
    models: tuple[Model, ...]
    fetched_at: float


class Catalogue:
    """The models that this account may use, as Copilot lists them.

    `_listing` is replaced whole, so that readers need no lock; `_lock` is held by the one thread that refreshes.
    """

    def __init__(
        self,
        settings: Settings,
        client: CopilotClient,
        state: StateStore,
        *,
        now: Callable[[], float],
        new_id: Callable[[], str],
        wait: Callable[[float], None],
    ) -> None:
        self._settings = settings
        self._client = client
        self._state = state
        self._lease = Lease(state, _LEASES, now)
        self._now = now
        self._new_id = new_id
        self._wait = wait
        self._lock = threading.Lock()
        self._listing: _Listing | None = None
        self._retry_at = 0.0
        self._recheck_at = 0.0
        self._failure: GatewayError | None = None
        client.why_unsupported = self.why_unsupported

    def models(self) -> tuple[Model, ...]:
        """Return the models, at most `catalogue_ttl` seconds old, or older ones when they cannot be refreshed.

        Raises GatewayError only when there never was a list.
        """
        listing = self._listing
        if listing is not None and (self._is_fresh(listing) or self._is_before(self._retry_at)):
            return listing.models
        if not self._lock.acquire(blocking=listing is None):
            return listing.models if listing is not None else ()
        try:
            if self._listing is not listing and self._listing is not None:
                return self._listing.models
            return self._renewed(listing).models
        finally:
            self._lock.release()

    def refresh(self) -> tuple[Model, ...]:
        """Fetch the list now and return it; raises GatewayError when that fails (the old list stays in use)."""
        with self._lock:
            return self._fetched(self._key()).models

    def forget(self) -> None:
        """Put the list aside: somebody else has logged in, and may use other models."""
        with self._lock:
            self._listing = self._failure = None
            self._retry_at = self._recheck_at = 0.0

    def why_unsupported(self, outgoing: Outgoing) -> str:
        """Say why upstream may have refused the model of this request; empty when nothing is known.

        The list is fetched anew for it, at most once a minute, so that the next request is judged by what holds now.
        """
        model_id = model_of(outgoing)
        if not model_id:
            return ""
        self._recheck()
        listing = self._listing
        return "" if listing is None else likely_reason(model_id, outgoing.path, listing.models)

    def _recheck(self) -> None:
        if self._is_before(self._recheck_at) or not self._lock.acquire(blocking=False):
            return
        try:
            self._recheck_at = self._now() + _PAUSE
            self._fetched(self._key())
        except GatewayError as error:
            _log.warning("copilot.catalogue_refresh_failed kind=%s code=%s", error.kind, error.code)
        finally:
            self._lock.release()

    def _is_fresh(self, listing: _Listing) -> bool:
        # A list from the future was fetched before the clock was set back.
        return abs(self._now() - listing.fetched_at) < self._settings.catalogue_ttl

    def _is_before(self, end: float) -> bool:
        """Say whether a pause lasts; one that ends later than any does was begun before the clock was set back."""
        return 0 < end - self._now() <= _PAUSE

    def _renewed(self, old: _Listing | None) -> _Listing:
        if self._failure is not None and self._is_before(self._retry_at):
            raise self._failure.with_traceback(None)
        try:
            key = self._key()
            stored = self._stored(key)
            if stored is not None and (old is None or stored.fetched_at > old.fetched_at):
                old = self._listing = stored
                if self._is_fresh(stored):
                    return stored
            return self._leased(key, old)
        except GatewayError as error:
            self._retry_at = self._now() + (_PAUSE if old else _SHORT_PAUSE)
            if old is None:
                # A missing login is not remembered: the next request after it is made shall work.
                self._failure = None if error.kind == "login_required" else error
                raise
            _log.warning("copilot.catalogue_refresh_failed kind=%s code=%s", error.kind, error.code)
            return old

    def _leased(self, key: str, old: _Listing | None) -> _Listing:
        """Fetch the list, unless another process just does: with an old one at hand go on with that, else wait for the new."""
        owner = self._new_id()
        for _ in range(int(OWN_PATIENCE / _STEP)):
            if self._lease.claim(key, owner):
                break
            if old is not None:
                return old
            self._wait(_STEP)
            if (shared := self._shared(key)) is not None:
                return shared
        try:
            # The holder of the lease before this one may have just saved it.
            return self._shared(key) or self._fetched(key)
        finally:
            self._lease.release(key, owner)

    def _shared(self, key: str) -> _Listing | None:
        """Take over a fresh list that another process has fetched."""
        stored = self._stored(key)
        if stored is None or not self._is_fresh(stored):
            return None
        self._listing = stored
        self._retry_at, self._failure = 0.0, None
        return stored

    def _fetched(self, key: str) -> _Listing:
        models = decode_catalogue(self._client.get("/models"), self._settings)
        listing = self._listing = _Listing(models, self._now())
        self._retry_at, self._failure = 0.0, None
        try:
            record = zlib.compress(msgspec.json.encode(listing))
            self._state.save(_KIND, key, record, expires_at=self._now() + _KEEP)
        except StoreError:
            _log.warning("copilot.catalogue_not_shared")
        return listing

    def _key(self) -> str:
        # Another account, another gateway version or other corrections see other facts.
        facts = msgspec.json.encode(self._settings.quirks, order="sorted")
        parts = self._client.tokens.account().encode(), VERSION.encode(), facts
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:40]

    def _stored(self, key: str) -> _Listing | None:
        try:
            record = self._state.load(_KIND, key)
            unpacked = None if record is None else zlib.decompressobj().decompress(record, _LIMIT)
        except (StoreError, zlib.error):
            return None
        return read_stored(unpacked, _Listing)


def decode_catalogue(body: bytes, settings: Settings) -> tuple[Model, ...]:
    """Decode the reply of `GET /models`; broken entries and repeated ids are left out.

    Raises GatewayError `upstream` when it is no model list, or nothing in it can be used.
    """
    try:
        entries = msgspec.json.decode(body, type=_List).data
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise GatewayError(
            "Copilot's model list cannot be read.", kind="upstream", code="bad_catalogue"
        ) from None
    models: dict[str, Model] = {}
    for index, entry in enumerate(entries):
        try:
            model = decode_entry(entry, settings.quirks)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            _log.warning("copilot.catalogue_entry_skipped index=%d reason=%s", index, error)
            continue
        known = models.get(model.id)
        # Of two entries with one id, the one that people may pick is the real one.
        if known is None or (model.picker and not known.picker):
            models[model.id] = model
    if not models:
        raise GatewayError("Copilot lists no usable model.", kind="upstream", code="empty_catalogue")
    return tuple(models.values())
