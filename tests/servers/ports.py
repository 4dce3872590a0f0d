"""Free ports of this machine."""

import random
import socket
from contextlib import suppress

HOST = "127.0.0.1"
PORTS = range(20_000, 30_000)
"""Below the range of outgoing ports: there a client that tries a dead server's port may connect to itself."""


def free_port() -> int:
    """A port that nobody listens on, chosen at random so that two runs at once do not choose the same."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise OSError(f"no port of {PORTS} is free")
