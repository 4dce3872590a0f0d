"""What a send looks like on the wire, and its answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from aldis_client.events import BadFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """The message is committed: its id, its place in its conversation, and whether an earlier send had made it."""

    message_id: str
    conversation_id: str
    seq: int
    created_at: datetime
    duplicate: bool


def build_send(
    *,
    to_user: str | None = None,
    to_conversation: str | None = None,
    text: str | None = None,
    json: Any = None,
    content: Mapping[str, Any] | None = None,
    client_id: str | None = None,
    priority: str = "normal",
    reply_to: str | None = None,
    expires_in: float | None = None,
) -> dict[str, Any]:
    """The body of a `send` command; makes a client id when none is given.

    Raises `ValueError` unless there is exactly one recipient and exactly one content.
    """
    to = {"user": to_user, "conversation": to_conversation}
    to = {kind: name for kind, name in to.items() if name is not None}
    contents: list[Mapping[str, Any]] = [] if content is None else [content]
    contents += [] if text is None else [{"type": "text", "text": text}]
    contents += [] if json is None else [{"type": "json", "data": json}]
    if len(to) != 1:
        raise ValueError("give to_user or to_conversation, and one only")
    if len(contents) != 1:
        raise ValueError("give text, json or content, and one only")
    extras = {"reply_to": reply_to, "expires_in": expires_in}
    return {
        "to": to,
        "client_id": client_id or str(uuid4()),
        "content": contents[0],
        "priority": priority,
        **{name: value for name, value in extras.items() if value is not None},
    }


def parse_result(answer: Mapping[str, Any]) -> SendResult:
    """Read the answer to a send. Raises `BadFrame`."""
    try:
        return SendResult(
            message_id=str(answer["message_id"]),
            conversation_id=str(answer["conversation_id"]),
            seq=int(answer["seq"]),
            created_at=datetime.fromisoformat(answer["created_at"]),
            duplicate=bool(answer["duplicate"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadFrame("the answer to a send lacks a field") from error
