"""What must hold after any sequence of sends, acknowledgements, sweeps, failures, replays, purges and restarts.

Each run is a seed; what fails can be run again with the same seed. The laws: the heads of lanes count their rows; what
no device has is rung for, is to be looked at, or has failed, and is never forgotten; a status takes legal steps only.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from random import Random

import pytest

from aldis.domain.audit import CLI
from aldis.domain.ids import ConversationId, MessageId, UserId, first_id_at
from aldis.domain.messages import SendMessage
from aldis.domain.retry import RetryPolicy
from aldis.domain.status import TRANSITIONS, Status
from aldis.domain.streams import Lane, Priority
from aldis.ports.dead_letters import LetterFilter
from aldis.services.list_dead_letters import list_dead_letters
from aldis.services.message_status import read_message_status
from aldis.services.purge_dead_letters import purge_dead_letters, purge_one
from aldis.services.replay_dead_letters import replay_next, replay_one, request_replay
from integration.core.commands import ALICE, BOB, CAROL, chat, notification
from integration.core.delivering import BACKEND, Deliverer, check_counters, next_due, table, user
from integration.core.running_core import Core, HurriedClock, open_core

USERS = (ALICE, BOB, CAROL)
DEVICES = ("phone", "tablet")
STEPS = 150
POLICIES = [
    RetryPolicy(),
    RetryPolicy(initial_ms=1_000, factor=1, max_ms=1_000, max_attempts=1),
    RetryPolicy(initial_ms=2_000, factor=1.5, max_ms=4_000, max_attempts=3),
    RetryPolicy(initial_ms=30_000, factor=2, max_ms=60_000, max_attempts=2),
]


@dataclass(frozen=True)
class Sent:
    id: MessageId
    conversation: ConversationId
    seq: int
    recipient: UserId
    sender: UserId | None
    expires_at: int | None


class Days:
    """Random days; what devices have said is remembered in the plainest way."""

    def __init__(self, core: Core, dice: Random) -> None:
        self.dice = dice
        self.counts: Counter[str] = Counter()
        self.sent: dict[MessageId, Sent] = {}
        self.acked: defaultdict[tuple[UserId, Lane], set[int]] = defaultdict(set)
        self.at: dict[tuple[UserId, str], dict[Lane, int]] = {}
        self.read: defaultdict[tuple[ConversationId, UserId], int] = defaultdict(int)
        self.told: dict[MessageId, Status] = {}
        self.core = core
        self.deliverer = Deliverer(core, {"chat": POLICIES[0], "news": POLICIES[2]})

    def begin(self, core: Core) -> None:
        """With a new process: what the broker held is lost."""
        self.deliverer = Deliverer(core, self.core.retries)
        self.core = core

    async def step(self) -> None:
        """Something happens; then the laws hold."""
        self.core.clock.now += self.dice.randint(0, 1_500)
        happenings = [self.send] * 8 + [self.acknowledge] * 4 + [self.connect, self.mark_read, self.change_policy]
        happenings += [self.sweep] * 10 + [self.lose_an_item, self.repeat_an_item, self.expire, self.expire]
        happenings += [self.replay, self.replay_some, self.purge, self.trim, self.wait]
        happening = self.dice.choice(happenings)
        self.counts[happening.__name__] += 1
        await happening()
        await self.check()

    # What happens

    async def send(self) -> None:
        commands = [self._some() for _ in range(self.dice.choice((1, 1, 3, 8)))]
        for command, stored in zip(commands, await self.core.store_all(*commands), strict=True):
            assert command.members is not None
            recipient = next(member for member in command.members if member != command.sender.user)
            self.sent[stored.message_id] = Sent(
                stored.message_id,
                stored.conversation_id,
                stored.seq,
                recipient,
                command.sender.user,
                command.expires_at,
            )

    def _some(self) -> SendMessage:
        now = self.core.clock.now
        expires_at = now + self.dice.randint(1, 20_000) if self.dice.random() < 0.3 else None
        priority = self.dice.choice((Priority.NORMAL, Priority.NORMAL, Priority.URGENT))
        if self.dice.random() < 0.4:
            to = self.dice.choice(USERS)
            return notification(to=to, priority=priority, created_ms=now, expires_at=expires_at)
        sender, to = self.dice.sample(USERS, 2)
        return chat(sender=sender, to=to, priority=priority, created_ms=now, expires_at=expires_at)

    async def connect(self) -> None:
        who, name = self.dice.choice(USERS), self.dice.choice(DEVICES)
        attachment = await self.core.connect(who, name)
        if (who, name) not in self.at or not attachment.recovered:
            self.at[who, name] = {"e": attachment.start.e, "s": attachment.start.s}

    async def acknowledge(self) -> None:
        if not self.at:
            return
        (who, name), at = self.dice.choice(sorted(self.at.items(), key=lambda item: item[0]))
        lane: Lane = self.dice.choice(("e", "s"))
        head = (await self.core.head(who, lane)).seq
        floor = (await self.core.head(who, lane)).floor
        if at[lane] < floor:
            return  # it must connect again, and begin anew
        position = self.dice.randint(at[lane], head)
        await self.core.ack(who, name, {lane: position})
        self.acked[who, lane].update(range(at[lane] + 1, position + 1))
        at[lane] = position

    async def mark_read(self) -> None:
        if self.sent:
            message = self.dice.choice(list(self.sent.values()))
            await self.core.read(message.recipient, message.conversation, message.seq)
            key = (message.conversation, message.recipient)
            self.read[key] = max(self.read[key], message.seq)

    async def sweep(self) -> None:
        due = await next_due(self.core)
        if due is not None:
            self.core.clock.now = max(self.core.clock.now, due)
        await self.deliverer.hand_out()
        await self.deliverer.work_off()

    async def lose_an_item(self) -> None:
        await self.deliverer.hand_out()
        self.deliverer.broker.items.clear()

    async def repeat_an_item(self) -> None:
        await self.deliverer.hand_out()
        self.deliverer.broker.items *= 2
        await self.deliverer.work_off()

    async def expire(self) -> None:
        await self.deliverer.expire()

    async def wait(self) -> None:
        await self.deliverer.wait(self.dice.randint(0, 60_000))

    async def change_policy(self) -> None:
        self.deliverer.policies[self.dice.choice(("chat", "news"))] = self.dice.choice(POLICIES)

    async def replay(self) -> None:
        letters = (await list_dead_letters(self._filter(), limit=5, store=self.core.store)).items
        for letter in letters[:1]:
            await replay_one(
                letter.id,
                actor=CLI,
                store=self.core.store,
                ringer=self.deliverer.ringer,
                clock=self.core.clock,
                policies=self.deliverer.policies,
            )

    async def replay_some(self) -> None:
        await request_replay(self._filter(), actor=CLI, store=self.core.store, clock=self.core.clock)
        await replay_next(
            store=self.core.store,
            ringer=self.deliverer.ringer,
            clock=self.core.clock,
            policies=self.deliverer.policies,
        )

    async def purge(self) -> None:
        letters = (await list_dead_letters(LetterFilter(), limit=5, store=self.core.store)).items
        if self.dice.random() < 0.2:
            await purge_dead_letters(
                self._filter(), everything=True, actor=CLI, store=self.core.store, clock=self.core.clock
            )
        elif letters:
            await purge_one(self.dice.choice(letters).id, actor=CLI, store=self.core.store, clock=self.core.clock)

    async def trim(self) -> None:
        before = MessageId(first_id_at(self.core.clock.now - self.dice.randint(60_000, 600_000)))
        async with self.core.store.begin() as transaction:
            await transaction.trim(before, 20)

    def _filter(self) -> LetterFilter:
        channel = self.dice.choice((None, "chat", "news"))
        recipient = self.dice.choice((None, None, *USERS))
        return LetterFilter(channel=channel, recipient=recipient)

    # What must be

    async def check(self) -> None:
        await check_counters(self.core)
        await self.check_nothing_is_forgotten()
        await self.check_statuses()

    async def check_nothing_is_forgotten(self) -> None:
        heads = {
            (who, lane): (run_low, due_at)
            for who, lane, run_low, due_at in await table(
                self.core, "stream_heads", "user_id", "source", "run_low", "due_at"
            )
        }
        rings = await table(self.core, "rings", "user_id", "lane", "channel", "low", "high")
        failed = set(await table(self.core, "dead_letters", "message_id", "recipient"))
        channels = dict(await table(self.core, "messages", "id", "channel"))
        entries = await table(self.core, "stream_events", "user_id", "lane", "seq", "message_id", "own")
        for who, lane, seq, message, own in entries:
            if own or self._is_had(who, lane, seq, message):
                continue
            run_low, due_at = heads[who, lane]
            is_rung_for = any(ring[:3] == (who, lane, channels[message]) and ring[3] < seq <= ring[4] for ring in rings)
            is_to_be_looked_at = due_at is not None and seq > run_low
            assert is_rung_for or is_to_be_looked_at or (message, who) in failed, (who, lane, seq)

    def _is_had(self, who: UserId, lane: Lane, seq: int, message: MessageId) -> bool:
        sent = self.sent[message]
        return seq in self.acked[who, lane] or self.read[sent.conversation, who] >= sent.seq

    async def check_statuses(self) -> None:
        places = {
            (message, who): (lane, seq)
            for who, lane, seq, message, own in await table(
                self.core, "stream_events", "user_id", "lane", "seq", "message_id", "own"
            )
            if not own
        }
        failed = set(await table(self.core, "dead_letters", "message_id", "recipient"))
        expiries = dict(await table(self.core, "messages", "id", "expires_at"))
        for sent in self.dice.sample(list(self.sent.values()), min(8, len(self.sent))):
            place = places.get((sent.id, sent.recipient))
            if place is None:
                self.told.pop(sent.id, None)  # retention has it
                continue
            found = await self._status(sent)
            if self.read[sent.conversation, sent.recipient] >= sent.seq:
                assert found is Status.READ
            elif place[1] in self.acked[sent.recipient, place[0]]:
                assert found is Status.DELIVERED
            else:
                over = expiries[sent.id] is not None and expiries[sent.id] <= self.core.clock.now
                assert (found is Status.FAILED) == (over or (sent.id, sent.recipient) in failed)
                assert found in {Status.PENDING, Status.FAILED}  # nobody writes to sockets here
            before = self.told.get(sent.id, Status.PENDING)
            assert found is before or found in reachable(before)
            self.told[sent.id] = found
            self.counts[found.value] += 1

    async def _status(self, sent: Sent) -> Status:
        caller = user(sent.sender) if sent.sender is not None else BACKEND
        found = await read_message_status(sent.id, caller, limit=1, store=self.core.store, now_ms=self.core.clock.now)
        return found.recipients.items[0].status


def reachable(status: Status) -> set[Status]:
    """What may become of it in one step or several, for nobody looks after each."""
    found: set[Status] = set()
    waiting = [status]
    while waiting:
        following = TRANSITIONS[waiting.pop()] - found
        found |= following
        waiting += following
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
async def test_the_laws_hold_through_random_days(core: Core, seed: int) -> None:
    """In one process, whatever happens in whatever order."""
    days = Days(core, Random(seed))

    for _ in range(STEPS):
        await days.step()

    for status in ("pending", "failed", "delivered", "read"):
        assert days.counts[status], days.counts
    await days.deliverer.wait_out()
    await days.check()
    assert await table(core, "rings", "id") == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12])
async def test_the_laws_hold_through_restarts(url: str, seed: int) -> None:
    """Every few steps the process ends with what its broker held, and another goes on."""
    dice, clock = Random(seed), HurriedClock()
    days: Days | None = None
    for _ in range(12):
        async with open_core(url, clock) as core:
            if days is None:
                days = Days(core, dice)
            days.begin(core)
            for _ in range(8):
                await days.step()
            await days.deliverer.hand_out()  # taken, and never worked off
