import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from aldis.adapters.memory.clock import START_MS
from aldis.domain.errors import AldisError, Rejected, Unavailable
from aldis.gateway.ephemera import ROOM, EphemeralWriter, ephemeral_frame
from aldis.gateway.ephemeral_commands import TYPING_IN, TYPING_MS, EphemeralCommands
from aldis.gateway.frames import TypingBody
from aldis.services.typists import Typing
from aldis.telemetry.metrics import Metrics
from unit.gateway.fakes import make_rig

TALK = "00000000-0000-5000-8000-000000000000"
FRAME = ephemeral_frame(b'{"type":"typing"}')


def counted(metrics: Metrics, outcome: str) -> float | None:
    return metrics.registry.get_sample_value("aldis_ephemeral_total", {"type": "typing", "outcome": outcome})


@pytest.mark.parametrize(
    ("unsent", "attached", "closed", "written"),
    [
        (0, True, False, True),
        (ROOM, True, False, True),
        (ROOM + 1, True, False, False),
        (0, False, False, False),
        (0, True, True, False),
    ],
)
def test_only_who_has_read_nearly_all_gets_ephemeral_news(
    unsent: int, attached: bool, closed: bool, written: bool
) -> None:
    """It is shed for all others, and both are counted."""
    metrics, rig = Metrics(), make_rig()
    rig.protocol.unsent, rig.connection.attached, rig.connection.closed = unsent, attached, closed

    assert EphemeralWriter(metrics=metrics).offer(rig.connection, "typing", FRAME) is written

    assert rig.protocol.transport.written == ([FRAME] if written else [])
    assert (counted(metrics, "sent"), counted(metrics, "shed")) == (float(written), float(not written))


class Typist:
    """A connection's commands, with what was told on, on a time that the test sets."""

    def __init__(self) -> None:
        self.now, self.told, self.metrics = START_MS, 0, Metrics()
        self.answer: AldisError | None = None
        self.rig = make_rig()
        context: Any = SimpleNamespace(typists=self, clock=self, metrics=self.metrics)
        self.rig.connection.context = context
        self.commands = EphemeralCommands(self.rig.connection)

    def now_ms(self) -> int:
        return self.now

    def tell_nowait(self, typing: Typing, done: Callable[[AldisError | None], None]) -> None:
        self.told += 1
        done(self.answer)

    def type(self, number: int = 0, command_id: int | None = None) -> int:
        """Type in a conversation; how often anybody was told so far."""
        self.commands.type(command_id, TypingBody(f"{TALK[:-4]}{number:04d}"))
        return self.told

    @property
    def errors(self) -> list[Any]:
        return [json.loads(frame[frame.index(b"{") :]) for frame in self.rig.protocol.transport.written]


def test_typing_is_told_once_a_second_in_each_conversation() -> None:
    """What comes sooner is dropped and counted, without a word."""
    typist = Typist()
    assert [typist.type(), typist.type(), typist.type(1)] == [1, 1, 2]

    typist.now += TYPING_MS - 1
    assert typist.type() == 2
    typist.now += 1
    assert typist.type() == 3
    assert (counted(typist.metrics, "dropped"), typist.errors) == (2, [])


def test_nobody_types_everywhere_at_once() -> None:
    """Each conversation may cost a look-up, so a connection has so many in a second, and is remembered no more."""
    typist = Typist()
    assert [typist.type(number) for number in range(100)][-1] == TYPING_IN

    typist.now += TYPING_MS
    assert [typist.type(number) for number in range(100)][-1] == 2 * TYPING_IN
    assert len(typist.commands._typed) == TYPING_IN


def test_a_refusal_is_told_and_a_loss_is_not() -> None:
    """With the field's path in the frame, and with the command's id if it had one."""
    typist = Typist()
    typist.answer = Rejected("not_found", "no such conversation of yours", field="conversation_id")
    typist.type(0)
    typist.type(1, 7)
    typist.answer = Unavailable("too much")
    typist.type(2, 8)

    assert [(frame.get("id"), frame["error"]["field"]) for frame in typist.errors] == [
        (None, "typing.conversation_id"),
        (7, "typing.conversation_id"),
    ]
