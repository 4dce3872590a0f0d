"""What a client's frames do: each command parsed, handed to one service and answered.

Sends are submitted in frame order and answered from a callback, so that nothing waits and no task is made for one.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

import structlog

from aldis.domain.callers import UserCaller
from aldis.domain.channels import CHAT, ChannelType
from aldis.domain.cursors import parse_cursor
from aldis.domain.devices import Attachment
from aldis.domain.errors import AldisError, Rejected, Unavailable
from aldis.domain.ids import ConversationId, DeviceId, UserId, check_name, check_uuid, created_ms, new_id, rfc3339
from aldis.domain.messages import SendMessage, Stored
from aldis.domain.streams import MAX_POSITION, Source
from aldis.gateway import frames
from aldis.gateway.answers import Refreshed, Unread
from aldis.gateway.close_codes import CloseCode, close_code_of
from aldis.gateway.connection import Connection
from aldis.gateway.ephemeral_commands import EphemeralCommands
from aldis.gateway.frames import BadFrame, Command, ConnectBody, RefusedCommand, SendBody
from aldis.gateway.hub import feed_now
from aldis.gateway.opening import open_connection, welcome_of
from aldis.services.authenticate import UnknownKey
from aldis.services.compose import chat, check_channel, check_user_draft
from aldis.services.connect_device import ConnectDevice
from aldis.services.store_moves import Read
from aldis.telemetry.tasks import spawn

PAUSE_AT = 256  # unanswered sends and reads of one connection at which it is not read from any more
RESUME_AT = 128
REFUSALS = 1_000  # refused commands, after which the client is sent away
FORGIVEN = 20  # refusals that an accepted send makes up for: who sends up to 20 times his limit is only refused

log = structlog.get_logger(__name__)


class CommandReader:
    """Reads one connection's frames; set as its protocol's `on_message`."""

    __slots__ = ("_connecting", "_connection", "_ephemeral", "_held", "_refusals")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._connecting = False
        self._ephemeral = EphemeralCommands(connection)
        self._refusals = 0
        self._held: deque[tuple[bytes, bool]] | None = None  # frames behind one that waits for the issuer's keys

    def on_message(self, data: bytes, is_text: bool) -> None:  # noqa: FBT001 - uvicorn's seam hands it over so
        """Read a frame and do what it says."""
        connection = self._connection
        if connection.closed:
            return
        connection.heard_at = connection.context.clock.now_ms()
        connection.pinged = False
        if self._held is not None:
            self._held.append((data, is_text))  # at most what was received at once: the socket is not read meanwhile
            return
        try:
            if not is_text:
                raise BadFrame("frames are text")
            command = frames.parse_command(data)
            self._dispatch(command)
        except BadFrame as error:
            connection.write_error(None, Rejected("bad_json", str(error)))
            connection.close(CloseCode.BAD_FRAME)
        except RefusedCommand as refused:
            self._refuse(refused.command_id, refused.error)

    def _refuse(self, command_id: int | None, error: Rejected) -> None:
        connection = self._connection
        connection.write_error(command_id, error)
        self._refusals += 1
        if connection.user is None:
            connection.close(CloseCode.BAD_FRAME)
        elif self._refusals >= REFUSALS:
            connection.close(CloseCode.TOO_MANY_REQUESTS)

    def _hold_for(self, answer: Coroutine[Any, Any, None]) -> None:
        """Let frames wait behind one whose answer takes a while, so that they keep their order."""
        self._held = deque()
        self._connection.protocol.hold("keys")

        async def work() -> None:
            try:
                await answer
            finally:
                self._go_on()

        _ = spawn(work(), "connection-keys")

    def _go_on(self) -> None:
        held = self._take_held()
        self._connection.protocol.release("keys")
        while held and self._held is None:
            self.on_message(*held.popleft())
        if self._held is not None:  # the last one waits, too
            self._held.extend(held)

    def _take_held(self) -> deque[tuple[bytes, bool]]:
        held, self._held = self._held or deque(), None
        return held

    def _dispatch(self, command: Command) -> None:
        connection = self._connection
        try:
            if command.connect is not None:
                self._connect(command.id, command.connect)
            elif command.pong is not None:
                return
            elif connection.user is None or not connection.attached:
                raise Rejected("not_connected", "send the connect command first and wait for its answer")
            else:
                self._do(command)
        except Rejected as error:
            self._refuse(command.id, error)

    def _do(self, command: Command) -> None:
        """Do what a connected client asks for."""
        if command.send is not None:
            self._send(command.id, command.send)
        elif command.ack is not None:
            self._ack(frames.positions_of(command.ack))
        elif command.read is not None:
            self._read(command.id, command.read)
        elif command.typing is not None:
            self._ephemeral.type(command.id, command.typing)
        elif command.presence is not None:
            self._ephemeral.watch(command.id, command.presence)
        elif command.refresh is not None:
            self._refresh(command.id, command.refresh.token)
        elif command.ping is not None:
            pong = b'{"pong":{}}' if command.id is None else b'{"id":%d,"pong":{}}' % command.id
            self._connection.write(pong)

    # -- connect ------------------------------------------------------------------------------------------------

    def _connect(self, command_id: int | None, body: ConnectBody) -> None:
        if self._connecting:
            raise Rejected("not_connected", "this socket is connected already")
        self._connecting = True
        token = body.token or self._connection.header_token or ""
        try:
            if not token:
                raise Rejected("unauthorized", "connect needs a token", field="connect.token")
            wanted = self._identify(body, self._connection.context.authenticator.authenticate_token(token))
        except UnknownKey:
            self._hold_for(self._connect_later(command_id, body, token))
        except AldisError as error:
            self._turn_away(command_id, error)
        else:
            _ = spawn(self._open(command_id, wanted), "connection-open")

    async def _connect_later(self, command_id: int | None, body: ConnectBody, token: str) -> None:
        """Connect when the issuer's keys have come. The rest goes on as if they had been there."""
        try:
            wanted = self._identify(body, await self._connection.context.authenticator.resolve_token(token))
        except AldisError as error:
            self._turn_away(command_id, error)
        else:
            _ = spawn(self._open(command_id, wanted), "connection-open")

    def _identify(self, body: ConnectBody, caller: UserCaller) -> ConnectDevice:
        connection = self._connection
        device = check_name(body.device.id, "connect.device.id") if body.device is not None else None
        platform = check_name(body.device.platform, "connect.device.platform") if body.device is not None else "unknown"
        cursor = parse_cursor(body.cursor, "connect.cursor") if body.cursor is not None else None
        connection.user = caller.user
        connection.expires_at = caller.expires_at
        connection.device = DeviceId(device) if device is not None else None
        connection.platform = platform
        connection.connection_id = new_id(connection.context.clock.now_ms())
        return ConnectDevice(caller.user, connection.device, platform, cursor)

    async def _open(self, command_id: int | None, wanted: ConnectDevice) -> None:
        """Register first, read the store then, go live last: whoever sends meanwhile is heard either way."""
        connection, context = self._connection, self._connection.context
        attachment = await self._register(command_id, wanted)
        if attachment is None or connection.closed:
            return
        connection.attach(attachment.start, attachment.head)
        connection.write(frames.reply(command_id, "connect", welcome_of(connection, attachment)))
        context.metrics.connections_opened.inc()
        if connection.behind:
            context.metrics.gap_reads.labels(reason="connect").inc()
            connection.feeding = True
            await feed_now(connection)

    async def _register(self, command_id: int | None, wanted: ConnectDevice) -> Attachment | None:
        """Where the device starts to read; None when it was turned away."""
        connection = self._connection
        if connection.closed:
            return None  # by what came right behind the connect; the hub would keep it for ever
        try:
            attachment = await open_connection(connection, wanted)
        except AldisError as error:
            self._turn_away(command_id, _within("connect", error))
            return None
        return attachment

    def _turn_away(self, command_id: int | None, error: AldisError) -> None:
        known = _known(error)
        self._connection.write_error(command_id, known)
        self._connection.close(close_code_of(known.code))

    # -- commands of a connected client -------------------------------------------------------------------------

    def _send(self, command_id: int | None, body: SendBody) -> None:
        connection, context = self._connection, self._connection.context
        assert connection.user is not None
        if command_id is None:
            raise Rejected("bad_request", "a send needs an id, so that it can be answered", field="id")
        message = self._compose(body, connection.user)
        wait = context.limiter.take(f"user:{connection.user}", context.limits.user)
        if wait:
            raise Rejected("rate_limited", "too many messages; wait and send it again", retry_after_ms=wait)
        self._refusals = max(0, self._refusals - FORGIVEN)
        self._await_answer()
        started = asyncio.get_running_loop().time()

        def answered(answer: Stored | AldisError) -> None:
            self._answer_send(command_id, started, answer)

        context.committer.submit(message, answered)

    def _compose(self, body: SendBody, user: UserId) -> SendMessage:
        context = self._connection.context
        draft = frames.draft_of(body, content_bytes=context.limits.content_bytes)
        try:
            check_user_draft(draft)
            if draft.channel not in {None, CHAT}:
                # What is in memory, not what could be read: the frames behind this one do not wait.
                name = check_name(draft.channel or CHAT, "channel")
                check_channel(name, context.channels.find(name), ChannelType.CHAT)
            return chat(draft, user, context.clock.now_ms())
        except Rejected as error:
            raise _within("send", error) from error

    def _await_answer(self) -> None:
        self._connection.unanswered += 1
        if self._connection.unanswered == PAUSE_AT:
            self._connection.protocol.hold("unanswered")

    def _answered(self) -> None:
        self._connection.unanswered -= 1
        if self._connection.unanswered == RESUME_AT:
            self._connection.protocol.release("unanswered")

    def _answer_send(self, command_id: int, started: float, answer: Stored | AldisError) -> None:
        connection = self._connection
        self._answered()
        if isinstance(answer, Stored):
            connection.write(frames.sent_reply(command_id, answer, created_ms(answer.message_id)))
            connection.context.hub.observe_send(asyncio.get_running_loop().time() - started)
        else:
            connection.write_error(command_id, _within("send", answer))

    def _ack(self, positions: dict[str, int]) -> None:
        connection = self._connection
        given: dict[Source, int] = {source: positions[source] for source in connection.written if source in positions}
        for source, position in given.items():
            if position > connection.written[source]:
                raise Rejected("bad_cursor", "this position was not sent on this connection yet", field=f"ack.{source}")
        if connection.user is None or connection.device is None:
            return  # a reader without a name moves nothing
        for source, position in given.items():
            # What is confirmed before its sending was noted needs no note: the move itself says that it was sent.
            if position >= connection.written[source]:
                connection.sent_from.pop(source, None)
        connection.context.moves.ack_nowait(connection.user, connection.device, given)
        connection.context.hub.count_acked(given)

    def _read(self, command_id: int | None, body: frames.ReadBody) -> None:
        connection = self._connection
        assert connection.user is not None
        conversation = ConversationId(check_uuid(body.conversation_id, "read.conversation_id"))
        if not 0 <= body.seq <= MAX_POSITION:
            raise Rejected("bad_request", "seq is a positive number", field="read.seq")

        def answered(answer: tuple[int, int] | AldisError | None) -> None:
            self._answered()
            if isinstance(answer, AldisError):
                connection.write_error(command_id, _within("read", answer))
            elif command_id is not None and answer is not None:
                connection.write(frames.reply(command_id, "read", Unread(unread=answer[0], badge=answer[1])))

        self._await_answer()
        read = Read(connection.user, connection.device, conversation, body.seq)
        connection.context.moves.read_nowait(read, answered)

    def _refresh(self, command_id: int | None, token: str) -> None:
        try:
            self._prolong(command_id, self._connection.context.authenticator.authenticate_token(token))
        except UnknownKey:
            self._hold_for(self._refresh_later(command_id, token))
        except Unavailable as error:
            self._connection.write_error(command_id, error)

    async def _refresh_later(self, command_id: int | None, token: str) -> None:
        try:
            self._prolong(command_id, await self._connection.context.authenticator.resolve_token(token))
        except Rejected as error:
            self._refuse(command_id, error)
        except AldisError as error:
            self._connection.write_error(command_id, _known(error))

    def _prolong(self, command_id: int | None, caller: UserCaller) -> None:
        connection = self._connection
        if caller.user != connection.user:
            raise Rejected("forbidden", "the token is another user's", field="refresh.token")
        if connection.closed:
            return  # meanwhile; the hub would keep it for ever
        connection.expires_at = caller.expires_at
        connection.context.hub.expire_later(connection)
        refreshed = Refreshed(expires_at=rfc3339(caller.expires_at * 1000))
        connection.write(frames.reply(command_id, "refresh", refreshed))


def _known(error: AldisError) -> Rejected | Unavailable:
    return error if isinstance(error, Rejected | Unavailable) else Unavailable("this cannot be done now")


def _within(command: str, error: AldisError) -> Rejected | Unavailable:
    """The error as it is answered: with the path that its field has in the frame, of which services know nothing."""
    if not isinstance(error, Rejected):
        return _known(error)
    field = f"{command}.{error.field}" if error.field is not None else None
    return Rejected(error.code, error.message, field=field, retry_after_ms=error.retry_after_ms)
