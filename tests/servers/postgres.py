"""PostgreSQL: a primary that syncs every commit to disk, and standbys that stream from it.

One server holds a database for each test. They are made from a template: `postgres` has an empty one, and whoever needs
a schema makes his own template once (`create_database("mine")`, migrate, `create_database(template="mine")`).
"""

import re
import secrets
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from servers.guard import Guard
from servers.place import ServerFailed, choose_account, find_program, write_private
from servers.ports import HOST, free_port
from servers.server import Server

OLDEST = 15
OWNER = "aldis"  # owns the databases and may nothing else, as in production
ADMIN = "admin"

CONFIG = """\
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
max_connections = 200
wal_level = replica
max_wal_senders = 10
hot_standby = on
fsync = on
synchronous_commit = on
password_encryption = scram-sha-256
log_line_prefix = '%m [%p] %u@%d '
"""


class PostgresServer(Server):
    """A primary."""

    name = "postgres"

    def __init__(self, *, guard: Guard | None, folder: Path | None = None, **settings: str) -> None:
        """Choose port and passwords; `settings` are lines of postgresql.conf."""
        super().__init__(guard=guard, account=choose_account("postgres", "nobody"), folder=folder)
        self.port = free_port()
        self.password = secrets.token_urlsafe(12)
        self._settings = settings
        self._databases = 0

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def admin_url(self) -> str:
        """The `postgres` database, as the superuser."""
        return self.url_of("postgres", ADMIN)

    def url_of(self, database: str, user: str = OWNER) -> str:
        """Where a database is."""
        return f"postgresql://{user}:{self.password}@{HOST}:{self.port}/{database}"

    def create_database(self, name: str | None = None, *, template: str = "template1") -> str:
        """Make a database that `OWNER` owns, a copy of `template` (to which nobody may be connected); gives its URL."""
        self._databases += 1
        name = name or f"test_{self._databases}"
        self.execute(f'CREATE DATABASE "{name}" OWNER {OWNER} TEMPLATE "{template}"')
        return self.url_of(name)

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as the superuser and give its rows as lines, columns parted by `|`."""
        return self.run(
            str(_program("psql")), "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-h", HOST, "-p", str(self.port),
            "-U", ADMIN, "-d", database, "-c", statement, PGPASSWORD=self.password,
        ).strip()  # fmt: skip

    def start(self) -> None:
        """Make the data directory at the first start."""
        is_new = not self.data.exists()
        if is_new:
            self.prepare()
        super().start()
        if is_new:
            self.welcome()

    def prepare(self) -> None:
        """Make the data directory."""
        secret = write_private(self.folder / "password", self.password, self._account)
        self.run(
            str(_program("initdb")), "-D", str(self.data), "-U", ADMIN, "--pwfile", str(secret), "-A", "scram-sha-256",
            "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions",
        )  # fmt: skip
        self.configure(self._settings)

    def welcome(self) -> None:
        """Make the account that owns databases."""
        self.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{self.password}'")

    def configure(self, settings: Mapping[str, str]) -> None:
        """Write the settings; they count from the next start."""
        lines: Iterable[str] = (f"{name} = {value}\n" for name, value in settings.items())
        text = CONFIG.format(host=HOST, port=self.port) + "".join(lines)
        write_private(self.data / "postgresql.auto.conf", text, self._account)

    def arguments(self) -> Sequence[str]:
        """The postmaster, in the foreground."""
        return [str(_program("postgres")), "-D", str(self.data)]

    def is_ready(self) -> bool:
        """Whether it lets us in and answers."""
        with suppress(ServerFailed):
            return self.execute("SELECT 1") == "1"
        return False

    def close(self) -> None:
        """Let it end its own children, which a killed one leaves to the system to bury."""
        self.stop(signal.SIGQUIT)
        super().close()


class PostgresStandby(PostgresServer):
    """A hot standby: a copy of a running primary that goes on receiving what that commits."""

    name = "postgres-standby"

    def __init__(self, primary: PostgresServer, *, guard: Guard | None, folder: Path | None = None) -> None:
        super().__init__(guard=guard, folder=folder)
        self.password = primary.password  # accounts are copied with the rest
        self._primary = primary

    def prepare(self) -> None:
        """Copy the primary, with what it needs to follow."""
        self.run(
            str(_program("pg_basebackup")), "-D", str(self.data), "-h", HOST, "-p", str(self._primary.port),
            "-U", ADMIN, "-X", "stream", "-c", "fast", "-R", PGPASSWORD=self.password,
        )  # fmt: skip
        follow = re.search(r"^primary_conninfo = (.*)$", (self.data / "postgresql.auto.conf").read_text(), re.MULTILINE)
        assert follow is not None, "pg_basebackup -R writes where the primary is"
        self.configure({"primary_conninfo": follow[1]})

    def welcome(self) -> None:
        """All is copied."""

    def promote(self) -> None:
        """Make it a primary, as a failover does."""
        self.execute("SELECT pg_promote()")


def _program(name: str) -> Path:
    """A program of the newest PostgreSQL here; the one on PATH may belong to none that has a server."""
    versions = {int(folder.name): folder / "bin" for folder in Path("/usr/lib/postgresql").glob("[0-9]*")}
    folders = (versions[version] for version in sorted(versions, reverse=True) if version >= OLDEST)
    return find_program(name, *folders)
