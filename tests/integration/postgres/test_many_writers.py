"""Several processes on one PostgreSQL: two cores with four writers each do everything at once, and nothing is lost."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from random import Random

import msgspec
import pytest

from aldis.domain.channels import Channel, ChannelType
from aldis.domain.ids import ConversationId, DeviceId, UserId, broadcast_conversation_id
from aldis.domain.messages import SendMessage, Stored
from aldis.domain.retry import RetryPolicy
from aldis.domain.streams import DELETED, LANES, MESSAGE, Priority
from aldis.ports.store import Want
from aldis.services.audience import Subscriptions
from aldis.services.erase_user import erase_next, request_erasure
from aldis.services.hand_out_rings import encode_rings
from aldis.services.plan_rings import plan_rings
from aldis.services.retry_contention import retry_contention
from aldis.services.ring import Ringer
from aldis.services.ring_due import ring_due
from aldis.services.set_conversation import set_conversation
from integration.core.commands import ALICE, BOB, CAROL, chat, notification, talk
from integration.core.running_core import Core, HurriedClock, open_core
from servers.postgres import PostgresServer

USERS = tuple(UserId(f"user-{number}") for number in range(5))
ROUNDS = 25


@pytest.fixture
async def cores(postgres_store_url: str) -> AsyncIterator[tuple[Core, Core]]:
    """Two processes, as far as the database can tell."""
    async with open_core(postgres_store_url) as one, open_core(postgres_store_url) as other:
        yield one, other


class Bustle:
    """Everything that happens to a few users at once."""

    def __init__(self, cores: Sequence[Core], seed: int) -> None:
        self.cores = cores
        self.dice = Random(seed)
        self.answers: list[tuple[SendMessage, Stored]] = []
        self.acked: dict[tuple[UserId, str, str], int] = defaultdict(int)
        self.refused: Counter[str] = Counter()

    async def send(self, core: Core) -> None:
        """A few sends of one user to others; the other core is given one of them again."""
        sender = self.dice.choice(USERS)
        others = [user for user in USERS if user != sender]
        commands = [
            chat(
                sender=sender,
                to=self.dice.choice(others),
                client_id=f"{sender}-{self.dice.getrandbits(60)}",
                priority=self.dice.choice((Priority.NORMAL, Priority.HIGH)),
            )
            for _ in range(self.dice.randint(1, 6))
        ]
        again = chat(sender=sender, client_id=commands[0].client_id)
        again = replace(commands[0], message_id=again.message_id)
        other = self.cores[0] if core is self.cores[1] else self.cores[1]
        for commands_, answers in zip(
            (commands, [again]), await asyncio.gather(core.send(*commands), other.send(again)), strict=True
        ):
            for command, answer in zip(commands_, answers, strict=True):
                assert isinstance(answer, Stored), answer
                self.answers.append((command, answer))

    async def receive(self, core: Core) -> None:
        """A device acknowledges all there is in one lane."""
        user, device = self.dice.choice(USERS), self.dice.choice(("a", "b"))
        lane = self.dice.choice(LANES)
        heads = await core.store.heads([user])
        if (user, lane) in heads:
            position = heads[user, lane].seq
            await core.ack(user, device, {lane: position})
            self.acked[user, device, lane] = max(self.acked[user, device, lane], position)

    async def read(self, core: Core) -> None:
        """A member reads all there is."""
        user = self.dice.choice(USERS)
        rows = await core.store.conversations_of(user, None, None, 50)
        if rows:
            row = self.dice.choice(rows)
            await core.read(user, row.conversation.id, row.mark.head_seq)

    async def connect(self, core: Core) -> None:
        """A known device comes back."""
        await core.connect(self.dice.choice(USERS), self.dice.choice(("a", "b")))

    async def sweep(self, core: Core) -> None:
        """Workers look after what is due, what fails and what leaves."""
        now = core.clock.now_ms() + 10_000
        late = HurriedClock(now)
        ringer = Ringer(presence=core.doorbell, backplane=core.doorbell)
        await retry_contention(lambda: plan_rings(store=core.store, clock=late, policies={}), clock=late)
        leased = await core.store.run(lambda transaction: transaction.lease_rings("s", now, now + 1, 10))
        if leased:
            once = RetryPolicy(max_attempts=1)
            await ring_due(
                encode_rings(leased),
                store=core.store,
                ringer=ringer,
                clock=late,
                metrics=core.metrics,
                policies=lambda: {"chat": once},
            )
        async with core.store.begin() as transaction:
            rows = await transaction.lease_outbox(now, now + 1, 10)
            await transaction.delete_outbox([row.id for row in rows])
            await transaction.delete_keys(0, 10)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
async def test_whatever_happens_at_once_comes_out_right(
    cores: tuple[Core, Core], seed: int, postgres_server: PostgresServer
) -> None:
    """Numbers are gapless and in order, each send is stored once, counters are what a recount says, nobody is stuck."""
    bustle = Bustle(cores, seed)
    for user in USERS:
        for device in ("a", "b"):
            await cores[0].connect(user, device)
    deadlocks = postgres_server.said().count("deadlock detected")

    async def live(core: Core, happening: Callable[[Core], Awaitable[None]], times: int) -> None:
        for _ in range(times):
            await happening(core)

    async with asyncio.TaskGroup() as tasks:
        for core in cores:
            for happening, times in (
                (bustle.send, ROUNDS),
                (bustle.send, ROUNDS),
                (bustle.send, ROUNDS),
                (bustle.receive, 3 * ROUNDS),
                (bustle.read, 2 * ROUNDS),
                (bustle.connect, ROUNDS),
                (bustle.sweep, ROUNDS),
            ):
                tasks.create_task(live(core, happening, times))

    assert postgres_server.said().count("deadlock detected") == deadlocks
    await compare_with_a_recount(cores[0], bustle)


async def compare_with_a_recount(core: Core, bustle: Bustle) -> None:
    """What is stored, against what was answered and against itself."""
    by_key: dict[tuple[UserId | None, str | None], set[str]] = defaultdict(set)
    for command, answer in bustle.answers:
        by_key[command.sender.user, command.client_id].add(answer.message_id)
    assert all(len(ids) == 1 for ids in by_key.values())
    stored = {answer.message_id: answer for _, answer in bustle.answers}
    assert len(stored) == len(by_key)

    by_conversation: dict[ConversationId, list[int]] = defaultdict(list)
    for answer in stored.values():
        by_conversation[answer.conversation_id].append(answer.seq)
    for conversation, seqs in by_conversation.items():
        history = await core.store.history(conversation, before=None, after=0, limit=10_000)
        assert sorted(seqs) == [message.seq for message in history] == list(range(1, len(seqs) + 1))

    heads = await core.store.heads(USERS)
    for user in USERS:
        for lane in LANES:
            (page,) = await core.store.entries([Want(user, lane, 0, 10_000)])
            assert [entry.pos for entry in page] == list(range(1, heads[user, lane].seq + 1))
            seen: dict[ConversationId, int] = {}
            for entry in page:
                assert entry.message.seq > seen.get(entry.message.conversation_id, 0)
                seen[entry.message.conversation_id] = entry.message.seq
        for row in await core.store.conversations_of(user, None, None, 50):
            history = await core.store.history(row.conversation.id, before=None, after=0, limit=10_000)
            own = [message.seq for message in history if message.sender.user == user]
            assert row.mark.own_total == len(own)
            assert row.mark.own_read == sum(seq <= row.mark.read_seq for seq in own)
        for device in ("a", "b"):
            known = await core.store.device(user, DeviceId(device))
            assert known is not None
            for lane in LANES:
                assert known.acked.at(lane) == bustle.acked[user, device, lane]


async def repeatedly(work: Callable[[int], Awaitable[None]]) -> None:
    """A race is run many times: it is to be won each time."""
    for number in range(ROUNDS):
        await work(number)


async def test_the_last_badge_that_is_told_is_the_true_one(cores: tuple[Core, Core]) -> None:
    """Reads of one user in two conversations, stored by two processes at once, count each other."""
    one, other = cores

    async def race(number: int) -> None:
        await one.store_all(chat(sender=ALICE, to=BOB), chat(sender=CAROL, to=BOB))
        await asyncio.gather(one.read(BOB, talk(ALICE, BOB), number + 1), other.read(BOB, talk(CAROL, BOB), number + 1))
        (states,) = await one.store.states([Want(BOB, "r", 0, 1000)])
        told = [msgspec.json.decode(state.value)["badge"] for state in states if state.type == "badge"]
        assert told == [await one.store.badge(BOB)] == [0]

    await repeatedly(race)


async def test_two_acknowledgements_of_a_device_are_both_kept(cores: tuple[Core, Core]) -> None:
    """A device with a connection on each of two gateways confirms one lane on each."""
    one, other = cores
    await one.connect(BOB, "phone")

    async def race(number: int) -> None:
        await one.store_all(chat(), chat(priority=Priority.HIGH))
        await asyncio.gather(one.ack(BOB, "phone", {"s": number + 1}), other.ack(BOB, "phone", {"e": number + 1}))
        device = await one.store.device(BOB, DeviceId("phone"))
        assert device is not None
        assert (device.acked.s, device.acked.e) == (number + 1, number + 1)

    await repeatedly(race)


async def test_what_was_delivered_and_what_was_read_are_both_kept(cores: tuple[Core, Core]) -> None:
    """A member's progress grows from two sides at once."""
    one, other = cores
    await one.connect(BOB, "phone")

    async def race(number: int) -> None:
        await one.store_all(chat())
        await asyncio.gather(one.ack(BOB, "phone", {"s": number + 1}), other.read(BOB, talk(ALICE, BOB), number + 1))
        (states,) = await one.store.states([Want(ALICE, "r", 0, 1000)])
        (receipt,) = (msgspec.json.decode(state.value) for state in states if state.type == "receipt")
        assert (receipt["delivered"]["standard"], receipt["read_seq"]) == (number + 1, number + 1)

    await repeatedly(race)


