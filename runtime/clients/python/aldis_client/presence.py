"""Whose presence is watched: the server forgets it with the connection, so the client says it again on the next one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aldis_client.connection import Connection, Frame
from aldis_client.events import BadFrame, Event

OnNews = Callable[[list[Event]], None]


class Watch:
    """The users that are watched. What a repeated command learns comes out as the news that was missed meanwhile."""

    def __init__(self, *, on_news: OnNews) -> None:
        self._on_news = on_news
        self.users: tuple[str, ...] = ()

    async def renew(self, connection: Connection) -> None:
        """Say on a new connection whom to tell of. Raises `ConnectionEnded`."""
        if self.users:
            await connection.command("presence", {"watch": list(self.users)}, self._on_reply)

    def _on_reply(self, frame: Frame) -> None:
        states = parse_presence(frame["presence"]) if "presence" in frame else {}
        self._on_news([build_news(user, is_online=is_online) for user, is_online in states.items()])


def build_watch(users: Iterable[str]) -> tuple[str, ...]:
    """The users once each, in their order. Raises `TypeError` for a single text, which is most likely a mistake."""
    if isinstance(users, str):
        raise TypeError("give the users as a list")
    return tuple(dict.fromkeys(users))


def parse_presence(answer: Mapping[str, Any]) -> dict[str, bool]:
    """Who is online, as the server answered. Raises `BadFrame`."""
    try:
        return {str(row["user"]): bool(row["online"]) for row in answer["users"]}
    except (KeyError, TypeError) as error:
        raise BadFrame("the answer to presence lacks a field") from error


def build_news(user: str, *, is_online: bool) -> Event:
    """The event that the server would have sent, had the connection not been lost."""
    return Event("", 0, "presence", {"user": user, "online": is_online})
