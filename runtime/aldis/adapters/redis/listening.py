"""Reading streams: from where one has read to, for as long as it takes, through restarts and failovers of Redis.

One connection waits at the server for what comes; the streams that are read together lie together in a Cluster, too.
Once a second the streams are kept alive, rid of what is old, and made again if they are gone. Where they were lost, or
an older copy of them has taken over, reading begins at their start: a ring that is heard twice harms nobody.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

from aldis.adapters.redis.clients import Client, close_client
from aldis.adapters.redis.lanes import STREAM_SECONDS
from aldis.adapters.redis.link import FAILURES, Command, RedisLink, reason_of
from aldis.domain.errors import Unavailable
from aldis.telemetry.tasks import cancel_and_wait, spawn

BLOCK_SECONDS = 1.0  # well below what a proxy takes for a dead connection
HANG_SECONDS = 4.0  # without an answer, after which another connection is made
COUNT = 100  # letters of each stream at a time, some thousand rings: express is looked at again after those
KEEP_SECONDS = 1.0
SLICE_SECONDS = 0.005  # of handing on without letting others have a turn
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
BEGINNING = b"0-0"

ANCHOR = """
local clock = redis.call('TIME')
local old, ids = string.format('%.0f', clock[1] * 1000 - ARGV[1]), {}
for i, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 0 then
    ids[i] = redis.call('XADD', key, '*', 'made', '')
  else
    redis.call('XTRIM', key, 'MINID', old)
    local told = redis.call('XINFO', 'STREAM', key)
    for j = 1, #told, 2 do
      if told[j] == 'last-generated-id' then ids[i] = told[j + 1] end
    end
  end
  redis.call('PEXPIRE', key, ARGV[1])
end
return ids
"""
"""KEYS streams, made if they are not there; ARGV: ms to keep them and what is in them. Answers the last id of each."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

Take = Callable[[str, bytes], None]


class StreamReader:
    """Hands what comes on some streams to `take`, with the stream's key, in the order of `keys` and of each."""

    def __init__(self, link: RedisLink, keys: Sequence[str], take: Take) -> None:
        self._link = link
        self._keys = tuple(keys)
        self._take = take
        self._positions: dict[str, bytes] = {}
        self._is_anchored = asyncio.Event()
        self._is_deaf = False
        self._is_over = False  # the driver of a Cluster may swallow a cancellation

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[None]:
        """Read while the block is open: all that is written once it is, if Redis is there at that moment."""
        try:
            await self._anchor()
        except Unavailable as error:
            log.warning("backplane_deaf", reason=error.message)
            self._is_deaf = True
        client = self._link.make_reader(seconds=HANG_SECONDS)
        tasks = [spawn(self._read(client), "redis-read"), spawn(self._keep(), "redis-keep")]
        try:
            yield
        finally:
            self._is_over = True
            await cancel_and_wait(*tasks)
            await close_client(client)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            await self._anchor_if_it_answers()

    async def _anchor_if_it_answers(self) -> None:
        with suppress(Unavailable):  # the link has said so
            await self._anchor()

    async def _anchor(self) -> None:
        """Keep the streams alive, and see where they are."""
        command: Command = ("EVAL", ANCHOR, len(self._keys), *self._keys, STREAM_SECONDS * 1000)
        before = dict(self._positions)
        (ids,) = await self._link.run([command])
        for key, last in zip(self._keys, ids, strict=True):
            position = self._positions.setdefault(key, last)
            if _order(last) < _order(before.get(key, last)) and position == before[key]:
                self._positions[key] = BEGINNING
                log.info("backplane_read_anew", stream=key)
        self._is_anchored.set()

    async def _read(self, client: Client) -> None:
        await self._is_anchored.wait()
        pause = FIRST_PAUSE
        while not self._is_over:
            try:
                streams = await self._wait_for_letters(client)
            except FAILURES as error:
                self._miss(error)
                await asyncio.sleep(pause * random.random())  # noqa: S311 - spreads the processes
                pause = min(2 * pause, LONGEST_PAUSE)
                await self._anchor_if_it_answers()  # a restart has lost the streams
            else:
                self._hear()
                pause = FIRST_PAUSE
                await self._hand_on(streams)

    async def _wait_for_letters(self, client: Client) -> Sequence[Any]:
        positions = [self._positions[key] for key in self._keys]
        block = int(BLOCK_SECONDS * 1000)
        async with asyncio.timeout(HANG_SECONDS):
            reply = await client.execute_command(
                "XREAD", "COUNT", COUNT, "BLOCK", block, "STREAMS", *self._keys, *positions
            )
        return reply or ()

    async def _hand_on(self, streams: Sequence[Any]) -> None:
        started = time.monotonic()
        for name, entries in streams:
            key = name.decode()
            for entry_id, fields in entries:
                self._positions[key] = entry_id
                if (data := fields.get(b"d")) is not None:
                    self._take(key, data)
                if time.monotonic() - started > SLICE_SECONDS:
                    await asyncio.sleep(0)
                    started = time.monotonic()

    def _miss(self, error: Exception) -> None:
        if not self._is_deaf:
            log.warning("backplane_deaf", reason=reason_of(error))
        self._is_deaf = True

    def _hear(self) -> None:
        if self._is_deaf:
            log.info("backplane_hears")
        self._is_deaf = False


def _order(entry_id: bytes) -> tuple[int, int]:
    ms, _, count = entry_id.partition(b"-")
    return int(ms), int(count)
