"""What the description of REST says in words, beside what stands at the routes and in the glossary."""

OVERVIEW = """Messages between users, and from backends to users.

**Who calls.** Send `Authorization: Bearer` with a user's token (a JWT), or with a backend's key (`ak_…`). Each call
says which of the two it takes.

**The promise.** A `201` to a send means that the message is committed. From then on it reaches every device of each
recipient, in order, until that device has acknowledged it.

**Repeating.** Give each send a `client_id` or an `Idempotency-Key`, and send it again after a timeout or a `503`: it is
one message.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`; each answer lists the codes that it may have.
There may be new ones, so treat those you do not know by their status.

**Lists** are `{"items": […], "next": …}`. Give `next` back as `cursor`; it is null on the last page.

**Fields.** Unknown fields are refused in what you send. What you are sent may have more of them as time goes on: ignore
those you do not know.

Messages arrive over a WebSocket, server-sent events or a long poll; `/asyncapi.json` describes all three."""

TAGS = {
    "messages": "Sending, and what became of a message.",
    "scheduled": "Sends that wait for their `send_at`.",
    "conversations": "A user's conversations, their history, and what is read.",
    "streams": "What a user's devices are told, for clients without a WebSocket.",
    "blocks": "Whom a user does not want to hear from.",
    "presence": "Who is online.",
    "subscriptions": "The broadcast channels that a user hears.",
    "admin": "For keys with the scope `admin`. Each change is in the audit log.",
    "operations": "Running it.",
    "descriptions": "The contract, for machines and for people.",
}

DETAILS = {  # what a problem may say, where the remedy alone would not do as an example
    "bad_json": "the body is not valid JSON",
    "bad_request": "to: give exactly one of user, users, conversation, channel",
    "unknown_field": "there is no field colour",
    "bad_cursor": "this is not a cursor of this list",
    "unauthorized": "the token has expired",
    "forbidden": "this is for users; call it with a user's token",
    "forbidden_field": "a user may not set from",
    "read_only": "notifications are one-way",
    "not_found": "there is no such message for you",
    "unknown_channel": "there is no channel orders",
    "conflict": "channel orders is of type Notification; a type cannot change",
    "precondition_failed": "the channel is not in the version of If-Match",
    "too_large": "a content has at most 32768 bytes",
    "idempotency_mismatch": "this Idempotency-Key was used with another body",
    "rate_limited": "at most 5 messages a second",
    "unstorable": "the message cannot be stored as it is",
    "internal": "something failed here; it is in the log as 3f9a0c1d2b4e5f60",
    "unavailable": "the database does not answer",
}


def summary_of(name: str) -> str:
    """A handler's name as a title."""
    return name.removeprefix("admin_").replace("_", " ").capitalize()
