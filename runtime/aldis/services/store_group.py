"""One transaction for a group of sends: the recipe itself.

Locks go in one order: keys, conversations, members, lanes, each sorted by the store. What is refused takes no key, no
seq and no position; a repeat takes none either, so both kinds of number stay gapless.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from aldis.domain.channels import CHAT, ChatPolicies, ChatPolicy, WhoMayChat
from aldis.domain.errors import AldisError, Rejected, Unavailable
from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Kind, Message, SendMessage, Stored
from aldis.domain.retry import DEFAULT_RETRY, RetryPolicies
from aldis.domain.streams import Batch, Broadcast, Source
from aldis.ports.relations import Pair
from aldis.ports.store import Conversation, Growth, KeyClaim, KeyHolder, LaneEntry, Store, Transaction
from aldis.services.broadcasting import Announcement, put_broadcasts
from aldis.services.render import LaterEvents, Rendering, fact_of, value_json

CLIENT_KEY_MS = 30 * 24 * 3600 * 1000  # as long as a phone's outbox may sleep
REQUEST_KEY_MS = 24 * 3600 * 1000
ACCEPTED = "message.accepted"


@dataclass(slots=True)
class _Group:
    """A group on its way: commands by index, and the answers as they become known."""

    commands: Sequence[SendMessage]
    answers: dict[int, Stored | AldisError] = field(default_factory=dict)
    repeats: dict[int, int] = field(default_factory=dict)  # index of a repeat -> index of the first
    rivals: dict[int, int] = field(default_factory=dict)  # index of another body under a key -> index of the first
    existing: set[ConversationId] = field(default_factory=set)  # of those that must be there already
    keys: Sequence[list[tuple[str, str]]] = field(init=False)  # of each command

    def __post_init__(self) -> None:
        self.keys = [command.keys for command in self.commands]

    def open(self) -> list[tuple[int, SendMessage]]:
        """Those not yet answered, no repeats and no rivals."""
        return [
            (index, command)
            for index, command in enumerate(self.commands)
            if index not in self.answers and index not in self.repeats and index not in self.rivals
        ]

    def finish(self) -> list[Stored | AldisError]:
        """All answers in order; a repeat gets the first one's, marked as such, and a rival what that leaves for it."""
        for rival, first in self.rivals.items():
            self.answers.setdefault(rival, _beside(self.answers[first]))
        for repeat, first in self.repeats.items():
            answer = self.answers[first]
            if isinstance(answer, Stored):
                answer = Stored(answer.message_id, answer.conversation_id, answer.seq, duplicate=True)
            self.answers.setdefault(repeat, answer)
        return [self.answers[index] for index in range(len(self.commands))]


async def store_group(
    commands: Sequence[SendMessage],
    *,
    store: Store,
    now_ms: int,
    policies: ChatPolicies = MappingProxyType({}),
    retries: RetryPolicies = MappingProxyType({}),
) -> tuple[list[Stored | AldisError], list[Batch | Broadcast]]:
    """Store a group; answer one result a command, and what the gateways are to be told."""
    group = _Group(commands)
    _collapse(group)

    async def recipe(transaction: Transaction) -> list[Batch | Broadcast]:
        await _refuse_unleased(group, transaction)
        conversations, replied = await _resolve(group, transaction, policies)
        await _refuse_closed(group, transaction, conversations)
        await _claim(group, transaction, now_ms)
        await _permit(group, transaction, conversations, policies)
        messages = await _number_messages(group, transaction, conversations, replied)
        return await _write(group, messages, transaction, conversations, retries, now_ms)

    batches = await store.run(recipe)
    return group.finish(), batches


async def check_sends(
    commands: Sequence[SendMessage], transaction: Transaction, policies: ChatPolicies = MappingProxyType({})
) -> list[AldisError | None]:
    """Why each of these could not be stored now, None for those that could. Nothing is written; they hold no keys."""
    group = _Group(commands)
    conversations, _ = await _resolve(group, transaction, policies)
    await _refuse_closed(group, transaction, conversations)
    await _permit(group, transaction, conversations, policies)
    answers = [group.answers.get(index) for index in range(len(commands))]
    return [answer if isinstance(answer, AldisError) else None for answer in answers]


