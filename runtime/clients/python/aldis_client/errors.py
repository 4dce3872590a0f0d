"""What can go wrong for a caller of the client, one class for each thing that is treated differently."""

from collections.abc import Mapping
from typing import Any, Self


class AldisClientError(Exception):
    """The root of the errors that this package raises on purpose."""


class CursorError(ValueError):
    """A text is not a cursor."""


class CommandRejected(AldisClientError):
    """The server refused a command, and would refuse it again."""

    def __init__(self, code: str, message: str = "", field: str | None = None) -> None:
        """Keep the stable `code`, the words for people, and the path of the field at fault, if any."""
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.field = field

    @classmethod
    def of(cls, error: Mapping[str, Any]) -> Self:
        """Read the `error` of an answer."""
        return cls(str(error.get("code") or "unknown"), str(error.get("message") or ""), error.get("field"))


class SendRejected(CommandRejected):
    """The server refused a message for good; it was not stored."""


class OutboxFull(AldisClientError):
    """As many sends as the outbox may hold wait for an answer; nothing was taken."""


class OrderViolation(AldisClientError):
    """A gapless source jumped: what lies between `expected` and `position` did not arrive."""

    def __init__(self, source: str, expected: int, position: int) -> None:
        """Name the source, the position that was due and the one that came."""
        super().__init__(f"source {source} jumped: position {expected} was due, {position} came")
        self.source = source
        self.expected = expected
        self.position = position


class Disconnected(AldisClientError):
    """The server told this client not to come back as it is; `code` is the close code (4400-4499), if known."""

    def __init__(self, code: int | None, reason: str) -> None:
        """Keep the close code and the server's reason."""
        super().__init__(f"{reason or 'disconnected'} ({code})" if code else reason)
        self.code = code
        self.reason = reason


class Unreachable(AldisClientError):
    """No connection was made within the time given to open the client."""


class ClientClosed(AldisClientError):
    """The client was closed before, or while, this was asked of it."""
