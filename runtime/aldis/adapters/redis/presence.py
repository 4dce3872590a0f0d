"""Presence in Redis: for each user a short text that names the leases of his nodes.

`{aldis:7}:connected:anna` is `gw-1|5f0c… gw-2|9a31…`. One MGET answers for any number of users, and all who ask while
it is under way share the next one. A node writes only its own word of a text, by a script that compares; its users are
not touched again to be kept alive, as its lease speaks for all of them. Words of leases that are gone are ignored, and
removed by whoever comes across one. A text that nobody renews for an hour leaves by itself.
"""

import asyncio
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from aldis.adapters.redis.gathering import Gatherer
from aldis.adapters.redis.leases import Leases, new_member, prefix_of
from aldis.adapters.redis.link import Command, RedisLink
from aldis.domain.errors import Unavailable
from aldis.domain.ids import UserId
from aldis.telemetry.tasks import spawn

Kind = Literal["connected", "watched"]
KINDS: tuple[Kind, ...] = ("connected", "watched")

LEASE_SECONDS = 6.0  # a node renews each second; what it misses in a pause of its own must not cost it the lease
TEXT_SECONDS = 3600  # what is left of a node that died
WRITTEN_KEYS = 500  # in one script, which holds Redis up for about a millisecond
READ_KEYS = 2_000  # in one MGET, likewise
CALL_KEYS = 2_000  # in one round trip, which must stay well inside its timeout and not keep the event loop for long
MOST_KEPT = 1_000  # texts kept with one renewal, should the last one have been long ago
GATHERED = 200  # questions in one round
WAITING = 20_000  # questions; as many as connect at once after a restart

REPLACE = """
for _, key in ipairs(KEYS) do
  local had, kept = redis.call('GET', key) or '', {}
  for word in string.gmatch(had, '%S+') do
    if string.sub(word, 1, #ARGV[1]) ~= ARGV[1] then kept[#kept + 1] = word end
  end
  if ARGV[2] ~= '' then kept[#kept + 1] = ARGV[2] end
  if #kept == 0 then
    redis.call('DEL', key)
  else
    redis.call('SET', key, table.concat(kept, ' '), 'PX', ARGV[3])
  end
end
return 1
"""
"""KEYS users' texts; ARGV: what the words to take out begin with, the word to put in their place or '', ms to keep."""


class _Write(NamedTuple):
    """Take out of texts the words that begin with `prefix`, and put in `word`, if there is one."""

    prefix: str
    word: str
    keys: tuple[str, ...]


class _Look(NamedTuple):
    kind: Kind
    users: tuple[UserId, ...]


