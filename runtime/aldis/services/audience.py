"""Who hears what: joining, subscribing, unsubscribing.

A user hears a channel in intervals of positions, so that a device which was away gets exactly what was sent while its
user was subscribed. Channels that everyone hears are joined when a user next comes, never when something is sent: a
user who was here before the channel was made hears it from its beginning, a new one from now.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from aldis.domain.channels import CHAT, DEFAULT_CHAT, Audience, Channel, ChannelType, History
from aldis.domain.errors import Rejected
from aldis.domain.ids import UserId, broadcast_conversation_id, check_name
from aldis.domain.streams import Batch, BroadcastSource, LaneHead
from aldis.ports.broadcasts import Interval, Listener, Seen
from aldis.ports.clock import Clock
from aldis.ports.store import State, Store, Transaction
from aldis.services.news import Subscription
from aldis.services.put_states import put_states
from aldis.services.render import value_json
from aldis.services.ring import Ringer

REMEMBERED = 100_000  # users of whom is known that they have joined all there is
REMEMBER_MS = 5_000  # how late a channel for everyone may be noticed for a user whose devices are all connected

Heads = dict[BroadcastSource, LaneHead]


class Subscriptions:
    """What users hear; one instance a process."""

    def __init__(
        self,
        *,
        store: Store,
        ringer: Ringer,
        clock: Clock,
        channel: Callable[[str], Awaitable[Channel | None]],
    ) -> None:
        self._store = store
        self._ringer = ringer
        self._clock = clock
        self._channel = channel
        self._joined: OrderedDict[UserId, int] = OrderedDict()  # user -> when it was looked at, Unix ms

    async def greet(self, user: UserId) -> None:
        """Have a user join the channels for everyone; costs nothing when that was seen to lately."""
        now = self._clock.now_ms()
        if now - self._joined.get(user, -REMEMBER_MS) < REMEMBER_MS:
            return
        if await self._store.needs_joining(user):
            await self._store.run(lambda transaction: join_everyone([user], transaction, now))
        self._joined[user] = now
        self._joined.move_to_end(user)
        if len(self._joined) > REMEMBERED:
            self._joined.popitem(last=False)

    async def subscribe(self, user: UserId, channel: str) -> None:
        """Hear a channel from now on; to subscribe again changes nothing. Raises `Rejected` for what is no such one."""
        declared = await self._check(channel)
        await self.greet(user)
        if declared.audience is Audience.SUBSCRIBERS:
            now = self._clock.now_ms()
            await self._ringer.ring(
                await self._store.run(lambda transaction: _subscribe(user, declared, transaction, now))
            )

    async def unsubscribe(self, user: UserId, channel: str) -> None:
        """Hear it no more. What was sent before still reaches the devices that were away."""
        declared = await self._check(channel)
        if declared.audience is Audience.EVERYONE:
            raise Rejected("conflict", f"everyone hears the channel {channel}; mute its conversation", field="channel")
        await self._ringer.ring(await self._store.run(lambda transaction: _unsubscribe(user, declared, transaction)))

    async def list(self, user: UserId) -> Sequence[Interval]:
        """What a user hears, by channel."""
        await self.greet(user)
        return sorted((await self._store.subscribed([user])).get(user, []), key=lambda interval: interval.channel)

    async def find(self, user: UserId, channel: str) -> Interval:
        """One of them. Raises `Rejected("not_found")` when the user does not hear it."""
        for interval in await self.list(user):
            if interval.channel == channel:
                return interval
        raise Rejected("not_found", f"you are not subscribed to {channel}", field="channel")

    async def subscribers(self, channel: str, after: UserId | None, limit: int) -> Sequence[Interval]:
        """Who hears a channel, by user."""
        await self._check(channel)
        return await self._store.subscribers(channel, after, limit)

    async def _check(self, name: str) -> Channel:
        channel = await self._channel(check_name(name, "channel")) or (DEFAULT_CHAT if name == CHAT else None)
        if channel is None:
            raise Rejected("unknown_channel", f"the channel {name} is not declared", field="channel")
        if channel.type is not ChannelType.BROADCAST:
            raise Rejected("bad_request", f"{name} is of type {channel.type}: nobody subscribes to it", field="channel")
        return channel


async def join_everyone(users: Sequence[UserId], transaction: Transaction, now_ms: int) -> None:
    """Have users join the channels for everyone that they have not joined; those never seen before begin here."""
    seen = await transaction.seen(users)
    channels = await transaction.everyone_channels()
    newest = max((channel.number for channel in channels), default=0)
    behind = [user for user in users if user not in seen or seen[user].everyone < newest]
    if not behind:
        return
    heads = await transaction.broadcast_heads()
    ids = {channel.name: broadcast_conversation_id(channel.name) for channel in channels}
    seqs = await transaction.conversation_heads(sorted(ids.values()))
    intervals: list[Interval] = []
    listeners: list[Listener] = []
    for user in behind:
        known = seen.get(user)
        for channel in channels:
            if known is not None and channel.number <= known.everyone:
                continue
            is_new = known is None
            start = heads if is_new else {}
            intervals.append(_interval(user, channel.name, channel.number, start, now_ms))
            seq = seqs.get(ids[channel.name], 0) if is_new else 0
            listeners.append(Listener(ids[channel.name], user, seq, seq if channel.hides_history else 0))
    await transaction.put_seen([Seen(u, seen[u].at if u in seen else now_ms, newest) for u in behind])
    await transaction.put_intervals(intervals)
    await transaction.put_listeners(listeners)


async def open_channel(channel: Channel, transaction: Transaction) -> None:
    """Make a new broadcast channel's conversation, and let everyone hear it if so declared."""
    await transaction.open_conversation(broadcast_conversation_id(channel.name), channel.name)
    if channel.audience is Audience.EVERYONE:
        await transaction.mark_everyone(channel.name, await transaction.number_change())


