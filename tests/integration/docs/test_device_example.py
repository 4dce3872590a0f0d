"""The client of docs/streams.md, as a process against a real server: killed, restarted, and told to begin anew."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from aldis_client import AldisClient
from served import Server, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
CHECKOUT = Path(__file__).parents[3]
PATIENCE_SECONDS = 60.0
KILLS = 4
MESSAGES = 30  # between two kills


class Device:
    """The example, with its file. It is killed and started as often as a test likes."""

    def __init__(self, server: Server, file: Path) -> None:
        self._server = server
        self._file = file
        self._log = file.with_suffix(".log")
        self.process: Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, CHECKOUT / "examples" / "device.py",
                self._server.url, self._server.token("alice"), str(self._file),
                stdin=DEVNULL, stdout=log, stderr=log, env={**os.environ, "no_proxy": "*"},
            )  # fmt: skip

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()

    def texts(self) -> list[str]:
        """What it has kept, in the order of the conversation."""
        if not self._file.exists():
            return []
        with closing(sqlite3.connect(self._file, timeout=30)) as database:
            found = database.execute("SELECT name FROM sqlite_schema WHERE name = 'messages'").fetchone()
            rows = database.execute("SELECT body FROM messages").fetchall() if found else []
        messages = sorted((json.loads(body) for (body,) in rows), key=lambda message: message["seq"])
        return [message["content"]["text"] for message in messages]

    def printed(self) -> list[str]:
        return self._log.read_text(encoding="utf-8").splitlines()

    async def has(self, texts: list[str]) -> None:
        """Wait until it has kept these, and nothing else."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self.texts() != texts:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"it has {self.texts()}, and has printed {self.printed()[-5:]}") from None

    async def has_at_least(self, count: int) -> None:
        """Wait until it has kept so many."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.texts()) < count:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def device_of(server: Server, file: Path) -> AsyncGenerator[Device]:
    device = Device(server, file)
    await device.start()
    try:
        yield device
    finally:
        await device.kill()


async def send(server: Server, *texts: str) -> None:
    client = AldisClient(server.ws_url, server.token("bob"), queue_size=0, proxy=None, sends_in_flight=1)
    async with client:
        for text in texts:
            await client.send(to_user="alice", text=text)


async def test_each_message_is_kept_once_whoever_is_killed(tmp_path: Path) -> None:
    """The device and the server die at moments of their own; all that was accepted is there once and in order."""
    sent: list[str] = []
    async with (
        served(tmp_path, open_throttle=True) as server,
        device_of(server, tmp_path / "phone.db") as device,
    ):
        for round_ in range(KILLS):
            texts = [f"{round_}-{number}" for number in range(MESSAGES)]
            sent += texts
            sending = asyncio.ensure_future(send(server, *texts))  # noqa: TID251  awaited below
            await device.has_at_least(MESSAGES * round_ + round_)
            await (device.kill() if round_ % 2 else server.kill())
            await (device.start() if round_ % 2 else server.start())
            await sending
        await device.has(sent)

    new = [line for line in device.printed() if " message " in line]
    assert max(Counter(new).values()) == 1, "an event was taken for new twice"
    print(f"{len(sent)} sent, {len(new)} printed, {KILLS} kills")


async def test_a_device_that_cannot_go_on_begins_anew(tmp_path: Path) -> None:
    """After a change of the epoch it keeps the last message of each conversation and what comes then."""
    async with (
        served(tmp_path, open_throttle=True) as server,
        device_of(server, tmp_path / "phone.db") as device,
    ):
        await send(server, "one", "two")
        await device.has(["one", "two"])
        await server.terminate()
        with closing(sqlite3.connect(server.data_dir / "aldis.db")) as database, database:
            database.execute("UPDATE installation SET epoch = 'another'")
        await server.start()
        await device.has(["two"])

        await send(server, "three")

        await device.has(["two", "three"])


async def test_a_device_that_is_not_wanted_says_why(tmp_path: Path) -> None:
    """A second one of the same name takes the place of the first, which ends and does not come back."""
    async with (
        served(tmp_path, open_throttle=True) as server,
        device_of(server, tmp_path / "first.db") as first,
    ):
        await send(server, "one")
        await first.has(["one"])
        async with device_of(server, tmp_path / "second.db"):
            assert first.process is not None
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await first.process.wait() == 1

    assert first.printed()[-1].startswith("not wanted: 4409")


async def test_a_wrong_token_is_said(tmp_path: Path) -> None:
    """It ends with the server's words."""
    async with served(tmp_path) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, CHECKOUT / "examples" / "device.py", server.url, "nonsense", str(tmp_path / "x.db"),
            stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE_SECONDS):
            _, said = await process.communicate()

    assert process.returncode == 1
    assert said.startswith(b"refused: unauthorized: ")
