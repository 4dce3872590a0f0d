"""Watching: who of this process' connections wants to know of whose coming and going, and the telling.

Only those are told of whom one may know (`RelationReads.acquaintances`); of all others there is nothing to be heard.
Coming is told at once. Going is told once it has lasted `OFFLINE_AFTER_MS`, since telephones lose their connections and
come back. What a lost ring or the end of a gateway leaves untold is found by looking again every `RECHECK_SECONDS`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from aldis.domain.errors import AldisError, Unavailable
from aldis.domain.ids import UserId
from aldis.gateway.connection import Connection
from aldis.gateway.ephemera import EphemeralWriter, ephemeral_frame
from aldis.ports.backplane import Sighting
from aldis.ports.clock import Clock
from aldis.ports.presence import Presence
from aldis.ports.store import Store
from aldis.services import news
from aldis.services.grouping import Done, Grouper
from aldis.services.render import value_json
from aldis.services.ring import Ringer
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import cancel_and_wait, spawn

TICK_SECONDS = 0.25  # how long sightings are gathered
OFFLINE_AFTER_MS = 5_000
RECHECK_SECONDS = 10
RECHECK_USERS = 1_000  # in one question to the registry
GROUP = 20  # lists in one piece of work: each is one query
WAITING = 5_000

Online = list[tuple[UserId, bool]]

log = structlog.get_logger(__name__)


class Watch(NamedTuple):
    """A connection's new list."""

    connection: Connection
    user: UserId
    users: tuple[UserId, ...]


@dataclass(slots=True)
class _Watched:
    """A user who is watched, and what each watcher was told last."""

    online: bool
    told: dict[Connection, bool] = field(default_factory=dict)


