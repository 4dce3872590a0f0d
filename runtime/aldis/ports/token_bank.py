"""The token bank: one bucket a key for all processes, from which they take tokens in blocks.

Guarantees: over any time t a key's leases add up to at most `burst + rate * t` tokens, however many processes ask at
once. A lease may be for less than was asked, and for nothing; tokens that are not used are lost. `Unavailable` when the
bank does not answer; then tokens may have been taken all the same.
"""

from typing import NamedTuple, Protocol

from aldis.ports.limiter import Rate


class Lease(NamedTuple):
    """So many tokens belong to the caller; when there were fewer than asked, `wait_ms` says when there is another."""

    granted: int
    wait_ms: int


class TokenBank(Protocol):
    """Buckets by key."""

    async def lease(self, key: str, rate: Rate, tokens: int) -> Lease:
        """Take up to `tokens` tokens."""
        ...
