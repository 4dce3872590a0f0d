"""The backend keys that are in use: read from the store, remembered for a moment, and their use noted.

`KEY_MEMORY_MS` bounds how long a revoked key still works on a running gateway. When a key was last used is written at
most once a minute, by a chore of its own, so no request waits for it; the last minute is lost with the process.
"""

import structlog

from aldis.domain.callers import ApiKey, BackendCaller
from aldis.domain.errors import AldisError, Rejected
from aldis.ports.clock import Clock
from aldis.ports.store import Store
from aldis.services.issue_key import KeyText, is_secret_of, parse_key

KEY_MEMORY_MS = 5_000
NOTE_SECONDS = 60.0  # between notes of what was used

log = structlog.get_logger(__name__)


class KnownKeys:
    """Backend keys by what their holders send."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._keys: dict[str, tuple[ApiKey, int]] = {}  # id → key, read at; only keys that exist, so it stays small
        self._used: dict[str, int] = {}  # id → last used at, not yet noted

    async def authenticate(self, text: str, *, may_read: bool = True) -> BackendCaller:
        """The backend that a key names; raises `Rejected("unauthorized")`, also for a key that it may not read."""
        parsed = _parse(text)
        key = self.remembered(parsed.id)
        if key is None and may_read:
            key = await self._read(parsed.id)
        return self._caller_of(key, parsed)

    def recognise(self, text: str) -> BackendCaller | None:
        """The same without waiting; None when the key has to be read first."""
        parsed = _parse(text)
        key = self.remembered(parsed.id)
        return self._caller_of(key, parsed) if key is not None else None

    def remembered(self, key_id: str) -> ApiKey | None:
        """The key as it was read a moment ago."""
        known = self._keys.get(key_id)
        return known[0] if known is not None and 0 <= self._clock.now_ms() - known[1] < KEY_MEMORY_MS else None

    async def note_used(self) -> None:
        """Store when keys were last used, as far as that is not stored yet; what fails is noted the next time."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            async with self._store.begin() as transaction:
                await transaction.note_keys_used(used)
        except AldisError as error:
            log.warning("key_use_not_noted", reason=str(error))
            self._used = used | self._used

    async def keep_noting(self) -> None:
        """Note for ever."""
        while True:
            await self._clock.sleep(NOTE_SECONDS)
            await self.note_used()

    async def _read(self, key_id: str) -> ApiKey | None:
        now = self._clock.now_ms()
        key = await self._store.api_key(key_id)
        if key is None:
            self._keys.pop(key_id, None)
        else:
            self._keys[key_id] = (key, now)
        return key

    def _caller_of(self, key: ApiKey | None, given: KeyText) -> BackendCaller:
        if key is None or not is_secret_of(key, given.secret):
            raise Rejected("unauthorized", "this is not a valid key")
        now = self._clock.now_ms()
        if not key.is_valid(now):
            raise Rejected("unauthorized", f"this key has {'expired' if key.revoked_at is None else 'been revoked'}")
        self._used[key.id] = now
        return BackendCaller(name=key.name, key_id=key.id, scopes=key.scopes, channels=key.channels)


def _parse(text: str) -> KeyText:
    parsed = parse_key(text)
    if parsed is None:
        raise Rejected("unauthorized", "this is not a valid key")
    return parsed
