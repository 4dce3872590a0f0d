"""The queries that everybody waits for, as calls of the store, and the rows that they are asked of.

A case names the index by which each large table is reached, as the index's columns; whoever changes a query or an index
sees here what else it moves.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from aldis.domain.deliveries import Outcome, Reason
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId, first_id_at
from aldis.domain.messages import Kind
from aldis.domain.receipts import Receipt
from aldis.domain.status import Step
from aldis.ports.administration import AuditFilter, MessageFilter, SearchPlace
from aldis.ports.dead_letters import DeadLetter, LetterFilter
from aldis.ports.deliveries import Attempt, LaneMove, NewRing, OpenRing, Range, Rung
from aldis.ports.relations import MemberSettings
from aldis.ports.store import Conversation, Growth, Move, State, Store, Want
from contract.store_rows import NOW, claim, message

USER, OTHER = UserId("user-5"), UserId("user-6")
DEEP = ConversationId("deep")
TALK = Conversation(ConversationId("conversation-5"), Kind.CHAT, "chat", (USER, OTHER))
DEPTH = 300_000  # messages in the one deep conversation
NEW = message(1, at=NOW, conversation=TALK, sender=USER)
OLD = MessageId(first_id_at(NOW - 60 * 24 * 3600 * 1000))
RING = OpenRing(5, USER, "s", "chat", 0, 10, 1)
LETTER = DeadLetter("letter", NEW.id, USER, "chat", Reason.EXPIRED, "s", 1, 1, NOW)


class Case(NamedTuple):
    """A call, and the columns of the index by which each table is reached, where several would do, of each."""

    call: Callable[[Any], Awaitable[object]]
    indexes: Mapping[str, set[str]]


def history(**where: Any) -> Callable[[Store], Awaitable[object]]:
    return lambda store: store.history(DEEP, **{"before": None, "after": None, "limit": 50, **where})


def search(**wanted: Any) -> Callable[[Store], Awaitable[object]]:
    return lambda store: store.search_messages(MessageFilter(**wanted), SearchPlace(), limit=20, window=200, now=NOW)


IDS, SEQS = "id", "conversation_id, seq"
MEMBERS = {"conversation_id, user_id", "user_id, conversation_id"}  # one row, by either
LETTERS = {"dead_letters": {"id"}}
BLOCKS = {"user_id, blocked", "blocked, user_id"}
OPEN = {
    "stream_events": {"user_id, lane, seq"},
    "members": MEMBERS,
    "conversations": {IDS},
    "cursor_moves": {"user_id, source, high"},
    "dead_letters": {"message_id, recipient"},
}
READS: dict[str, Case] = {
    "dead letters": Case(lambda store: store.dead_letters(LetterFilter(), None, limit=50, window=200), LETTERS),
    "dead letters of a channel": Case(
        lambda store: store.dead_letters(LetterFilter(channel="channel-5"), None, limit=50, window=200),
        {"dead_letters": {"channel, id"}},
    ),
    "dead letters of a user": Case(
        lambda store: store.dead_letters(LetterFilter(recipient=USER), None, limit=50, window=200),
        {"dead_letters": {"recipient, id"}},
    ),
    "threads": Case(
        lambda store: store.thread(NEW, before=None, after=None, limit=50), {"messages": {"thread_id, seq"}}
    ),
    "the next scheduled send": Case(
        lambda store: store.next_scheduled(), {"scheduled": {"state, due_at, created_at, id"}}
    ),
    "scheduled sends of one": Case(
        lambda store: store.scheduled_of("b:shop-5", None, 50), {"scheduled": {"scope, id"}}
    ),
    "history, newest": Case(history(), {"messages": {SEQS}}),
    "history, deep": Case(history(before=DEPTH // 2), {"messages": {SEQS}}),
    "history, upwards": Case(history(after=DEPTH // 2), {"messages": {SEQS}}),
    "a message": Case(lambda store: store.message(NEW.id), {"messages": {IDS}}),
    "entries of lanes": Case(
        lambda store: store.entries([Want(USER, "s", 10, 50), Want(OTHER, "e", 0, 50)]),
        {"stream_events": {"user_id, lane, seq"}, "messages": {IDS}},
    ),
    "entries of broadcasts": Case(
        lambda store: store.entries([Want(USER, "bs", 100, 50)]),
        {
            "subscriptions": {"user_id, channel, since"},
            # The last two, and members, for edits and deletions alone.
            "broadcast_events": {"source, channel, seq, type", "source, seq", "message_id"},
            "messages": {IDS},
            "members": MEMBERS,
        },
    ),
    "states": Case(lambda store: store.states([Want(USER, "r", 1, 50)]), {"states": {"user_id, version"}}),
    "heads": Case(lambda store: store.heads([USER, OTHER]), {"stream_heads": {"user_id, source"}}),
    "the list of conversations": Case(
        lambda store: store.conversations_of(USER, None, None, 50),
        {
            "members": MEMBERS,
            "conversations": {IDS},
            "messages": {SEQS},
        },
    ),
    "the badge": Case(lambda store: store.badge(USER), {"members": MEMBERS, "conversations": {IDS}}),
    "a device": Case(lambda store: store.device(USER, DeviceId("phone")), {"devices": {"user_id, device_id"}}),
    "acquaintances": Case(
        lambda store: store.acquaintances(USER, [OTHER, UserId("user-9")]),
        {
            "members": MEMBERS,
            "conversations": {IDS},
            "blocks": BLOCKS,
        },
    ),
    "broadcasts of a source": Case(
        lambda store: store.broadcast_log("bs", 100, 50), {"broadcast_events": {"source, seq"}, "messages": {IDS}}
    ),
    "changes of audiences": Case(lambda store: store.audience_changes(199_990, 50), {"subscriptions": {"changed"}}),
    "subscribers of a channel": Case(
        lambda store: store.subscribers("town-1", None, 50), {"subscriptions": {"channel, user_id"}}
    ),
    "searching all messages": Case(search(text="needle"), {"messages": {IDS}}),
    "searching a conversation": Case(search(conversation=DEEP, text="needle"), {"messages": {SEQS}}),
    "searching a user's": Case(search(sender=USER), {"members": MEMBERS, "messages": {SEQS}}),
    "the audit log": Case(lambda store: store.audit_entries(AuditFilter(), None, 50), {"audit": {IDS}}),
    "the audit log of one": Case(
        lambda store: store.audit_entries(AuditFilter(actor="backend:b-3"), None, 50), {"audit": {"actor, id"}}
    ),
    "the figures": Case(
        lambda store: store.counts(NOW, 100),
        {
            "users": {"user_id"},
            "stream_heads": {"due_at"},
            "rings": {IDS, "lane, due_at"},
            "dead_letters": {IDS},
            "scheduled": {"state, due_at, created_at, id"},
            "outbox": {IDS},
        },
    ),
}


async def passages(store: Store) -> object:
    """Of a message that lies in a lane."""
    ((entry,),) = await store.entries([Want(USER, "s", 10, 1)])
    return await store.passages(entry.message, [USER])


READS["what passed a message"] = Case(
    passages,
    {
        "messages": {IDS},
        "stream_events": {"message_id, user_id", "user_id, lane, seq"},
        "cursor_moves": {"user_id, source, high"},
        "dead_letters": {"message_id, recipient"},
        "attempts": {"user_id, lane, high"},
    },
)

WRITES: dict[str, Case] = {
    "claiming keys": Case(
        lambda t: t.claim_keys([claim("5", scope="u:user-5"), claim("new")]), {"idempotency_keys": {"scope, key"}}
    ),
    "extending conversations": Case(lambda t: t.extend_conversations([Growth(TALK, 1, NEW.id)]), {}),
    "counting own messages": Case(lambda t: t.count_own({(TALK.id, USER): 1}), {"members": MEMBERS}),
    "extending lanes": Case(lambda t: t.extend_sources({(USER, "s"): 1, (OTHER, "s"): 1}, {}), {}),
    "storing messages": Case(lambda t: t.insert_messages([NEW]), {}),
    "blocks of pairs": Case(lambda t: t.blocked_pairs([(USER, OTHER)]), {"blocks": BLOCKS}),
    "conversations written to": Case(
        lambda t: t.conversations([TALK.id]), {"conversations": {IDS}, "members": MEMBERS}
    ),
    "messages replied to": Case(lambda t: t.messages([NEW.id]), {"messages": {IDS}}),
    "devices that acknowledge": Case(
        lambda t: t.devices([(USER, DeviceId("phone"))], hold=True), {"devices": {"user_id, device_id"}}
    ),
    "how many devices": Case(lambda t: t.device_counts([USER]), {"devices": {"user_id, device_id"}}),
    "what was heard": Case(lambda t: t.heard([Range(USER, "s", 0, 50)]), {"stream_events": {"user_id, lane, seq"}}),
    "merging receipts": Case(
        lambda t: t.advance_receipts([Receipt(conversation_id=TALK.id, user=USER, read_seq=10**6)]),
        {"members": MEMBERS},
    ),
    "read marks": Case(lambda t: t.read_marks([(TALK.id, USER)]), {"members": MEMBERS, "conversations": {IDS}}),
    "counting own messages that are read": Case(
        lambda t: t.count_own_between(DEEP, USER, DEPTH - 50, DEPTH), {"messages": {SEQS}}
    ),
    "advancing lanes": Case(
        lambda t: t.advance_lanes([LaneMove(USER, "s", 0, 10**6)]), {"stream_heads": {"user_id, source"}}
    ),
    "recording moves": Case(lambda t: t.record_moves([Move(USER, None, "s", Step.ACKED, 1, 2, NOW)]), {}),
    "storing states": Case(lambda t: t.put_states([State(USER, "badge", "badge", b"{}")], [10**6]), {}),
    "lanes that are due": Case(lambda t: t.claim_due_lanes(NOW, 100), {"stream_heads": {"due_at", "user_id, source"}}),
    "what is open in lanes": Case(lambda t: t.open_stretches([Range(USER, "s", 0, 50)]), OPEN),
    "locking lanes": Case(lambda t: t.lock_lanes([(USER, "s"), (OTHER, "e")]), {"stream_heads": {"user_id, source"}}),
    "rings of lanes": Case(lambda t: t.rings_of([(USER, "s")]), {"rings": {"user_id, lane, high"}}),
    "beginning to ring": Case(
        lambda t: t.put_rings([NewRing(USER, "s", "chat", 0, 1, NOW, NOW)]), {"stream_heads": {"user_id, source"}}
    ),
    "leasing rings": Case(lambda t: t.lease_rings("s", NOW, NOW + 1, 100), {"rings": {"lane, due_at", IDS}}),
    "what is open in rings": Case(lambda t: t.open_in_rings([RING], 100), OPEN | {"rings": {IDS}}),
    "settling rings": Case(lambda t: t.settle_rings([Rung(RING.id, 2, NOW)]), {"rings": {IDS}}),
    "closing rings": Case(lambda t: t.close_rings([RING]), {"rings": {IDS}, "stream_heads": {"user_id, source"}}),
    "closing what was acknowledged": Case(
        lambda t: t.close_acknowledged([Range(USER, "s", 0, 10**6)]),
        {"rings": {"user_id, lane, high", IDS}, "stream_heads": {"user_id, source"}},
    ),
    "recording attempts": Case(
        lambda t: t.put_attempts([Attempt(USER, "s", "chat", 0, 1, 1, None, Outcome.RUNG, NOW)]), {}
    ),
    "storing dead letters": Case(lambda t: t.put_letters([LETTER]), {"stream_heads": {"user_id, source"}}),
    "letters that are acknowledged": Case(
        lambda t: t.drop_acknowledged_letters([Range(USER, "s", 0, 50)]),
        {"dead_letters": {"recipient, lane, seq", IDS}, "stream_heads": {"user_id, source"}},
    ),
    "letters that are read": Case(
        lambda t: t.drop_read_letters([(TALK.id, USER, 0, 50)]),
        {
            # Either the messages and then who has a letter of them, or the user's letters and then which messages.
            "messages": {SEQS, IDS},
            "dead_letters": {"message_id, recipient", "recipient, lane, seq", IDS},
            "stream_heads": {"user_id, source"},
        },
    ),
    "what expires": Case(lambda t: t.due_expiries(NOW, 100), {"expiries": {"expires_at, message_id"}}),
    "lanes with a message": Case(lambda t: t.lanes_with([NEW.id]), {"stream_events": {"message_id, user_id"}}),
    "leasing the outbox": Case(lambda t: t.lease_outbox(NOW, NOW + 1, 50), {"outbox": {IDS}}),
    "forgetting keys": Case(lambda t: t.delete_keys(NOW, 100), {"idempotency_keys": {"expires_at", "scope, key"}}),
    "trimming lanes": Case(
        lambda t: t.trim(OLD, 100),
        {"stream_events": {"message_id, user_id", "user_id, lane, seq"}, "stream_heads": {"user_id, source"}},
    ),
    "trimming broadcasts": Case(
        lambda t: t.trim_broadcasts(OLD, 100),
        {"broadcast_events": {"source, seq"}, "broadcast_heads": {"source"}},
    ),
    "leasing scheduled sends": Case(
        lambda t: t.lease_scheduled(NOW, NOW + 1, 50), {"scheduled": {"state, due_at, created_at, id", IDS}}
    ),
    "settings of a conversation": Case(
        lambda t: t.put_member_settings(TALK.id, USER, MemberSettings(muted=True, archived=False)),
        {"members": MEMBERS},
    ),
    "intervals of a user": Case(lambda t: t.intervals([USER]), {"subscriptions": {"user_id, channel, since"}}),
    "users who were here": Case(lambda t: t.seen([USER], hold=True), {"users": {"user_id"}}),
}
