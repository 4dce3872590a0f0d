import json
from collections.abc import Sequence
from typing import cast

import pytest

from aldis.adapters.memory.clock import DrivenClock
from aldis.domain.errors import AldisError, Rejected
from aldis.domain.ids import ConversationId, UserId
from aldis.domain.messages import Kind
from aldis.ports.backplane import Ring, Whisper
from aldis.ports.store import Conversation, Store
from aldis.services import typists
from aldis.services.ring import Ringer
from aldis.services.typists import BLOCKS_MS, Typing, Typists
from aldis.telemetry.metrics import Metrics

ANN, BOB, EVE = UserId("ann"), UserId("bob"), UserId("eve")
TALK, NEWS, SHOW = ConversationId("talk"), ConversationId("news"), ConversationId("show")
CONVERSATIONS = (
    Conversation(TALK, Kind.CHAT, "chat", (ANN, BOB)),
    Conversation(NEWS, Kind.NOTIFICATION, "news", (BOB,)),
    Conversation(SHOW, Kind.NOTIFICATION, "show", (), broadcast=True),
)


class Talks:
    """A store of conversations; keeps what was looked up."""

    def __init__(self) -> None:
        self.blocked = False
        self.asked: list[Sequence[ConversationId]] = []

    async def talks(self, ids: Sequence[ConversationId]) -> dict[ConversationId, tuple[Conversation, bool]]:
        self.asked.append(ids)
        return {each.id: (each, self.blocked) for each in CONVERSATIONS if each.id in ids}


class Bell:
    """Keeps what is rung."""

    def __init__(self) -> None:
        self.rung: list[Ring] = []

    async def ring(self, rings: Sequence[Ring]) -> None:
        self.rung += rings


class Scene:
    def __init__(self) -> None:
        self.store, self.bell, self.clock = Talks(), Bell(), DrivenClock()
        self.typists = Typists(
            store=cast("Store", self.store),
            ringer=cast("Ringer", self.bell),
            clock=self.clock,
            metrics=Metrics(),
        )

    async def type(self, user: UserId, *conversations: ConversationId) -> list[AldisError | None]:
        answers: list[AldisError | None] = []
        for conversation in conversations:
            self.typists.tell_nowait(Typing(user, conversation), answers.append)
        await self.clock.advance(0)
        return answers

    def heard(self) -> list[tuple[str, dict[str, str]]]:
        """Who has been told what since the last time."""
        rung, self.bell.rung = self.bell.rung, []
        return [(ring.user, json.loads(ring.body)) for ring in rung if isinstance(ring, Whisper)]


async def test_the_other_member_is_told() -> None:
    """Not the one who types."""
    scene = Scene()

    assert await scene.type(ANN, TALK) == [None]

    assert scene.heard() == [("bob", {"type": "typing", "conversation_id": "talk", "user": "ann"})]


async def test_only_members_of_a_chat_type_there() -> None:
    """A stranger learns no more than of a conversation that is not there; notifications are one-way."""
    scene = Scene()
    answers = [*await scene.type(EVE, TALK, ConversationId("none"), SHOW), *await scene.type(BOB, NEWS)]

    assert [(a.code, a.field) for a in answers if isinstance(a, Rejected)] == [
        ("not_found", "conversation_id"),
        ("not_found", "conversation_id"),
        ("read_only", "conversation_id"),
        ("read_only", "conversation_id"),
    ]
    assert scene.heard() == []


async def test_a_conversation_is_looked_up_once() -> None:
    """Many at a time, and again only when a block between the two may have been missed."""
    scene = Scene()
    await scene.type(ANN, TALK, TALK)
    await scene.type(BOB, TALK)
    assert scene.store.asked == [[TALK]]

    await scene.clock.advance(BLOCKS_MS / 1000)
    await scene.type(BOB, TALK)

    assert scene.store.asked == [[TALK], [TALK]]


async def test_a_block_silences_both_at_once() -> None:
    """Without a word to the one who types; taking it away is heard at once, too."""
    scene = Scene()
    await scene.type(ANN, TALK)
    scene.store.blocked = True
    scene.typists.part(BOB, ANN)
    scene.heard()

    assert await scene.type(ANN, TALK) == [None]
    assert await scene.type(BOB, TALK) == [None]
    assert scene.heard() == []
    scene.store.blocked = False
    scene.typists.part(ANN, BOB)
    await scene.type(ANN, TALK)
    assert len(scene.heard()) == 1


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least recently used leave first, and leave nothing behind."""
    scene = Scene()
    monkeypatch.setattr(typists, "REMEMBERED", 1)

    await scene.type(BOB, NEWS, TALK, SHOW)

    assert len(scene.typists._known) == len(scene.typists._of_pair) == 1
