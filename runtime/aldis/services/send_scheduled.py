"""Sending what is due: leased, composed again with the rights that its backend has now, stored, and dropped.

Each message has a key made of the scheduled send and its conversation, so a send is stored once, wherever a worker dies
and whichever takes it up again. What is refused now is kept as failed, with the reason; what cannot be stored at the
moment waits for the next try.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from aldis.domain.callers import ApiKey, BackendCaller, Scope
from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.ids import ConversationId, conversation_id
from aldis.domain.messages import SendMessage, Stored
from aldis.domain.scheduling import Lease, due_ms_of
from aldis.ports.clock import Clock
from aldis.ports.scheduling import Failure, ScheduledSend
from aldis.ports.store import Store, Transaction
from aldis.services.bulk_sends import SLICE, BulkSends
from aldis.services.compose import ChannelLookup, Draft, compose
from aldis.services.schedule_sends import decode_draft, encode_draft
from aldis.telemetry.metrics import Metrics

LEASED = 100  # at once: each may hold a content of 32 KiB
LEASE_MS = 10_000  # after which what a dead worker took is anybody's
RETRY_MS = 2_000  # until what could not be stored is tried again
LOOK_SECONDS = 0.5  # between looks for what is due, at most: another process may have scheduled it
KEPT_MS = 30 * 24 * 3600 * 1000  # for how long it can be seen that something failed
COUNTED = 100_000  # of those that wait; more are not counted
BACKEND = "b:"  # how the scope of a backend begins

Answer = Stored | Rejected | Unavailable


@dataclass(slots=True)
class _Sending:
    """A leased send on its way: its messages, and the answers to them."""

    row: ScheduledSend
    draft: Draft | None = None
    commands: Sequence[SendMessage] = ()
    answers: list[Answer] = field(default_factory=list)

    @property
    def is_sent(self) -> bool:
        """Whether all of it is stored."""
        return bool(self.answers) and all(isinstance(answer, Stored) for answer in self.answers)

    @property
    def refusal(self) -> Rejected | None:
        """Why it, or the first of its messages that was, was refused; None as long as it may be tried again."""
        if any(isinstance(answer, Unavailable) for answer in self.answers):
            return None
        return next((answer for answer in self.answers if isinstance(answer, Rejected)), None)


class ScheduledSender:
    """The worker's part: `send_due` sends some of what is due, `wait` returns when more may be."""

    def __init__(
        self, *, store: Store, sends: BulkSends, channel: ChannelLookup, clock: Clock, metrics: Metrics
    ) -> None:
        self._store = store
        self._sends = sends
        self._channel = channel
        self._clock = clock
        self._metrics = metrics
        self._looked_ms = 0  # what was due then has been taken by somebody, or is to be tried again later

    async def run_round(self) -> int:
        """Send what is due, if anything is, else wait until something may be; answer how many were sent."""
        sent = await self.send_due()
        if not sent:
            await self.wait()
        return sent

    async def wait(self) -> None:
        """Sleep until the next one is due, and no longer than `LOOK_SECONDS`."""
        following = await self._store.next_scheduled()
        if following is None or following <= self._looked_ms:
            await self._clock.sleep(LOOK_SECONDS)
            return
        left = max(0, following - self._clock.now_ms()) / 1000  # 0 for what has become due since; timers may be early
        await self._clock.sleep(min(left, LOOK_SECONDS))

    async def send_due(self) -> int:
        """Send up to `LEASED` of what is due, in the order of their times; answer how many were taken."""
        now = self._looked_ms = self._clock.now_ms()
        due = await self._store.run(lambda transaction: transaction.lease_scheduled(now, now + LEASE_MS, LEASED))
        keys = await self._store.api_keys() if due else []
        together: list[_Sending] = []
        count = 0
        for place, row in enumerate(due):
            sending = await self._compose(row, keys)
            together.append(sending)
            count += len(sending.commands)
            if count >= SLICE:  # so that what is stored is done with, however many recipients the others have
                await self._finish(together)
                together, count = [], 0
                if self._clock.now_ms() - now > LEASE_MS // 2:
                    await self._give_back(due[place + 1 :])
                    break
        await self._finish(together)
        return len(due)

    async def count(self) -> int:
        """Tell how many wait."""
        self._metrics.scheduled_waiting.set(await self._store.count_waiting(COUNTED))
        return 0  # of work that is left

    async def _give_back(self, rows: Sequence[ScheduledSend]) -> None:
        """Let go of what there is no time for, so that it is taken up at once."""
        leases, now = [row.lease for row in rows], self._clock.now_ms()
        await self._store.run(lambda transaction: transaction.postpone_leased(leases, now))

    async def _compose(self, row: ScheduledSend, keys: Sequence[ApiKey]) -> _Sending:
        """The messages of one, by today's rules; what refuses it now is its answer."""
        now = self._clock.now_ms()
        try:
            draft = decode_draft(row.draft)
        except msgspec.DecodeError:
            return _Sending(row, answers=[Rejected("internal", "what was scheduled cannot be read any more")])
        try:
            caller = caller_of(row.owner, draft, keys, now)
            commands = await compose(draft, caller, store_channel=self._channel, now_ms=now)
        except (Rejected, Unavailable) as error:
            return _Sending(row, draft, answers=[error])
        return _Sending(row, draft, [replace(command, lease=row.lease) for command in commands])

    async def _finish(self, together: Sequence[_Sending]) -> None:
        """Store the messages of these, then settle what became of each."""
        if not together:
            return
        answers = iter(await self._sends.send([command for sending in together for command in sending.commands]))
        for sending in together:
            sending.answers += [next(answers) for _ in sending.commands]
        now = self._clock.now_ms()
        sent, failed = await self._store.run(lambda transaction: _settle(together, transaction, now))
        self._metrics.scheduled.labels(outcome="sent").inc(sent)
        self._metrics.scheduled.labels(outcome="failed").inc(failed)
        for sending in together:
            if sending.is_sent:
                late = max(0, now - due_ms_of(sending.row.id))
                self._metrics.scheduled_lateness_seconds.observe(late / 1000)


