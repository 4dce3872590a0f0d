"""RabbitMQ restarted, killed, frozen, starved, wiped and not there: nothing confirmed is lost, and nothing hangs."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest
import structlog.testing

from aldis.adapters.rabbitmq import topology
from aldis.adapters.rabbitmq.broker import RabbitBroker
from aldis.domain.errors import Unavailable
from integration.broker.trying_node import TESTS, TryingNode
from integration.broker.working import PUBLISH_SECONDS, QUEUE, Worker, opened, wait_until
from servers.ports import HOST, free_port

pytestmark = pytest.mark.slow
KNOWN_SECONDS = 2.0  # RabbitMQ 3.10 forgets to start a replicated queue that is younger than that when it is killed
GRACE_SECONDS = 3.0  # of a busy machine, over the time that a call may take
STUCK_CONSUMER = """
import asyncio, sys
from integration.broker.working import QUEUE, opened

async def hold(item):
    print(item.decode(), flush=True)
    await asyncio.Event().wait()

async def main():
    async with opened(sys.argv[1]) as broker, broker.consume(QUEUE, hold):
        await asyncio.Event().wait()

asyncio.run(main())
"""


class Stream:
    """Publishes one item after the other, for as long as it is told to, and knows which ones were confirmed."""

    def __init__(self, broker: RabbitBroker) -> None:
        self.confirmed: set[bytes] = set()
        self.refused: list[Unavailable] = []
        self.longest = 0.0
        self._broker = broker
        self._number = 0

    async def run(self) -> None:
        while True:
            self._number += 1
            item, began = b"%d" % self._number, time.perf_counter()
            try:
                await self._broker.publish(QUEUE, item)
                self.confirmed.add(item)
            except Unavailable as error:
                self.refused.append(error)
                await asyncio.sleep(0.01)
            self.longest = max(self.longest, time.perf_counter() - began)

    async def wait_more(self, count: int) -> None:
        wanted = len(self.confirmed) + count
        await wait_until(lambda: len(self.confirmed) >= wanted)


@asynccontextmanager
async def streaming(broker: RabbitBroker) -> AsyncGenerator[Stream]:
    """Several publish at once."""
    stream = Stream(broker)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stream.run()) for _ in range(5)]
        yield stream
        for task in tasks:
            task.cancel()


async def publishes(broker: RabbitBroker, item: bytes) -> bool:
    try:
        await broker.publish(QUEUE, item)
    except Unavailable:
        return False
    return True


async def wait_published(broker: RabbitBroker, item: bytes) -> None:
    async with asyncio.timeout(60):
        while not await publishes(broker, item):
            await asyncio.sleep(0.05)


@asynccontextmanager
async def stuck_consumer(url: str) -> AsyncGenerator[Process]:
    """Another process that takes items and never finishes one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STUCK_CONSUMER, url, env={**os.environ, "PYTHONPATH": str(TESTS)}, stdout=PIPE
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize("ending", ["restarted", "killed"])
async def test_nothing_confirmed_is_lost_when_the_broker_goes(node: TryingNode, url: str, ending: str) -> None:
    """Publishers and a consumer go on by themselves; every confirmed item arrives, and no call takes too long."""
    worker, began = Worker(), time.perf_counter()
    async with opened(url) as broker, broker.consume(QUEUE, worker), streaming(broker) as stream:
        await stream.wait_more(200)
        await wait_until(lambda: time.perf_counter() - began > KNOWN_SECONDS)
        await asyncio.to_thread(node.stop if ending == "restarted" else node.kill)
        await wait_until(lambda: len(stream.refused) >= 3)
        await asyncio.to_thread(node.start)
        await stream.wait_more(200)
        await wait_until(lambda: stream.confirmed <= set(worker.items))

    repeated = len(worker.items) - len(set(worker.items))
    print(f"{len(stream.confirmed)} confirmed, all worked on, {repeated} twice, {len(stream.refused)} calls refused")
    assert stream.longest < PUBLISH_SECONDS + GRACE_SECONDS


async def test_a_frozen_broker_refuses_in_time_and_is_used_again(node: TryingNode, url: str) -> None:
    """It holds its connections and says nothing: calls end with their time, and work goes on when it thaws."""
    worker = Worker()
    async with opened(url) as broker, broker.consume(QUEUE, worker):
        await broker.publish(QUEUE, b"before")
        node.pause()
        try:
            began = time.perf_counter()
            with pytest.raises(Unavailable):
                await broker.publish(QUEUE, b"meanwhile")
            assert time.perf_counter() - began < PUBLISH_SECONDS + GRACE_SECONDS
            with structlog.testing.capture_logs() as logs:  # the connection is given up
                await wait_until(lambda: any(line.get("outcome") == "stuck" for line in logs))
            began = time.perf_counter()
            assert not await publishes(broker, b"later")
            assert time.perf_counter() - began < PUBLISH_SECONDS
        finally:
            node.resume()
        await wait_published(broker, b"after")
        await wait_until(lambda: {b"before", b"after"} <= set(worker.items))


