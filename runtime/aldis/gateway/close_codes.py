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

REMEDIES = {
    CloseCode.SHUTDOWN: "Come back after `after_ms`; another process serves, or this one again.",
    CloseCode.SLOW_CONSUMER: "Come back and read faster; nothing is lost.",
    CloseCode.NO_PONG: "Come back; answer pings, and connect within 10 s.",
    CloseCode.TOO_MANY_REQUESTS: (
        "Come back later. It follows 1,000 refused commands, of which each accepted send makes up for 20: "
        "who sends far more than he may."
    ),
    CloseCode.STATE_LOST: (
        "Come back. The store did not answer, or retention took what this connection still had to read: "
        "then `recovered` will be `false`."
    ),
    CloseCode.BAD_FRAME: "Mend the client: binary frames, no JSON object, or a connect command that is wrong.",
    CloseCode.TOKEN: "Get a new token: this one is not valid, or has ended.",
    CloseCode.FORBIDDEN: "Use another identity.",
    CloseCode.REPLACED: "Stay away: the same device has connected again.",
    CloseCode.CONNECTION_LIMIT: "Close another connection of this user, or use fewer device ids.",
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
