"""Carries the outbox to whatever connection there is, and its answers to those who wait for them."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aldis_client.backoff import Backoff
from aldis_client.connection import Connection, Frame
from aldis_client.errors import OutboxFull, SendRejected
from aldis_client.outbox import Entry, Outbox, Payload
from aldis_client.sends import SendResult, parse_result
from aldis_client.stats import Stats

Sending = asyncio.Future[SendResult]


class Sender:
    """Takes sends, in order, and keeps each until it is answered; at most `limit` of them."""

    def __init__(
        self,
        *,
        window: int,
        limit: int,
        retry: Backoff,
        stats: Stats,
        on_put: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = Outbox(window=window)
        self._limit = limit
        self._door = asyncio.Lock()
        self._freed = asyncio.Event()
        self._retry = retry
        self._stats = stats
        self._on_put = on_put
        self._waiting: dict[int, Sending] = {}
        self._wake = asyncio.Event()
        self._clock = clock
        self._end: Exception | None = None

    def __len__(self) -> int:
        """How many sends have no answer yet."""
        return len(self._outbox)

    async def submit(self, payload: Payload) -> SendResult:
        """Send and wait for the answer; waits for room first. Cancelling takes it back, if it has not left."""
        async with self._door:  # In turn, so that waiting for room keeps the order.
            while self._is_full and self._end is None:
                self._freed.clear()
                await self._freed.wait()
            sending = self._put(payload)
        return await sending

    def submit_nowait(self, payload: Payload) -> Sending:
        """Send; the future gets the answer. Raises `OutboxFull`."""
        if self._is_full or self._door.locked():
            raise OutboxFull("too many sends wait for an answer; await some of them first")
        return self._put(payload)

    async def pump(self, connection: Connection) -> None:
        """Write what is due, for as long as the connection lasts."""
        while True:
            while (entry := self._outbox.take(self._clock())) is not None:
                self._stats.sends += 1
                await connection.command("send", entry.payload, partial(self._on_reply, entry))
            await self._wait(self._outbox.wait_seconds(self._clock()))

    def disconnected(self) -> None:
        """Put back what the lost connection had not answered."""
        self._stats.retries += self._outbox.disconnected()

    def close(self, error: Exception) -> None:
        """Fail everything that waits, and whatever comes."""
        self._end = error
        self._freed.set()
        for sending in list(self._waiting.values()):
            if not sending.done():
                sending.set_exception(error)
                sending.exception()  # Seen: a send that nobody awaits is not worth a traceback at the end.

    @property
    def _is_full(self) -> bool:
        return len(self._outbox) >= self._limit

    def _put(self, payload: Payload) -> Sending:
        if self._end is not None:
            raise self._end
        number = self._outbox.put(payload)
        sending: Sending = asyncio.get_running_loop().create_future()
        self._waiting[number] = sending
        sending.add_done_callback(lambda _: self._settled(number))
        self._wake.set()
        self._on_put()
        return sending

    def _settled(self, number: int) -> None:
        self._outbox.answer(number)
        self._waiting.pop(number, None)
        self._freed.set()
        self._wake.set()

    def _on_reply(self, entry: Entry, frame: Frame) -> None:
        error = frame.get("error")
        if error is not None and error.get("retryable"):
            self._hold(entry, error)
        else:
            self._settle(entry, frame, error)
        self._wake.set()

    def _hold(self, entry: Entry, error: Mapping[str, Any]) -> None:
        floor = (error.get("retry_after_ms") or 0) / 1000
        self._outbox.hold(entry.number, self._clock() + self._retry.delay(entry.attempts, floor_seconds=floor))
        self._stats.retries += 1

    def _settle(self, entry: Entry, frame: Frame, error: Mapping[str, Any] | None) -> None:
        result = parse_result(frame.get("send") or {}) if error is None else None
        self._outbox.answer(entry.number)
        sending = self._waiting.get(entry.number)
        if sending is None or sending.done():
            return
        if result is not None:
            sending.set_result(result)
        elif error is not None:
            sending.set_exception(SendRejected.of(error))

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