async def _settle(together: Sequence[_Sending], transaction: Transaction, now: int) -> tuple[int, int]:
    """Drop what was sent, keep what was refused, try the rest again; where the lease still holds."""
    refused = [sending for sending in together if sending.refusal is not None]
    # What a worker had stored before it died may be refused by today's rules. It was sent all the same.
    reached = await transaction.sent_from([sending.row.lease for sending in refused])
    failures = [_failure(sending, left, now) for sending in refused if (left := _left_of(sending, reached)) is not None]
    again = [s.row.lease for s in together if any(isinstance(answer, Unavailable) for answer in s.answers)]
    kept = {*again, *(failure.lease for failure in failures)}
    sent = await transaction.drop_leased([s.row.lease for s in together if s.row.lease not in kept])
    await transaction.postpone_leased(again, now + RETRY_MS)
    return sent, await transaction.fail_leased(failures)


def _left_of(sending: _Sending, reached: Mapping[Lease, Collection[ConversationId]]) -> str | None:
    """The draft for those whom it has not reached, None when it has reached all."""
    draft, done = sending.draft, reached.get(sending.row.lease)
    if not done:
        return sending.row.draft
    if draft is None or draft.to_users is None:
        return None
    places = {user: conversation_id("notification", draft.channel or "", (user,)) for user in draft.to_users}
    left = tuple(user for user, place in places.items() if place not in done)
    return encode_draft(replace(draft, to_users=left)) if left else None


def _failure(sending: _Sending, draft: str, now: int) -> Failure:
    refusal = sending.refusal
    assert refusal is not None, "only those fail that were refused"
    reason = {"code": refusal.code, "message": refusal.message, "field": refusal.field}
    return Failure(sending.row.lease, draft, msgspec.json.encode(reason).decode(), now + KEPT_MS)


def caller_of(owner: str, draft: Draft, keys: Sequence[ApiKey], now_ms: int) -> BackendCaller:
    """The backend with what its valid keys allow for such a draft. Raises `Rejected` when none allows it."""
    name = owner.removeprefix(BACKEND)
    scope = Scope.SEND if draft.from_user is None else Scope.SEND_AS
    fitting = [key for key in keys if key.name == name and key.is_valid(now_ms) and scope in key.scopes]
    if not fitting:
        raise Rejected("forbidden", f"the backend has no valid key with the scope {scope} any more")
    is_for_all = any(not key.channels for key in fitting)
    channels = frozenset[str]() if is_for_all else frozenset(channel for key in fitting for channel in key.channels)
    return BackendCaller(name=name, key_id=fitting[0].id, scopes=frozenset({scope}), channels=channels)
