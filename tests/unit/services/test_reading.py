from collections.abc import Sequence
from typing import cast

import pytest

from aldis.domain.callers import BackendCaller, Caller, UserCaller
from aldis.domain.cursors import parse_cursor
from aldis.domain.deliveries import Outcome
from aldis.domain.errors import Rejected
from aldis.domain.ids import ConversationId, DeviceId, MessageId, UserId, created_ms, first_id_at, new_id
from aldis.domain.messages import Kind, Message, Sender
from aldis.domain.receipts import ReadMark
from aldis.domain.status import Passage, Status, Step
from aldis.domain.streams import BroadcastSource, LaneHead, Priority, Source
from aldis.ports.broadcasts import Listener
from aldis.ports.deliveries import Attempt
from aldis.ports.store import Conversation, ConversationRow, Store
from aldis.services.check_acknowledgement import check_acknowledgement
from aldis.services.list_conversations import list_conversations
from aldis.services.message_status import read_message_status, read_timeline
from aldis.services.read_history import read_history

NOW = 1_800_000_000_000
ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")
TALK = Conversation(ConversationId("c1"), Kind.CHAT, "chat", (ALICE, BOB))


def message(seq: int = 1, *, expires_at: int | None = None) -> Message:
    return Message(
        id=MessageId(new_id(NOW + seq)),
        conversation_id=TALK.id,
        seq=seq,
        kind=Kind.CHAT,
        channel="chat",
        sender=Sender(user=ALICE),
        content=b'{"type":"text","text":"hi"}',
        priority=Priority.NORMAL,
        expires_at=expires_at,
    )


class Reading:
    """A store of one conversation of Alice and Bob, that remembers in which order it was read."""

    epoch = "epoch1"

    def __init__(self, *messages: Message, passages: Sequence[Passage] = (), rings: Sequence[Attempt] = ()) -> None:
        self.messages = {each.id: each for each in messages}
        self.passed = list(passages)
        self.rings = list(rings)
        self.reads: list[str] = []

    async def message(self, message_id: MessageId) -> tuple[Message, Conversation] | None:
        found = self.messages.get(message_id)
        return (found, TALK) if found is not None else None

    async def conversation(self, conversation: ConversationId) -> Conversation | None:
        return TALK if conversation == TALK.id else None

    async def listener(self, conversation: ConversationId, user: UserId) -> Listener | None:
        return Listener(conversation, user, 0, 0) if user in TALK.members else None

    async def passages(self, of: Message, users: Sequence[UserId]) -> dict[UserId, tuple[int, list[Passage]]]:
        return {user: (1, self.passed) for user in users if self.passed}

    async def attempts(self, of: Message, users: Sequence[UserId]) -> dict[UserId, list[Attempt]]:
        return dict.fromkeys(users, self.rings)

    async def history(
        self, conversation: ConversationId, *, before: int | None, after: int | None, above: int = 0, limit: int
    ) -> list[Message]:
        if after is not None:
            return [each for each in self.messages.values() if each.seq > after][:limit]
        newest = sorted(self.messages.values(), key=lambda each: -each.seq)
        return [each for each in newest if before is None or each.seq < before][:limit]

    async def heads(self, users: Sequence[UserId]) -> dict[tuple[UserId, Source], LaneHead]:
        self.reads.append("heads")
        return {(user, "s"): LaneHead(seq=7) for user in users}

    async def broadcast_positions(self) -> tuple[dict[BroadcastSource, LaneHead], int]:
        return {"be": LaneHead(), "bs": LaneHead()}, 0

    async def conversations_of(
        self,
        user: UserId,
        kind: Kind | None,
        before: tuple[str, str] | None,
        limit: int,
        *,
        archived: bool | None = None,
    ) -> list[ConversationRow]:
        self.reads.append("rows")
        mark = ReadMark(head_seq=1, read_seq=0, own_total=0, own_read=0)
        newest = sorted(self.messages.values(), key=lambda each: -each.seq)
        return [ConversationRow(TALK, mark, each) for each in newest][:limit]

    async def device(self, user: UserId, device: DeviceId) -> str | None:
        return "a device" if device == "phone" else None


