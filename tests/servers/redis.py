"""Redis (or Valkey, whose program has the same name): one standalone server with a password and nothing on disk."""

import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from servers.guard import Guard
from servers.place import ServerFailed, find_program, write_private
from servers.ports import HOST, free_port
from servers.server import Server

DATABASES = 256  # one for each test that is under way, and then some; a Cluster has one
ANSWER_SECONDS = 2.0
Answer = str | None | list["Answer"]

CONFIG = """\
bind {host}
port {port}
requirepass {password}
masterauth {password}
dir {folder}
save ""
appendonly no
"""


class RedisServer(Server):
    """A Redis server. What is in it is gone when it ends, as Aldis may rely on nothing else."""

    name = "redis"

    def __init__(self, *, guard: Guard | None, folder: Path | None = None, **settings: str) -> None:
        """Choose port and password; `settings` are lines of redis.conf, with `_` for `-`."""
        super().__init__(guard=guard, folder=folder)
        self.port = free_port()
        self.password = secrets.token_urlsafe(12)
        self._settings = {"databases": str(DATABASES)} | settings
        self._databases = 0

    @property
    def url(self) -> str:
        """Where its database 0 is."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def fresh_url(self) -> str:
        """Where a database is that nobody else was given, and nothing is in it."""
        number = self._databases % (DATABASES - 1) + 1
        self._databases += 1
        self.ask(f"SELECT {number}", "FLUSHDB")
        return f"redis://:{self.password}@{HOST}:{self.port}/{number}"

    def arguments(self) -> Sequence[str]:
        """With the password in a file: a command line is read by everybody."""
        text = CONFIG.format(host=HOST, port=self.port, password=self.password, databases=DATABASES, folder=self.folder)
        text += "".join(f"{name.replace('_', '-')} {value}\n" for name, value in self._settings.items())
        config = write_private(self.folder / "redis.conf", text, self._account)
        return [str(find_program("redis-server")), str(config)]

    def is_ready(self) -> bool:
        """Whether it takes the password and answers."""
        with suppress(OSError, ServerFailed):
            return self.ask("PING") == ["PONG"]
        return False

    def ask(self, *commands: str) -> list[Answer]:
        """Send commands, words parted by spaces, and give their answers. Raises `ServerFailed` for an error."""
        with (
            socket.create_connection((HOST, self.port), ANSWER_SECONDS) as connection,
            connection.makefile("rb") as file,
        ):
            for command in (f"AUTH {self.password}", *commands):
                connection.sendall(f"{command}\r\n".encode())
            return [_read(file) for _ in range(1 + len(commands))][1:]


def _read(file: BinaryIO) -> Answer:
    line = file.readline()
    kind, rest = line[:1], line[1:-2].decode()
    if kind == b"*":
        return [_read(file) for _ in range(int(rest))]
    if kind == b"$":
        return file.read(int(rest) + 2)[:-2].decode() if int(rest) >= 0 else None
    if kind in {b"+", b":"}:
        return rest
    raise ServerFailed(f"redis answered {line.decode()!r}")
