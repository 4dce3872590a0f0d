"""The whole core against a naive model: random days in the life of a few users and their devices.

Each run is a seed; what fails can be run again with the same seed. After every step the store, and what devices would
get from it, is compared with the model.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random

import msgspec
import pytest

from aldis.domain.callers import SENDING, BackendCaller, Caller, UserCaller
from aldis.domain.content import text_content
from aldis.domain.cursors import Cursor, Positions, parse_cursor
from aldis.domain.errors import Rejected
from aldis.domain.ids import DeviceId, MessageId, UserId, first_id_at
from aldis.domain.messages import Message, SendMessage, Stored
from aldis.domain.streams import LANES, Priority, Source
from aldis.services.message_status import read_message_status
from aldis.services.read_thread import read_thread
from aldis.services.store_moves import Sent
from databases import DATABASES, url_of
from integration.core.commands import ALICE, BOB, CAROL, chat, notification
from integration.core.naive_world import GONE, NaiveMessage, NaiveWorld, Told
from integration.core.running_core import MEMORY, Core, HurriedClock, event_json, open_core, told

USERS = (ALICE, BOB, CAROL)
DEVICES = ("phone", "tablet", "web")
ONE_WRITER = 1  # the model knows one order: that in which sends were submitted
STEPS = 300
SHOP = BackendCaller("shop", "k", scopes=SENDING)
NOBODY = UserCaller(UserId("mallory"), 0)
SOURCES_READ: tuple[Source, ...] = ("e", "s", "r")
PAGE = 7  # small, so that there are many pages


@dataclass
class Phone:
    """A client that follows the three rules: it keeps what it has applied, and where its connection is."""

    user: UserId
    name: str
    applied: Positions = field(default_factory=Positions)
    seen: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    at: Positions | None = None  # of its connection; None when there is none
    kept: list[str] = field(default_factory=list)  # cursors it once had


class Day:
    """A model, the services, and dice that choose what happens next."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.dice = Random(seed)
        self.clock = HurriedClock()
        self.counts: Counter[str] = Counter()
        self.phones = [Phone(user, name) for user in USERS for name in DEVICES]
        self.sends: list[tuple[SendMessage, str]] = []
        self.stored: list[NaiveMessage] = []
        self._opened = AsyncExitStack()

    async def start(self) -> None:
        self.core = await self._opened.enter_async_context(open_core(self.url, self.clock, ONE_WRITER))
        self.world = NaiveWorld(self.core.store.epoch)

    async def stop(self) -> None:
        await self._opened.aclose()

    async def step(self) -> None:
        """Something happens; then everything is as the model says."""
        self.clock.now += self.dice.randint(1, 2000)
        happenings = [self.send] * 8 + [self.connect] * 4 + [self.receive] * 8 + [self.acknowledge] * 6
        happenings += [self.read] * 3 + [self.disconnect] * 2 + [self.edit] * 5 + [self.delete] * 2
        happenings += [self.restart, self.trim]
        happening = self.dice.choice(happenings)
        self.counts[happening.__name__] += 1
        await happening()
        await self.compare()

    # What happens

    async def send(self) -> None:
        """One to nine sends at once, some of them repeats of earlier ones or of each other."""
        batch = [self._some_send() for _ in range(self.dice.choice((1, 1, 2, 9)))]
        answers = await self.core.send(*(command for command, _ in batch))
        for (command, text), answer in zip(batch, answers, strict=True):
            message, repeated = self.world.send(command, text)
            assert answer == Stored(message.id, message.conversation, message.seq, duplicate=repeated)
            self.counts["duplicates" if repeated else "stored"] += 1
            if not repeated:
                self.stored.append(message)
        self.counts["sent"] += len(batch)

    def _some_send(self) -> tuple[SendMessage, str]:
        if self.sends and self.dice.random() < 0.25:
            command, text = self.dice.choice(self.sends[-20:])
            return command, text  # the same again: its client id says so
        number = len(self.sends)
        text, client_id = f"message {number}", f"client-{number}"
        made_at = self.clock.now_ms() - self.dice.choice((0, 0, 0, 5000))  # composed a while before it is committed
        priority = self.dice.choice(list(Priority))
        if self.dice.random() < 0.25:
            user = self.dice.choice(USERS)
            command = notification(text, to=user, client_id=client_id, priority=priority, created_ms=made_at)
        else:
            sender, to = self.dice.sample(USERS, 2)
            command = chat(text, sender=sender, to=to, client_id=client_id, priority=priority, created_ms=made_at)
            command = replace(command, reply_to=self._some_parent(command))
            if command.conversation_id in self.world.conversations and self.dice.random() < 0.3:
                command = replace(command, members=None)  # as one who writes into a conversation by its id
        self.sends.append((command, text))
        return command, text

    def _some_parent(self, command: SendMessage) -> MessageId | None:
        there = self.world.conversations.get(command.conversation_id)
        return self.dice.choice(there.messages).id if there is not None and self.dice.random() < 0.4 else None

    async def edit(self) -> None:
        """A sender changes words, or says the same again, or comes too late; others may not."""
        message, caller = self._some_message()
        if message is None:
            return
        text = message.text if self.dice.random() < 0.2 else f"edit {self.counts['edit']} of {message.seq}"
        expected = self.world.edit(message, text, self.clock.now_ms()) if caller is not None else "refused"
        self.counts[expected] += 1
        if expected in {"edited", "unchanged"}:
            now = await self.core.edit(message.id, caller or NOBODY, text)
            assert now.content == text_content(text)
        else:
            with pytest.raises(Rejected):
                await self.core.edit(message.id, caller or NOBODY, text)

    async def delete(self) -> None:
        """A sender takes a message back, perhaps again."""
        message, caller = self._some_message()
        if message is None:
            return
        if caller is None:
            with pytest.raises(Rejected):
                await self.core.delete(message.id, NOBODY)
            return
        await self.core.delete(message.id, caller)
        self.counts["deleted"] += self.world.delete(message, self.clock.now_ms())

    def _some_message(self) -> tuple[NaiveMessage | None, Caller | None]:
        """A message, mostly a late one or one that is gone, and its sender; now and then somebody who is not."""
        if not self.stored:
            return None, None
        gone = [message for message in self.stored if message.text == GONE]
        chance = self.dice.random()
        message = self.dice.choice(
            gone if gone and chance < 0.2 else self.stored if chance < 0.4 else self.stored[-30:]
        )
        sender = UserCaller(message.sender, 0) if message.sender is not None else SHOP
        return message, sender if self.dice.random() < 0.9 else None

    async def connect(self) -> None:
        """A device comes (back) with no cursor, its own, an old one or a broken one; or somebody without a name."""
        phone = self.dice.choice(self.phones)
        if self.dice.random() < 0.1:
            start, recovered = self.world.connect(phone.user, None, None)
            attachment = await self.core.connect(phone.user, None)
            assert (attachment.start, attachment.recovered) == (start, recovered)
            return
        cursor = self._some_cursor(phone)
        start, recovered = self.world.connect(phone.user, phone.name, cursor)
        attachment = await self.core.connect(phone.user, phone.name, cursor)
        assert (attachment.start, attachment.recovered) == (start, recovered)
        assert attachment.head == self.world.heads(phone.user)
        self.counts["recovered" if recovered else "reloads"] += 1
        phone.at = start
        for source in SOURCES_READ:  # what lies before the start is not for this device
            phone.applied = phone.applied.advance(source, start.at(source))

    def _some_cursor(self, phone: Phone) -> Cursor | None:
        chance = self.dice.random()
        if chance < 0.4:
            return None
        if chance < 0.8 or not phone.kept:
            return Cursor(self.world.epoch, phone.applied)
        if chance < 0.9:
            return parse_cursor(self.dice.choice(phone.kept))
        heads = self.world.heads(phone.user)
        return self.dice.choice([Cursor("elsewhere", heads), Cursor(self.world.epoch, heads.advance("s", heads.s + 1))])

    async def receive(self) -> None:
        """A connected device reads pages of its sources, express first, and notes that they were written to it."""
        phone = self._connected()
        if phone is None or phone.at is None:
            return
        for lane in LANES:
            low = phone.at.at(lane)
            if low < self.world.floors[phone.user, lane]:
                continue  # trimmed under a live connection: the gateway's business, it must connect again
            events = await self.core.page(phone.user, lane, low, PAGE)
            assert [told(event) for event in events] == self.world.due_to(phone.user, lane, low)[:PAGE]
            for event in events:
                body = event_json(event)
                self._apply(phone, lane, event.pos, (body["type"], body["message"]["id"]))
            if events:
                high = events[-1].pos
                phone.at = phone.at.advance(lane, high)
                self.core.moves.sent_nowait(
                    Sent(phone.user, DeviceId(phone.name), lane, low, high, self.clock.now_ms())
                )
                self.world.note_sent(phone.user, lane, low, high)
        await self._receive_states(phone)
        await self.core.moves.settle()
        phone.kept.append(str(Cursor(self.world.epoch, phone.applied)))

    def _apply(self, phone: Phone, lane: Source, position: int, what: tuple[str, str]) -> None:
        self.counts["delivered"] += 1
        assert phone.seen.setdefault((lane, position), what) == what, "a position was used twice"
        if position > phone.applied.at(lane):
            assert position == phone.applied.at(lane) + 1, "a hole"
            phone.applied = phone.applied.advance(lane, position)

    async def _receive_states(self, phone: Phone) -> None:
        assert phone.at is not None
        events = await self.core.page(phone.user, "r", phone.at.r, PAGE)
        expected = self.world.newest_states(phone.user, phone.at.r)[:PAGE]
        values = [next(v for k, v in msgspec.json.decode(b"{" + e.body).items() if k != "type") for e in events]
        assert list(zip([e.pos for e in events], values, strict=True)) == expected
        if events:
            self.counts["states"] += len(events)
            phone.at = phone.at.advance("r", events[-1].pos)
            phone.applied = phone.applied.advance("r", events[-1].pos)

    async def acknowledge(self) -> None:
        """A connected device confirms all it got, a part of it, or something from long ago."""
        phone = self._connected()
        if phone is None or phone.at is None:
            return
        positions: dict[Source, int] = {}
        for source in self.dice.sample(SOURCES_READ, self.dice.randint(1, 3)):
            high = phone.at.at(source)
            positions[source] = self.dice.choice((high, high, self.dice.randint(0, high)))
        await self.core.ack(phone.user, phone.name, positions)
        self.counts["acked"] += self.world.acknowledge(phone.user, phone.name, positions)

    async def read(self) -> None:
        """A member reads some way, also backwards or beyond the end."""
        user = self.dice.choice(USERS)
        mine = sorted(key for key, c in self.world.conversations.items() if user in c.members)
        if mine:
            conversation = self.dice.choice(mine)
            seq = self.dice.randint(0, len(self.world.conversations[conversation].messages) + 2)
            assert await self.core.read(user, conversation, seq) == self.world.read(user, conversation, seq)

    async def disconnect(self) -> None:
        """A connection is gone; what the client has applied stays with it."""
        phone = self._connected()
        if phone is not None:
            phone.at = None

    async def restart(self) -> None:
        """The process ends and starts again; on a file all is still there, in memory only the services are new."""
        for phone in self.phones:
            phone.at = None
        if self.url == MEMORY:
            self.core = Core(self.core.store, self.clock)
            return
        await self._opened.aclose()
        self.core = await self._opened.enter_async_context(open_core(self.url, self.clock, ONE_WRITER))
        assert self.core.store.epoch == self.world.epoch

    async def trim(self) -> None:
        """Retention takes what is older than some moment."""
        before = MessageId(first_id_at(self.clock.now_ms() - self.dice.randint(20_000, 200_000)))
        async with self.core.store.begin() as transaction:
            dropped = await transaction.trim(before, 100_000)
        assert dropped == self.world.trim(before)
        self.counts["trimmed"] += dropped

    def _connected(self) -> Phone | None:
        connected = [phone for phone in self.phones if phone.at is not None]
        return self.dice.choice(connected) if connected else None

    # What must be

    async def compare(self) -> None:
        """Heads, floors, devices, badges, unread counts, what is due, and one message's status."""
        heads = await self.core.store.heads(list(USERS))
        for user in USERS:
            for source in SOURCES_READ:
                head = heads.get((user, source))
                expected = (self.world.heads(user).at(source), self.world.floor(user).at(source))
                assert ((head.seq, head.floor) if head is not None else (0, 0)) == expected
            assert await self.core.badge(user) == self.world.badge(user)
        assert await self.core.due() == self.world.due
        await self._compare_unread(self.dice.choice(USERS))
        await self._compare_device(self.dice.choice(self.phones))
        if self.stored:
            await self._compare_status(self.dice.choice(self.stored))
            await self._compare_thread(self.dice.choice(self.stored))

    async def _compare_unread(self, user: UserId) -> None:
        rows = await self.core.store.conversations_of(user, None, None, 200)
        mine = {key: c for key, c in self.world.conversations.items() if user in c.members}
        assert {row.conversation.id: row.mark.unread for row in rows} == {k: c.unread(user) for k, c in mine.items()}
        for row in rows:
            last = mine[row.conversation.id].messages[-1]
            assert row.last is not None
            assert (row.last.id, row.last.seq, row.mark.read_seq) == (
                last.id,
                last.seq,
                mine[row.conversation.id].read[user],
            )

    async def _compare_device(self, phone: Phone) -> None:
        stored = await self.core.store.device(phone.user, DeviceId(phone.name))
        known = self.world.devices.get((phone.user, phone.name))
        assert (stored.acked if stored is not None else None) == (known.acked if known is not None else None)

    async def _compare_status(self, message: NaiveMessage) -> None:
        caller = UserCaller(message.sender, 0) if message.sender is not None else SHOP
        found = await read_message_status(
            message.id, caller, limit=9, store=self.core.store, now_ms=self.clock.now_ms()
        )
        assert said(found.message) == message.text
        for recipient in found.recipients.items:
            if not self._is_trimmed(message, recipient.user):
                assert recipient.status is message.status_for(recipient.user)

    def _is_trimmed(self, message: NaiveMessage, user: UserId) -> bool:
        trimmed = [e for lane in LANES for e in self.world.lanes[user, lane][: self.world.floors[user, lane]]]
        return any(entry.message is message for entry in trimmed)

    async def _compare_thread(self, message: NaiveMessage) -> None:
        conversation = self.world.conversations[message.conversation]
        read = partial(read_thread, message.conversation, message.id, conversation.members[0], store=self.core.store)
        if message.thread is not None:
            with pytest.raises(Rejected, match=message.thread):
                await read(limit=1)
            return
        after, expected = self.dice.randint(0, message.seq), self.world.thread(message)
        page = await read(after=after, limit=200)
        assert [(m.seq, said(m)) for m in page.items] == [(m.seq, m.text) for m in expected if m.seq > after]

    async def _compare_history(self, message: NaiveMessage) -> None:
        found = await self.core.store.history(message.conversation, before=None, after=0, limit=1000)
        there = self.world.conversations[message.conversation].messages
        assert [(m.id, m.seq, said(m)) for m in found] == [(m.id, m.seq, m.text) for m in there]

    async def compare_everything(self) -> None:
        """At the end: all pages of all users from the floor, all statuses, all devices."""
        for user in USERS:
            for lane in LANES:
                floor = self.world.floors[user, lane]
                assert await self._told(user, lane, floor) == self.world.due_to(user, lane, floor)
            await self._compare_unread(user)
        for phone in self.phones:
            await self._compare_device(phone)
        for message in self.stored:
            await self._compare_status(message)
            await self._compare_thread(message)
        for message in {message.conversation: message for message in self.stored}.values():
            await self._compare_history(message)

    async def _told(self, user: UserId, lane: Source, after: int) -> list[Told]:
        found: list[Told] = []
        while events := await self.core.page(user, lane, after):
            found += [told(event) for event in events]
            after = events[-1].pos
        return found


def said(message: Message) -> str:
    """The text of a message, or why it has none."""
    if message.content is None:
        assert message.gone is not None
        return message.gone.value
    text: str = msgspec.json.decode(message.content)["text"]
    return text


@asynccontextmanager
async def begun(url: str, seed: int) -> AsyncIterator[Day]:
    day = Day(url, seed)
    await day.start()
    try:
        yield day
    finally:
        await day.stop()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("place", DATABASES)
async def test_the_core_does_what_the_model_says(
    place: str, seed: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Whatever happens in whatever order, each device is due exactly what the model says, and everybody is told so."""
    async with begun(url_of(place, request, tmp_path), seed + 100 * DATABASES.index(place)) as day:
        for _ in range(STEPS):
            await day.step()
        await day.compare_everything()

    assert day.counts["stored"] + day.counts["duplicates"] == day.counts["sent"]
    happened = ("stored", "duplicates", "delivered", "acked", "recovered", "edited", "unchanged", "gone", "deleted")
    assert min(day.counts[name] for name in happened) > 0
    print(f"{place} {seed}: " + ", ".join(f"{name} {count}" for name, count in sorted(day.counts.items())))
