"""A person at a terminal: runs `aldis …` on one data folder, and reads what it says line by line."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals

from servers.surroundings import surroundings

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """All that it printed, which is one line."""
        (line,) = self.out.splitlines()
        return line


class Running:
    """A command that has not ended yet."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def line(self) -> str:
        """The next line of standard output; empty at its end."""
        assert self.process.stdout is not None
        return await _read_line(self.process.stdout)

    async def complaint(self, words: str) -> str:
        """The next line of standard error that holds `words`."""
        assert self.process.stderr is not None
        while words not in (line := await _read_line(self.process.stderr)):
            assert line, f"it ended without saying {words!r}"
        return line

    async def end(self, number: Signals) -> Outcome:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> Outcome:
        """Wait for the end; the rest of what it says."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Outcome(self.process.returncode, out.decode(), err.decode())


async def _read_line(stream: asyncio.StreamReader) -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return (await stream.readline()).decode().removesuffix("\n")


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where commands are typed: a data folder, the port of its server, and other variables."""

    data_dir: Path
    port: int
    variables: Mapping[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self, *arguments: str) -> AsyncGenerator[Running]:
        """Start `aldis …`; what still runs at the end of the block is killed."""
        process = await self._start(*arguments)
        try:
            yield Running(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def run(self, *arguments: str, stdin: str = "") -> Outcome:
        """Run `aldis …` to its end."""
        process = await self._start(*arguments, stdin=PIPE)
        async with asyncio.timeout(PATIENCE_SECONDS):
            out, err = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return Outcome(process.returncode, out.decode(), err.decode())

    async def _start(self, *arguments: str, stdin: int = DEVNULL) -> Process:
        own = {"ALDIS_DATA_DIR": str(self.data_dir), "ALDIS_PORT": str(self.port), "TZ": "UTC", **self.variables}
        env = surroundings() | own
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "aldis", *arguments, env=env, stdin=stdin, stdout=PIPE, stderr=PIPE
        )