async def _subscribe(user: UserId, channel: Channel, transaction: Transaction, now_ms: int) -> list[Batch]:
    await transaction.seen([user], hold=True)
    earlier = await transaction.intervals([user], channel.name)
    if any(interval.is_open for interval in earlier):
        return []
    conversation_id = broadcast_conversation_id(channel.name)
    number = await transaction.number_change()
    heads = await transaction.broadcast_heads()
    seq = (await transaction.conversation_heads([conversation_id])).get(conversation_id, 0)
    await transaction.put_intervals([_interval(user, channel.name, number, heads, now_ms)])
    sees_from = 0 if channel.history is History.VISIBLE else seq
    await transaction.put_listeners([Listener(conversation_id, user, seq, sees_from)])
    return await _tell(user, channel.name, hears=True, transaction=transaction)


async def _unsubscribe(user: UserId, channel: Channel, transaction: Transaction) -> list[Batch]:
    await transaction.seen([user], hold=True)
    current = [i for i in await transaction.intervals([user], channel.name) if i.is_open]
    if not current:
        return []
    number = await transaction.number_change()
    heads = await transaction.broadcast_heads()
    ended = [i._replace(changed=number, until_be=heads["be"].seq, until_bs=heads["bs"].seq) for i in current]
    await transaction.put_intervals(ended)
    await transaction.drop_listeners([(broadcast_conversation_id(channel.name), user)])
    return await _tell(user, channel.name, hears=False, transaction=transaction)


async def _tell(user: UserId, channel: str, *, hears: bool, transaction: Transaction) -> list[Batch]:
    """Let the user's devices know."""
    value = value_json(Subscription(channel=channel, subscribed=hears))
    return await put_states([State(user, f"subscription:{channel}", "subscription", value)], transaction)


def _interval(user: UserId, channel: str, number: int, heads: Heads, now_ms: int) -> Interval:
    nothing = LaneHead()
    return Interval(
        user=user,
        channel=channel,
        since=number,
        changed=number,
        from_be=heads.get("be", nothing).seq,
        from_bs=heads.get("bs", nothing).seq,
        at=now_ms,
    )
