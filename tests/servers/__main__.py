"""Starts servers by name, prints where they are, and ends them with Ctrl-C."""

import signal
import sys
from contextlib import ExitStack

from servers.guard import Guard
from servers.place import ServerFailed
from servers.postgres import PostgresServer
from servers.rabbitmq import RabbitServer
from servers.redis import RedisServer

SERVERS = {"postgres": PostgresServer, "rabbitmq": RabbitServer, "redis": RedisServer}


def main(names: list[str]) -> int:
    """Run until a signal comes."""
    if not names or not set(names) <= set(SERVERS):
        sys.stderr.write(f"usage: python -m servers {' '.join(f'[{name}]' for name in SERVERS)}\n")
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        guard = stack.enter_context(Guard())
        try:
            for name in names:
                server = stack.enter_context(SERVERS[name](guard=guard))
                url = server.create_database("aldis") if isinstance(server, PostgresServer) else server.url
                print(f"{name}: {url}", flush=True)
            signal.pause()
        except KeyboardInterrupt:
            return 0
        except ServerFailed as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
