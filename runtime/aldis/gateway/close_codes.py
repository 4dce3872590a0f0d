"""The close codes, and which error leads to which: 40xx come back with backoff, 44xx do not come back as they are."""

from enum import IntEnum


class CloseCode(IntEnum):
    """Why the server closes a socket."""

    SHUTDOWN = 4001
    SLOW_CONSUMER = 4002
    NO_PONG = 4003
    TOO_MANY_REQUESTS = 4004
    STATE_LOST = 4005
    BAD_FRAME = 4400
    TOKEN = 4401
    FORBIDDEN = 4403
    REPLACED = 4409
    CONNECTION_LIMIT = 4429

    @property
    def reconnect(self) -> bool:
        """Whether the client should come back as it is."""
        return self < 4400  # noqa: PLR2004 - the contract's own border


REASONS = {
    CloseCode.SHUTDOWN: "shutdown",
    CloseCode.SLOW_CONSUMER: "slow consumer",
    CloseCode.NO_PONG: "no sign of life",
    CloseCode.TOO_MANY_REQUESTS: "too many requests",
    CloseCode.STATE_LOST: "state lost",
    CloseCode.BAD_FRAME: "bad frame",
    CloseCode.TOKEN: "token",
    CloseCode.FORBIDDEN: "forbidden",
    CloseCode.REPLACED: "replaced by a newer connection of this device",
    CloseCode.CONNECTION_LIMIT: "connection limit",
}

_OF_ERROR = {  # what refuses a connect command
    "unauthorized": CloseCode.TOKEN,
    "forbidden": CloseCode.FORBIDDEN,
    "connection_limit": CloseCode.CONNECTION_LIMIT,
    "device_limit": CloseCode.CONNECTION_LIMIT,
    "rate_limited": CloseCode.TOO_MANY_REQUESTS,
    "unavailable": CloseCode.STATE_LOST,
}


def close_code_of(error_code: str) -> CloseCode:
    """How the socket is closed when its connect command failed with this error."""
    return _OF_ERROR.get(error_code, CloseCode.BAD_FRAME)
