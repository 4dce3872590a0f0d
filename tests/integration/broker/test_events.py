"""Events as an outsider gets them: a queue of his own, bound to the exchange, and what docs/events.md says."""

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aio_pika
import httpx2
import pytest
from aio_pika.abc import AbstractIncomingMessage

from integration.broker.trying_node import TryingNode
from integration.broker.working import wait_until
from integration.gateway.sockets import chat, connected, rest
from served import Server, served
from servers.rabbitmq import RabbitServer

pytestmark = pytest.mark.slow
PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
OF_SENDERS = ("message.accepted", "message.edited", "message.deleted")  # they have no one recipient
SENDERS = 8
Json = dict[str, Any]


def block(name: str) -> str:
    """A block of code of the page."""
    found = re.search(rf"<!-- tested: {name} -->\n```[a-z]+\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def shape(value: Any) -> Any:
    """Names and types."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(inner) for inner in value[:1]] if isinstance(value, list) else type(value)


def unix_ms(time: str) -> int:
    """What is written in an id for a time."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)


class Outsider:
    """Another system with a queue of its own."""

    def __init__(self) -> None:
        self.batches: list[AbstractIncomingMessage] = []

    async def take(self, batch: AbstractIncomingMessage) -> None:
        self.batches.append(batch)
        await batch.ack()

    def events(self, type_: str) -> list[Json]:
        return [event for batch in self.batches for event in json.loads(batch.body) if event["type"] == type_]

    def ids(self, type_: str) -> set[str]:
        return {event["data"]["message_id"] for event in self.events(type_)}


async def bind(url: str, pattern: str = "message.#") -> None:
    """A durable queue for what comes from now on."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange("aldis.events", aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue("billing.events", durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind(exchange, pattern)


@asynccontextmanager
async def reading(url: str) -> AsyncGenerator[Outsider]:
    """What lies in the queue, and what comes while the block is open."""
    outsider = Outsider()
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue("billing.events")
        await queue.consume(outsider.take)
        yield outsider


async def post(http: httpx2.AsyncClient, user: str, number: int) -> str | None:
    """The id of a message, if its acceptance was heard of."""
    body = {"to": {"user": user}, "content": {"type": "text", "text": "hi"}, "client_id": f"c{number}"}
    try:
        answer = await http.post("/v1/messages", json=body)
    except httpx2.HTTPError:
        return None
    return answer.json()["message_id"] if answer.status_code == httpx2.codes.CREATED else None


class Traffic:
    """Users who write all the time, and what was accepted of it."""

    def __init__(self, server: Server) -> None:
        self.accepted: set[str] = set()
        self._server = server

    async def write(self, sender: int) -> None:
        async with rest(self._server, self._server.token(f"sender-{sender}")) as http:
            number = sender
            while True:
                number += SENDERS
                accepted = await post(http, f"reader-{number % 5}", number)
                if accepted is None:
                    await asyncio.sleep(0.02)
                else:
                    self.accepted.add(accepted)

    async def wait_more(self, count: int) -> None:
        wanted = len(self.accepted) + count
        await wait_until(lambda: len(self.accepted) >= wanted)


@asynccontextmanager
async def traffic(server: Server) -> AsyncGenerator[Traffic]:
    running = Traffic(server)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(running.write(sender)) for sender in range(SENDERS)]
        yield running
        for task in tasks:
            task.cancel()


async def test_events_are_as_the_page_says(rabbitmq_url: str, tmp_path: Path) -> None:
    """Each step of a message comes to a queue that an outsider has bound, in the documented form and no other."""
    await bind(rabbitmq_url)
    async with AsyncExitStack() as stack:
        outsider = await stack.enter_async_context(reading(rabbitmq_url))
        server = await stack.enter_async_context(served(tmp_path, open_throttle=True, ALDIS_RABBITMQ_URL=rabbitmq_url))
        bob = await stack.enter_async_context(connected(server, "bob", "phone"))
        alice = await stack.enter_async_context(connected(server, "alice", "phone"))
        sent = await bob.send(chat("alice"))
        [event] = await alice.events("s", 1)
        await wait_until(lambda: bool(outsider.events("message.sent")))
        await alice.say({"ack": {"s": event["pos"]}})
        await alice.ask(read={"conversation_id": sent["conversation_id"], "seq": sent["seq"]})
        async with rest(server, server.token("bob")) as http:
            path = f"/v1/messages/{sent['message_id']}"
            assert (await http.patch(path, json={"content": {"type": "text", "text": "ho"}})).is_success
            assert (await http.delete(path)).is_success
        types = [*OF_SENDERS, "message.sent", "message.delivered", "message.read"]
        await wait_until(lambda: all(outsider.events(type_) for type_ in types))

    [batch] = json.loads(block("batch"))
    documented = {type_: json.loads(block("delivered")) for type_ in types} | dict.fromkeys(OF_SENDERS, batch)
    for taken in outsider.batches:
        assert taken.content_type == "application/cloudevents-batch+json"
        assert taken.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
        for told in json.loads(taken.body):
            word = told["type"].removeprefix("message.")
            assert taken.routing_key == f"{told['type']}.chat"
            assert shape(told) == shape(documented[told["type"]])
            assert told["subject"] == told["data"]["message_id"] == sent["message_id"]
            parts = [sent["message_id"], word] + ([] if told["type"] in OF_SENDERS else ["alice"])
            assert told["id"] in {":".join(parts), ":".join([*parts, str(unix_ms(told["time"]))])}
            assert (told["id"] == ":".join(parts)) is (word not in {"edited", "deleted"})
            assert told["data"]["sender"] == {"user": "bob"}
            assert (told["data"]["seq"], told["data"]["kind"]) == (sent["seq"], "chat")


@pytest.mark.timeout(240)
async def test_every_accepted_message_is_announced(node: TryingNode, url: str, tmp_path: Path) -> None:
    """The publisher is killed, then the broker, then the publisher while the broker is away."""
    await bind(url)
    async with served(tmp_path, open_throttle=True, ALDIS_RABBITMQ_URL=url) as server, traffic(server) as running:
        await running.wait_more(300)
        await server.kill()
        await server.start()
        await running.wait_more(100)
        await asyncio.to_thread(node.kill)
        await running.wait_more(100)  # what is accepted meanwhile waits in the outbox
        await server.kill()
        await asyncio.to_thread(node.start)
        await server.start()
        await running.wait_more(100)
        async with reading(url) as outsider:
            await wait_until(lambda: running.accepted <= outsider.ids("message.accepted"))
    told = outsider.events("message.accepted")

    print(f"{len(running.accepted)} accepted, all announced, {len(told) - len({event['id'] for event in told})} twice")
    assert {event["id"] for event in told} == {f"{event['data']['message_id']}:accepted" for event in told}


async def test_the_program_of_the_page_runs(rabbitmq_server: RabbitServer, rabbitmq_url: str, tmp_path: Path) -> None:
    """Typed as it stands it binds and prints what comes."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", block("bind"), rabbitmq_url, env=dict(os.environ), stdout=PIPE
    )
    vhost = rabbitmq_url.rpartition("/")[2]
    assert program.stdout is not None
    try:
        await wait_until(lambda: len(rabbitmq_server.ask("GET", f"bindings/{vhost}")) == 2)
        async with served(tmp_path, ALDIS_RABBITMQ_URL=rabbitmq_url) as server:
            async with rest(server, server.token("bob")) as http:
                accepted = await post(http, "alice", 1)
            async with asyncio.timeout(20):
                line = await program.stdout.readline()
    finally:
        program.kill()
        await program.wait()

    assert line.decode().split() == ["message.accepted", f"{accepted}:accepted"]
