"""How far a message has come: its status for each recipient, and when each step was taken on which device.

Its sender and its recipients may ask, and backends with a key for its channel; to all others it is not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aldis.domain.callers import Caller, UserCaller
from aldis.domain.errors import Rejected
from aldis.domain.ids import DeviceId, MessageId, UserId
from aldis.domain.messages import Message
from aldis.domain.status import Passage, RecipientStatus, Status, Step, status_of
from aldis.ports.broadcasts import BroadcastCounts
from aldis.ports.store import Conversation, Store
from aldis.services.broadcast_status import broadcast_status, hears_broadcast
from aldis.services.pages import Page

EXPIRED = "expired"  # the reason of a message whose time was over before any device had it
_MILESTONES = {Step.SENT: "sent", Step.ACKED: "delivered", Step.READ: "read"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStatus:
    """A message and a page of its recipients, by name."""

    message: Message
    recipients: Page[RecipientStatus, UserId]
    counts: BroadcastCounts | None = None  # of a broadcast, for backends


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """Something that happened to a message; `device` is None where none was named."""

    type: str
    at: int
    user: UserId | None = None
    device: DeviceId | None = None


async def read_message_status(
    message_id: MessageId, caller: Caller, *, after: UserId | None = None, limit: int, store: Store, now_ms: int
) -> MessageStatus:
    """The message as it is now and the status of up to `limit` recipients whose names follow `after`."""
    message, conversation = await find_visible_message(message_id, caller, store=store)
    if conversation.broadcast:
        own, counts = await broadcast_status(message, caller, store=store)
        return MessageStatus(message=message, recipients=Page(items=own), counts=counts)
    following = [user for user in recipients_of(message, conversation) if after is None or user > after]
    users = following[:limit]
    passed = await store.passages(message, users)
    statuses = [_status(message, user, passed.get(user, (0, []))[1], now_ms) for user in users]
    return MessageStatus(
        message=message,
        recipients=Page(items=statuses, next=users[-1] if len(following) > limit else None),
    )


async def read_timeline(message_id: MessageId, caller: Caller, *, store: Store) -> list[Milestone]:
    """All that happened to the message, in order of time. It was stored in the same step that accepted it."""
    message, conversation = await find_visible_message(message_id, caller, store=store)
    passed = await store.passages(message, recipients_of(message, conversation))
    steps = [
        Milestone(type=_MILESTONES[passage.step], at=passage.at, user=user, device=passage.device)
        for user, (_, passages) in sorted(passed.items())
        for passage in passages
        if passage.at is not None  # else it is known that it happened, but no longer when
    ]
    begun = [Milestone(type=step, at=message.created_at) for step in ("accepted", "stored")]
    return begun + sorted(steps, key=_order)


async def find_visible_message(message_id: MessageId, caller: Caller, *, store: Store) -> tuple[Message, Conversation]:
    """A message that the caller may see, with its conversation."""
    found = await store.message(message_id)
    is_there = found is not None and (found[1].broadcast or may_see(*found, caller))
    # What lies below a member's place is hidden in any conversation: he joined later, or was erased and came back.
    if found is None or not is_there or not await hears_broadcast(found[0], caller, store=store):
        raise Rejected("not_found", "there is no such message for you", field="message_id")
    return found


def may_see(message: Message, conversation: Conversation, caller: Caller) -> bool:
    """Whether the caller sent it, receives it, or has a key for its channel."""
    if isinstance(caller, UserCaller):
        return caller.user == message.sender.user or caller.user in conversation.members
    return caller.hears(message.channel)


def recipients_of(message: Message, conversation: Conversation) -> Sequence[UserId]:
    """The members but for the sender, by name."""
    return sorted(member for member in conversation.members if member != message.sender.user)


def _status(message: Message, user: UserId, passages: list[Passage], now_ms: int) -> RecipientStatus:
    status = status_of(user, passages)
    over = message.expires_at is not None and message.expires_at <= now_ms
    if over and status.status in {Status.PENDING, Status.SENT}:
        return replace(status, status=Status.FAILED, reason=EXPIRED)
    return status


def _order(milestone: Milestone) -> tuple[int, int]:
    """By time; what was recorded in the same millisecond stands in the order in which it must have happened."""
    return milestone.at, list(_MILESTONES.values()).index(milestone.type)
