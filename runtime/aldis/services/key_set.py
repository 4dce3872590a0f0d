"""The issuer's public keys, at hand: looked up without waiting, fetched anew in the background.

- A key that was added is found when the first token names it, by a fetch of its own (at most one in
  `UNKNOWN_SECONDS`, however many unknown names come), or within the lifetime of the set. One that was removed verifies
  nothing any more after that lifetime.
- While the source does not answer, or answers what is no key set, the keys that are known go on working: for as long as
  this process lives. The source is asked again after 1, 2, 4 … up to 60 s.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

import structlog

from aldis.domain.errors import Unavailable
from aldis.ports.clock import Clock
from aldis.ports.key_source import KeySource
from aldis.services.signing_keys import SigningKey, parse_key_set
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import cancel_and_wait, spawn

UNKNOWN_SECONDS = 60.0
FAILED_SECONDS = 60.0  # the longest wait before an outage is looked at again
EARLY = 0.9  # of its lifetime after which a set is fetched anew, so that the answer is there in time

log = structlog.get_logger(__name__)


class KeySet:
    """Public keys by the name that tokens call them by. Run its fetches with `running()`."""

    def __init__(
        self, *, source: KeySource, clock: Clock, metrics: Metrics, ttl_seconds: float, algorithms: Collection[str]
    ) -> None:
        self._source = source
        self._clock = clock
        self._metrics = metrics
        self._ttl = ttl_seconds
        self.algorithms = frozenset(algorithms)
        self._keys: list[SigningKey] = []
        self._by_kid: dict[str, list[SigningKey]] = {}
        self._fetched_at: int | None = None  # when the keys that are known were fetched
        self._failures = 0  # fetches that failed since the last good one
        self._fetching: asyncio.Task[None] | None = None
        self._unknown_from = 0  # when an unknown name may cause a fetch again

    def find(self, kid: str | None, algorithm: str) -> list[SigningKey]:
        """The keys that a token may be signed with; one that names none is taken only where there is no choice."""
        named = self._by_kid.get(kid, []) if kid is not None else self._keys
        fitting = [key for key in named if algorithm in key.algorithms]
        return fitting if kid is not None or len(fitting) == 1 else []

    def knows(self, kid: str | None) -> bool:
        """Whether there is a key of this name, for whichever algorithm; a token without one names any."""
        return kid in self._by_kid if kid is not None else bool(self._keys)

    @property
    def is_failing(self) -> bool:
        """Whether the newest keys may be missing: there was no answer yet, or not lately."""
        return self._fetched_at is None or self._failures > 0

    @property
    def can_learn(self) -> bool:
        """Whether waiting for `learn` can bring an unknown key."""
        if self._failures:
            return False  # it is asked again anyway; whoever waited for that would wait for its timeout
        return self._fetching is not None or (not self.is_failing and self._clock.now_ms() >= self._unknown_from)

    @property
    def retry_after_ms(self) -> int:
        """When to come back during an outage."""
        return int(self._pause() * 1000)

    def age(self) -> float | None:
        """Seconds since the source last answered well, None when it never has."""
        return (self._clock.now_ms() - self._fetched_at) / 1000 if self._fetched_at is not None else None

    async def learn(self) -> None:
        """Wait for the fetch that an unknown name causes, or for the one under way, if there is any."""
        if not self.can_learn:
            return
        if self._fetching is None:
            self._unknown_from = self._clock.now_ms() + int(UNKNOWN_SECONDS * 1000)
        await self.refresh()

    async def refresh(self) -> None:
        """Fetch once; all who ask meanwhile wait for the same fetch. An outage is no error here."""
        if self._fetching is None:
            self._fetching = spawn(self._fetch(), "jwks-fetch")
        await asyncio.shield(self._fetching)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Fetch, and keep fresh while the block is open; does not fail when the source does."""
        await self.refresh()
        loop = spawn(self._keep_fresh(), "jwks")
        try:
            yield
        finally:
            await cancel_and_wait(loop, *([self._fetching] if self._fetching is not None else []))

    async def _keep_fresh(self) -> None:
        while True:
            await self._clock.sleep(self._pause())
            await self.refresh()

    def _pause(self) -> float:
        return min(2.0 ** (self._failures - 1), FAILED_SECONDS) if self._failures else EARLY * self._ttl

    async def _fetch(self) -> None:
        try:
            self._take(parse_key_set(await self._source.fetch(), self.algorithms))
        except Unavailable as error:
            self._fail(error)
        finally:
            self._fetching = None

    def _take(self, keys: list[SigningKey]) -> None:
        before = set(self._by_kid)
        self._keys, self._by_kid = keys, {}
        for key in keys:
            if key.kid is not None:
                self._by_kid.setdefault(key.kid, []).append(key)
        now = set(self._by_kid)
        if now != before or self._failures:
            log.info("jwks_taken", keys=len(keys), added=len(now - before), removed=len(before - now))
        self._fetched_at, self._failures = self._clock.now_ms(), 0
        self._metrics.jwks_fetches.labels(outcome="taken").inc()
        self._metrics.jwks_keys.set(len(keys))
        self._metrics.jwks_fetched.set(self._fetched_at / 1000)

    def _fail(self, error: Unavailable) -> None:
        self._failures = min(self._failures + 1, 16)  # the wait has long reached its end
        self._metrics.jwks_fetches.labels(outcome="failed").inc()
        log.warning(
            "jwks_unavailable", reason=error.message, known_keys=len(self._keys), seconds_since_success=self.age()
        )
