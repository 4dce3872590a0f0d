"""What a flood costs the others: `python tests/bench/abuse.py [--seconds 10] [--rounds 5]`.

One backend's key sends at a hundred times its limit, over eight connections and open-loop, while others send at a
steady pace. Phases without and with the flood take turns on one server, each round in the other order, so that what the
machine does meanwhile falls on both; the flooder is a process of its own. Printed are the others' p50 and p99 for
both, and the ratio of the p99, the median over the rounds: it is to stay below 1.10.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httptools
import uvloop

if __name__ == "__main__":  # started as a file, only this folder is on the path
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import results
from bench.figures import percentile
from bench.server import GENERATOR_CORE, Server, open_server, pin

LIMIT = 10  # messages a second of the flooding key
TIMES = 100
FLOODING_SOCKETS = 8
OTHERS = 20  # backends, each well below the same limit
PACE = 5  # messages a second of each
LIMITS = {"ALDIS_LIMITS__KEY_MESSAGES_PER_SECOND": str(LIMIT), "ALDIS_LIMITS__KEY_BURST": str(2 * LIMIT)}
CHANNEL = {"apiVersion": "aldis.dev/v1alpha1", "kind": "Channel", "metadata": {"name": "news"}}


class Link:
    """One HTTP connection that stays open; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        self._reader = reader
        self._writer = writer
        self._key = key

    async def send(self, user: str, number: str) -> int:
        """Notify a user; answer the status."""
        content = {"type": "text", "text": "hi"}
        body = json.dumps({"to": {"user": user}, "channel": "news", "client_id": number, "content": content}).encode()
        head = f"POST /v1/messages HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        return await self._answer()

    async def _answer(self) -> int:
        answer = Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.is_whole:
            piece = await self._reader.read(65_536)
            if not piece:
                raise ConnectionError("the server hung up")
            parser.feed_data(piece)
        return int(parser.get_status_code())

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class Answer:
    """Tells when an answer is whole."""

    is_whole = False

    def on_message_complete(self) -> None:
        """The end."""
        self.is_whole = True


async def open_link(port: int, key: str) -> Link:
    """Connect."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return Link(reader, writer, key)


async def keep_pace(link: Link, name: str, *, rate: float, until: float, late: list[float]) -> dict[int, int]:
    """Send at a steady pace, open-loop: the latency counts from when a message was due. Answer the statuses."""
    statuses: dict[int, int] = {}
    begun, number = time.perf_counter(), 0
    while (due := begun + number / rate) < until:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        status = await link.send(f"user-{number % 100}", f"{name}-{time.time_ns()}")
        late.append(time.perf_counter() - due)
        statuses[status] = statuses.get(status, 0) + 1
        number += 1
    return statuses


def add(total: dict[int, int], more: dict[int, int]) -> None:
    """Sum up statuses."""
    for status, count in more.items():
        total[status] = total.get(status, 0) + count


async def flood(port: int, key: str, seconds: float) -> dict[int, int]:
    """Send far too much."""
    links = [await open_link(port, key) for _ in range(FLOODING_SOCKETS)]
    until, total = time.perf_counter() + seconds, dict[int, int]()
    rate = LIMIT * TIMES / FLOODING_SOCKETS
    for statuses in await asyncio.gather(
        *(keep_pace(link, f"f{n}", rate=rate, until=until, late=[]) for n, link in enumerate(links))
    ):
        add(total, statuses)
    for link in links:
        link.close()
    return total


async def phase(server: Server, keys: list[str], flooder: str | None, seconds: float) -> tuple[list[float], str]:
    """The others' latencies, and what was said of the flood."""
    process = None
    if flooder is not None:
        command = [sys.executable, __file__, "--flood", str(server.port), flooder, str(seconds + 1)]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        await asyncio.sleep(1.0)  # it is under way
    links = [await open_link(server.port, key) for key in keys]
    until, late, statuses = time.perf_counter() + seconds, list[float](), dict[int, int]()
    runs, used = [], server.usage()
    for number, link in enumerate(links):
        await asyncio.sleep(1 / (PACE * OTHERS))  # spread over the beat
        runs.append(asyncio.ensure_future(keep_pace(link, f"o{number}", rate=PACE, until=until, late=late)))  # noqa: TID251
    for each in await asyncio.gather(*runs):
        add(statuses, each)
    busy = server.usage().cpu_since(used) / seconds
    for link in links:
        link.close()
    assert set(statuses) == {201}, f"the others were answered {statuses}"
    said = (await process.communicate())[0].decode().strip() if process is not None else "no flood"
    return late, f"{said}, server {busy:.0%} of a core"


async def measure(server: Server, folder: Path, *, seconds: float, rounds: int) -> None:
    """All rounds, and their table."""
    keys = [aldis(folder, "key", "create", f"other-{number}") for number in range(OTHERS)]
    flooder = aldis(folder, "key", "create", "flooder")
    await phase(server, keys, None, 2.0)
    ratios: list[float] = []
    print(f"{OTHERS} backends at {PACE}/s each; one key at {LIMIT * TIMES}/s with a limit of {LIMIT}/s")
    for number in range(rounds):
        order = [None, flooder] if number % 2 == 0 else [flooder, None]
        found = {who: await phase(server, keys, who, seconds) for who in order}
        (calm, quiet), (loud, said) = found[None], found[flooder]
        ratios.append(percentile(loud, 0.99) / percentile(calm, 0.99))
        print(f"round {number + 1}: calm {tell(calm)} ({quiet}); flood {tell(loud)} ({said}); ratio {ratios[-1]:.2f}")
    print(f"ratio of the p99, median of {rounds} rounds: {statistics.median(ratios):.2f} (to be below 1.10)")


def tell(latencies: list[float]) -> str:
    """Two percentiles."""
    return f"p50 {percentile(latencies, 0.5) * 1000:.1f} ms, p99 {percentile(latencies, 0.99) * 1000:.1f} ms"


def aldis(folder: Path, *arguments: str) -> str:
    """Run `aldis …` beside the server."""
    command = [sys.executable, "-m", "aldis", *arguments, "--data-dir", str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Start a server and measure, or be the flooder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flood", nargs=3, metavar=("PORT", "KEY", "SECONDS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    pin(GENERATOR_CORE)
    if arguments.flood:
        port, key, seconds = arguments.flood
        print(dict(sorted(uvloop.run(flood(int(port), key, float(seconds))).items())))
        return
    results.FOLDER.mkdir(exist_ok=True)
    os.environ.update(LIMITS)
    with open_server(prefix="", log=results.FOLDER / "abuse.log") as server:
        channel = server.folder / "news.json"
        channel.write_text(json.dumps({**CHANNEL, "spec": {"type": "Notification"}}))
        aldis(server.folder, "channel", "apply", str(channel))
        uvloop.run(measure(server, server.folder, seconds=arguments.seconds, rounds=arguments.rounds))


if __name__ == "__main__":
    main()