def _collapse(group: _Group) -> None:
    """Mark the repeats inside the group, and those with another body: what is stored says which of them is wrong."""
    first: dict[tuple[str, str], int] = {}
    for index, command in enumerate(group.commands):
        keys = group.keys[index]
        holders = [first[key] for key in keys if key in first]
        others = [h for h in holders if _differ(command, group.commands[h])]
        if not holders:
            first.update(dict.fromkeys(keys, index))
        elif others:
            group.rivals[index] = others[-1]
        else:
            group.repeats[index] = holders[-1]


async def _refuse_unleased(group: _Group, transaction: Transaction) -> None:
    """Refuse what comes from a scheduled send that was taken back or changed, or is another worker's by now."""
    leases = {command.lease for _, command in group.open() if command.lease is not None}
    if not leases:
        return
    held = await transaction.leases_held(leases)
    for index, command in group.open():
        if command.lease is not None and command.lease not in held:
            group.answers[index] = Rejected("conflict", "this scheduled send has been taken back")


async def _resolve(
    group: _Group, transaction: Transaction, policies: ChatPolicies
) -> tuple[dict[ConversationId, Conversation], dict[MessageId, Message]]:
    """Find the conversations written to and the messages replied to; refuse what does not fit."""
    wanted = sorted({c.conversation_id for _, c in group.open() if c.members is None or _must_exist(c, policies)})
    known = await transaction.conversations(wanted)
    group.existing.update(known)
    parents = sorted({command.reply_to for _, command in group.open() if command.reply_to is not None})
    replied = await transaction.messages(parents) if parents else {}
    for index, command in group.open():
        conversation = known.get(command.conversation_id, _new_conversation(command))
        refusal = _refusal(command, conversation, replied)
        if refusal is not None:
            group.answers[index] = refusal
        elif conversation is not None:
            known[conversation.id] = conversation
    return known, replied


async def _refuse_closed(
    group: _Group, transaction: Transaction, conversations: dict[ConversationId, Conversation]
) -> None:
    """Refuse what goes into a conversation of a deleted channel; costs nothing where all chat in the usual one."""
    into = [(index, conversations[c.conversation_id].channel) for index, c in group.open() if c.members is None]
    named = sorted({channel for _, channel in into if channel != CHAT})
    closed = await transaction.closed_channels(named) if named else set()
    for index, channel in into:
        if channel in closed:
            group.answers[index] = channel_closed(channel, field="to.conversation")


def _new_conversation(command: SendMessage) -> Conversation | None:
    if command.members is None:
        return None
    return Conversation(
        command.conversation_id, command.kind, command.channel, command.members, broadcast=not command.members
    )


def _refusal(
    command: SendMessage, conversation: Conversation | None, replied: dict[MessageId, Message]
) -> Rejected | None:
    user = command.sender.user
    if user is not None and conversation is not None and conversation.broadcast:
        return Rejected("read_only", "broadcasts are one-way: you cannot answer into them", field="to.conversation")
    if conversation is None or (user is not None and user not in conversation.members):
        return Rejected("not_found", "no such conversation of yours", field="to.conversation")
    if user is not None and conversation.kind is Kind.NOTIFICATION:
        return Rejected("read_only", "notifications are one-way: you cannot answer into them", field="to.conversation")
    if command.own_channels and conversation.channel not in command.own_channels:
        return Rejected("not_found", "this key is not for the conversation's channel", field="to.conversation")
    if command.reply_to is not None:
        parent = replied.get(command.reply_to)
        if parent is None or parent.conversation_id != conversation.id:
            return Rejected("not_found", "no such message in this conversation", field="reply_to")
    return None


async def _claim(group: _Group, transaction: Transaction, now_ms: int) -> None:
    """Take the keys; answer those whose key is held with what was stored then."""
    claims = {
        (scope, key): KeyClaim(
            scope,
            key,
            command.message_id,
            command.fingerprint if key.startswith("h:") else None,
            now_ms + (REQUEST_KEY_MS if key.startswith("h:") else CLIENT_KEY_MS),
        )
        for index, command in group.open()
        for scope, key in group.keys[index]
    }
    held = await transaction.claim_keys(list(claims.values()))
    if not held:
        return
    stored = await transaction.messages(sorted({holder.message_id for holder in held.values()}))
    unused: list[tuple[str, str]] = []
    for index, command in group.open():
        keys = group.keys[index]
        holders = [held[key] for key in keys if key in held]
        if holders:
            group.answers[index] = _repeat_of(command, holders[-1], stored)
            unused += [key for key in keys if key not in held]
    for index in group.rivals:
        command = group.commands[index]
        holder = held.get(command.keys[-1])  # the request key, about which they differ
        if holder is not None:
            group.answers[index] = _repeat_of(command, holder, stored)
    if unused:
        await transaction.release_keys(unused)