async def test_two_settings_of_a_conversation_are_both_kept(cores: tuple[Core, Core]) -> None:
    """One device mutes while another archives."""
    one, other = cores
    await one.store_all(chat())

    async def race(number: int) -> None:
        flag = number % 2 == 0
        ringers = [Ringer(presence=core.doorbell, backplane=core.doorbell) for core in cores]
        given = {"conversation": talk(ALICE, BOB), "user": BOB}
        await asyncio.gather(
            set_conversation(**given, muted=flag, archived=None, store=one.store, ringer=ringers[0]),  # type: ignore[arg-type]
            set_conversation(**given, muted=None, archived=flag, store=other.store, ringer=ringers[1]),  # type: ignore[arg-type]
        )
        (row,) = await one.store.conversations_of(BOB, None, None, 5)
        assert (row.muted, row.archived) == (flag, flag)

    await repeatedly(race)


def broadcast() -> SendMessage:
    """A backend's message into a channel that is heard by subscribers."""
    return replace(notification(), channel="town", conversation_id=broadcast_conversation_id("town"), members=())


async def town(name: str) -> Channel:
    return Channel(name=name, type=ChannelType.BROADCAST)


def subscriptions_of(core: Core) -> Subscriptions:
    ringer = Ringer(presence=core.doorbell, backplane=core.doorbell)
    return Subscriptions(store=core.store, ringer=ringer, clock=core.clock, channel=town)


