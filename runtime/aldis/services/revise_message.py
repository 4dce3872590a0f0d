"""Edits and deletions: the message as it is now, and an event for all who have it, in one transaction.

The message is held before it is looked at, so edits and deletions of one message come one after the other: the last
commit wins, and events stand in the order of the commits. Repeating either changes nothing and tells nobody.
"""

from collections.abc import Callable, Sequence

from aldis.domain.channels import CHAT, ChatPolicies
from aldis.domain.content import check_content_size
from aldis.domain.errors import Rejected
from aldis.domain.ids import MessageId
from aldis.domain.messages import Gone, Kind, Message, deleted, edited
from aldis.domain.streams import DELETED, EDITED, Batch, Broadcast, EventType
from aldis.ports.clock import Clock
from aldis.ports.store import Conversation, Store, Transaction
from aldis.services.broadcasting import Announcement, put_broadcasts
from aldis.services.compose import ChannelLookup
from aldis.services.render import fact_of, value_json
from aldis.services.retry_contention import retry_contention
from aldis.services.ring import Rings
from aldis.services.store_group import channel_closed, may_not_write, pair_of
from aldis.services.tell_members import tell_members
from aldis.telemetry.metrics import Metrics

Told = Sequence[Batch | Broadcast]
_WITHOUT_CONTENT = frozenset({Gone.DELETED, Gone.PURGED})


class Reviser:
    """Edits and deletes messages for their senders (see `find_own_message`); one instance a process."""

    def __init__(
        self,
        *,
        store: Store,
        ringer: Rings,
        clock: Clock,
        metrics: Metrics,
        channel: ChannelLookup,
        policies: Callable[[], ChatPolicies] = dict,
        on_stored: Callable[[], object] = lambda: None,
    ) -> None:
        self._store = store
        self._ringer = ringer
        self._clock = clock
        self._metrics = metrics
        self._channel = channel
        self._policies = policies
        self._on_stored = on_stored  # after each commit: there is something in the outbox

    async def edit(self, message: Message, conversation: Conversation, content: bytes) -> Message:
        """Let a message say something else, and answer it as it is now. `content` is its JSON, checked in itself.

        Raises `Rejected` when it is gone, and whenever its sender could not send this there now.
        """
        await self._check_size(message, content)
        now, policies = self._clock.now_ms(), self._policies()

        async def recipe(transaction: Transaction) -> tuple[Message, Told | None]:
            before = await _hold(message.id, transaction)
            _check_there(before, now)
            await _check_may_write(conversation, transaction, policies)
            if before.content == content:
                return before, None
            after = edited(before, content, now)
            await transaction.put_revision(after)
            return after, await _tell(after, EDITED, conversation, transaction, now)

        after, told = await retry_contention(lambda: self._store.run(recipe), clock=self._clock)
        await self._announce(EDITED, told)
        return after

    async def delete(self, message: Message, conversation: Conversation) -> None:
        """Take what a message says away for good, whatever else holds; its place stays."""
        now = self._clock.now_ms()

        async def recipe(transaction: Transaction) -> Told | None:
            before = await _hold(message.id, transaction)
            if before.gone in _WITHOUT_CONTENT:
                return None
            after = deleted(before)
            await transaction.put_revision(after)
            await transaction.forget_waiting([before])
            return await _tell(after, DELETED, conversation, transaction, now)

        if message.gone not in _WITHOUT_CONTENT:  # else a repeat, which need not hold anybody up
            told = await retry_contention(lambda: self._store.run(recipe), clock=self._clock)
            await self._announce(DELETED, told)

    async def _check_size(self, message: Message, content: bytes) -> None:
        """Hold what backends write to the limit of its channel, as when it is sent."""
        channel = await self._channel(message.channel) if message.kind is Kind.NOTIFICATION else None
        if channel is not None and channel.max_content_bytes is not None:
            check_content_size(content, channel.max_content_bytes)

    async def _announce(self, type_: EventType, told: Told | None) -> None:
        if told is not None:
            self._metrics.messages_revised.labels(type=type_).inc()
            self._on_stored()
            await self._ringer.ring(told)


async def _hold(message_id: MessageId, transaction: Transaction) -> Message:
    message = await transaction.lock_message(message_id)
    if message is None:
        raise Rejected("not_found", "there is no such message for you", field="message_id")
    return message


def _check_there(message: Message, now_ms: int) -> None:
    gone = message.gone_at(now_ms)
    if gone is not None:
        raise Rejected("conflict", f"the message is gone ({gone}): there is nothing left to edit", field="message_id")


async def _check_may_write(conversation: Conversation, transaction: Transaction, policies: ChatPolicies) -> None:
    """Raise `Rejected` where nothing may be written now, as a send into the conversation would be refused."""
    channel = conversation.channel
    if channel != CHAT and await transaction.closed_channels([channel]):
        raise channel_closed(channel, field=None)
    if conversation.kind is not Kind.CHAT:
        return
    pair, policy = pair_of(conversation), policies.get(channel)
    if await transaction.blocked_pairs([pair]) or not (policy is None or policy.lets(*pair, exists=True)):
        raise may_not_write(None)


async def _tell(
    message: Message, type_: EventType, conversation: Conversation, transaction: Transaction, now_ms: int
) -> Told:
    """Put an event into the message's own source, and one into the outbox."""
    told: Told
    if conversation.broadcast:
        everyone = any(channel.name == message.channel for channel in await transaction.everyone_channels())
        told = await put_broadcasts([Announcement(message, everyone, type_)], transaction, now_ms)
    else:
        told = await tell_members([message], type_, transaction, now_ms)
    await transaction.put_outbox(type_, value_json([fact_of(message, conversation.members)]), now_ms)
    return told
