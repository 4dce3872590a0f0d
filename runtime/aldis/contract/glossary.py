"""What each field of the contract means, once for REST and sockets, with an example.

A field is looked up as `Schema.field` (or `operation.parameter`), then as `field`. What stands at the field itself, in
its schema, goes before both.
"""

from typing import Any, Final, NamedTuple

NO_EXAMPLE: Final = object()

MESSAGE_ID = "01a20b7d-5ac1-7d5a-b79b-5d972a90c44e"
CONVERSATION_ID = "cb34a305-abac-53fa-a529-60729706242a"
CONNECTION_ID = "01a20b7d-4f02-7c11-9a57-0c1f6b1f2a90"
CURSOR = "9f3ac1.e12.s151.be3.bs88.r17"
TIME = "2026-11-24T08:00:00.000Z"
LATER = "2026-11-24T08:00:01.250Z"
PLACE = "WyJib2IiXQ"


class Term(NamedTuple):
    """A meaning, and a value to show."""

    meaning: str
    example: Any = NO_EXAMPLE


def find_term(owner: str, field: str) -> Term | None:
    """What a field of a schema, or a parameter of an operation, means."""
    return TERMS.get(f"{owner}.{field}") or TERMS.get(field)


TERMS: dict[str, Term] = {
    # -- who ----------------------------------------------------------------------------------------------------
    "user": Term("A user's id: yours, 1-128 characters of `A-Z a-z 0-9 . _ : @ -`.", "alice"),
    "Watched.users": Term("Each of them, once."),
    "Presence.users": Term("Each of them, once."),
    "users": Term("Users' ids.", ["alice", "carol"]),
    "backend": Term("The name of a backend, whichever of its keys it uses.", "shop"),
    "sender": Term('Who wrote it: `{"user": …}` or `{"backend": …}`.'),
    "recipient": Term("The user it is for.", "alice"),
    "recipients": Term("A page of the recipients, by name, with how far the message has come for each."),
    "members": Term("The users in it; none for a broadcast channel.", ["alice", "bob"]),
    "from": Term("The user in whose name a backend writes. For keys with the scope `send_as`."),
    "actor": Term("Who did it: `backend:NAME`, or `cli` for the command line.", "backend:ops"),
    "device": Term("The device, by the id that it gave itself; null for a reader without a name.", "phone"),
    "platform": Term("What the device says that it runs on.", "ios"),
    "token": Term(
        "A user's token (JWT), as in the `Authorization` header.", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln"
    ),
    # -- messages -----------------------------------------------------------------------------------------------
    "message": Term("The message as it is now."),
    "message_id": Term("The message: a UUIDv7, with the time of its creation inside.", MESSAGE_ID),
    "messages": Term("One for each recipient, in the order in which they were named."),
    "conversation": Term("A conversation's id.", CONVERSATION_ID),
    "conversation_id": Term(
        "The conversation: the same two users have one in a channel, and not two.", CONVERSATION_ID
    ),
    "kind": Term("`chat` goes both ways, between two users; a `notification` comes from a backend, one way.", "chat"),
    "channel": Term("`chat` for ordinary chats, or the name of a declared channel.", "chat"),
    "seq": Term("The place in the conversation, gapless from 1. On screen, order by this.", 7),
    "client_id": Term("The sender's own id for this send: the same id gets the same answer for 30 days.", "c-17"),
    "content": Term("What is in it. Null when it is `gone`."),
    "SendBody.content": Term("What is in it."),
    "text": Term("The text.", "Hello"),
    "data": Term("Any JSON, nested at most 32 deep.", {"order": 1234, "state": "shipped"}),
    "gone": Term("Why the content is no longer there; the message keeps its place.", None),
    "reply_to": Term("The message that it answers, in the same conversation.", None),
    "thread_id": Term("The message that the thread began with.", None),
    "priority": Term("`urgent` and `high` ride in the express lane, `normal` and `low` in the standard one.", "normal"),
    "created_at": Term("When it was made.", TIME),
    "expires_at": Term("When it ends; null when it does not.", None),
    "edited_at": Term("When it was last edited.", None),
    "expires_in": Term("Seconds from now until it ends.", 86400),
    "duplicate": Term(
        "Whether an earlier send had the same `client_id` or `Idempotency-Key`: nothing was stored.", False
    ),
    "to": Term("Whom it is for."),
    "counts": Term("How many were to hear a broadcast, and how far it has come. For backends only."),
    "audience": Term("How many users were to hear it.", 1250),
    "Counts.delivered": Term("On how many users' devices it has arrived.", 1180),
    "Counts.read": Term("How many users have read it.", 640),
    "error": Term("Why this one failed."),
    "SendBody.send_at": Term("When to send it, up to a year ahead. For backends.", "2026-12-24T08:00:00Z"),
    "BatchItem.send_at": Term("When to send it, up to a year ahead. For backends.", "2026-12-24T08:00:00Z"),
    "BatchItem.content": Term("What is in it."),
    "EditBody.content": Term("What it is to say now."),
    "BatchBody.messages": Term("They are sent in this order."),
    "results": Term("One for each message, in their order."),
    "index": Term("Which message of the batch it is, from 0.", 0),
    "BatchResult.status": Term("The status that it would have had alone.", 201),
    "scheduled_id": Term("A scheduled send.", MESSAGE_ID),
    "send_at": Term("When it is due.", "2026-12-24T08:00:00.000Z"),
    "ScheduledReceipt.state": Term("What has become of it.", "waiting"),
    "ScheduledReceipt.messages": Term("What was sent; only when it has been."),
    "Scheduled.state": Term("`waiting` for its time, `failed` for the `reason`, or `sent`.", "waiting"),
    "Scheduled.reason": Term("Why it was refused when it was due."),
    "Scheduled.messages": Term("What was sent; only when it has been."),
    "ScheduledReason.message": Term("What was wrong, for people.", "the channel orders is not declared"),
    # -- status -------------------------------------------------------------------------------------------------
    "Recipient.status": Term(
        "`pending` is stored, `sent` written to a socket, `delivered` acknowledged by a first device, then `read`; "
        "`failed` for the `reason`, until a late acknowledgement makes it `delivered`.",
        "delivered",
    ),
    "Recipient.reason": Term("Why it has `failed`.", None),
    "sent_at": Term("When it was first written to one of the recipient's devices.", TIME),
    "delivered_at": Term("When the first of the recipient's devices acknowledged it.", LATER),
    "read_at": Term("When the recipient read it.", None),
    "Milestone.type": Term("What happened.", "delivered"),
    "at": Term("When.", TIME),
    # -- conversations ------------------------------------------------------------------------------------------
    "last_message": Term("Its newest message."),
    "unread": Term("Messages of others above the read mark.", 2),
    "badge": Term("All that is unread, over all conversations.", 3),
    "read_seq": Term("The highest `seq` that is read.", 5),
    "head_seq": Term("The highest `seq` there is.", 7),
    "history": Term("Whether those who join later see what is older.", "Visible"),
    "muted": Term("A wish for no noise; messages still arrive and still count.", False),
    "archived": Term("A wish to have it out of sight; it stays so when a message comes.", False),
    "blocked_at": Term("When the block began.", TIME),
    "online": Term("Whether the user has a connection now, as far as the caller may know.", True),
    "subscribed_at": Term("Since when the user hears the channel.", TIME),
    "subscribed": Term("Whether the user hears the channel from now on.", True),
    "watch": Term("Up to 100 users, in the place of those before; `[]` ends it.", ["bob", "carol"]),
    "typing": Term("Where the user types. Repeat it every few seconds."),
    # -- sources and cursors --------------------------------------------------------------------------------------
    "e": Term("A position in the express lane.", 12),
    "s": Term("A position in the standard lane.", 151),
    "be": Term("A position among express broadcasts.", 3),
    "bs": Term("A position among standard broadcasts.", 88),
    "r": Term("A version of the user's state.", 17),
    "pos": Term("The position in the source. Keep the highest one applied, and drop what is at or below it.", 151),
    "source": Term("Which order the positions belong to. Each source has its own.", "s"),
    "cursor": Term("A position for each source, as text. Resumes a stream right behind them.", CURSOR),
    "recovered": Term(
        "Whether all that follows the cursor arrives. If not, start anew from the list of conversations.", True
    ),
    "events": Term("Consecutive events, at most 200.", NO_EXAMPLE),
    "frames": Term(
        "What a socket would have been told, in order; `/asyncapi.json` has the shapes of frames.",
        [{"source": "r", "events": [{"pos": 17, "type": "badge", "badge": {"badge": 3}}]}],
    ),
    "delivered": Term("The highest `seq` acknowledged in each lane."),
    "express": Term("Of messages in the express lane.", 0),
    "standard": Term("Of messages in the standard lane.", 7),
    "connection": Term("The connection's id.", CONNECTION_ID),
    "connection_id": Term("The connection's id.", CONNECTION_ID),
    "ping_interval": Term("Seconds between two `ping` frames; answer each within 15 s.", 25),
    "limits": Term("What the connection may use."),
    "content_bytes": Term("The largest content, as JSON.", 32768),
    "messages_per_second": Term("How fast the user may send, over all connections and REST.", 5),
    "burst": Term("How many messages may come at once.", 20),
    "reconnect": Term("Whether to come back as you are.", True),
    "after_ms": Term("How long to wait before coming back, in milliseconds.", 1234),
    "wait": Term("Seconds to wait when there is nothing to tell.", 25),
    # -- lists ----------------------------------------------------------------------------------------------------
    "items": Term("The page.", NO_EXAMPLE),
    "next": Term("Goes back as `cursor` for the next page; null on the last one.", None),
    "limit": Term("How many on a page.", 50),
    "before": Term("Messages below this `seq`, newest first.", 7),
    "after": Term("Messages above this `seq`, oldest first.", 0),
    # -- errors -----------------------------------------------------------------------------------------------------
    "code": Term("Stable: depend on this. There may be new ones.", "bad_request"),
    "field": Term("The path of what is wrong, from the top of the body or the frame.", None),
    "retryable": Term("Whether the same call can succeed later as it is.", False),
    "retry_after_ms": Term("How long to wait before that, in milliseconds.", None),
    "remedy": Term("What to do about it.", "Correct the named field."),
    "detail": Term("What was wrong, for people.", "to is required"),
    "ErrorBody.message": Term("What was wrong, for people.", "this field is required"),
    "ErrorOfOne.message": Term("What was wrong, for people.", "there is no such channel"),
    "title": Term("The code in words.", "Bad request"),
    "request_id": Term("Of an `internal` problem: under which the server's log tells more.", "3f9a0c1d2b4e5f60"),
    "Problem.type": Term(
        "A name for this kind of problem, for ever. There is no page behind it.",
        "tag:aldis.dev,2026:problem:bad_request",
    ),
    "Problem.status": Term("The status of the answer.", 400),
    # -- administration -----------------------------------------------------------------------------------------
    "name": Term("A name: 1-128 characters of `A-Z a-z 0-9 . _ : @ -`.", "orders"),
    "spec": Term("All that holds, with the defaults written out; it can be sent back as it is."),
    "ignored": Term("Fields of the body that have no effect yet.", []),
    "version": Term("Tells two versions apart; the `ETag`.", "5f0d7c1e9a3b2468"),
    "scopes": Term("What a key may do.", ["send", "send_as"]),
    "channels": Term("The channels that it is for; none means every channel.", ["orders"]),
    "key": Term("The key's text. It is told this once.", "ak_0123456789abcdef_k3v9…"),
    "key_id": Term("A key's id: the first part of its text.", "0123456789abcdef"),
    "revoked_at": Term("When it was revoked.", None),
    "last_used_at": Term("When it was last used, give or take a minute.", TIME),
    "overlap": Term("Seconds for which the earlier key still works.", 86400),
    "ending": Term("The keys in whose place it stands, with the time of their end."),
    "since": Term("Since when it is open.", TIME),
    "node": Term("The process that holds it.", "gateway-0-1f2e3d4c"),
    "transport": Term("`websocket`, or `http` for event streams and long polls.", "websocket"),
    "address": Term("Where the client connects from.", "192.0.2.7"),
    "unsent_bytes": Term("What it has not read yet.", 0),
    "purged": Term("How many messages have lost their content.", 41),
    "requested_at": Term("When it was asked for.", TIME),
    "updated_at": Term("When it last went on.", LATER),
    "state": Term(
        "What is being worked on, in this order; `done` when nothing of it is left in the database or its files.",
        "rows",
    ),
    "erasure": Term("How far the last erasure has come; null when there was none."),
    "devices": Term("Devices, with where each stands."),
    "head": Term("The newest position of each source."),
    "floor": Term("The highest position of each source that retention has taken."),
    "start": Term("Where the device began to read."),
    "acked": Term("What the device has acknowledged."),
    "seen_at": Term("When that last moved.", TIME),
    "conversations": Term("How many conversations the user is in.", 12),
    "subscriptions": Term("The broadcast channels that the user hears.", ["news"]),
    "blocks": Term("How many others the user has blocked.", 0),
    "action": Term("What was done.", "channel.apply"),
    "target": Term("What it was done to.", "orders"),
    "details": Term("More about it.", {"version": "5f0d7c1e9a3b2468"}),
    "until": Term("Messages from before this time.", "2026-11-25T00:00:00Z"),
    "include": Term("`content` shows what is in the messages.", "content"),
    "value": Term("How many were counted.", 1250),
    "is_least": Term("Whether there are more than were counted.", False),
    "schema_version": Term("The database's migration.", "0003"),
    "epoch": Term("Changed when positions could be given out again.", "9f3ac1"),
    "uptime_seconds": Term("Since this process has started.", 86400),
    "messages_accepted": Term("By this process, since its start.", 51234),
    "events_delivered": Term("By this process, since its start.", 102468),
    "database_bytes": Term("Size of the database.", 73400320),
    "connections": Term("Open connections.", 10),
    "dependencies": Term("How long ago each dependency last answered well."),
    "seconds_since_success": Term("Null when it never has.", 1.204),
    "Disconnect.code": Term("The close code.", 4001),
    "reason": Term("Why, in words.", "shutdown"),
    "DisconnectBody.code": Term("4001: the client comes back. 4403: it does not.", 4403),
    "DisconnectBody.reason": Term(
        "What the client is told; the code's own words unless given.", "moving to another region"
    ),
    "type": Term("Which of the shapes it has."),
    "id": Term("Its id.", MESSAGE_ID),
    "DeviceBody.id": Term("The device's id: yours, and the same as long as its storage is.", "phone"),
    "Device.id": Term("The device's id.", "phone"),
    "Key.id": Term("The first part of the key's text.", "0123456789abcdef"),
    "IssuedKey.id": Term("The first part of the key's text.", "0123456789abcdef"),
    "RotatedKey.id": Term("The first part of the key's text.", "0123456789abcdef"),
    "Conversation.id": Term("The conversation's id.", CONVERSATION_ID),
    "Refreshed.expires_at": Term("When the token ends.", LATER),
    "Stats.counts": Term("Numbers of rows by kind."),
    "Probe.status": Term("`alive`, `started` or `starting`.", "alive"),
    "Readiness.status": Term("`ready`, or why not: `starting`, `draining`, `unusable`.", "ready"),
    "SubscriptionNews.channel": Term("The broadcast channel.", "news"),
    "Subscription.channel": Term("The broadcast channel.", "news"),
    # -- parameters ---------------------------------------------------------------------------------------------
    "idempotency-key": Term(
        "1-255 visible ASCII characters. The same key and body get the same answer for 24 hours.", "order-1234-shipped"
    ),
    "if-match": Term("One ETag, or `*`: change it only if it is in this version.", '"5f0d7c1e9a3b2468"'),
    "if-none-match": Term("ETags: answers 304 when it is still in one of these versions.", '"5f0d7c1e9a3b2468"'),
    "last-event-id": Term("The id of the last event that came; it goes before `cursor`.", CURSOR),
    "admin_search_messages.from": Term("Messages from this time on.", "2026-11-24T00:00:00Z"),
    "admin_search_messages.sender": Term("Of this user.", "alice"),
    "admin_search_messages.recipient": Term("To this user.", "bob"),
    "admin_search_messages.text": Term("Found anywhere in a text, in upper or lower case.", "order 1234"),
    "admin_search_messages.channel": Term("In this channel.", "orders"),
    "get_history.thread": Term("Only the thread that began with this message.", MESSAGE_ID),
    "get_conversations.kind": Term("Only these.", "chat"),
    "get_conversations.archived": Term("Only those that are archived, or only those that are not.", False),
    "get_presence.user": Term("Whom it is about, up to 100 of them.", ["bob", "carol"]),
    "stream_events.device": Term("The device that reads; left out, the reader moves nothing.", "phone"),
    "sync.device": Term("The device that reads; left out, the reader moves nothing.", "phone"),
    "acknowledge.device": Term("The device that has received it.", "phone"),
    # -- channels -----------------------------------------------------------------------------------------------
    "ChannelSpec.who": Term("Which two users may write to each other.", "Anyone"),
    "ChannelSpec.displayName": Term("A name for people.", "Orders"),
    "ChannelSpec.maxAttempts": Term("How often a recipient is rung.", 8),
    "ChannelSpec.factor": Term("How much longer each wait is.", 2),
    "ChannelSpec.messagesPerSecond": Term("How fast backends may send.", 500),
    "ChannelSpec.maxContentBytes": Term("The largest content.", 4096),
}
