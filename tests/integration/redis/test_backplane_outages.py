"""Doorbells between processes while Redis is restarted, flushed, paused, or not there at all."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

import redis

from aldis.adapters.redis.backplane import LETTER_BYTES
from aldis.adapters.redis.encoding import encode_letter, encode_ring
from aldis.adapters.redis.lanes import ALL, EXPRESS_LANE, MOST_LETTERS, STANDARD_LANE, STREAM_SECONDS, WHISPERED
from aldis.adapters.redis.link import CALL_SECONDS
from aldis.domain.streams import EXPRESS, Broadcast, BroadcastEvent
from aldis.ports.backplane import Backplane, Knock, Ring, Whisper
from integration.redis.processes import (
    ANNA,
    Ears,
    RedisProcess,
    build_batch,
    open_process,
    wait_for,
    wait_until,
)
from servers.guard import Guard
from servers.redis import RedisServer

NODE = "gw-2"
NEWS = Broadcast("bs", (BroadcastEvent(1, b"", channel="news"),))


class Bell:
    """Rings positions for ever, a thousand a second, until told to stop."""

    def __init__(self, backplane: Backplane) -> None:
        self.rung = 0
        self._backplane = backplane
        self._task = asyncio.get_running_loop().create_task(self._ring())

    async def stop(self) -> int:
        """How many it has rung."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        return self.rung

    async def _ring(self) -> None:
        while True:
            await self._backplane.ring({NODE: [build_batch(self.rung + 1)]})
            self.rung += 1
            await asyncio.sleep(0.001)


def lost(*processes: RedisProcess) -> int:
    """How many rings were counted as lost."""
    return sum(process.rings("dropped") + process.rings("unknown_node") for process in processes)


async def test_a_restart_of_redis_loses_rings_and_nothing_else(guard: Guard) -> None:
    """After it both sides go on by themselves; what is heard is in order, and what was lost is counted."""
    with RedisServer(guard=guard) as server:
        ears = Ears()
        async with (
            open_process(server.url, call_seconds=CALL_SECONDS) as one,
            open_process(server.url, call_seconds=CALL_SECONDS) as two,
            two.backplane.listen(NODE, ears),
        ):
            bell = Bell(one.backplane)
            await wait_until(lambda: len(ears.heard) > 50)

            await asyncio.to_thread(server.restart)
            before = len(ears.heard)
            deaf = await wait_until(lambda: len(ears.heard) > before + 50)

            rung = await bell.stop()
            await wait_until(lambda: ears.heard[-1] == rung)

    assert ears.heard == sorted(set(ears.heard))
    assert len(ears.heard) + lost(one, two) >= rung
    print(f"restart of Redis: heard again after {deaf:.1f} s, {rung - len(ears.heard)} of {rung} rings lost")


async def test_a_flush_under_load_loses_rings_and_nothing_else(redis_url: str) -> None:
    """Streams are made again within seconds; nobody fails meanwhile."""
    ears = Ears()
    async with open_process(redis_url) as one, open_process(redis_url) as two, two.backplane.listen(NODE, ears):
        bell = Bell(one.backplane)
        await wait_until(lambda: len(ears.heard) > 50)

        await one.link.run([("FLUSHDB",)])
        before = len(ears.heard)
        deaf = await wait_until(lambda: len(ears.heard) > before + 50)

        rung = await bell.stop()
        await wait_until(lambda: ears.heard[-1] == rung)

    assert ears.heard == sorted(set(ears.heard))
    assert len(ears.heard) + lost(one, two) >= rung
    print(f"flush of Redis: heard again after {deaf:.1f} s, {rung - len(ears.heard)} of {rung} rings lost")


async def test_a_paused_redis_holds_nobody_up(guard: Guard) -> None:
    """Ringing never waits; what cannot be written is dropped and counted, and it goes on when Redis does."""
    with RedisServer(guard=guard) as server:
        ears = Ears()
        async with (
            open_process(server.url, call_seconds=CALL_SECONDS) as one,
            open_process(server.url, call_seconds=CALL_SECONDS) as two,
            two.backplane.listen(NODE, ears),
        ):
            server.pause()
            longest = 0.0
            for pos in range(1, 101):
                started = time.monotonic()
                await one.backplane.ring({NODE: [build_batch(pos)]})
                longest = max(longest, time.monotonic() - started)
                await asyncio.sleep(0.01)
            server.resume()
            await wait_until(lambda: not one.link.is_away)

            await one.backplane.ring({NODE: [build_batch(200)]})
            await wait_until(lambda: 200 in ears.heard)

    assert longest < CALL_SECONDS
    assert one.rings("dropped") >= 50


async def test_without_redis_a_process_still_rings_itself() -> None:
    """It starts, and its own users are rung; other nodes are not."""
    ears = Ears()
    async with open_process("redis://127.0.0.1:1") as one, one.backplane.listen(NODE, ears):
        await one.backplane.ring({NODE: [build_batch(1)], "gw-3": [build_batch(1)]})
        await one.backplane.ring_all([Knock(ANNA)])

        assert ears.heard == [1]
        assert ears.others == [Knock(ANNA)]
        assert one.rings("taken") == 2
    assert one.rings("dropped") == 2


