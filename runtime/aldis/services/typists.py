"""Typing: who may tell whom, and the telling, many at a time.

Who is in a chat never changes, so what was read once holds for ever; that there is no block between the two holds until
a ring says otherwise, and is read again after `BLOCKS_MS` in case that ring was lost.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from aldis.domain.errors import AldisError, Rejected
from aldis.domain.ids import ConversationId, UserId
from aldis.domain.messages import Kind
from aldis.ports.backplane import Whisper
from aldis.ports.clock import Clock
from aldis.ports.store import Conversation, Store
from aldis.services import news
from aldis.services.grouping import Done, Grouper
from aldis.services.render import value_json
from aldis.services.ring import Ringer
from aldis.telemetry.metrics import Metrics

GROUP = 500  # typists looked up in one query
WAITING = 2_000  # beyond this the newest are dropped: they come too late to be of use
REMEMBERED = 20_000  # conversations, some 10 MB
BLOCKS_MS = 60_000


class Typing(NamedTuple):
    """A user types in a conversation."""

    user: UserId
    conversation_id: ConversationId


class _Talk(NamedTuple):
    conversation: Conversation
    blocked: bool
    read_at: int


class Typists:
    """Tells the other members that somebody types; one instance a process."""

    def __init__(self, *, store: Store, ringer: Ringer, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._ringer = ringer
        self._clock = clock
        self._known: OrderedDict[ConversationId, _Talk] = OrderedDict()
        self._of_pair: dict[frozenset[UserId], set[ConversationId]] = {}
        self._partings = 0
        self._grouper: Grouper[Typing, None] = Grouper(
            self._tell, name="typing", most=GROUP, bound=WAITING, metrics=metrics
        )

    def tell_nowait(self, typing: Typing, done: Done[None]) -> None:
        """Tell the others; `done` gets a `Rejected` for who may not type there, `Unavailable` for what was dropped."""
        self._grouper.submit(typing, done)

    def part(self, first: UserId, second: UserId) -> None:
        """Whether these two have blocked each other is no longer known."""
        self._partings += 1
        for conversation in self._of_pair.pop(frozenset((first, second)), ()):
            self._known.pop(conversation, None)

    async def _tell(self, group: Sequence[Typing]) -> list[AldisError | None]:
        talks = await self._talks({typing.conversation_id for typing in group})
        answers = [_refusal(typing, talks.get(typing.conversation_id)) for typing in group]
        whispers = [
            Whisper(other, _news(typing))
            for typing, refused in zip(group, answers, strict=True)
            if refused is None and not talks[typing.conversation_id].blocked
            for other in talks[typing.conversation_id].conversation.members
            if other != typing.user
        ]
        await self._ringer.ring(whispers)
        return list(answers)

    async def _talks(self, ids: Iterable[ConversationId]) -> dict[ConversationId, _Talk]:
        now = self._clock.now_ms()
        found = {each: talk for each in ids if (talk := self._known.get(each)) and now - talk.read_at < BLOCKS_MS}
        for each in found:
            self._known.move_to_end(each)
        missing = [each for each in ids if each not in found]
        if not missing:
            return found
        partings = self._partings
        read = {each: _Talk(*row, now) for each, row in (await self._store.talks(missing)).items()}
        if partings == self._partings:  # else it may have been read just before the block
            self._remember(read.values())
        return found | read

    def _remember(self, talks: Iterable[_Talk]) -> None:
        for talk in talks:
            conversation = talk.conversation
            self._known[conversation.id] = talk
            self._of_pair.setdefault(frozenset(conversation.members), set()).add(conversation.id)
        while len(self._known) > REMEMBERED:
            conversation = self._known.popitem(last=False)[1].conversation
            pair = frozenset(conversation.members)
            self._of_pair[pair].discard(conversation.id)
            if not self._of_pair[pair]:
                del self._of_pair[pair]


def _refusal(typing: Typing, talk: _Talk | None) -> Rejected | None:
    if talk is not None and talk.conversation.broadcast:
        return _one_way()
    if talk is None or typing.user not in talk.conversation.members:
        return Rejected("not_found", "no such conversation of yours", field="conversation_id")
    return None if talk.conversation.kind is Kind.CHAT else _one_way()


def _one_way() -> Rejected:
    return Rejected("read_only", "notifications are one-way: nobody types there", field="conversation_id")


def _news(typing: Typing) -> bytes:
    return value_json(news.Typing(conversation_id=typing.conversation_id, user=typing.user))
