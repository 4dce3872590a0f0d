"""Broadcasts: the installation's two sources `be` and `bs`, and who hears which channel.

Guarantees as in `ports/store.py`: the two classes are a transaction's part and a store's part. Positions of a source
and numbers of changes of audiences are both given in commit order: whoever has seen number n has seen all below it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Message
from aldis.domain.streams import MESSAGE, BroadcastSource, EventType, LaneHead

EVERYONE = -1  # in the place of an audience's number: all hear it


class BroadcastEntry(NamedTuple):
    """One message at one position of `be` or `bs`; `audience` numbers the last change of audiences before it.

    `revised_at` is as in a lane's entry.
    """

    source: BroadcastSource
    seq: int
    channel: str
    message_id: MessageId
    conversation_seq: int
    audience: int
    type: EventType = MESSAGE
    revised_at: int | None = None


class LoggedBroadcast(NamedTuple):
    """An entry with the message as it is now."""

    entry: BroadcastEntry
    message: Message


class Interval(NamedTuple):
    """A user hears a channel: what lies above the two `from_` positions, up to the `until_` ones (None: still does).

    `since` is the number of the change that began it, `changed` of the last one, `at` Unix ms of its beginning.
    """

    user: UserId
    channel: str
    since: int
    changed: int
    from_be: int
    from_bs: int
    at: int
    until_be: int | None = None
    until_bs: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether the user hears the channel now."""
        return self.until_be is None


class EveryoneChannel(NamedTuple):
    """A channel that every user hears, the number of the change that made it, and whether its past is hidden."""

    name: str
    number: int
    hides_history: bool


class Seen(NamedTuple):
    """A user who has been here: has joined the channels for everyone up to `everyone` (a number of a change)."""

    user: UserId
    at: int
    everyone: int


class Listener(NamedTuple):
    """A user's place in the conversation of a broadcast channel; sees what lies above `from_seq`."""

    conversation_id: ConversationId
    user: UserId
    read_seq: int
    from_seq: int


class AudienceChange(NamedTuple):
    """A user began to hear a channel, or ceased to after the two `until_` positions (None: hears it still)."""

    user: UserId
    channel: str
    number: int
    until_be: int | None
    until_bs: int | None


class BroadcastCounts(NamedTuple):
    """How many were to hear a broadcast, and how far it has come."""

    audience: int
    delivered: int
    read: int


class BroadcastRows(Protocol):
    """What a transaction can do."""

    async def extend_broadcasts(self, counts: Mapping[BroadcastSource, int]) -> dict[BroadcastSource, int]:
        """Give each source that many more positions; answer its new head."""
        ...

    async def insert_broadcasts(self, entries: Sequence[BroadcastEntry]) -> None:
        """Store what the sources say."""
        ...

    async def broadcast_heads(self) -> dict[BroadcastSource, LaneHead]:
        """Heads and floors of both."""
        ...

    async def audience_number(self) -> int:
        """The number of the last change of any audience; there is no other until this transaction has ended."""
        ...

    async def number_change(self) -> int:
        """Give a change of audiences its number; no other transaction gets one until this has ended."""
        ...

    async def everyone_channels(self) -> list[EveryoneChannel]:
        """The channels that everyone hears."""
        ...

    async def mark_everyone(self, channel: str, number: int) -> None:
        """Let a channel be heard by everyone."""
        ...

    async def seen(self, users: Sequence[UserId], *, hold: bool = False) -> dict[UserId, Seen]:
        """Those among `users` who have been here; with `hold` no other transaction holds them until this has ended."""
        ...

    async def put_seen(self, users: Sequence[Seen]) -> None:
        """Upsert users."""
        ...

    async def intervals(self, users: Sequence[UserId], channel: str | None = None) -> list[Interval]:
        """The intervals of users, in one channel or all."""
        ...

    async def put_intervals(self, intervals: Sequence[Interval]) -> None:
        """Upsert intervals."""
        ...

    async def open_conversation(self, conversation_id: ConversationId, channel: str) -> None:
        """Make a broadcast channel's conversation if it is not there."""
        ...

    async def conversation_heads(self, ids: Sequence[ConversationId]) -> dict[ConversationId, int]:
        """The newest seq of each."""
        ...

    async def put_listeners(self, listeners: Sequence[Listener]) -> None:
        """Make members of a broadcast conversation; those who are there already stay as they are."""
        ...

    async def drop_listeners(self, keys: Sequence[tuple[ConversationId, UserId]]) -> None:
        """Take members out of a broadcast conversation."""
        ...

    async def broadcast_floors(self, users: Sequence[UserId]) -> dict[UserId, dict[BroadcastSource, int]]:
        """Per user and source the highest position that retention took away and that he was to hear; 0 left out."""
        ...

    async def trim_broadcasts(self, before: MessageId, limit: int) -> int:
        """Drop up to `limit` old entries from the low ends, raising floors; answer how many."""
        ...


class BroadcastReads(Protocol):
    """What can be read outside one."""

    async def broadcast_positions(self) -> tuple[dict[BroadcastSource, LaneHead], int]:
        """Heads and floors of both, and the number of the last change of audiences, as of one moment."""
        ...

    async def broadcast_log(self, source: BroadcastSource, after: int, limit: int) -> list[LoggedBroadcast]:
        """A source's entries above a position, whoever hears them."""
        ...

    async def audience_changes(self, after: int, limit: int) -> list[AudienceChange]:
        """Changes with a number above `after`, in order; of a user and channel only the last."""
        ...

    async def subscribed(self, users: Sequence[UserId]) -> dict[UserId, list[Interval]]:
        """The open intervals of users."""
        ...

    async def subscribers(self, channel: str, after: UserId | None, limit: int) -> list[Interval]:
        """The open intervals of a channel, by user."""
        ...

    async def needs_joining(self, user: UserId) -> bool:
        """Whether the user has not been seen, or not since a channel for everyone was made."""
        ...

    async def broadcast_entry(self, message_id: MessageId) -> BroadcastEntry | None:
        """Where a message was first broadcast."""
        ...

    async def broadcast_counts(self, entry: BroadcastEntry, conversation_id: ConversationId) -> BroadcastCounts:
        """How far a broadcast has come; costs with the size of the audience."""
        ...

    async def broadcast_reach(
        self, entry: BroadcastEntry, conversation_id: ConversationId, user: UserId
    ) -> tuple[bool, bool, bool]:
        """Whether it was for `user`, whether a device of his has acknowledged it, whether he has read it."""
        ...

    async def listener(self, conversation_id: ConversationId, user: UserId) -> Listener | None:
        """A user's place in a broadcast conversation, or in any other of which he is a member."""
        ...
