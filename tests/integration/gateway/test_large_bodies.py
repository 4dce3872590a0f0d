"""Bodies that are too large, on the real process: refused while they stream in, and what that costs in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import pytest

from aldis.telemetry.tasks import cancel_and_wait, spawn
from integration.gateway.sockets import new_name, problem, rest, text
from served import Server
from servers.ports import HOST

PIECE = b"x" * 16 * 1024
CHUNK = b"%x\r\n%b\r\n" % (len(PIECE), PIECE)
MEANT = 64 * 1024 * 1024  # bytes that each client means to send
AT_ONCE = 40
ROOM = 32 * 1024 * 1024  # by which the process may grow, while 2.5 GiB are meant
KEPT_BACK = 32 * 1024 * 1024  # what is dropped, and what the kernels of both ends take of a body that nobody reads
WAIT = 30.0


class Refusal(NamedTuple):
    """How a body ended: the status, and how much the client got rid of until it was said."""

    status: int
    sent: int


async def pour(server: Server, head: bytes, piece: bytes) -> Refusal:
    """Send a body that has no end, until the server answers."""
    reader, writer = await asyncio.open_connection(HOST, server.port)
    sent = 0

    async def say() -> None:
        nonlocal sent
        with suppress(ConnectionError):
            while sent < MEANT:
                writer.write(piece)
                await writer.drain()
                sent += len(piece)

    writer.write(head)
    saying = spawn(say(), "body")
    try:
        async with asyncio.timeout(WAIT):
            status = int((await reader.readline()).split()[1])
    finally:
        await cancel_and_wait(saying)
        writer.transport.abort()
    return Refusal(status, sent)


def head_of(server: Server, *more: str) -> bytes:
    lines = ["POST /v1/messages HTTP/1.1", "Host: x", f"Authorization: Bearer {server.token(new_name('ann'))}", *more]
    return "\r\n".join([*lines, "Content-Type: application/json", "", ""]).encode()


@asynccontextmanager
async def watched(server: Server, what: str) -> AsyncIterator[None]:
    """Look at the server's memory all the while: it must not grow by what it is sent, and the figures are told."""
    before = highest = server.rss()

    async def watch() -> None:
        nonlocal highest
        while True:
            highest = max(highest, server.rss())
            await asyncio.sleep(0.005)

    watching = spawn(watch(), "memory")
    try:
        yield
    finally:
        await cancel_and_wait(watching)
    figures = {"before": before, "highest": highest, "after": server.rss()}
    print(f"{what}: RSS {', '.join(f'{name} {size / 1024**2:.1f} MiB' for name, size in figures.items())}")
    assert highest - before < ROOM


@pytest.mark.parametrize(
    ("more", "piece"),
    [
        (f"Content-Length: {MEANT}", PIECE),
        ("Transfer-Encoding: chunked", CHUNK),
    ],
    ids=["declared", "undeclared"],
)
async def test_a_body_that_is_too_large_is_refused_while_it_comes(server: Server, more: str, piece: bytes) -> None:
    """413 long before its end, from forty clients at once, and the process keeps nothing of it."""
    head = head_of(server, more)
    async with watched(server, f"{AT_ONCE} bodies of {MEANT >> 20} MiB, {more}"):
        refusals = await asyncio.gather(*(pour(server, head, piece) for _ in range(AT_ONCE)))

    assert {refusal.status for refusal in refusals} == {413}
    assert max(refusal.sent for refusal in refusals) < KEPT_BACK
    print(f"{more}: taken until refused {max(refusal.sent for refusal in refusals) / 1024**2:.1f} MiB at most")


@pytest.mark.parametrize("is_declared", [True, False])
async def test_whoever_is_refused_hears_why(server: Server, *, is_declared: bool) -> None:
    """Also a client that sends to the end before it reads; then the next request is served."""
    whole = PIECE * 512

    async def stream() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), len(PIECE)):
            yield whole[start : start + len(PIECE)]

    async with rest(server, server.token(new_name("ann"))) as http:
        headers = {"content-type": "application/json"}
        refusals = [
            await http.post("/v1/messages", content=whole if is_declared else stream(), headers=headers)
            for _ in range(5)
        ]
        body = {"to": {"user": new_name("bob")}, "content": text()}
        assert (await http.post("/v1/messages", json=body)).status_code == 201

    assert [problem(refused) for refused in refusals] == [(413, "too_large")] * 5


async def test_a_body_that_goes_on_after_its_answer_is_cut_off(server: Server) -> None:
    """Whatever the answer was: without a credential, at a path that is none. Nobody is read for ever."""
    for head in (
        head_of(server, "Transfer-Encoding: chunked").replace(b"Bearer", b"Nobody"),
        head_of(server, "Transfer-Encoding: chunked").replace(b"/v1/messages", b"/v1/nowhere"),
    ):
        reader, writer = await asyncio.open_connection(HOST, server.port)
        writer.write(head)
        sent = 0
        with suppress(ConnectionError):
            async with asyncio.timeout(WAIT):
                while sent < MEANT and not writer.is_closing():
                    writer.write(CHUNK)
                    await writer.drain()
                    sent += len(CHUNK)
        writer.transport.abort()
        assert sent < MEANT, reader


async def test_a_large_edit_is_refused_as_a_large_send_is(server: Server) -> None:
    """Every call's body has the same bound."""
    head = head_of(server, "Transfer-Encoding: chunked").replace(
        b"POST /v1/messages", b"PATCH /v1/messages/01a3185c-5000-74ec-9654-2e063d8fc4e8"
    )
    async with watched(server, "an edit"):
        refusal = await pour(server, head, CHUNK)

    assert refusal.status == 413
    assert refusal.sent < KEPT_BACK
