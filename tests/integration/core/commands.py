"""Sends as the gateway and the API compose them, made short for tests."""

from itertools import count

from aldis.adapters.memory.clock import START_MS
from aldis.domain.content import text_content
from aldis.domain.ids import ConversationId, MessageId, UserId, conversation_id, new_id
from aldis.domain.messages import Kind, Sender, SendMessage
from aldis.domain.streams import Priority

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")
_milliseconds = count(START_MS)  # each send gets a millisecond of its own, so that ids follow the order of making


def talk(*users: UserId) -> ConversationId:
    """The conversation of these two."""
    return conversation_id("chat", "chat", users)


def news_of(user: UserId, channel: str = "news") -> ConversationId:
    """The conversation in which a user gets a channel's notifications."""
    return conversation_id("notification", channel, (user,))


def chat(
    text: str = "hi",
    *,
    sender: UserId = ALICE,
    to: UserId = BOB,
    client_id: str | None = None,
    priority: Priority = Priority.NORMAL,
    reply_to: MessageId | None = None,
    request_key: str | None = None,
    fingerprint: str | None = None,
    created_ms: int | None = None,
    expires_at: int | None = None,
) -> SendMessage:
    """A chat message to a user."""
    return SendMessage(
        message_id=MessageId(new_id(next(_milliseconds) if created_ms is None else created_ms)),
        kind=Kind.CHAT,
        channel="chat",
        sender=Sender(user=sender),
        conversation_id=talk(sender, to),
        members=(sender, to),
        content=text_content(text),
        priority=priority,
        client_id=client_id,
        reply_to=reply_to,
        request_key=request_key,
        fingerprint=fingerprint,
        expires_at=expires_at,
    )


def into(
    conversation: ConversationId, text: str = "hi", *, sender: UserId = ALICE, reply_to: MessageId | None = None
) -> SendMessage:
    """A chat message into a conversation that should exist."""
    return SendMessage(
        message_id=MessageId(new_id(next(_milliseconds))),
        kind=Kind.CHAT,
        channel="chat",
        sender=Sender(user=sender),
        conversation_id=conversation,
        members=None,
        content=text_content(text),
        reply_to=reply_to,
    )


def notification(
    text: str = "news",
    *,
    to: UserId = BOB,
    client_id: str | None = None,
    priority: Priority = Priority.NORMAL,
    created_ms: int | None = None,
    expires_at: int | None = None,
    channel: str = "news",
) -> SendMessage:
    """A notification of the backend `shop` to a user."""
    return SendMessage(
        message_id=MessageId(new_id(next(_milliseconds) if created_ms is None else created_ms)),
        kind=Kind.NOTIFICATION,
        channel=channel,
        sender=Sender(backend="shop"),
        conversation_id=news_of(to, channel),
        members=(to,),
        content=text_content(text),
        priority=priority,
        client_id=client_id,
        expires_at=expires_at,
    )
