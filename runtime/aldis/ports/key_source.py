"""The key source: where the public keys are published that users' tokens are signed with.

Guarantees: `fetch` answers within `FETCH_SECONDS` and with at most `MAX_BYTES`, or raises `Unavailable`, whatever the
other side does; nothing is remembered between two calls. What it answers is not looked at: it may be garbage.
"""

from typing import Protocol

FETCH_SECONDS = 5.0  # well inside the ten seconds that a socket has to say who it is
MAX_BYTES = 256 * 1024  # a key takes about 500 bytes, with its certificates a few thousand


class KeySource(Protocol):
    """One issuer's JSON Web Key Set (RFC 7517)."""

    async def fetch(self) -> bytes:
        """The document as it is published now."""
        ...