async def _permit(
    group: _Group,
    transaction: Transaction,
    conversations: dict[ConversationId, Conversation],
    policies: ChatPolicies,
) -> None:
    """Refuse chats that a policy or a block forbids. After the claims: what was stored before is answered as it was."""
    chats = [
        (index, command, pair_of(conversations[command.conversation_id]))
        for index, command in group.open()
        if command.kind is Kind.CHAT
    ]
    blocked = await transaction.blocked_pairs([pair for _, _, pair in chats]) if chats else set()
    if not blocked and not policies:
        return
    unused: list[tuple[str, str]] = []
    for index, command, pair in chats:
        channel = conversations[command.conversation_id].channel
        if pair not in blocked and _lets(command, pair, policies.get(channel), group):
            group.existing.add(command.conversation_id)  # for those who follow in this group
            continue
        group.answers[index] = may_not_write("to.user" if command.members is not None else "to.conversation")
        unused += group.keys[index]
    if unused:
        await transaction.release_keys(unused)


def pair_of(conversation: Conversation) -> Pair:
    """The two of a chat, in the order in which blocks are asked for."""
    first, second = conversation.members
    return (first, second) if first < second else (second, first)


def _lets(command: SendMessage, pair: Pair, policy: ChatPolicy | None, group: _Group) -> bool:
    if policy is None:
        return True
    return policy.lets(*pair, exists=command.begins or command.conversation_id in group.existing)


def _must_exist(command: SendMessage, policies: ChatPolicies) -> bool:
    """Whether it matters that the conversation named by its members is there already."""
    policy = policies.get(command.channel)
    return policy is not None and policy.who is WhoMayChat.EXISTING and command.kind is Kind.CHAT


def may_not_write(field: str | None) -> Rejected:
    """The same words whatever the reason: who has blocked whom is nobody else's business."""
    return Rejected("forbidden", "these two may not write to each other", field=field)


def channel_closed(channel: str, field: str | None) -> Rejected:
    """The refusal of what goes into a channel that has been deleted."""
    return Rejected(
        "unknown_channel", f"the channel {channel} has been deleted: nothing can be sent into it", field=field
    )


def _repeat_of(command: SendMessage, holder: KeyHolder, stored: dict[MessageId, Message]) -> Stored | Rejected:
    if _mismatch(command, holder.fingerprint, command.request_key if holder.fingerprint is not None else None):
        return _mismatch_error()
    message = stored.get(holder.message_id)
    if message is None:
        return Rejected(
            "conflict", f"this client_id was given to a send that is scheduled: {holder.message_id}", field="client_id"
        )
    return Stored(message.id, message.conversation_id, message.seq, duplicate=True)


def _mismatch(command: SendMessage, fingerprint: str | None, request_key: str | None) -> bool:
    same_key = command.request_key is not None and command.request_key == request_key
    return same_key and command.fingerprint != fingerprint


def _differ(command: SendMessage, other: SendMessage) -> bool:
    return _mismatch(command, other.fingerprint, other.request_key)


def _beside(first: Stored | AldisError) -> AldisError:
    """The answer to another body under the key of `first`, if nothing was stored under it before."""
    if isinstance(first, Stored) and not first.duplicate:
        return _mismatch_error()
    return Unavailable("another request with this Idempotency-Key was just answered: send this one again")


def _mismatch_error() -> Rejected:
    return Rejected("idempotency_mismatch", "this Idempotency-Key was used with another body", field="Idempotency-Key")


