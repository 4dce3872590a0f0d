"""PgBouncer in front of a PostgreSQL server: each transaction may get another connection."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from servers.guard import Guard
from servers.place import ServerFailed, choose_account, find_program, write_private
from servers.ports import HOST, free_port
from servers.postgres import OWNER, PostgresServer
from servers.server import Server

CONFIG = """\
[databases]
* = host={host} port={server}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {users}
pool_mode = transaction
default_pool_size = 4
"""


class PgBouncer(Server):
    """A pooler in transaction mode."""

    name = "pgbouncer"

    def __init__(self, server: PostgresServer, *, guard: Guard | None, folder: Path | None = None) -> None:
        """Choose a port; accounts and databases are those of `server`."""
        super().__init__(guard=guard, account=choose_account("postgres", "nobody"), folder=folder)
        self.port = free_port()
        self._server = server

    def url_of(self, url: str) -> str:
        """A database of the server's, by way of the pooler."""
        return url.replace(f":{self._server.port}/", f":{self.port}/")

    def arguments(self) -> Sequence[str]:
        """With the password in a file."""
        users = write_private(self.folder / "users", f'"{OWNER}" "{self._server.password}"\n', self._account)
        text = CONFIG.format(host=HOST, port=self.port, server=self._server.port, users=users)
        config = write_private(self.folder / "pgbouncer.ini", text, self._account)
        return [str(find_program("pgbouncer", Path("/usr/sbin"))), str(config)]

    def is_ready(self) -> bool:
        """Whether it lets us through."""
        url = self.url_of(self._server.url_of("postgres"))
        with suppress(ServerFailed):
            return self.run("psql", "--no-psqlrc", "-qAt", "-c", "SELECT 1", url).strip() == "1"
        return False
