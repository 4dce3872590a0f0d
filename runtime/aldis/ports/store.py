"""The store: the one truth. Everything else may be lost and is repaired from here.

Guarantees of every adapter:
- What a transaction wrote is durable when `begin()`'s block has ended without an error, and all of it or none is there.
- Positions of one (user, source) are given in commit order: a reader that sees position n sees all below it, retention
  apart. Locks are taken in one order: keys, conversations, members, messages that are there already, lanes, each
  sorted; so is every argument list.
- Several transactions may be open at once. What is called held no other transaction changes until this one has ended;
  all else is read as it is when it is asked for.
- `Contention` is raised when a transaction lost against another and changed nothing; `Unstorable` when a row cannot be
  stored by its content, nothing was changed; `OutcomeUnknown` when the commit itself failed to answer; other failures
  of the database are `Unavailable`. No driver's own error passes.
- Bulk calls take any number of rows in few statements. Nothing here waits for the network but the database's own.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol, TypeVar

from aldis.domain.callers import ApiKey
from aldis.domain.channels import Channel
from aldis.domain.cursors import Positions
from aldis.domain.devices import Device
from aldis.domain.errors import AldisError, Unavailable
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId
from aldis.domain.messages import Kind, Message
from aldis.domain.receipts import ReadMark, Receipt
from aldis.domain.status import Passage, Step
from aldis.domain.streams import BROADCASTS, MESSAGE, BroadcastSource, EventType, Lane, LaneHead, Source
from aldis.ports.administration import AdministrationReads, AdministrationRows
from aldis.ports.announcements import AnnouncementReads
from aldis.ports.broadcasts import BroadcastReads, BroadcastRows
from aldis.ports.deliveries import DeliveryReads, DeliveryRows, Range
from aldis.ports.relations import RelationReads, RelationRows
from aldis.ports.revisions import RevisionReads, RevisionRows
from aldis.ports.scheduling import SchedulingReads, SchedulingRows

T = TypeVar("T")


class Contention(Unavailable):
    """The transaction lost a race and changed nothing: run it again."""


class OutcomeUnknown(Unavailable):
    """The commit did not answer: it may or may not have happened; the same idempotency key tells."""


class Unstorable(AldisError):
    """The database refuses these rows for what they hold; nothing was changed."""


class KeyClaim(NamedTuple):
    """An idempotency key to be taken for a message."""

    scope: str
    key: str
    message_id: MessageId
    fingerprint: str | None
    expires_at: int


class KeyHolder(NamedTuple):
    """Who holds a key already."""

    message_id: MessageId
    fingerprint: str | None


class Conversation(NamedTuple):
    """A conversation and its members; those of a broadcast channel are left out, for they may be a million."""

    id: ConversationId
    kind: Kind
    channel: str
    members: tuple[UserId, ...]
    broadcast: bool = False


class Growth(NamedTuple):
    """`more` messages for a conversation, which is made with its members when it is not there."""

    conversation: Conversation
    more: int
    last_message_id: MessageId


class LaneEntry(NamedTuple):
    """One message at one position of one user's lane. `own`: that user sent it, or there is nothing to be delivered.

    `revised_at` is Unix ms of an edit or a deletion: retention counts from there, and else from the message's own time.
    """

    user: UserId
    lane: Lane
    seq: int
    message_id: MessageId
    conversation_id: ConversationId
    conversation_seq: int
    own: bool
    type: EventType = MESSAGE
    revised_at: int | None = None


class State(NamedTuple):
    """A row of a user's state: `value` is JSON and replaces what `key` held."""

    user: UserId
    key: str
    type: str
    value: bytes


class Heard(NamedTuple):
    """The highest seq of a conversation among others' messages in a range."""

    user: UserId
    lane: Lane
    conversation_id: ConversationId
    seq: int


class Move(NamedTuple):
    """A device's position moved from `low` (not included) to `high`. For reads `source` is the conversation's id."""

    user: UserId
    device: DeviceId | None
    source: str
    step: Step
    low: int
    high: int
    at: int


class Want(NamedTuple):
    """A page of a user's source: at most `limit` entries above `after`."""

    user: UserId
    source: Source
    after: int
    limit: int


class Entry(NamedTuple):
    """An entry of a message source with the message as it is now."""

    pos: int
    message: Message
    type: EventType = MESSAGE


class StateEntry(NamedTuple):
    """An entry of `r`."""

    pos: int
    type: str
    value: bytes


class OutboxRow(NamedTuple):
    """Events of one commit group, to be published; `at` is when they were stored (Unix ms)."""

    id: int
    topic: str
    payload: bytes
    at: int = 0


class ConversationRow(NamedTuple):
    """A conversation as one of its members sees it."""

    conversation: Conversation
    mark: ReadMark
    last: Message | None
    muted: bool = False
    archived: bool = False


