"""Replaying the messages of dead letters, inside one transaction: they are rung for again, from the first attempt.

One whose time is over gets a new life, as long as its first: a new place in the recipient's lane, with the same message
id, which devices apply as they apply every event. A new place has also what retention has taken out of the lane. What
has lost its content has nothing to be replayed.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aldis.domain.deliveries import Outcome, runs
from aldis.domain.ids import MessageId, UserId
from aldis.domain.messages import Message
from aldis.domain.retry import DEFAULT_RETRY, RetryPolicies
from aldis.domain.status import Status
from aldis.domain.streams import Batch, Event, Lane, Source
from aldis.ports.dead_letters import DeadLetter
from aldis.ports.deliveries import Attempt, NewRing
from aldis.ports.store import LaneEntry, Transaction
from aldis.services.fail_messages import status_states
from aldis.services.put_states import put_states
from aldis.services.render import message_event, message_json


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many letters were replayed and how many could not be, and what gateways are to be told after the commit."""

    replayed: int = 0
    skipped: int = 0
    batches: list[Batch] = field(default_factory=list)


async def replay_letters(
    letters: Sequence[DeadLetter], transaction: Transaction, policies: RetryPolicies, now_ms: int
) -> Replayed:
    """Replay what can be; a letter that was answered or taken by another replay meanwhile counts as neither."""
    if not letters:
        return Replayed()
    floors = await transaction.lock_lanes([(letter.recipient, letter.lane) for letter in letters])
    messages = await transaction.messages(sorted({letter.message_id for letter in letters}))
    lasting = [letter for letter in letters if messages[letter.message_id].gone is None]
    taken = await transaction.take_letters([letter.id for letter in lasting])
    over = [letter for letter in taken if _is_over(messages[letter.message_id], now_ms)]
    messages.update(await _renew(over, messages, transaction, now_ms))
    moving = over + [of for of in taken if of not in over and of.seq <= floors.get((of.recipient, of.lane), 0)]
    await _ring_again([letter for letter in taken if letter not in moving], transaction, now_ms)
    batches = await _place(moving, {letter.message_id for letter in over}, messages, transaction, policies, now_ms)
    batches += await put_states(status_states(taken, messages, Status.PENDING), transaction)
    return Replayed(len(taken), len(letters) - len(lasting), batches)


def _is_over(message: Message, now_ms: int) -> bool:
    return message.expires_at is not None and message.expires_at <= now_ms


async def _ring_again(letters: Sequence[DeadLetter], transaction: Transaction, now_ms: int) -> None:
    """Stretches of letters that lie next to one another, due now."""
    together: dict[tuple[UserId, Lane, str], list[int]] = {}
    for letter in letters:
        together.setdefault((letter.recipient, letter.lane, letter.channel), []).append(letter.seq)
    stretches = [(*lane, low, high) for lane, seqs in together.items() for low, high in runs(seqs)]
    await transaction.put_rings([NewRing(*stretch, due_at=now_ms, started_at=now_ms) for stretch in stretches])
    await transaction.put_attempts([Attempt(*stretch, 0, None, Outcome.REPLAYED, now_ms) for stretch in stretches])


async def _renew(
    letters: Sequence[DeadLetter], messages: Mapping[MessageId, Message], transaction: Transaction, now_ms: int
) -> dict[MessageId, Message]:
    """The messages with their whole lives again, which began when they were sent or last renewed."""
    if not letters:
        return {}
    places = [(letter.recipient, letter.lane, letter.seq) for letter in letters]
    begun = await transaction.renewals(places)
    renewed: dict[MessageId, Message] = {}
    for letter, place in zip(letters, places, strict=True):
        message = messages[letter.message_id]
        life = (message.expires_at or now_ms) - begun.get(place, message.created_at)
        renewed[message.id] = replace(message, expires_at=now_ms + max(life, 0))
    expiries = [(message.expires_at or now_ms, message.id) for message in renewed.values()]
    await transaction.renew_messages([(message, at) for at, message in expiries])
    await transaction.put_expiries(expiries)
    return renewed


async def _place(
    letters: Sequence[DeadLetter],
    renewed: Collection[MessageId],
    messages: Mapping[MessageId, Message],
    transaction: Transaction,
    policies: RetryPolicies,
    now_ms: int,
) -> list[Batch]:
    """New places at the heads of the lanes, as if the messages were sent now; the old ones stand for nothing more."""
    if not letters:
        return []
    await transaction.supersede_entries([(letter.recipient, letter.lane, letter.seq) for letter in letters])
    entries = await _new_entries(letters, messages, transaction, policies, now_ms)
    records: list[Attempt] = []
    events: dict[tuple[UserId, Source], list[Event]] = {}
    for of in entries:
        message = messages[of.message_id]
        outcome = Outcome.RENEWED if of.message_id in renewed else Outcome.REPLAYED
        records.append(Attempt(of.user, of.lane, message.channel, of.seq - 1, of.seq, 0, None, outcome, now_ms))
        events.setdefault((of.user, of.lane), []).append(Event(of.seq, message_event(message_json(message, now_ms))))
    await transaction.put_attempts(records)
    return [Batch(user, source, tuple(of_lane)) for (user, source), of_lane in events.items()]


async def _new_entries(
    letters: Sequence[DeadLetter],
    messages: Mapping[MessageId, Message],
    transaction: Transaction,
    policies: RetryPolicies,
    now_ms: int,
) -> list[LaneEntry]:
    counts: Counter[tuple[UserId, Source]] = Counter((letter.recipient, letter.lane) for letter in letters)
    due: dict[tuple[UserId, Source], int] = {}
    for letter in letters:
        answer_by = now_ms + policies.get(letter.channel, DEFAULT_RETRY).initial_ms
        due[letter.recipient, letter.lane] = min(due.get((letter.recipient, letter.lane), answer_by), answer_by)
    heads = await transaction.extend_sources(counts, due)
    following = {key: head - counts[key] for key, head in heads.items()}
    entries: list[LaneEntry] = []
    for letter in letters:
        user, lane, message = letter.recipient, letter.lane, messages[letter.message_id]
        following[user, lane] = position = following[user, lane] + 1
        place = LaneEntry(user, lane, position, message.id, message.conversation_id, message.seq, own=False)
        entries.append(place._replace(revised_at=now_ms))  # from here retention counts
    await transaction.insert_entries(entries)
    return entries
