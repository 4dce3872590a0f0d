"""Messages fail for recipients: a dead letter each, told to their senders and to whoever listens for events.

Failing ends the ringing and not the keeping: a device that comes later still gets them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aldis.domain.deliveries import OUTCOME_OF, Reason, runs
from aldis.domain.ids import MessageId, UserId, new_id
from aldis.domain.messages import Message
from aldis.domain.status import Status
from aldis.domain.streams import Batch, Lane
from aldis.ports.dead_letters import DeadLetter
from aldis.ports.deliveries import Attempt, OpenEntry
from aldis.ports.store import State, Transaction
from aldis.services.news import StatusNews
from aldis.services.put_states import put_states
from aldis.services.render import sender_view, value_json
from aldis.telemetry.metrics import Metrics

FAILED = "message.failed"


@dataclass(frozen=True, slots=True)
class Failed:
    """What has failed in a transaction, and what gateways are to be told after its commit."""

    letters: Sequence[DeadLetter] = ()
    batches: Sequence[Batch] = field(default_factory=list)

    def count(self, metrics: Metrics) -> None:
        """Count the letters, once they are committed."""
        for letter in self.letters:
            metrics.dead_letters.labels(reason=letter.reason.value).inc()


async def fail_messages(entries: Sequence[OpenEntry], reason: Reason, transaction: Transaction, now_ms: int) -> Failed:
    """Fail what is open in lanes that are locked. What was deleted or purged since has nothing to be replayed."""
    if not entries:
        return Failed()
    messages = await transaction.messages(sorted({entry.message_id for entry in entries}))
    lasting = [entry for entry in entries if messages[entry.message_id].gone is None]
    written = [_letter(entry, reason, now_ms) for entry in lasting]
    stored = await transaction.put_letters(written)
    letters = [letter for letter in written if letter.id in stored]
    if not letters:
        return Failed()
    await transaction.put_attempts(_records(letters, now_ms))
    facts = [_fact(letter, messages[letter.message_id]) for letter in letters]
    await transaction.put_outbox(FAILED, value_json(facts), now_ms)
    return Failed(letters, await put_states(status_states(letters, messages, Status.FAILED), transaction))


def status_states(letters: Sequence[DeadLetter], messages: Mapping[MessageId, Message], status: Status) -> list[State]:
    """What senders who are users are told of messages that had failed, or have now."""
    return [
        State(sender, f"status:{letter.message_id}:{letter.recipient}", "status", _told(letter, message, status))
        for letter in letters
        if (message := messages.get(letter.message_id)) is not None and (sender := message.sender.user) is not None
    ]


def _told(letter: DeadLetter, message: Message, status: Status) -> bytes:
    return value_json(
        StatusNews(
            message_id=letter.message_id,
            conversation_id=message.conversation_id,
            recipient=letter.recipient,
            status=status.value,
            reason=letter.reason.value if status is Status.FAILED else None,
        )
    )


def _letter(entry: OpenEntry, reason: Reason, now_ms: int) -> DeadLetter:
    return DeadLetter(
        id=new_id(now_ms),
        message_id=entry.message_id,
        recipient=entry.user,
        channel=entry.channel,
        reason=reason,
        lane=entry.lane,
        seq=entry.seq,
        attempts=entry.attempts,
        failed_at=now_ms,
    )


def _records(letters: Sequence[DeadLetter], now_ms: int) -> list[Attempt]:
    """One record for letters that lie next to one another."""
    together: dict[tuple[UserId, Lane, str, Reason, int], list[int]] = {}
    for letter in letters:
        key = (letter.recipient, letter.lane, letter.channel, letter.reason, letter.attempts)
        together.setdefault(key, []).append(letter.seq)
    return [
        Attempt(user, lane, channel, low, high, attempts, None, OUTCOME_OF[reason], now_ms)
        for (user, lane, channel, reason, attempts), seqs in together.items()
        for low, high in runs(seqs)
    ]


def _fact(letter: DeadLetter, message: Message) -> dict[str, object]:
    """What an event says of a failure: of the message everything but its content."""
    return {
        "message_id": message.id,
        "conversation_id": message.conversation_id,
        "channel": message.channel,
        "kind": message.kind.value,
        "seq": message.seq,
        "sender": sender_view(message.sender),
        "recipient": letter.recipient,
        "reason": letter.reason.value,
        "attempts": letter.attempts,
    }
