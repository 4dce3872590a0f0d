"""The first half of FLOOD: 10,000 low messages wait for one user, who reads slowly, and urgent ones overtake them."""

import asyncio
from http import HTTPStatus
from time import perf_counter

from bench import frames, tokens
from bench.backend import Backend
from bench.figures import Figure, Target, percentile
from bench.lines import Lines, open_lines
from bench.order import Order, Verdict
from bench.phone import open_phone
from bench.scenario import never, tell, wait_while_moving
from bench.server import Server

COLUMN = "backlog"
READER, DEVICE = "busy", "phone"
AT_ONCE = 16  # requests on their way while the messages are laid up
EVERY = 0.1  # seconds between two urgent ones
PACE = 512 * 1024  # bytes a second that the phone reads
STILL = 10.0
MOST = 180.0
# What cannot be called back lies in the server's process (up to 48 KiB), in its kernel (16 KiB) and at the reader's end
# (64 KiB in the kernel, 32 KiB in this process): 160 KiB, which the phone reads in 0.3 s.
SOON = Target(limit=500)


class Inbox:
    """What the phone got: how many, in which order, and when the urgent ones came."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.orders = {"e": Order(), "s": Order()}
        self.verdicts: dict[Verdict, int] = dict.fromkeys(Verdict, 0)
        self.low = 0
        self.low_before_first: int | None = None  # low ones in front of the first urgent one
        self.urgent_at: dict[int, tuple[float, int]] = {}  # number: (time, low ones so far)

    def on_event(self, source: str, event: frames.Event, now: float) -> None:
        """Take one event."""
        if source not in self.orders:
            return
        self.verdicts[self.orders[source].judge(event.pos)] += 1
        number = frames.number_of(event.message)
        if source == "s":
            self.low += 1
        elif number is not None:
            self.low_before_first = self.low if self.low_before_first is None else self.low_before_first
            self.urgent_at[number] = (now, self.low)


async def overtake(server: Server, backend: Backend, *, channel: str, waiting: int) -> list[Figure]:
    """Lay the messages up, send one urgent one, connect, and send more urgent ones while the phone reads."""
    secret = server.secret
    hello = frames.build_connect(token=tokens.sign(READER, secret=secret), device=DEVICE)
    inbox = Inbox()
    async with open_phone(server.port, hello, inbox.on_event):
        await asyncio.sleep(1)  # so that the device is known
    tell(f"FLOOD: {waiting:,} low messages are laid up")
    async with open_lines(server.port, AT_ONCE) as lines:
        await _lay_up(lines, backend, channel, range(waiting))
        await post_urgent(lines, backend, channel, READER, waiting)
        async with open_phone(server.port, hello, inbox.on_event, pace=PACE) as phone:
            sent = await _send_urgent(lines, backend, channel, inbox, waiting=waiting)
            await wait_while_moving(
                lambda: inbox.low >= waiting and len(inbox.urgent_at) > len(sent),
                progress=lambda: phone.bytes_read,
                still=STILL,
                most=MOST,
            )
    return _tell(inbox, sent, waiting=waiting, strange=phone.strange)


async def post_urgent(lines: Lines, backend: Backend, channel: str, user: str, number: int) -> None:
    """Send an urgent notification. Raises `ConnectionError` when it is refused."""
    request = backend.post(notification(channel, user, number, priority="urgent"))
    status, body = await lines.answer(request)
    if status != HTTPStatus.CREATED:
        raise ConnectionError(f"an urgent message was refused: {status} {body[:300]!r}")


def notification(channel: str, user: str, number: int, *, priority: str) -> dict[str, object]:
    """Return the body of a notification that carries its number."""
    return {
        "to": {"user": user},
        "kind": "notification",
        "channel": channel,
        "priority": priority,
        "client_id": f"{priority}-{number}",
        "content": frames.content_of(number),
    }


async def _lay_up(lines: Lines, backend: Backend, channel: str, numbers: range) -> None:
    waiting = iter(numbers)

    async def work() -> None:
        for number in waiting:  # shared: each worker takes the next
            status, body = await lines.answer(backend.post(notification(channel, READER, number, priority="low")))
            if status != HTTPStatus.CREATED:
                raise ConnectionError(f"a low message was refused: {status} {body[:300]!r}")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(work())


async def _send_urgent(
    lines: Lines, backend: Backend, channel: str, inbox: Inbox, *, waiting: int
) -> dict[int, tuple[float, int]]:
    """Send urgent ones for as long as low ones come in; return when each was answered, and the low ones by then."""
    sent: dict[int, tuple[float, int]] = {}
    number = waiting
    while inbox.low < waiting * 9 // 10:
        await asyncio.sleep(EVERY)
        number += 1
        await post_urgent(lines, backend, channel, READER, number)
        sent[number] = (perf_counter(), inbox.low)
        if len(sent) * EVERY > MOST:
            break
    return sent


def _tell(inbox: Inbox, sent: dict[int, tuple[float, int]], *, waiting: int, strange: int) -> list[Figure]:
    came = {number: inbox.urgent_at[number] for number in sent if number in inbox.urgent_at}
    delays = [(came[number][0] - sent[number][0]) * 1000 for number in came]
    in_front = [float(came[number][1] - sent[number][1]) for number in came]
    first = inbox.low_before_first
    column = COLUMN
    return [
        Figure(name="low waiting", column=column, value=waiting),
        never("low in front of an urgent one at connecting", waiting if first is None else first, column),
        Figure(name="urgent while reading", column=column, value=len(sent)),
        Figure(name="urgent p50", unit="ms", column=column, value=percentile(delays, 0.50)),
        Figure(name="urgent p99", unit="ms", column=column, value=percentile(delays, 0.99), target=SOON),
        Figure(name="low in front p99", column=column, value=percentile(in_front, 0.99)),
        Figure(name="low received", column=column, value=inbox.low),
        never("missing", waiting - inbox.low + 1 + len(sent) - len(inbox.urgent_at), column),
        never("repeated", inbox.verdicts[Verdict.REPEATED], column),
        never("out of order", inbox.verdicts[Verdict.JUMP] + inbox.verdicts[Verdict.LATE], column),
        never("frames not understood", strange, column),
    ]