async def test_a_starving_broker_refuses_and_consumers_go_on(node: TryingNode, url: str) -> None:
    """Short of memory it takes nothing: calls say so at once, and what lies there is still handed out."""
    worker = Worker()
    async with opened(url) as broker:
        await broker.publish(QUEUE, b"before")
        await asyncio.to_thread(node.starve)
        try:
            with pytest.raises(Unavailable):  # the broker tells of its alarm when it is given something
                while True:
                    await broker.publish(QUEUE, b"meanwhile")
            began = time.perf_counter()
            with pytest.raises(Unavailable, match="memory or disk"):
                await broker.publish(QUEUE, b"meanwhile")
            assert time.perf_counter() - began < PUBLISH_SECONDS
            async with broker.consume(QUEUE, worker):
                await wait_until(lambda: b"before" in worker.items)
        finally:
            await asyncio.to_thread(node.feed)
        async with broker.consume(QUEUE, worker):
            await wait_published(broker, b"after")
            await wait_until(lambda: b"after" in worker.items)


async def test_a_wiped_broker_is_repaired(node: TryingNode, url: str) -> None:
    """Its virtual host is gone and comes back empty: all is declared again and work goes on."""
    worker, listener = Worker(), Worker()
    async with opened(url) as broker, broker.consume(QUEUE, worker), broker.bind("message.#", listener):
        await broker.publish(QUEUE, b"before")
        await wait_until(lambda: worker.items == [b"before"])

        await asyncio.to_thread(node.wipe, url)
        await wait_published(broker, b"after")
        await wait_until(lambda: b"after" in worker.items)
        async with asyncio.timeout(30):
            while not listener.items:
                await broker.announce("message.accepted.chat", b"[]")
                await asyncio.sleep(0.05)

    assert node.names(url) == {topology.work_queue(QUEUE), topology.dead_queue(QUEUE)}


async def test_a_killed_consumer_leaves_its_item_to_the_next(url: str) -> None:
    """It was in the middle of it: another one gets it."""
    worker = Worker()
    async with opened(url) as broker:
        await broker.publish(QUEUE, b"item")
        async with stuck_consumer(url) as process:
            assert process.stdout is not None
            async with asyncio.timeout(20):
                while await process.stdout.readline() != b"item\n":  # log lines come before
                    pass
            async with broker.consume(QUEUE, worker):
                process.send_signal(signal.SIGKILL)
                await wait_until(lambda: worker.items == [b"item"])


async def test_a_consumer_finishes_what_it_has_in_hand(url: str) -> None:
    """Told to end it takes nothing more, finishes the one item, and leaves the others as they were."""
    started, may_finish = asyncio.Event(), asyncio.Event()
    finished: list[bytes] = []

    async def handle(item: bytes) -> None:
        started.set()
        await may_finish.wait()
        finished.append(item)

    rest = Worker()
    async with opened(url) as broker:
        for item in (b"1", b"2", b"3"):
            await broker.publish(QUEUE, item)
        consumer = broker.consume(QUEUE, handle)
        await consumer.__aenter__()
        await started.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(consumer.__aexit__(None, None, None))
            await asyncio.sleep(0)
            may_finish.set()
        async with broker.consume(QUEUE, rest):
            await wait_until(lambda: len(rest.items) == 2)

    assert finished == [b"1"]
    assert rest.items == [b"2", b"3"]


async def test_a_broker_that_is_not_there_at_the_start_is_waited_for(node: TryingNode, url: str) -> None:
    """The process starts all the same, refuses at once, and goes on by itself when the broker has come."""
    worker = Worker()
    await asyncio.to_thread(node.stop)
    with structlog.testing.capture_logs() as logs:
        async with opened(url) as broker, broker.consume(QUEUE, worker):
            ages = [broker.age]
            began = time.perf_counter()
            assert not await publishes(broker, b"early")
            assert time.perf_counter() - began < PUBLISH_SECONDS
            await asyncio.to_thread(node.start)
            await wait_published(broker, b"item")
            await wait_until(lambda: worker.items == [b"item"])
            ages.append(broker.age)

    assert ages[0] is None
    assert ages[1] is not None
    assert "broker_unreachable" in {line["event"] for line in logs}
    assert node.password not in str(logs)


async def test_one_of_several_nodes_is_enough(node: TryingNode, url: str) -> None:
    """An address may name nodes that are not there."""
    account, _, place = url.rpartition("@")
    several = f"{account}@{HOST}:{free_port()},{place.partition('/')[0]},{HOST}:{free_port()}/{place.partition('/')[2]}"

    async with opened(several) as broker:
        await wait_published(broker, b"item")


async def test_a_wrong_password_is_told_without_it(url: str) -> None:
    """The log names the host and the kind of failure."""
    wrong = "no-such-password"
    scheme, _, rest = url.partition("://")
    user = rest.partition(":")[0]

    with structlog.testing.capture_logs() as logs:
        async with opened(f"{scheme}://{user}:{wrong}@{rest.rpartition('@')[2]}") as broker:
            with pytest.raises(Unavailable) as refused:
                await broker.publish(QUEUE, b"item")

    [line, *_] = [line for line in logs if line["event"] == "broker_unreachable"]
    assert line["reason"] == "ProbableAuthenticationError"
    assert wrong not in str(logs)
    assert wrong not in str(refused.value)


async def test_an_encrypted_connection_knows_whom_it_speaks_to(node: TryingNode, url: str) -> None:
    """With the authority's certificate it works; without it nobody is spoken to."""
    encrypted = node.tls_url_of(url)

    async with opened(f"{encrypted}?cafile={node.certificate}") as broker:
        await broker.publish(QUEUE, b"item")
    with structlog.testing.capture_logs() as logs:
        async with opened(encrypted) as broker:
            assert not await publishes(broker, b"item")

    assert {line["reason"] for line in logs if line["event"] == "broker_unreachable"} == {"SSLCertVerificationError"}