async def test_who_subscribes_twice_at_once_hears_a_channel_once(cores: tuple[Core, Core]) -> None:
    """Two gateways are asked for the same at the same time: one interval begins, and one ends."""
    both = [subscriptions_of(core) for core in cores]

    async def race(number: int) -> None:
        user = UserId(f"listener-{number}")
        await asyncio.gather(*(subscriptions.subscribe(user, "town") for subscriptions in both))
        async with cores[0].store.begin() as transaction:
            assert [interval.is_open for interval in await transaction.intervals([user])] == [True]
        await asyncio.gather(*(subscriptions.unsubscribe(user, "town") for subscriptions in both))
        async with cores[0].store.begin() as transaction:
            assert [interval.is_open for interval in await transaction.intervals([user])] == [False]

    await repeatedly(race)


async def test_a_broadcast_comes_before_a_subscription_or_after_it(cores: tuple[Core, Core]) -> None:
    """By its position and by its audience's number alike: never before by the one and after by the other."""
    one, other = cores
    subscriptions = subscriptions_of(other)

    async def race(number: int) -> None:
        user = UserId(f"listener-{number}")
        await asyncio.gather(
            one.store_all(broadcast()), subscriptions.subscribe(user, "town"), other.store_all(broadcast())
        )
        (interval,) = (await one.store.subscribed([user]))[user]
        for logged in await one.store.broadcast_log("bs", 0, 1000):
            assert (logged.entry.seq > interval.from_bs) == (logged.entry.audience >= interval.since)

    await repeatedly(race)


async def test_two_workers_erase_a_user_once(cores: tuple[Core, Core]) -> None:
    """Both are at it; each of his messages is told of once."""
    one, other = cores
    await one.store_all(*(chat(sender=BOB, to=ALICE) for _ in range(300)))
    await request_erasure(BOB, actor="backend:ops", store=one.store, clock=one.clock)

    async def erase(core: Core) -> None:
        ringer = Ringer(presence=core.doorbell, backplane=core.doorbell)
        while await erase_next(store=core.store, ringer=ringer, clock=core.clock):
            pass

    await asyncio.gather(erase(one), erase(other))

    (page,) = await one.store.entries([Want(ALICE, "s", 0, 1000)])
    assert Counter(entry.type for entry in page) == {MESSAGE: 300, DELETED: 300}
    assert all(entry.message.content is None for entry in page)
