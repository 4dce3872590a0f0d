"""A production in small on this machine: PostgreSQL with a standby, RabbitMQ, Redis, gateways, workers, and a proxy.

`python -m servers.stack up` starts it in the background and says where all is; `down` ends it, and takes its data
along. Between the two it belongs to one process, whose end is the end of all.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from servers.aldis import AldisServer
from servers.guard import Guard
from servers.place import ServerFailed, write_private
from servers.postgres import PostgresServer, PostgresStandby
from servers.proxy import ProxyServer
from servers.rabbitmq import RabbitServer
from servers.redis import RedisServer
from servers.surroundings import surroundings

PLACE = Path(".run")
UP_SECONDS = 120.0
DOWN_SECONDS = 60.0
POLL_SECONDS = 0.1
GATEWAYS = 2
WORKERS = 1
USAGE = "usage: python -m servers.stack up|down|run\n"


class Stack:
    """All of it, started in the order in which one needs the other."""

    def __init__(self, *, gateways: int = GATEWAYS, workers: int = WORKERS, **variables: str) -> None:
        """Plan it; nothing runs before the block is entered."""
        self.secret = secrets.token_urlsafe(32)
        self._counts = {"gateway": gateways, "worker": workers}
        self._extra = variables
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._opened.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _start(self) -> None:
        enter = self._opened.enter_context
        self.guard = enter(Guard())
        self.postgres = enter(PostgresServer(guard=self.guard))
        self.database_url = self.postgres.create_database("aldis")
        self.standby = enter(PostgresStandby(self.postgres, guard=self.guard))
        self.rabbitmq = enter(RabbitServer(guard=self.guard))
        self.redis = enter(RedisServer(guard=self.guard))
        self._migrate()
        self.gateways = self._role("gateway")
        self.workers = self._role("worker")
        self.proxy = enter(ProxyServer([gateway.port for gateway in self.gateways], guard=self.guard))

    def _role(self, role: str) -> list[AldisServer]:
        return [
            self._opened.enter_context(AldisServer(role, self.variables, guard=self.guard))
            for _ in range(self._counts[role])
        ]

    def _migrate(self) -> None:
        environment = surroundings()
        done = subprocess.run(
            [sys.executable, "-m", "aldis", "migrate"], env=environment | self.variables,
            capture_output=True, text=True, timeout=UP_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ServerFailed(f"aldis migrate ended with {done.returncode}:\n{done.stderr}")

    @property
    def variables(self) -> dict[str, str]:
        """What every process of Aldis is told."""
        return {
            "ALDIS_DATABASE_URL": self.database_url,
            "ALDIS_REDIS_URL": self.redis.url,
            "ALDIS_RABBITMQ_URL": self.rabbitmq.url,
            "ALDIS_JWT__SECRET": self.secret,
            "ALDIS_TRUSTED_PROXIES": "127.0.0.1",
            **self._extra,
        }

    def lines(self) -> dict[str, str]:
        """What `aldis token`, `aldis key` and a person need, as variables."""
        gateways = {f"GATEWAY_{number}_URL": gateway.url for number, gateway in enumerate(self.gateways, start=1)}
        admin = {f"GATEWAY_{number}_ADMIN_URL": gateway.admin_url for number, gateway in enumerate(self.gateways, 1)}
        return {
            **self.variables,
            "PROXY_URL": self.proxy.url,  # no name that Aldis would take for a setting of its own
            "ALDIS_HOST": "127.0.0.1",
            "ALDIS_PORT": str(self.proxy.port),
            **gateways,
            **admin,
            "STANDBY_URL": self.standby.url_of("aldis"),
            "RABBITMQ_API_URL": self.rabbitmq.api_url,
        }


def run() -> int:
    """Be the stack until a signal comes."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Stack() as stack:
            text = "".join(f"{name}={value}\n" for name, value in stack.lines().items())
            write_private(PLACE / "stack.env", text, None)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except ServerFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        (PLACE / "stack.env").unlink(missing_ok=True)
        (PLACE / "stack.pid").unlink(missing_ok=True)


def up() -> int:
    """Start the stack in the background, unless it is up, and say where all is."""
    PLACE.mkdir(mode=0o700, exist_ok=True)
    if _pid() is None:
        with (PLACE / "stack.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "servers.stack", "run"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        (PLACE / "stack.pid").write_text(str(process.pid), encoding="ascii")
        print("starting PostgreSQL and a standby, RabbitMQ, Redis, gateways, workers and a proxy ...", flush=True)
    deadline = time.monotonic() + UP_SECONDS
    while not (PLACE / "stack.env").exists():
        if _pid() is None or time.monotonic() > deadline:
            sys.stderr.write(f"the stack did not come up; see {PLACE / 'stack.log'}\n")
            return 1
        time.sleep(POLL_SECONDS)
    _tell()
    return 0


def _tell() -> None:
    env = dict(line.split("=", 1) for line in (PLACE / "stack.env").read_text(encoding="utf-8").splitlines())
    for name in sorted(name for name in env if name.endswith("_URL") and "@" not in env[name]):  # those hold passwords
        print(f"  {name:<20} {env[name]}")
    print(f"All of it is in {PLACE / 'stack.env'}. To use it: set -a; . {PLACE / 'stack.env'}; set +a")


def down() -> int:
    """End the stack and wait until nothing of it is left."""
    pid = _pid()
    if pid is None:
        print("the stack is not up")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS
    while _pid() is not None:
        if time.monotonic() > deadline:
            sys.stderr.write(f"the stack (process {pid}) does not end\n")
            return 1
        time.sleep(POLL_SECONDS)
    print("the stack is down, and its data gone")
    return 0


def _pid() -> int | None:
    """The process that is the stack, if it lives."""
    try:
        pid = int((PLACE / "stack.pid").read_text(encoding="ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][:1]
    except (OSError, ValueError):
        return None
    return pid if b"servers.stack" in command and state != "Z" else None


def main(arguments: list[str]) -> int:
    """Do what is asked."""
    verbs = {"up": up, "down": down, "run": run}
    if len(arguments) != 1 or arguments[0] not in verbs:
        sys.stderr.write(USAGE)
        return 2
    return verbs[arguments[0]]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
