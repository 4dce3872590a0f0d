"""The one small tree of errors, and the one table of their codes.

`Rejected` is the caller's fault and says what to change; `Unavailable` is ours and says when to come back. Each edge
(HTTP, socket, worker) maps the two once; nothing else in between translates them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """What a stable error code means: its HTTP status and what its reader should do."""

    status: int
    remedy: str


CODES: dict[str, ErrorCode] = {
    "bad_json": ErrorCode(400, "Send one JSON object, UTF-8 encoded."),
    "bad_request": ErrorCode(400, "Correct the named field."),
    "unknown_field": ErrorCode(400, "Remove the named field; fields are listed in the contract."),
    "unknown_command": ErrorCode(400, "Use one of the commands of the contract."),
    "bad_cursor": ErrorCode(400, "Use a position or a cursor that this server gave you."),
    "not_connected": ErrorCode(400, "Send the connect command first, once."),
    "unauthorized": ErrorCode(401, "Send a valid, unexpired token or key."),
    "forbidden": ErrorCode(403, "Ask for access, or use another identity."),
    "forbidden_field": ErrorCode(403, "Remove the named field: this caller may not set it."),
    "read_only": ErrorCode(403, "Notifications are one-way; write into a chat."),
    "not_found": ErrorCode(404, "Check the id; what you may not see answers the same."),
    "unknown_channel": ErrorCode(404, "Declare the channel first (aldis channel apply FILE)."),
    "method_not_allowed": ErrorCode(405, "Use a method named in the Allow header."),
    "conflict": ErrorCode(409, "Read the current state and try again."),
    "precondition_failed": ErrorCode(412, "Read it again, and send the ETag that it has now."),
    "too_large": ErrorCode(413, "Send less; the limit is in the message."),
    "idempotency_mismatch": ErrorCode(422, "Use a new Idempotency-Key for another body."),
    "rate_limited": ErrorCode(429, "Wait for retry_after_ms, then send again."),
    "connection_limit": ErrorCode(429, "Close another connection of this user first."),
    "device_limit": ErrorCode(429, "Remove a device of this user first."),
    "unstorable": ErrorCode(422, "This message cannot be stored as it is; change its content."),
    "internal": ErrorCode(500, "Report the request id to the operator of this service."),
    "unavailable": ErrorCode(503, "Try again with the same client_id after retry_after_ms."),
}


class AldisError(Exception):
    """Any failure that Aldis knows of."""


class Rejected(AldisError):
    """The caller's fault: nothing was changed. `code` is stable, `field` the path of what is wrong."""

    def __init__(self, code: str, message: str, *, field: str | None = None, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after_ms = retry_after_ms

    @property
    def retryable(self) -> bool:
        """Whether the same call can succeed later without being changed."""
        return self.retry_after_ms is not None


class Unavailable(AldisError):
    """Ours: the outcome may be unknown. The same call with the same client id is safe after `retry_after_ms`."""

    code = "unavailable"
    field = None
    retryable = True

    def __init__(self, message: str, *, retry_after_ms: int = 1000) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_ms = retry_after_ms
