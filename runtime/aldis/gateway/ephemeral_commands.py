"""What `typing` and `presence` frames do. Typing has no answer, and what comes too fast is dropped without a word."""

from aldis.domain.errors import AldisError, Rejected, Unavailable
from aldis.domain.ids import ConversationId, UserId, check_name, check_uuid
from aldis.gateway import frames
from aldis.gateway.answers import UserOnline, Watched
from aldis.gateway.connection import Connection
from aldis.gateway.frames import PresenceBody, TypingBody
from aldis.gateway.watching import Online, Watch
from aldis.ports.limiter import Rate
from aldis.services.read_presence import MAX_WATCHED
from aldis.services.typists import Typing

TYPING_MS = 1_000  # between two tellings in one conversation; clients repeat it while their user types
TYPING_IN = 16  # conversations within that time: nobody types in more, and each may cost a look-up
WATCH_RATE = Rate(1, 10)  # lists of a user, over all his connections: each is read from the database


class EphemeralCommands:
    """Those of one connection."""

    __slots__ = ("_connection", "_typed")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._typed: dict[ConversationId, int] = {}  # when it was told last, Unix ms

    def type(self, command_id: int | None, body: TypingBody) -> None:
        """Tell the others of a conversation that the user types."""
        connection = self._connection
        assert connection.user is not None
        conversation = ConversationId(check_uuid(body.conversation_id, "typing.conversation_id"))
        dropped = connection.context.metrics.ephemeral.labels(type="typing", outcome="dropped")
        if not self._is_time(conversation, connection.context.clock.now_ms()):
            dropped.inc()
            return

        def answered(answer: AldisError | None) -> None:
            if isinstance(answer, Rejected):
                at = f"typing.{answer.field}"
                connection.write_error(command_id, Rejected(answer.code, answer.message, field=at))
            elif answer is not None:
                dropped.inc()

        connection.context.typists.tell_nowait(Typing(connection.user, conversation), answered)

    def _is_time(self, conversation: ConversationId, now: int) -> bool:
        if len(self._typed) >= TYPING_IN:
            self._typed = {each: at for each, at in self._typed.items() if 0 <= now - at < TYPING_MS}
        at = self._typed.get(conversation)
        if len(self._typed) >= TYPING_IN or (at is not None and 0 <= now - at < TYPING_MS):
            return False
        self._typed[conversation] = now
        return True

    def watch(self, command_id: int | None, body: PresenceBody) -> None:
        """Replace the list of users whose coming and going the connection is told."""
        connection, context = self._connection, self._connection.context
        assert connection.user is not None
        users = tuple(dict.fromkeys(_users(body)))
        wait = context.limiter.take(f"watch:{connection.user}", WATCH_RATE)
        if wait:
            raise Rejected("rate_limited", "too many lists; wait and send it again", retry_after_ms=wait)

        def answered(answer: Online | AldisError) -> None:
            if isinstance(answer, (Rejected, Unavailable)):
                connection.write_error(command_id, answer)
            elif isinstance(answer, list) and command_id is not None:
                online = [UserOnline(user=user, online=is_online) for user, is_online in answer]
                connection.write(frames.reply(command_id, "presence", Watched(users=online)))

        context.watching.watch_nowait(Watch(connection, connection.user, users), answered)


def _users(body: PresenceBody) -> list[UserId]:
    if len(body.watch) > MAX_WATCHED:
        raise Rejected("too_large", f"a connection watches at most {MAX_WATCHED} users", field="presence.watch")
    return [UserId(check_name(user, f"presence.watch.{place}")) for place, user in enumerate(body.watch)]
