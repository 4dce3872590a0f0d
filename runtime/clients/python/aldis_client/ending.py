"""How a connection ended, and what that asks of the client. Pure: the client carries it out."""

from dataclasses import dataclass
from enum import Enum, auto

TOKEN_REFUSED = 4401
STAY_AWAY = range(4400, 4500)
"""Close codes after which the client must not come back as it is."""

HTTP_UNAUTHORIZED = 401
HTTP_TOO_MANY_REQUESTS = 429
HTTP_CLIENT_ERRORS = range(400, 500)


class Verdict(Enum):
    """What to do after a connection ended."""

    COME_BACK = auto()
    FRESH_TOKEN = auto()
    STOP = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of a connection, or of an attempt at one.

    `code` is the close code (None: none came), `after_seconds` the wait that the server asked for, `final` whether it
    said in words that coming back is useless.
    """

    code: int | None = None
    reason: str = ""
    after_seconds: float = 0.0
    final: bool = False

    @property
    def verdict(self) -> Verdict:
        """Come back after all but what the server calls useless; a refused token may be replaced once."""
        if self.code == TOKEN_REFUSED:
            return Verdict.FRESH_TOKEN
        if self.final or self.code in STAY_AWAY:
            return Verdict.STOP
        return Verdict.COME_BACK


class ConnectionEnded(Exception):
    """Raised inside the client when its connection is gone; never seen outside."""

    def __init__(self, ending: Ending) -> None:
        """Keep how it ended."""
        super().__init__(ending.reason)
        self.ending = ending


def ending_of_http(status: int, retry_after: str | None) -> Ending:
    """The ending that an HTTP answer to the opening handshake amounts to."""
    reason = f"HTTP {status}"
    if status == HTTP_UNAUTHORIZED:
        return Ending(code=TOKEN_REFUSED, reason=reason)
    after = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else 0.0
    final = status in HTTP_CLIENT_ERRORS and status != HTTP_TOO_MANY_REQUESTS
    return Ending(reason=reason, after_seconds=after, final=final)