async def test_a_process_that_starts_before_redis_is_heard_and_hears_later(guard: Guard) -> None:
    """Nobody has to restart it."""
    server = RedisServer(guard=guard)
    ears = Ears()
    try:
        async with (
            open_process(server.url, call_seconds=CALL_SECONDS) as one,
            open_process(server.url, call_seconds=CALL_SECONDS) as two,
            two.backplane.listen(NODE, ears),
        ):
            await asyncio.to_thread(server.start)

            async def is_heard() -> bool:
                await one.backplane.ring({NODE: [build_batch(1)]})
                return bool(ears.heard)

            await wait_for(is_heard)
    finally:
        server.close()


async def test_nothing_piles_up_for_a_node_that_is_gone(redis_url: str) -> None:
    """Its streams end by themselves, are made again by nobody, and what is rung there is counted."""
    async with open_process(redis_url) as one, open_process(redis_url) as two:
        key = one.link.keyspace.stream(NODE, STANDARD_LANE)
        async with two.backplane.listen(NODE, Ears()):
            pass
        (ms,) = await one.link.run([("PTTL", key)])
        await one.link.run([("DEL", key)])

        await one.backplane.ring({NODE: [build_batch(1), build_batch(2)]})
        await wait_until(lambda: one.rings("unknown_node") == 2)

        assert await one.link.run([("EXISTS", key)]) == [0]
    assert 0 < ms <= STREAM_SECONDS * 1000


async def test_what_was_trimmed_unread_is_counted(redis_url: str) -> None:
    """By the writers' counts a reader knows exactly how many rings it has missed; what it hears twice is no loss."""
    ears = Ears()
    async with open_process(redis_url) as one, open_process(redis_url) as two, two.backplane.listen(NODE, ears):
        key = one.link.keyspace.stream(NODE, STANDARD_LANE)
        for sent_before, pos in ((0, 1), (5, 6), (5, 6), (6, 7)):
            letter = encode_letter("another", sent_before, [encode_ring(build_batch(pos))])
            await one.link.run([("XADD", key, "*", "d", letter)])

        await wait_until(lambda: ears.heard == [1, 6, 6, 7])
        assert two.rings("dropped") == 4


async def test_streams_are_bounded(redis_url: str) -> None:
    """Who does not read costs no more than so many letters; of what is ephemeral few are kept."""
    async with open_process(redis_url) as one, open_process(redis_url) as two:
        async with two.backplane.listen(NODE, Ears()):
            pass  # the streams are there, and nobody reads
        for _ in range(3 * MOST_LETTERS[WHISPERED]):
            await one.backplane.ring({NODE: [Whisper(ANNA, b"x" * LETTER_BYTES)]})
        await one.backplane.settle()

        (length,) = await one.link.run([("XLEN", one.link.keyspace.stream(NODE, WHISPERED))])

    assert length <= 1.2 * MOST_LETTERS[WHISPERED]


async def test_what_people_wrote_does_not_stay(redis_url: str) -> None:
    """Letters leave after half a minute, read or not; what comes after is heard as ever."""
    ears = Ears()
    async with open_process(redis_url) as one, open_process(redis_url) as two:
        key = one.link.keyspace.stream(ALL, STANDARD_LANE)
        (now,) = await one.link.run([("TIME",)])
        old_id = f"{(int(now[0]) - STREAM_SECONDS - 1) * 1000}-0"
        await one.link.run([("XADD", key, old_id, "d", encode_letter("another", 0, [encode_ring(Knock(ANNA))]))])

        async with two.backplane.listen(NODE, ears):
            assert await one.link.run([("XLEN", key)]) == [0]
            await one.backplane.ring_all([NEWS])
            await wait_until(lambda: ears.others == [NEWS])


async def test_of_a_backlog_express_is_read_first(redis_server: RedisServer, redis_url: str) -> None:
    """And what is ephemeral last, wherever it was rung."""
    async with open_process(redis_url) as one, open_process(redis_url) as two:
        backlog: list[tuple[str, Ring]] = [
            (WHISPERED, Whisper(ANNA, b"{}")),
            *((STANDARD_LANE, build_batch(pos)) for pos in range(1, 101)),
            (EXPRESS_LANE, build_batch(5000, source=EXPRESS)),
        ]

        class Busy(Ears):
            def __call__(self, rings: Sequence[Ring]) -> None:
                super().__call__(rings)
                if self.heard == [0]:  # while it is here it cannot read
                    with redis.Redis.from_url(redis_url) as other:
                        for lane, ring in backlog:
                            letter = encode_letter("another", 0, [encode_ring(ring)])
                            other.xadd(one.link.keyspace.stream(NODE, lane), {"d": letter})

        ears = Busy()
        async with two.backplane.listen(NODE, ears):
            await one.backplane.ring({NODE: [build_batch(0)]})
            await wait_until(lambda: bool(ears.others))

    assert ears.heard == [0, 5000, *range(1, 101)]


async def test_a_letter_that_cannot_be_read_is_counted_and_passed_over(redis_url: str) -> None:
    """Another version may write what this one does not know."""
    ears = Ears()
    async with open_process(redis_url) as one, open_process(redis_url) as two, two.backplane.listen(NODE, ears):
        await one.link.run([("XADD", one.link.keyspace.stream(NODE, STANDARD_LANE), "*", "d", b"\xc1nonsense")])
        await one.backplane.ring({NODE: [build_batch(1)]})

        await wait_until(lambda: ears.heard == [1])
        assert two.rings("dropped") == 1
