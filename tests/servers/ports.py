"""Free ports of this machine."""

import random
import socket
from contextlib import suppress

HOST = "127.0.0.1"
PORTS = range(20_000, 30_000)
"""Below the range of outgoing ports: there a client that tries a dead server's port may connect to itself."""

_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on and nobody here was given before; at random, so that two runs do not meet."""
    for port in random.sample(PORTS, len(PORTS)):
        if port in _given:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            _given.add(port)
            return port
    raise OSError(f"no port of {PORTS} is free")
