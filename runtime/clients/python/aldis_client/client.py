"""The client: one device of one user, connected for as long as it is open."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Literal, Self

from aldis_client.backoff import RECONNECT, REPEAT, Backoff
from aldis_client.connection import Connection, Frame, Welcome
from aldis_client.cursor import Cursor
from aldis_client.ending import ConnectionEnded
from aldis_client.errors import ClientClosed, CommandRejected
from aldis_client.event_queue import EventQueue
from aldis_client.events import Event
from aldis_client.inbox import Inbox
from aldis_client.link import Link
from aldis_client.presence import Watch, build_watch, parse_presence
from aldis_client.receiver import OnEphemeral, OnReset, Receiver
from aldis_client.sender import Sender, Sending
from aldis_client.sends import SendResult, build_send
from aldis_client.stats import Stats
from aldis_client.store import MemoryStore, Store
from aldis_client.tokens import TokenProvider, Tokens


class AldisClient:
    """Connects, resumes, receives each message once and in order, and sends each message once.

    Use as `async with AldisClient(url, token, device_id="laptop") as client`. Entering waits for the first welcome:
    raises `Disconnected` when the server wants none of this client, `Unreachable` after `open_timeout` seconds.
    Without a `device_id` the client is ephemeral: it gets what is live and acknowledges nothing.
    """

    def __init__(
        self,
        url: str,
        token: str | TokenProvider,
        device_id: str | None = None,
        store: Store | None = None,
        platform: str = "cli",
        *,
        auto_ack: bool = True,
        on_reset: OnReset | None = None,
        on_ephemeral: OnEphemeral | None = None,
        on_frame: Callable[[str], None] | None = None,
        queue_size: int = 1000,
        outbox_size: int = 1000,
        sends_in_flight: int = 1,
        reconnect_backoff: Backoff = RECONNECT,
        send_backoff: Backoff = REPEAT,
        open_timeout: float | None = 30.0,
        proxy: str | Literal[True] | None = True,
    ) -> None:
        """Say whom to speak to and how; nothing happens before entering.

        Args:
            url: `ws://host/v1/connect` or `wss://…`.
            token: a token, or an async function that gives one when it is needed.
            device_id: the name of this device; one store belongs to one user on one device.
            store: what keeps applied events and the cursor; memory when left out.
            platform: what kind of device this is.
            auto_ack: acknowledge all that is stored; else `ack` decides.
            on_reset: called, and awaited, after the server could not resume and the store was cleared.
            on_ephemeral: gets typing and presence at once; left out, they come out of `events()` among the others.
            on_frame: gets each raw frame before anything else looks at it.
            queue_size: events that may wait for `events()` before reading stops; 0 for a client that only sends.
            outbox_size: sends that may wait for their answers.
            sends_in_flight: sends to one recipient or conversation at once. With 1 their order holds whatever the
                server answers; with more, one may be taken while the one before it is put off.
            reconnect_backoff: how to wait before connecting again.
            send_backoff: how to wait before repeating a send that was put off.
            open_timeout: seconds to wait for the first connection; None for ever.
            proxy: as in `websockets`: True takes it from the environment, None uses none.
        """
        self._tokens = Tokens(token)
        self._command_backoff = send_backoff
        self._open_timeout = open_timeout
        self.stats = Stats()
        self._queue = EventQueue(queue_size)
        self._inbox = Inbox(store=MemoryStore() if store is None else store, stats=self.stats)
        self._receiver = Receiver(
            inbox=self._inbox,
            queue=self._queue,
            auto_ack=auto_ack and device_id is not None,
            on_reset=on_reset,
            on_ephemeral=on_ephemeral,
            stats=self.stats,
        )
        self._sender = Sender(
            window=sends_in_flight,
            limit=outbox_size,
            retry=send_backoff,
            stats=self.stats,
            on_put=self._queue.nudge,
        )
        self._watch = Watch(on_news=self._receiver.on_ephemeral)
        self._link = Link(
            url=url,
            tokens=self._tokens,
            device=None if device_id is None else {"id": device_id, "platform": platform},
            proxy=proxy,
            backoff=reconnect_backoff,
            on_frame=on_frame,
            on_end=self._ended,
            inbox=self._inbox,
            receiver=self._receiver,
            sender=self._sender,
            watch=self._watch,
            stats=self.stats,
        )

    async def __aenter__(self) -> Self:
        """Connect; come back when the server has said welcome."""
        await self._link.open(self._open_timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Say what is still to be acknowledged and go; sends without an answer fail with `ClientClosed`."""
        await self._link.close()

    @property
    def welcome(self) -> Welcome:
        """What the server said at the latest connect: user, connection, limits."""
        if self._link.welcome is None:
            raise ClientClosed("not connected yet")
        return self._link.welcome

    @property
    def cursor(self) -> Cursor | None:
        """What has been applied and stored."""
        return self._inbox.cursor

    async def events(self) -> AsyncIterator[Event]:
        """Events, in the order of each source, each after it was stored; for one reader.

        Ends when the client is closed; raises `Disconnected`, or what the store raised, when that ended the client.
        """
        while (event := await self._queue.get()) is not None:
            yield event

    def ack(self, positions: Mapping[str, int]) -> None:
        """Acknowledge up to these positions, as `{"s": 151}`; for a client without `auto_ack`.

        Raises `ValueError` above what was applied.
        """
        self._receiver.acknowledge(positions)

    async def send(
        self,
        *,
        to_user: str | None = None,
        to_conversation: str | None = None,
        text: str | None = None,
        json: Any = None,
        content: Mapping[str, Any] | None = None,
        client_id: str | None = None,
        priority: str = "normal",
        reply_to: str | None = None,
        expires_in: float | None = None,
    ) -> SendResult:
        """Send a message to a user or a conversation, as text, JSON or ready-made content; `expires_in` in seconds.

        Comes back when the message is committed, however many connections that takes; bound it with
        `asyncio.timeout`. Raises `SendRejected` when the server refuses it for good, `ValueError` when the arguments
        do not name one recipient and one content. After a doubt, the same `client_id` gives the same answer.
        """
        payload = build_send(
            to_user=to_user,
            to_conversation=to_conversation,
            text=text,
            json=json,
            content=content,
            client_id=client_id,
            priority=priority,
            reply_to=reply_to,
            expires_in=expires_in,
        )
        return await self._sender.submit(payload)

    def send_nowait(self, **message: Any) -> Sending:
        """Send as `send` does and give a future for its answer at once. Raises `OutboxFull` too."""
        return self._sender.submit_nowait(build_send(**message))

    async def read(self, conversation_id: str, seq: int) -> Mapping[str, Any]:
        """Mark a conversation as read up to `seq`; gives what is `unread` in it, and the `badge`."""
        return await self.command("read", {"conversation_id": conversation_id, "seq": seq})

    async def refresh(self, token: str) -> Mapping[str, Any]:
        """Go on with a newer token, now and on later connections; gives `expires_at`."""
        answer = await self.command("refresh", {"token": token})
        self._tokens.put(token)
        return answer

    async def typing(self, conversation_id: str) -> None:
        """Tell the others in a conversation that its user is typing; lost when there is no connection."""
        if self._link.connection is not None:
            with suppress(ConnectionEnded):
                await self._link.connection.transmit({"typing": {"conversation_id": conversation_id}})

    async def watch_presence(self, users: Iterable[str]) -> dict[str, bool]:
        """Watch these users instead of those of before, and learn who of them is online now.

        Changes come as `presence` events; after a lost connection the state of each comes again. None watches nobody.
        """
        before, self._watch.users = self._watch.users, build_watch(users)
        try:
            return parse_presence(await self.command("presence", {"watch": list(self._watch.users)}))
        except CommandRejected:
            self._watch.users = before
            raise

    async def command(self, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give any command that may be repeated, such as `presence`, and its answer.

        Repeats it after a lost connection and when the server asks for it. Raises `CommandRejected`.
        """
        attempt = 0
        while (error := (frame := await self._ask(name, body)).get("error")) is not None:
            if not error.get("retryable"):
                raise CommandRejected.of(error)
            floor = (error.get("retry_after_ms") or 0) / 1000
            await asyncio.sleep(self._command_backoff.delay(attempt, floor_seconds=floor))
            attempt += 1
        answer: Mapping[str, Any] = frame.get(name) or {}
        return answer

    async def _ask(self, name: str, body: Mapping[str, Any]) -> Frame:
        """Ask on one connection after the other until one answers."""
        lost: Connection | None = None
        while True:
            connection = await self._link.wait_connection(other_than=lost)
            self._queue.nudge()
            try:
                return await connection.request(name, body)
            except ConnectionEnded:
                lost = connection

    def _ended(self, error: BaseException | None) -> None:
        """Tell everybody who waits for something that it is over, and why."""
        self._queue.close(error)
        self._sender.close(error if isinstance(error, Exception) else ClientClosed("the client was closed"))
