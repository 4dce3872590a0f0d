"""What one client address may use, whoever is behind it: handshakes, requests, failed authentications, connections.

It is asked before anything else is done for a request, so it is cheap: nothing waits, and an address that is not
limited costs one look into a bucket. The limits are generous, because a whole office may share an address: they are
there for floods.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import structlog

from aldis.domain.addresses import Address, Network, client_address, subscriber
from aldis.domain.errors import Rejected
from aldis.ports.clock import Clock
from aldis.ports.limiter import Limiter, Rate
from aldis.telemetry.metrics import Metrics

TELL_MS = 60_000  # between two lines of the log that say the same

Headers = Iterable[tuple[bytes, bytes]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressLimits:
    """How much of each."""

    handshakes: Rate
    requests: Rate
    failures: Rate
    connections: int
    trusted_proxies: Sequence[Network] = ()
    exempt_loopback: bool = False


class AddressGate:
    """Limits by client address. The key of a client that is not limited is None."""

    def __init__(self, *, limits: AddressLimits, limiter: Limiter, clock: Clock, metrics: Metrics) -> None:
        self._limits = limits
        self._limiter = limiter
        self._clock = clock
        self._metrics = metrics
        self._connections: Counter[str] = Counter()
        self._told_at: dict[str, int] = {}

    def key_of(self, peer: Sequence[object] | None, headers: Headers) -> str | None:
        """What a client is limited as; `peer` is ASGI's (host, port), None over a socket that has no addresses."""
        if not peer or not isinstance(host := peer[0], str):
            return None
        address = client_address(host, headers, self._limits.trusted_proxies)
        return _key(address, exempt_loopback=self._limits.exempt_loopback) if address is not None else None

    def check_request(self, key: str | None) -> None:
        """Count a request; raises `Rejected("rate_limited")`."""
        self._take("request", key, self._limits.requests)

    def check_handshake(self, key: str | None) -> None:
        """Count a socket's handshake; raises `Rejected("rate_limited")`."""
        self._take("handshake", key, self._limits.handshakes)

    def count_failure(self, key: str | None) -> None:
        """Count a credential that was wrong; raises `Rejected("rate_limited")` when there were too many."""
        self._take("failure", key, self._limits.failures)

    def may_look_up(self, key: str | None) -> bool:
        """Whether a credential of this client is worth a look into the database."""
        return key is None or self._limiter.remaining(f"failure:{key}", self._limits.failures) > 0

    def has_room(self, key: str | None) -> bool:
        """Whether this client may have another connection."""
        if key is None or self._connections[key] < self._limits.connections:
            return True
        self._tell("connections", key)
        return False

    def opened(self, key: str | None) -> None:
        """A connection has begun."""
        if key is not None:
            self._connections[key] += 1

    def closed(self, key: str | None) -> None:
        """A connection has ended."""
        if key is None:
            return
        self._connections[key] -= 1
        if self._connections[key] <= 0:
            del self._connections[key]

    def _take(self, limit: str, key: str | None, rate: Rate) -> None:
        if key is None:
            return
        wait_ms = self._limiter.take(f"{limit}:{key}", rate)
        if wait_ms:
            self._tell(limit, key)
            words = f"too many {_WORDS[limit]} from this address"
            raise Rejected("rate_limited", words, retry_after_ms=wait_ms)

    def _tell(self, limit: str, key: str) -> None:
        self._metrics.address_limited.labels(limit=limit).inc()
        now = self._clock.now_ms()
        if now - self._told_at.get(limit, 0) >= TELL_MS:
            self._told_at[limit] = now
            log.warning("address_limited", limit=limit, address=key)


_WORDS = {"request": "requests", "handshake": "handshakes", "failure": "wrong credentials"}


@lru_cache(maxsize=16_384)
def _key(address: Address, *, exempt_loopback: bool) -> str | None:
    return None if exempt_loopback and address.is_loopback else subscriber(address)