def ring(attempt: int, at: int) -> Attempt:
    return Attempt(BOB, "s", "chat", 0, 9, attempt, None, Outcome.NO_CONNECTION, at)


def open_store(*messages: Message, passages: Sequence[Passage] = (), rings: Sequence[Attempt] = ()) -> Store:
    return cast("Store", Reading(*messages, passages=passages, rings=rings))


def user(name: str) -> UserCaller:
    return UserCaller(UserId(name), 0)


@pytest.mark.parametrize(
    "caller",
    [user("alice"), user("bob"), BackendCaller("b", "1"), BackendCaller("b", "1", channels=frozenset({"chat"}))],
)
async def test_those_who_may_see_a_message_see_it(caller: Caller) -> None:
    """The sender, a recipient and a backend with a key for the channel get it."""
    one = message()

    status = await read_message_status(one.id, caller, limit=10, store=open_store(one), now_ms=NOW)

    assert status.message == one


@pytest.mark.parametrize("caller", [user("carol"), BackendCaller("b", "1", channels=frozenset({"orders"}))])
async def test_to_others_a_message_is_not_there(caller: Caller) -> None:
    """What one may not see answers exactly as what does not exist."""
    one = message()
    refusals = []

    for store in (open_store(one), open_store()):
        with pytest.raises(Rejected) as refused:
            await read_timeline(one.id, caller, store=store)
        refusals.append((refused.value.code, refused.value.message, refused.value.field))

    assert refusals[0] == refusals[1]
    assert refusals[0][0] == "not_found"


async def test_the_status_is_told_for_recipients_and_not_for_the_sender() -> None:
    """Alice wrote, so Bob is the one who receives."""
    one = message()
    passages = [Passage(Step.SENT, DeviceId("d1"), NOW + 1), Passage(Step.ACKED, DeviceId("d1"), NOW + 2)]

    status = await read_message_status(
        one.id, user("alice"), limit=10, store=open_store(one, passages=passages), now_ms=NOW
    )

    (bob,) = status.recipients.items
    assert (bob.user, bob.status, bob.sent_at, bob.delivered_at) == (BOB, Status.DELIVERED, NOW + 1, NOW + 2)


@pytest.mark.parametrize(
    ("step", "status", "reason"),
    [(None, Status.FAILED, "expired"), (Step.SENT, Status.FAILED, "expired"), (Step.ACKED, Status.DELIVERED, None)],
)
async def test_a_message_that_expired_before_any_delivery_has_failed(
    step: Step | None, status: Status, reason: str | None
) -> None:
    """Its time is over and no device has it; one that was delivered in time stays delivered."""
    one = message(expires_at=NOW + 10)
    store = open_store(one, passages=[Passage(step, None, NOW + 5)] if step else [])

    told = await read_message_status(one.id, user("alice"), limit=10, store=store, now_ms=NOW + 10)

    assert (told.recipients.items[0].status, told.recipients.items[0].reason) == (status, reason)


async def test_recipients_come_in_pages() -> None:
    """A page goes on after the name that the one before ended with."""
    one = message()
    page = await read_message_status(
        one.id, BackendCaller("b", "1"), after=BOB, limit=1, store=open_store(one), now_ms=NOW
    )

    assert page.recipients.items == []
    assert page.recipients.next is None


async def test_a_timeline_is_in_the_order_of_time() -> None:
    """It begins when the message was accepted and names the device of each step."""
    one = message()
    passages = [Passage(Step.READ, None, NOW + 9), Passage(Step.ACKED, DeviceId("d1"), NOW + 5)]
    passages += [Passage(Step.SENT, DeviceId("d1"), NOW + 5)]

    timeline = await read_timeline(one.id, user("bob"), store=open_store(one, passages=passages))

    assert [(each.type, each.device) for each in timeline] == [
        ("accepted", None),
        ("stored", None),
        ("queued", None),
        ("sent", "d1"),
        ("delivered", "d1"),
        ("read", None),
    ]
    assert timeline[0].at == created_ms(one.id)


