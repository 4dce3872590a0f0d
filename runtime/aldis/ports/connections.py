"""What a gateway tells of its connections, to administrators."""

from typing import NamedTuple


class ConnectionView(NamedTuple):
    """A connection; `since_ms` is Unix milliseconds, `address` who is on the other end of the wire."""

    id: str
    user: str
    device: str | None
    platform: str
    since_ms: int
    node: str
    transport: str
    address: str | None
    unsent_bytes: int