class Watching:
    """All watched users of this process. Run its work with `running()`."""

    def __init__(
        self,
        *,
        node: str,
        store: Store,
        presence: Presence,
        ringer: Ringer,
        writer: EphemeralWriter,
        clock: Clock,
        metrics: Metrics,
        of_user: Callable[[UserId], Sequence[Connection]],
    ) -> None:
        self._node = node
        self._store = store
        self._presence = presence
        self._ringer = ringer
        self._writer = writer
        self._clock = clock
        self._of_user = of_user
        self._watched: dict[UserId, _Watched] = {}
        self._lists: dict[Connection, set[UserId]] = {}
        self._missing: dict[UserId, int] = {}  # since when (Unix ms) a user who was online is said to be gone
        self._sightings: dict[UserId, bool] = {}
        self._unwatched: set[UserId] = set()
        self._parted: set[frozenset[UserId]] = set()  # while lists are being read
        self._tick = 0
        self._grouper: Grouper[Watch, Online] = Grouper(
            self._replace_lists, name="watch", most=GROUP, bound=WAITING, metrics=metrics
        )

    # -- a connection's list ------------------------------------------------------------------------------------

    def watch_nowait(self, watch: Watch, done: Done[Online]) -> None:
        """Replace a connection's list; `done` gets who of it is online, in its order."""
        self._grouper.submit(watch, done)

    async def _replace_lists(self, group: Sequence[Watch]) -> list[Online | AldisError]:
        self._parted.clear()
        reads = [self._store.acquaintances(watch.user, watch.users) for watch in group]
        known = await asyncio.gather(*reads, return_exceptions=True)
        everyone = sorted({user for users in known if not isinstance(users, BaseException) for user in users})
        await self._presence.watch(self._node, everyone)  # before the look, so that no coming is missed in between
        nodes = await self._presence.nodes_of(everyone)
        return [self._replace_list(watch, users, nodes) for watch, users in zip(group, known, strict=True)]

    def _replace_list(
        self, watch: Watch, known: set[UserId] | BaseException, nodes: Mapping[UserId, Sequence[str]]
    ) -> Online | AldisError:
        if isinstance(known, AldisError):
            return known
        if isinstance(known, BaseException):
            raise known
        known = {user for user in known if frozenset((watch.user, user)) not in self._parted}
        self._drop_list(watch.connection)
        if watch.connection.closed:
            self._unwatched |= known
            return []
        self._lists[watch.connection] = known
        for user in known:
            watched = self._watched.setdefault(user, _Watched(online=False))
            if nodes.get(user):
                self._see(user, watched)
            watched.told[watch.connection] = watched.online
        return [(user, user in known and self._watched[user].online) for user in watch.users]

    def _drop_list(self, connection: Connection) -> None:
        for user in self._lists.pop(connection, ()):
            self._forget(user, connection)

    def _forget(self, user: UserId, connection: Connection) -> bool:
        """Let a connection watch a user no more; answers whether it was told that he is online."""
        watched = self._watched[user]
        told = watched.told.pop(connection, False)
        if not watched.told:
            del self._watched[user]
            self._missing.pop(user, None)
            self._unwatched.add(user)
        return told

    def part(self, user: UserId, other: UserId) -> None:
        """A block has come between the two, or has gone: `user` watches `other` no more, who is offline for him."""
        self._parted.add(frozenset((user, other)))
        for connection in self._of_user(user):
            if other in self._lists.get(connection, ()):
                self._lists[connection].discard(other)
                if self._forget(other, connection):
                    connection.protocol.write_frame(_frame(other, online=False))

    # -- who comes and goes -------------------------------------------------------------------------------------

    def came(self, user: UserId) -> None:
        """A user has connected here."""
        self._sightings[user] = True

    def left(self, users: Sequence[UserId]) -> None:
        """Users have no connection here any more."""
        self._sightings.update(dict.fromkeys(users, False))

    def on_sighting(self, sighting: Sighting) -> None:
        """A user who is watched here has come, or has left a node."""
        watched = self._watched.get(sighting.user)
        if watched is None:
            return
        if sighting.online:
            self._see(sighting.user, watched)
        elif watched.online:
            self._missing.setdefault(sighting.user, self._clock.now_ms())

    def _see(self, user: UserId, watched: _Watched) -> None:
        self._missing.pop(user, None)
        if not watched.online:
            watched.online = True
            self._tell(user, watched)

    def _tell(self, user: UserId, watched: _Watched) -> None:
        """Tell those who have not been told yet; who has no room now is told at the next recheck."""
        frame = _frame(user, online=watched.online)
        for connection, told in watched.told.items():
            if told != watched.online and self._writer.offer(connection, "presence", frame):
                watched.told[connection] = watched.online

    # -- the seconds' work --------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Do the seconds' work while the block is open."""
        task = spawn(self._work(), "watching")
        try:
            yield
        finally:
            await cancel_and_wait(task)

    async def _work(self) -> None:
        while True:
            await self._clock.sleep(TICK_SECONDS)
            try:
                await self._beat()
            except Unavailable as error:
                log.warning("presence_not_read", reason=error.message)

    async def _beat(self) -> None:
        self._tick += 1
        sightings, self._sightings = self._sightings, {}
        if sightings:
            await self._ringer.announce([Sighting(user, online) for user, online in sightings.items()])
        await self._settle_missing()
        if self._tick % int(RECHECK_SECONDS / TICK_SECONDS) == 0:
            await self._recheck()
        unwatched, self._unwatched = self._unwatched - self._watched.keys(), set()
        if unwatched:
            await self._presence.unwatch(self._node, sorted(unwatched))

    async def _settle_missing(self) -> None:
        """Tell of those who have been gone for so long that they will hardly be back at once."""
        now = self._clock.now_ms()
        gone = [user for user, since in self._missing.items() if now - since >= OFFLINE_AFTER_MS]
        nodes = await self._presence.nodes_of(gone) if gone else {}
        for user in gone:
            watched = self._watched.get(user)
            if self._missing.pop(user, None) is None or watched is None or nodes.get(user):
                continue
            watched.online = False
            self._tell(user, watched)

    async def _recheck(self) -> None:
        """Forget connections that have gone; look for all who are watched."""
        for connection in [connection for connection in self._lists if connection.closed]:
            self._drop_list(connection)
        users = list(self._watched)
        for start in range(0, len(users), RECHECK_USERS):
            part = users[start : start + RECHECK_USERS]
            await self._presence.watch(self._node, part)
            nodes = await self._presence.nodes_of(part)
            for user in part:
                self.on_sighting(Sighting(user, online=bool(nodes.get(user))))
                if (watched := self._watched.get(user)) is not None:
                    self._tell(user, watched)


def _frame(user: UserId, *, online: bool) -> bytes:
    return ephemeral_frame(value_json(news.Presence(user=user, online=online)))
