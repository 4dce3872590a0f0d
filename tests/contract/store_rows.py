"""Rows for the store's contract: whole messages put into conversations and lanes by the port's own calls."""

from collections.abc import Sequence

from aldis.domain.cursors import Positions
from aldis.domain.devices import Device
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId, new_id
from aldis.domain.messages import Kind, Message, Sender
from aldis.domain.streams import Event, Lane, Priority
from aldis.ports.store import Conversation, Entry, Growth, KeyClaim, LaneEntry, State, Store, Transaction

NOW = 1_800_000_000_000
ALICE, BOB = UserId("alice"), UserId("bob")
TALK = Conversation(ConversationId("talk"), Kind.CHAT, "chat", (ALICE, BOB))
NEWS = Conversation(ConversationId("news"), Kind.NOTIFICATION, "news", (BOB,))
PHONE = DeviceId("phone")


def claim(key: str, message: str = "m1", *, scope: str = "u:alice", expires_at: int = NOW) -> KeyClaim:
    return KeyClaim(scope, key, MessageId(message), "print", expires_at)


def message(
    seq: int = 1,
    *,
    at: int | None = None,
    sender: UserId | None = ALICE,
    conversation: Conversation = TALK,
    text: str = "hi",
    expires_at: int | None = None,
) -> Message:
    """A message whose id is of the millisecond `NOW + seq`, if not said otherwise."""
    return Message(
        id=MessageId(new_id(NOW + seq if at is None else at)),
        conversation_id=conversation.id,
        seq=seq,
        kind=conversation.kind,
        channel=conversation.channel,
        sender=Sender(user=sender) if sender is not None else Sender(backend="shop"),
        content=b'{"type":"text","text":"%b"}' % text.encode(),
        priority=Priority.NORMAL,
        expires_at=expires_at,
    )


async def put_message(
    transaction: Transaction,
    *messages: Message,
    conversation: Conversation = TALK,
    lane: Lane = "s",
    due: int | None = None,
) -> list[int]:
    """Store messages with their entries in the lane of each member; answers the heads of the lanes, by member."""
    last = messages[-1]
    await transaction.extend_conversations([Growth(conversation, len(messages), last.id)])
    senders = [m.sender.user for m in messages]
    await transaction.count_own({(conversation.id, u): senders.count(u) for u in conversation.members if u in senders})
    heads = await transaction.extend_sources(
        {(user, lane): len(messages) for user in conversation.members},
        {(user, lane): due for user in conversation.members if due is not None and user != last.sender.user},
    )
    await transaction.insert_messages(messages)
    await transaction.insert_entries(
        [
            LaneEntry(
                user, lane, heads[user, lane] - len(messages) + n, m.id, conversation.id, m.seq, m.sender.user == user
            )
            for user in conversation.members
            for n, m in enumerate(messages, start=1)
        ]
    )
    return [heads[user, lane] for user in conversation.members]


async def store_messages(
    store: Store, *messages: Message, conversation: Conversation = TALK, lane: Lane = "s", due: int | None = None
) -> list[int]:
    """The same in a transaction of its own."""
    async with store.begin() as transaction:
        return await put_message(transaction, *messages, conversation=conversation, lane=lane, due=due)


async def store_states(store: Store, *states: State) -> None:
    """Store states, each in a transaction of its own."""
    for state in states:
        async with store.begin() as transaction:
            heads = await transaction.extend_sources({(state.user, "r"): 1}, {})
            await transaction.put_states([state], [heads[state.user, "r"]])


def device(name: str = "phone", *, user: UserId = BOB, acked: int = 0) -> Device:
    return Device(user=user, id=DeviceId(name), platform="ios", acked=Positions(e=1, s=acked, r=2))


def places(entries: Sequence[Entry] | Sequence[Event]) -> list[int]:
    return [entry.pos for entry in entries]
