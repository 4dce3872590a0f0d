"""What can be sent, and what is answered, side by side: examples for the description of `POST /v1/messages`."""

from typing import Any

from aldis.contract.glossary import CONVERSATION_ID, MESSAGE_ID, TIME

_SENT: dict[str, Any] = {
    "message_id": MESSAGE_ID,
    "conversation_id": CONVERSATION_ID,
    "seq": 7,
    "created_at": TIME,
    "duplicate": False,
}
_TOO_FAST: dict[str, Any] = {
    "code": "rate_limited",
    "message": "at most 500 messages a second into this channel",
    "field": "channel",
    "retryable": True,
    "retry_after_ms": 200,
}

BODIES: Any = {
    "chat": {
        "summary": "A user writes to another",
        "value": {"to": {"user": "bob"}, "content": {"type": "text", "text": "Hello"}, "client_id": "c-17"},
    },
    "notifications": {
        "summary": "A backend notifies several users",
        "value": {
            "to": {"users": ["alice", "bob"]},
            "channel": "orders",
            "content": {"type": "json", "data": {"order": 1234, "state": "shipped"}},
            "priority": "high",
            "expires_in": 86400,
            "client_id": "order-1234-shipped",
        },
    },
    "broadcast": {
        "summary": "A backend tells all who hear a channel",
        "value": {"to": {"channel": "news"}, "content": {"type": "text", "text": "We open at nine"}},
    },
    "as_user": {
        "summary": "A backend writes in a user's name",
        "value": {
            "from": {"user": "alice"},
            "to": {"user": "bob"},
            "content": {"type": "text", "text": "Sent from the web shop"},
        },
    },
}

ANSWERS: dict[str, Any] = {
    "description": "It is committed. The shape follows from `to`.",
    "content": {
        "application/json": {
            "examples": {
                "one": {"summary": "To a user, or into a conversation", "value": _SENT},
                "several": {
                    "summary": "To several users, one of which failed",
                    "value": {
                        "messages": [
                            {"recipient": "alice", **_SENT},
                            {"recipient": "bob", "error": _TOO_FAST},
                        ]
                    },
                },
                "broadcast": {
                    "summary": "To a broadcast channel",
                    "value": {
                        "message_id": MESSAGE_ID,
                        "channel": "news",
                        "seq": 7,
                        "created_at": TIME,
                        "duplicate": False,
                    },
                },
            }
        }
    },
}