class RedisPresence:
    """The connection registry of all gateways that use one Redis."""

    def __init__(self, link: RedisLink, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._link = link
        self._keyspace = link.keyspace
        self._leases = Leases(link.keyspace, lease_seconds=lease_seconds)
        self._members: dict[str, str] = {}  # the lease of each node that is ours
        self._leasing = asyncio.Lock()
        self._kept: dict[tuple[Kind, str], _Kept] = {}
        self._cleaning: asyncio.Task[None] | None = None
        self._writes: Gatherer[_Write, None] = Gatherer(self._write, name="register", most=GATHERED, bound=WAITING)
        self._looks: Gatherer[_Look, dict[UserId, tuple[str, ...]]] = Gatherer(
            self._look, name="look", most=GATHERED, bound=WAITING
        )

    async def register(self, node: str, users: Sequence[UserId]) -> None:
        """Say that `users` have a connection on `node`."""
        await self._add("connected", node, users)

    async def withdraw(self, node: str, users: Sequence[UserId]) -> None:
        """Say that `users` have none there any more."""
        await self._remove("connected", node, users)

    async def nodes_of(self, users: Sequence[UserId]) -> Mapping[UserId, Sequence[str]]:
        """The nodes of each user that is connected; the others are left out."""
        return await self._looks.ask(_Look("connected", tuple(users))) if users else {}

    async def nodes(self) -> Sequence[str]:
        """All nodes that have a lease, whoever is connected there."""
        (reply,) = await self._link.run([self._leases.read()])
        self._leases.take(reply)
        return self._leases.nodes()

    async def watch(self, node: str, users: Sequence[UserId]) -> None:
        """Say that `node` wants to be told of these users' coming and going."""
        await self._add("watched", node, users)

    async def unwatch(self, node: str, users: Sequence[UserId]) -> None:
        """Say that it no longer does."""
        await self._remove("watched", node, users)

    async def watching(self, users: Sequence[UserId]) -> Mapping[UserId, Sequence[str]]:
        """The nodes that watch each user."""
        return await self._looks.ask(_Look("watched", tuple(users))) if users else {}

    async def renew(self, node: str) -> bool:
        """Keep `node`'s lease; False when it was gone and all its users and watches must be registered again."""
        member = self._members.get(node)
        if member is None:
            await self._lease(node)
            return True
        otherwise = new_member(node)
        (kept,) = await self._link.run([self._leases.renew(member, otherwise)])
        if not kept:
            self._members[node] = otherwise
            return False
        await self._refresh(node, member)
        return True

    # -- what is written ----------------------------------------------------------------------------------------

    async def _add(self, kind: Kind, node: str, users: Sequence[UserId]) -> None:
        if not users:
            return
        member = self._members.get(node) or await self._lease(node)
        await self._writes.ask(_Write(prefix_of(node), member, self._keys(kind, users)))
        self._kept.setdefault((kind, node), _Kept()).users.update(users)

    async def _remove(self, kind: Kind, node: str, users: Sequence[UserId]) -> None:
        if not users:
            return
        if (kept := self._kept.get((kind, node))) is not None:
            kept.users.difference_update(users)
        await self._writes.ask(_Write(prefix_of(node), "", self._keys(kind, users)))

    async def _lease(self, node: str) -> str:
        """A node's first lease, which must be there before anything is registered under it."""
        async with self._leasing:
            if node not in self._members:
                member = new_member(node)
                await self._link.run([self._leases.renew(member, member)])
                self._members[node] = member
        return self._members[node]

    async def _refresh(self, node: str, member: str) -> None:
        """Keep the texts of a few of a node's users; in half of `TEXT_SECONDS` all have had their turn."""
        for kind in KINDS:
            kept = self._kept.get((kind, node))
            if kept is not None and (users := kept.next(time.monotonic())):
                await self._writes.ask(_Write(prefix_of(node), member, self._keys(kind, users)))

    async def _write(self, writes: Sequence[_Write]) -> list[None]:
        commands: list[Command] = []
        for (prefix, word), group in groupby(writes, lambda write: write[:2]):
            keys = [key for write in group for key in write.keys]
            parts = self._keyspace.together(keys, WRITTEN_KEYS)
            commands += [("EVAL", REPLACE, len(part), *part, prefix, word, TEXT_SECONDS * 1000) for part in parts]
        for round_trip in _round_trips(commands):
            await self._link.run(round_trip)
        return [None] * len(writes)

    def _keys(self, kind: Kind, users: Iterable[UserId]) -> tuple[str, ...]:
        return tuple([self._keyspace.spread(kind, user) for user in users])

    # -- what is read -------------------------------------------------------------------------------------------

    async def _look(self, looks: Sequence[_Look]) -> list[dict[UserId, tuple[str, ...]]]:
        keys = [self._keys(look.kind, look.users) for look in looks]
        values = await self._read(list({key: None for group in keys for key in group}))
        nodes = await self._nodes_in(values)
        answers = []
        for look, group in zip(looks, keys, strict=True):
            found = ((user, nodes.get(key)) for user, key in zip(look.users, group, strict=True))
            answers.append({user: at for user, at in found if at})
        return answers

    async def _read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The texts that there are; and the leases, if it is time."""
        values: dict[str, bytes] = {}
        for round_trip in _round_trips([("MGET", *group) for group in self._keyspace.together(keys, READ_KEYS)]):
            is_stale = self._leases.is_stale
            replies = await self._link.run([*round_trip, self._leases.read()] if is_stale else round_trip)
            if is_stale:
                self._leases.take(replies.pop())
            for command, reply in zip(round_trip, replies, strict=True):
                named = zip(command[1:], reply, strict=True)
                values.update((str(key), value) for key, value in named if value is not None)
        return values

    async def _nodes_in(self, values: Mapping[str, bytes]) -> dict[str, tuple[str, ...]]:
        """The nodes in each text that have a lease."""
        nodes = {key: self._leases.nodes_in(value) for key, value in values.items()}
        unknown = [values[key] for key, found in nodes.items() if found is None]
        if unknown:
            (reply,) = await self._link.run([self._leases.read()])
            self._leases.take(reply)
            self._leases.note_void(unknown)
            nodes = {key: self._leases.nodes_in(value) for key, value in values.items()}
        self._clean_soon(values)
        return {key: found for key, found in nodes.items() if found}

    def _clean_soon(self, values: Mapping[str, bytes]) -> None:
        """Remove words that mean nothing any more, so that they are not read for ever."""
        if self._cleaning is not None or not self._leases.knows_void:
            return
        void: dict[str, list[str]] = {}
        for key, value in values.items():
            for member in self._leases.void_in(value):
                void.setdefault(member, []).append(key)
        if void:
            self._cleaning = spawn(self._clean(void), "redis-presence-clean")

    async def _clean(self, void: Mapping[str, Sequence[str]]) -> None:
        try:
            for member, keys in void.items():
                await self._writes.ask(_Write(member, "", tuple(keys)))
        except Unavailable:
            pass  # they are come across again
        finally:
            self._cleaning = None


class _Kept:
    """The users of a node whose texts must be kept, and whose turn it is."""

    def __init__(self) -> None:
        self.users: set[UserId] = set()
        self._turn: list[UserId] = []
        self._asked_at = time.monotonic()

    def next(self, now: float) -> list[UserId]:
        """So many that all have had their turn within half of `TEXT_SECONDS`."""
        if not self._turn:
            self._turn = list(self.users)
        share = (now - self._asked_at) / (TEXT_SECONDS / 2)
        self._asked_at = now
        size = min(math.ceil(len(self.users) * share), MOST_KEPT)
        chosen, self._turn = self._turn[-size:], self._turn[:-size]
        return [user for user in chosen if user in self.users]


def _round_trips(commands: Iterable[Command]) -> Iterable[list[Command]]:
    """Commands in parts that stay well inside the timeout of a call."""
    part: list[Command] = []
    size = 0
    for command in commands:
        if part and size + len(command) > CALL_KEYS:
            yield part
            part, size = [], 0
        part.append(command)
        size += len(command)
    if part:
        yield part
