"""What the description of the socket says in words, beside what stands at the structures and in the glossary."""

from typing import Any

OVERVIEW = """What a user's devices say and are told, over a WebSocket, server-sent events or a long poll.

One JSON object a frame. A command may have an integer `id`, which its answer repeats; a frame of the server without one
is news, or answers a command that had none. Ignore fields, event types and codes that you do not know.

A client shows every message exactly once if it keeps three rules:

1. Keep the highest position applied for each source, and drop an event at or below it.
2. Apply each event as an upsert by message id.
3. Store first, then acknowledge.

REST is described by `/openapi.json`."""

SOCKET = """Text frames of at most 128 KiB (unless configured), one command a frame, no compression. The first command
is `connect`, within 10 s. What was missed follows its answer, express first.

Before the handshake a draining server answers 503, a full one 503 with `Retry-After`, and an address that opens too
many sockets gets 429 with `Retry-After`."""

EVENTS = """Each event has one of these frames as its data, and as its id the cursor after it: `Last-Event-ID` resumes.
The first is the answer to `connect`; comments keep the stream awake; `disconnect` is its last word. Commands go by
REST."""

SYNC = """Answers `{"frames": […], "cursor": …, "recovered": …}` with these frames but the answer to `connect`: at once
when there is something, else with what comes first within `wait` seconds. Ask again with its `cursor`. Commands go by
REST."""

STREAMS = {"events": ("Server-sent events", EVENTS), "sync": ("Long poll", SYNC)}

_READER: dict[str, Any] = {
    "device": {"type": "string", "description": "Whose stream it is; left out, the reader moves nothing."},
    "cursor": {"type": "string", "description": "From where to read; left out, from what the device acknowledged."},
}
QUERIES: dict[str, Any] = {
    "events": {"type": "object", "properties": _READER},
    "sync": {
        "type": "object",
        "properties": {
            **_READER,
            "wait": {"type": "number", "minimum": 0, "maximum": 60, "default": 25, "description": "Seconds."},
        },
    },
}

FRAMES = {
    "ConnectCommand": "Comes first: who and which device it is, and from where to go on.",
    "SendCommand": "Send a message to a user or into a conversation.",
    "AckCommand": "Confirm what is stored on the device. Nothing answers it.",
    "ReadCommand": "Say that a conversation is read up to a `seq`.",
    "TypingCommand": "Say that the user types. Nothing answers it; repeat it every few seconds.",
    "PresenceCommand": "Choose whose coming and going is told, in the place of those before.",
    "RefreshCommand": "Bring a newer token, so that the connection lives on.",
    "PongCommand": "Answer a `ping`. Any frame is a sign of life.",
    "PingCommand": "Ask for a sign of life.",
    "ConnectReply": "Welcome: where this device now is, and whether all that it missed follows.",
    "SendReply": "The message is committed.",
    "ReadReply": "What is still unread.",
    "PresenceReply": "Who of the list is online; news of each change follow.",
    "RefreshReply": "The connection lives until then.",
    "PingReply": "Here.",
    "ErrorReply": "Why a command failed; nothing was changed.",
    "MessageNews": "Messages, in the order of one source: new, edited or deleted.",
    "StateNews": "The user's state: receipts, reads, the badge, subscriptions, settings of conversations.",
    "EphemeralNews": "Typing and presence: without positions, kept nowhere, and the first to be shed.",
    "PingNews": "Asks for a sign of life.",
    "DisconnectNews": "Said just before the connection is closed.",
}
