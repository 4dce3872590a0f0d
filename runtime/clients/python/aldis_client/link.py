"""Keeps the client connected: connects, comes back after an ending that allows it, and tells when it is over."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from aldis_client.backoff import Backoff
from aldis_client.connection import CLOSE_SECONDS, Connection, Frame, Welcome, open_connection
from aldis_client.ending import ConnectionEnded, Ending, Verdict
from aldis_client.errors import ClientClosed, Disconnected, Unreachable
from aldis_client.inbox import Inbox
from aldis_client.presence import Watch
from aldis_client.receiver import Receiver
from aldis_client.sender import Sender
from aldis_client.session import run_session
from aldis_client.stats import Stats
from aldis_client.tasks import spawn
from aldis_client.tokens import Tokens

log = logging.getLogger("aldis_client")

SETTLED_SECONDS = 5.0
"""A connection that lived this long was a good one: the next backoff starts from the beginning."""


class Link:
    """One connection after the other, for as long as the server allows it.

    `on_end` is told once why it is over: None when it was closed.
    """

    def __init__(
        self,
        *,
        url: str,
        tokens: Tokens,
        device: dict[str, str] | None,
        proxy: str | Literal[True] | None,
        backoff: Backoff,
        on_frame: Callable[[str], None] | None,
        on_end: Callable[[BaseException | None], None],
        inbox: Inbox,
        receiver: Receiver,
        sender: Sender,
        watch: Watch,
        stats: Stats,
    ) -> None:
        self._url = url
        self._tokens = tokens
        self._device = device
        self._proxy = proxy
        self._backoff = backoff
        self._on_frame = on_frame
        self._on_end = on_end
        self._inbox = inbox
        self._receiver = receiver
        self._sender = sender
        self._watch = watch
        self._stats = stats
        self._changed = asyncio.Event()
        self._up_since: float | None = None
        self._last_ending = Ending()
        self._task: asyncio.Task[None] | None = None
        self._end: BaseException | None = None
        self.connection: Connection | None = None
        self.welcome: Welcome | None = None

    async def open(self, timeout_seconds: float | None) -> None:
        """Start, and wait for the first welcome. Raises `Disconnected`, `Unreachable`, or what the store raised."""
        self._task = spawn(self._run(), name="aldis-client", on_end=self._finish)
        limit = asyncio.timeout(timeout_seconds)
        try:
            async with limit:
                await self.wait_connection()
        except BaseException as error:
            await self.close()
            if isinstance(error, TimeoutError) and limit.expired():
                raise Unreachable(f"no connection to {self._url}: {self._last_ending.reason}") from error
            raise

    async def close(self) -> None:
        """Say what is still to be acknowledged, and go."""
        if self.connection is not None:
            with suppress(ConnectionEnded, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._receiver.flush_acks(self.connection)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._finish(None)

    async def wait_connection(self, *, other_than: Connection | None = None) -> Connection:
        """The connection, as soon as there is one; raises what ended the client when there will be none."""
        while self.connection is None or self.connection is other_than:
            if self._end is not None:
                raise self._end
            self._changed.clear()
            await self._changed.wait()
        return self.connection

    async def _run(self) -> None:
        await self._inbox.load()
        attempt = 0
        while True:
            self._last_ending = ending = await self._live()
            self._check_return(ending)
            log.info("connection ended, coming back: %s", ending.reason)
            attempt = 0 if self._has_settled() else attempt
            await asyncio.sleep(self._backoff.delay(attempt, floor_seconds=ending.after_seconds))
            attempt += 1

    async def _live(self) -> Ending:
        """One connection, from opening to ending."""
        self._up_since = None
        token = await self._tokens.current()
        try:
            async with open_connection(
                self._url, proxy=self._proxy, on_frame=self._on_frame, stats=self._stats
            ) as connection:
                return await self._use(connection, token)
        except ConnectionEnded as ended:
            return ended.ending

    async def _use(self, connection: Connection, token: str) -> Ending:
        welcome = await connection.hello(self._introduction(token))
        await self._receiver.welcome(welcome)
        self._come_up(connection, welcome)
        try:
            await self._watch.renew(connection)
            return await run_session(connection, receiver=self._receiver, sender=self._sender, stats=self._stats)
        finally:
            self.connection = None
            self._changed.set()
            self._sender.disconnected()

    def _introduction(self, token: str) -> Frame:
        cursor = self._inbox.cursor
        fields = {"token": token, "device": self._device, "cursor": None if cursor is None else str(cursor)}
        return {name: value for name, value in fields.items() if value is not None}

    def _come_up(self, connection: Connection, welcome: Welcome) -> None:
        self._stats.reconnects += 1 if self._stats.connects else 0
        self._stats.connects += 1
        self._tokens.accepted()
        self._up_since = asyncio.get_running_loop().time()
        self.welcome = welcome
        self.connection = connection
        self._changed.set()

    def _has_settled(self) -> bool:
        return self._up_since is not None and asyncio.get_running_loop().time() - self._up_since >= SETTLED_SECONDS

    def _check_return(self, ending: Ending) -> None:
        if ending.verdict is Verdict.COME_BACK:
            return
        if ending.verdict is Verdict.FRESH_TOKEN and self._tokens.refused():
            return
        raise Disconnected(ending.code, ending.reason)

    def _finish(self, error: BaseException | None) -> None:
        """The first reason stays."""
        if self._end is None:
            self._end = error or ClientClosed("the client was closed")
            self._changed.set()
            self._on_end(error)