class Transaction(
    BroadcastRows, DeliveryRows, RevisionRows, RelationRows, AdministrationRows, SchedulingRows, Protocol
):
    """What can be done inside one `begin()`. Argument lists are sorted by the callee where locks depend on it."""

    async def claim_keys(self, claims: Sequence[KeyClaim]) -> dict[tuple[str, str], KeyHolder]:
        """Take the keys that are free; answer those that are held, by (scope, key). Claims must be distinct."""
        ...

    async def release_keys(self, keys: Sequence[tuple[str, str]]) -> None:
        """Give back keys taken in this transaction, by (scope, key)."""
        ...

    async def conversations(self, ids: Sequence[ConversationId]) -> dict[ConversationId, Conversation]:
        """The conversations that exist among `ids`."""
        ...

    async def extend_conversations(self, growths: Sequence[Growth]) -> dict[ConversationId, int]:
        """Give each conversation `count` more seqs; answer its new head. Conversations must be distinct."""
        ...

    async def count_own(self, totals: Mapping[tuple[ConversationId, UserId], int]) -> None:
        """Add to how many messages a member has sent in a conversation."""
        ...

    async def extend_sources(
        self, counts: Mapping[tuple[UserId, Source], int], due: Mapping[tuple[UserId, Source], int]
    ) -> dict[tuple[UserId, Source], int]:
        """Give each (user, source) that many more positions; answer its new head.

        `due` says when it is to be looked at for what is unacknowledged (Unix ms), if not sooner.
        """
        ...

    async def insert_messages(self, messages: Sequence[Message]) -> None:
        """Store new messages."""
        ...

    async def insert_entries(self, entries: Sequence[LaneEntry]) -> None:
        """Store what lanes say."""
        ...

    async def put_states(self, states: Sequence[State], versions: Sequence[int]) -> None:
        """Upsert state rows, each with its new position in `r`; (user, key) must be distinct."""
        ...

    async def put_outbox(self, topic: str, payload: bytes, at: int) -> None:
        """Store an event row to be published after the commit."""
        ...

    async def messages(self, ids: Sequence[MessageId]) -> dict[MessageId, Message]:
        """The messages that exist among `ids`."""
        ...

    async def devices(
        self, keys: Sequence[tuple[UserId, DeviceId]], *, hold: bool = False
    ) -> dict[tuple[UserId, DeviceId], Device]:
        """The devices that exist among `keys`; with `hold` no other transaction changes them until this has ended."""
        ...

    async def put_devices(self, devices: Sequence[Device], seen_at: int) -> None:
        """Upsert devices with their positions; `seen_at` is Unix ms."""
        ...

    async def device_counts(self, users: Sequence[UserId]) -> dict[UserId, int]:
        """How many devices each user ever had registered and not removed; users without one are left out."""
        ...

    async def heads(self, users: Sequence[UserId]) -> dict[tuple[UserId, Source], LaneHead]:
        """Heads and floors of the users' sources; those that never had an entry are left out."""
        ...

    async def heard(self, ranges: Sequence[Range]) -> list[Heard]:
        """Per range and conversation, the highest seq among messages that others sent."""
        ...

    async def advance_receipts(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        """Merge into the members' progress; answer the merged ones that changed. (conversation, user) distinct."""
        ...

    async def record_moves(self, moves: Sequence[Move]) -> None:
        """Append to the record of moves."""
        ...

    async def read_marks(
        self, keys: Sequence[tuple[ConversationId, UserId]]
    ) -> dict[tuple[ConversationId, UserId], ReadMark]:
        """The marks of those who are members; no other transaction changes them until this has ended."""
        ...

    async def count_own_between(self, conversation: ConversationId, user: UserId, low: int, high: int) -> int:
        """How many messages of `user` have a seq above `low` up to `high`."""
        ...

    async def put_own_read(self, conversation: ConversationId, user: UserId, own_read: int) -> None:
        """Store how many of the messages up to a member's `read_seq` are his own."""
        ...

    async def badge(self, user: UserId) -> int:
        """All that is unread for `user`."""
        ...

    async def lease_outbox(self, now: int, until: int, limit: int) -> list[OutboxRow]:
        """Take up to `limit` rows, oldest first, so that no other takes them before `until`."""
        ...

    async def delete_outbox(self, ids: Sequence[int]) -> None:
        """Forget rows that were published."""
        ...

    async def trim(self, before: MessageId, limit: int) -> int:
        """Drop up to `limit` lane entries older than `before`, raising floors; answer how many."""
        ...

    async def delete_keys(self, now: int, limit: int) -> int:
        """Forget up to `limit` idempotency keys that have expired; answer how many."""
        ...

    async def delete_moves(self, before: int, limit: int) -> int:
        """Forget up to `limit` records of moves older than `before` (Unix ms), oldest first; answer how many.

        None where `keep_up` lets go of them.
        """
        ...

    async def put_api_key(self, key: ApiKey) -> None:
        """Store a key, or its end: its revocation or another time of expiry."""
        ...

    async def note_keys_used(self, used: Mapping[str, int]) -> None:
        """Store when keys were last used (Unix ms, by id), where that is later than what is known; not empty."""
        ...

    async def put_channel(self, channel: Channel, now: int) -> None:
        """Store a channel's policy."""
        ...


class Store(
    BroadcastReads,
    DeliveryReads,
    RevisionReads,
    RelationReads,
    AnnouncementReads,
    AdministrationReads,
    SchedulingReads,
    Protocol,
):
    """Transactions, and reads that see all that was committed before the call (on the primary)."""

    epoch: str

    @property
    def concurrent_writers(self) -> int:
        """How many transactions can usefully run at once: the number of commit shards."""
        ...

    async def run(self, recipe: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        """Run a recipe as one transaction, in as few hand-overs as the database allows: the way for all that is busy.

        The recipe awaits nothing but its transaction, and may run in another thread: it touches only what it is given.
        """
        ...

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction; commit at the end of the block, roll back when it raises. The way for the rest."""
        ...

    async def keep_up(self, now: int, *, records_before: int) -> None:
        """Make room for what is to come, let go of older records of moves and rings, where that goes by whole tables.

        Cheap when there is nothing to be done; to be called every few hours. Times are Unix ms.
        """
        ...

    async def check(self) -> None:
        """Raise `Unavailable` unless the database answers."""
        ...

    async def entries(self, wants: Sequence[Want]) -> list[list[Entry]]:
        """For each want of `e` or `s`, or of `be` or `bs` as the user hears them, its page in order."""
        ...

    async def states(self, wants: Sequence[Want]) -> list[list[StateEntry]]:
        """For each want of `r`, its page in order."""
        ...

    async def heads(self, users: Sequence[UserId]) -> dict[tuple[UserId, Source], LaneHead]:
        """As in a transaction."""
        ...

    async def message(self, message_id: MessageId) -> tuple[Message, Conversation] | None:
        """A message and its conversation."""
        ...

    async def passages(self, message: Message, users: Sequence[UserId]) -> dict[UserId, tuple[int, list[Passage]]]:
        """Per recipient its position of the message (0 once retired) and its steps; strangers are left out."""
        ...

    async def conversation(self, conversation: ConversationId) -> Conversation | None:
        """One conversation."""
        ...

    async def conversations_of(
        self,
        user: UserId,
        kind: Kind | None,
        before: tuple[str, str] | None,
        limit: int,
        *,
        archived: bool | None = None,
    ) -> list[ConversationRow]:
        """A user's conversations, newest message first, after the (last message id, conversation id) `before`."""
        ...

    async def history(
        self, conversation: ConversationId, *, before: int | None, after: int | None, above: int = 0, limit: int
    ) -> list[Message]:
        """Messages by seq: descending below `before` (or from the head), or ascending above `after`; all `above`."""
        ...

    async def badge(self, user: UserId) -> int:
        """All that is unread for `user`."""
        ...

    async def device(self, user: UserId, device: DeviceId) -> Device | None:
        """One device."""
        ...

    async def api_key(self, key_id: str) -> ApiKey | None:
        """One key."""
        ...

    async def api_keys(self) -> list[ApiKey]:
        """All keys, oldest first."""
        ...

    async def channel(self, name: str) -> Channel | None:
        """One channel."""
        ...

    async def channels(self) -> list[Channel]:
        """All channels by name."""
        ...

    async def channels_version(self) -> str:
        """A text that changes with every change of a channel's policy; cheap to ask for."""
        ...


def positions(
    heads: Mapping[tuple[UserId, Source], LaneHead],
    user: UserId,
    broadcasts: Mapping[BroadcastSource, LaneHead],
    floors: Mapping[BroadcastSource, int] | None = None,
) -> tuple[Positions, Positions]:
    """The (heads, floors) of a user: his own as `heads` answered, the broadcasts' with what of them he has missed."""
    nothing = LaneHead()
    own = {source: heads.get((user, source), nothing) for source in ("e", "s", "r")}
    both: dict[str, int] = {source: broadcasts.get(source, nothing).seq for source in BROADCASTS}
    missed: dict[str, int] = {source: seq for source, seq in (floors or {}).items()}  # noqa: C416 - str keys
    return (
        Positions(**{source: head.seq for source, head in own.items()}, **both),
        Positions(**{source: head.floor for source, head in own.items()}, **missed),
    )
