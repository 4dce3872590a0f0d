"""The servers that tests and the stack in small run on: theirs alone, real, and gone afterwards."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from servers.guard import Guard
from servers.place import ServerFailed
from servers.ports import HOST
from servers.postgres import PostgresServer, PostgresStandby
from servers.rabbitmq import RabbitServer
from servers.redis import RedisServer
from servers.server import wait_until

TESTS = Path(__file__).parents[2]
STARTER = """
import signal
from servers.guard import Guard
from servers.redis import RedisServer
server = RedisServer(guard=Guard())
server.start()
print(server.pid, server.folder, flush=True)
signal.pause()
"""


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


def wait_for(what: str, server: PostgresServer | RedisServer, statement: str, answer: str) -> None:
    wait_until(
        lambda: isinstance(server, PostgresServer) and server.execute(statement) == answer,
        what,
        lambda: not server.is_running,
        server.said,
    )


def test_a_killed_run_leaves_no_server_behind() -> None:
    """Whoever starts servers may be killed with -9: they end, and their folders go."""
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], env={**os.environ, "PYTHONPATH": str(TESTS)}, stdout=subprocess.PIPE, text=True
    )
    with starter:
        assert starter.stdout is not None
        pid, folder = starter.stdout.readline().split()
        assert is_alive(int(pid))

        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()

    wait_until(lambda: not is_alive(int(pid)) and not Path(folder).exists(), "the guard", lambda: False, str)


def test_two_servers_of_a_kind_are_strangers(redis_server: RedisServer, guard: Guard) -> None:
    """Each has its own port, password and data; one that goes takes nothing else along."""
    with RedisServer(guard=guard) as other:
        other.ask("SET a 1")

        assert redis_server.port != other.port
        assert redis_server.ask("GET a") == [None]
        assert oct(other.folder.stat().st_mode & 0o777) == "0o700"

    assert not other.folder.exists()
    assert redis_server.ask("PING") == ["PONG"]


def test_a_server_that_does_not_come_up_says_why(guard: Guard) -> None:
    """The end of the log is in the error."""
    server = RedisServer(guard=guard, no_such_setting="1")

    with pytest.raises(ServerFailed, match="no-such-setting"), server:
        pass

    assert not server.folder.exists()


def test_a_paused_server_holds_its_connections_and_answers_nothing(guard: Guard) -> None:
    """As a machine that hangs; resumed, it answers what was asked meanwhile."""
    with RedisServer(guard=guard) as server, socket.create_connection((HOST, server.port), 0.2) as connection:
        server.pause()
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(100)

        server.resume()

        assert connection.recv(100).startswith(b"-NOAUTH")


def test_databases_are_made_from_a_template_and_belong_to_a_mere_user(postgres_server: PostgresServer) -> None:
    """A template's tables are in its copy; who owns a database may not more than that."""
    postgres_server.create_database("with_a_table")
    postgres_server.execute("CREATE TABLE a (b int)", "with_a_table")

    url = postgres_server.create_database(template="with_a_table")

    name = url.rpartition("/")[2]
    assert postgres_server.execute("SELECT count(*) FROM a", name) == "0"
    assert postgres_server.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'aldis'") == "f"
    assert postgres_server.execute("SHOW fsync; SHOW synchronous_commit; SHOW wal_level").split() == [
        "on", "on", "replica"
    ]  # fmt: skip
    postgres_server.drop_database(url)
    postgres_server.drop_database("with_a_table")


@pytest.mark.slow
def test_a_standby_follows_and_takes_over(guard: Guard) -> None:
    """What the primary has committed is on the standby, which can be made a primary when that is killed."""
    with PostgresServer(guard=guard) as primary, PostgresStandby(primary, guard=guard) as standby:
        primary.execute("CREATE TABLE a AS SELECT 7 AS b")
        wait_for("the standby to follow", standby, "SELECT to_regclass('a') IS NOT NULL", "t")
        assert standby.execute("SELECT b, pg_is_in_recovery() FROM a") == "7|t"

        primary.kill()
        standby.promote()

        assert standby.execute("INSERT INTO a VALUES (8) RETURNING b") == "8"


@pytest.mark.slow
def test_virtual_hosts_are_apart_and_queues_survive_a_crash(guard: Guard) -> None:
    """A node that is killed comes back on its ports with its queues."""
    queue = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
    with RabbitServer(guard=guard) as server:
        one, two = (server.create_vhost().rpartition("/")[2] for _ in range(2))
        server.ask("PUT", f"queues/{one}/deliver", queue)

        server.kill()
        server.start()

        assert [found["name"] for found in server.ask("GET", f"queues/{one}")] == ["deliver"]
        assert server.ask("GET", f"queues/{two}") == []


def test_each_test_has_a_place_of_its_own(
    postgres_url: str, rabbitmq_url: str, redis_url: str, rabbitmq_server: RabbitServer
) -> None:
    """The three fixtures start what they need and give an address that nobody else was given."""
    assert postgres_url.startswith("postgresql://aldis:")
    assert rabbitmq_url.startswith("amqp://aldis:")
    assert redis_url.startswith("redis://:")
    assert not rabbitmq_server.ask("GET", f"queues/{rabbitmq_url.rpartition('/')[2]}")
