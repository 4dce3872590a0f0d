"""How far a message has come: its status for each recipient, and when each step was taken on which device.

Its sender and its recipients may ask, and backends with a key for its channel; to all others it is not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aldis.domain.callers import Caller, UserCaller
from aldis.domain.deliveries import Reason
from aldis.domain.errors import Rejected
from aldis.domain.ids import DeviceId, MessageId, UserId
from aldis.domain.messages import Message
from aldis.domain.status import (
    LEADS_TO,
    Passage,
    RecipientStatus,
    Status,
    Step,
    follow,
    in_order,
    is_waiting,
    may_become,
    status_of,
)
from aldis.ports.broadcasts import BroadcastCounts
from aldis.ports.deliveries import Attempt
from aldis.ports.store import Conversation, Store
from aldis.services.broadcast_status import broadcast_status, hears_broadcast
from aldis.services.pages import Page

_MILESTONES = {
    Step.REPLAYED: "queued",
    Step.SENT: "sent",
    Step.FAILED: "failed",
    Step.ACKED: "delivered",
    Step.READ: "read",
}
_ORDER = ["failed", "queued", "attempt", "sent", "delivered", "read"]  # within the same millisecond


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStatus:
    """A message and a page of its recipients, by name."""

    message: Message
    recipients: Page[RecipientStatus, UserId]
    counts: BroadcastCounts | None = None  # of a broadcast, for backends


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """Something that happened to a message; `device` is None where none was named.

    An attempt has its number and what came of it, a failure its reason.
    """

    type: str
    at: int
    user: UserId | None = None
    device: DeviceId | None = None
    attempt: int | None = None
    outcome: str | None = None
    reason: str | None = None


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
    """All that happened to the message, in order of time.

    It was stored, and queued for its recipients, in the same step that accepted it.
    """
    message, conversation = await find_visible_message(message_id, caller, store=store)
    recipients = recipients_of(message, conversation)
    passed = await store.passages(message, recipients)
    attempts = await store.attempts(message, recipients)
    steps = [
        milestone
        for user, (_, passages) in sorted(passed.items())
        for milestone in _milestones(user, passages, attempts.get(user, []))
    ]
    begun = [Milestone(type=step, at=message.created_at) for step in ("accepted", "stored")]
    begun += [Milestone(type="queued", at=message.created_at, user=user) for user in recipients]
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
    if over and is_waiting(status.status):  # also in the second until a worker sees to it
        failed = replace(status, status=Status.FAILED, reason=Reason.EXPIRED.value)
        return replace(failed, failed_at=message.expires_at)
    return status


def _milestones(user: UserId, passages: Sequence[Passage], attempts: Sequence[Attempt]) -> list[Milestone]:
    """What happened for one recipient; a stretch is rung for also after some of its messages have been answered."""
    status, waits, found = Status.PENDING, [(0, True)], []
    for passage in in_order(passages):
        after = LEADS_TO[passage.step]
        is_turn = passage.step in {Step.FAILED, Step.REPLAYED}
        if passage.at is not None and (may_become(status, after) or not is_turn):  # a failure is recorded twice
            found.append(_milestone(user, passage, passage.at))
        status = follow(status, after)
        waits.append((passage.at or 0, is_waiting(status)))
    found += [_ring(user, attempt) for attempt in attempts if [waited for at, waited in waits if at <= attempt.at][-1]]
    return found


def _milestone(user: UserId, passage: Passage, at: int) -> Milestone:
    return Milestone(type=_MILESTONES[passage.step], at=at, user=user, device=passage.device, reason=passage.reason)


def _ring(user: UserId, attempt: Attempt) -> Milestone:
    return Milestone(
        type="attempt",
        at=attempt.at,
        user=user,
        device=attempt.device,
        attempt=attempt.attempt,
        outcome=attempt.outcome.value,
    )


def _order(milestone: Milestone) -> tuple[int, int]:
    """By time; what was recorded in the same millisecond stands in the order in which it must have happened."""
    return milestone.at, _ORDER.index(milestone.type)