async def _number_messages(
    group: _Group,
    transaction: Transaction,
    conversations: dict[ConversationId, Conversation],
    replied: dict[MessageId, Message],
) -> list[Message]:
    """Give each fresh message its seq, in order."""
    fresh = group.open()
    if not fresh:
        return []
    counts = Counter(command.conversation_id for _, command in fresh)
    newest = {command.conversation_id: command.message_id for _, command in fresh}
    growths = [Growth(conversations[key], count, newest[key]) for key, count in counts.items()]
    heads = await transaction.extend_conversations(growths)
    following = {key: head - counts[key] for key, head in heads.items()}
    messages = []
    for index, command in fresh:
        following[command.conversation_id] = seq = following[command.conversation_id] + 1
        messages.append(_message(command, seq, conversations[command.conversation_id], replied))
        group.answers[index] = Stored(command.message_id, command.conversation_id, seq)
    own = Counter((m.conversation_id, m.sender.user) for m in messages if m.sender.user is not None)
    await transaction.count_own(own)
    return messages


def _message(command: SendMessage, seq: int, conversation: Conversation, replied: dict[MessageId, Message]) -> Message:
    parent = replied[command.reply_to] if command.reply_to is not None else None
    return Message(
        id=command.message_id,
        conversation_id=conversation.id,
        seq=seq,
        kind=conversation.kind,
        channel=conversation.channel,
        sender=command.sender,
        content=command.content,
        priority=command.priority,
        client_id=command.client_id,
        reply_to=command.reply_to,
        thread_id=(parent.thread_id or parent.id) if parent is not None else None,
        expires_at=command.expires_at,
    )


async def _write(
    group: _Group,
    messages: Sequence[Message],
    transaction: Transaction,
    conversations: dict[ConversationId, Conversation],
    retries: RetryPolicies,
    now_ms: int,
) -> list[Batch | Broadcast]:
    """Store each message, put it where its recipients find it, and the events into the outbox.

    What gives out numbers comes first, then what only inserts: a database that is far away takes that as one.
    """
    if not messages:
        return []
    personal = [m for m in messages if not conversations[m.conversation_id].broadcast]
    batches: list[Batch | Broadcast] = []
    entries: list[LaneEntry] = []
    if personal:
        entries, own = await _place(personal, transaction, conversations, retries, now_ms)
        batches += own
    await transaction.insert_messages(messages)
    if personal:
        await transaction.insert_entries(entries)
        await transaction.put_expiries([(m.expires_at, m.id) for m in personal if m.expires_at is not None])
    if len(personal) < len(messages):
        everyone = {command.message_id for command in group.commands if command.everyone}
        announcements = [
            Announcement(m, m.id in everyone) for m in messages if conversations[m.conversation_id].broadcast
        ]
        batches += await put_broadcasts(announcements, transaction, now_ms)
    facts = [fact_of(m, conversations[m.conversation_id].members) for m in messages]
    await transaction.put_outbox(ACCEPTED, value_json(facts), now_ms)
    return batches


async def _place(
    messages: Sequence[Message],
    transaction: Transaction,
    conversations: dict[ConversationId, Conversation],
    retries: RetryPolicies,
    now_ms: int,
) -> tuple[list[LaneEntry], list[Batch]]:
    """A place for each message in the lane of each member, the sender included; the others' lanes become due."""
    counts: Counter[tuple[UserId, Source]] = Counter()
    due: dict[tuple[UserId, Source], int] = {}
    for message in messages:
        answer_by = now_ms + retries.get(message.channel, DEFAULT_RETRY).initial_ms
        lane = message.lane
        for user in conversations[message.conversation_id].members:
            key = (user, lane)
            counts[key] += 1
            if user != message.sender.user:
                due[key] = min(due.get(key, answer_by), answer_by)
    heads = await transaction.extend_sources(counts, due)
    following = {key: head - counts[key] for key, head in heads.items()}
    entries: list[LaneEntry] = []
    events: dict[tuple[UserId, Source], list[tuple[int, Rendering, bool]]] = {}
    for message in messages:
        lane, rendering = message.lane, Rendering(message, now_ms)  # once, whoever gets it
        for user in conversations[message.conversation_id].members:
            key = (user, lane)
            following[key] = position = following[key] + 1
            own = user == message.sender.user
            entries.append(LaneEntry(user, lane, position, message.id, message.conversation_id, message.seq, own))
            events.setdefault(key, []).append((position, rendering, own))
    at = messages[0].created_at
    return entries, [Batch(user, source, LaterEvents(of_lane), at) for (user, source), of_lane in events.items()]