async def test_a_timeline_tells_attempts_and_failures() -> None:
    """Each ring with its number and what came of it, a failure with its reason, a replay as queued once more."""
    one = message()
    failed = Passage(Step.FAILED, None, NOW + 20, "attempts_exhausted")
    passages = [failed, failed, Passage(Step.REPLAYED, None, NOW + 30), Passage(Step.ACKED, DeviceId("d1"), NOW + 50)]
    rings = [ring(1, NOW + 10), ring(1, NOW + 40)]

    timeline = await read_timeline(one.id, user("bob"), store=open_store(one, passages=passages, rings=rings))

    assert [(each.type, each.at - NOW, each.attempt, each.outcome, each.reason) for each in timeline[3:]] == [
        ("attempt", 10, 1, "no_connection", None),
        ("failed", 20, None, None, "attempts_exhausted"),
        ("queued", 30, None, None, None),
        ("attempt", 40, 1, "no_connection", None),
        ("delivered", 50, None, None, None),
    ]


async def test_a_timeline_leaves_out_rings_for_others() -> None:
    """A stretch is rung for while anything in it is open: what was answered, or has failed, was not rung for then."""
    one = message()
    rings = [ring(1, NOW + 10), ring(2, NOW + 30)]
    for step in (Step.ACKED, Step.READ, Step.FAILED):
        store = open_store(one, passages=[Passage(step, None, NOW + 20)], rings=rings)

        timeline = await read_timeline(one.id, user("bob"), store=store)

        assert [each.at - NOW for each in timeline if each.type == "attempt"] == [10]


async def test_history_says_where_the_next_page_begins() -> None:
    """Below the last of a page, while there is more."""
    store = open_store(*(message(seq) for seq in (1, 2, 3)))

    first = await read_history(TALK.id, ALICE, limit=2, store=store)
    last = await read_history(TALK.id, ALICE, before=first.next, limit=2, store=store)

    assert ([each.seq for each in first.items], first.next) == ([3, 2], 2)
    assert ([each.seq for each in last.items], last.next) == ([1], None)


@pytest.mark.parametrize("conversation", ["c1", "c2"])
async def test_only_members_read_a_conversation(conversation: str) -> None:
    """For Carol it is not there, like one that does not exist."""
    with pytest.raises(Rejected) as refused:
        await read_history(ConversationId(conversation), CAROL, limit=2, store=open_store(message()))

    assert refused.value.code == "not_found"


async def test_the_first_page_says_where_the_stream_stood_before() -> None:
    """The heads are read before the rows, so that nothing falls between list and stream."""
    reading = Reading(message())

    page = await list_conversations(ALICE, limit=1, store=cast("Store", reading))

    assert reading.reads == ["heads", "rows"]
    assert page.cursor == parse_cursor("epoch1.e0.s7.be0.bs0.r0")


async def test_later_pages_have_no_cursor_of_the_stream() -> None:
    """A cursor taken later would skip what came between the pages."""
    place = (first_id_at(NOW), "c9")

    page = await list_conversations(ALICE, before=place, limit=1, store=open_store(message()))

    assert page.cursor is None


async def test_conversations_go_on_after_the_last_one_shown() -> None:
    """The place is the last message and its conversation, while there is more."""
    older, newer = message(1), message(2)

    page = await list_conversations(ALICE, limit=1, store=open_store(older, newer))

    assert page.next == (newer.id, TALK.id)


@pytest.mark.parametrize(
    ("device", "position", "code"), [("tablet", 1, "not_found"), ("phone", 8, "bad_cursor"), ("phone", 7, None)]
)
async def test_an_acknowledgement_is_of_a_known_device_and_of_what_there_is(
    device: str, position: int, code: str | None
) -> None:
    """A position above the head was never sent to anyone."""
    refused = None
    try:
        await check_acknowledgement(ALICE, DeviceId(device), {"s": position}, store=open_store())
    except Rejected as error:
        refused = error.code

    assert refused == code
