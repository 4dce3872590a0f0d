"""The README's tour, typed as a newcomer types it, into three terminals.

The commands come out of `README.md`. What differs from a newcomer's machine is where the server listens and keeps its
data, which is said by the variables that the README names; in addresses for `curl` the port is replaced.
"""

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.terminal import CTRL_C, CTRL_Z, Terminal

CHECKOUT = Path(__file__).resolve().parents[1]
README = CHECKOUT / "README.md"
TOUR = re.compile(r"<!-- tour: (?P<name>\w+) -->\n```sh\n(?P<commands>.*?)```", re.DOTALL)
ADDRESS = "http://127.0.0.1:8080"
PORTS = range(30_000, 32_000)  # below the range of outgoing ports
NOT_INHERITED = re.compile(r"ALDIS_|MAKE|MFLAGS|VIRTUAL_ENV")  # of whoever runs this test


@dataclass(frozen=True, slots=True)
class Desk:
    """Three terminals in the checkout."""

    server: Terminal
    alice: Terminal
    bob: Terminal


@pytest.fixture
def port() -> int:
    for candidate in PORTS:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", candidate)) != 0:
                return candidate
    raise AssertionError("there is no free port")


@pytest.fixture
def tour(port: int) -> dict[str, str]:
    blocks = {block["name"]: block["commands"] for block in TOUR.finditer(README.read_text(encoding="utf-8"))}
    return {name: commands.replace(ADDRESS, f"http://127.0.0.1:{port}") for name, commands in blocks.items()}


@pytest.fixture
def desk(tmp_path: Path, port: int) -> Iterator[Desk]:
    env = {name: value for name, value in os.environ.items() if not NOT_INHERITED.match(name)}
    env |= {"TERM": "dumb", "NO_COLOR": "1", "PORT": str(port), "DATA_DIR": str(tmp_path / "data")}
    env |= {"ALDIS_PORT": str(port), "ALDIS_DATA_DIR": str(tmp_path / "data")}
    with ExitStack() as stack:
        yield Desk(*(stack.enter_context(Terminal(CHECKOUT, env)) for _ in range(3)))


def test_the_tour_shows_what_the_readme_says(desk: Desk, tour: dict[str, str]) -> None:
    """Each command works as it stands, and Alice sees each message once and in order, also after `kill -9`."""
    server, alice, bob = desk.server, desk.alice, desk.bob

    server.type(tour.pop("start"))
    server.read_line_with("serving")
    alice.type(tour.pop("listen"))
    sent = [bob.run(tour.pop("chat")).strip()]
    assert alice.read_line_with("Hello").endswith("  chat  bob: Hello, Alice")

    assert "orders created" in bob.run(tour.pop("channel"))
    notify = tour.pop("notify")
    first, again = [json.loads(bob.run(notify)) for _ in range(2)]
    assert (first["duplicate"], again) == (False, first | {"duplicate": True})
    assert alice.read_line_with("1234").endswith("  notification/orders  backend shop [high]: Order 1234 has left")

    alice.press(CTRL_C)
    bob.run(tour.pop("away"))
    server.press(CTRL_Z)
    server.type(tour.pop("kill"))
    server.read_line_with("serving")
    sent.append(bob.run(tour.pop("back")).strip())
    assert all(re.fullmatch(r"[0-9a-f-]{36}", message) for message in sent)

    alice.type(tour.pop("again"))
    assert alice.read_line_with("away").endswith("  chat  bob: While you were away")
    assert alice.read_line_with("crash").endswith("  chat  bob: And after the crash")

    status, timeline = json.loads(bob.run(tour.pop("status"))), json.loads(bob.run(tour.pop("timeline")))
    (recipient,) = status["recipients"]["items"]
    assert status["content"] == {"type": "text", "text": "While you were away"}
    assert (recipient["user"], recipient["status"]) == ("alice", "delivered")
    steps = [step["type"] for step in timeline["items"]]
    assert steps[:2] == ["accepted", "stored"]
    assert "delivered" in steps

    alice.press(CTRL_C)
    server.press(CTRL_C)
    shown = [line.rpartition(": ")[2].strip() for line in alice.seen.splitlines() if ": " in line]
    assert shown == ["Hello, Alice", "Order 1234 has left", "While you were away", "And after the crash"]
    assert not tour, "the README has a step that nobody took"
