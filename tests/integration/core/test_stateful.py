"""The core against the naive model once more, with Hypothesis choosing what happens and in which order.

`test_model.py` plays long days; this one looks for the shortest way to break a rule, and Hypothesis prints it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from integration.core.running_core import MEMORY
from integration.core.test_model import Day

DICE = st.randoms(use_true_random=False)
EXAMPLES = 40
STEPS = 30


class CoreMachine(RuleBasedStateMachine):
    """Positions, cursors, receipts, unread counts, repeats, groups, edits: each rule is one of the day's happenings."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._day = Day(MEMORY, 0)
        self._is_new = False

    @initialize()
    def begin(self) -> None:
        """Open the core."""
        self._runner.run(self._day.start())

    @rule(dice=DICE, after_ms=st.integers(1, 5000))
    def send(self, dice: Random, after_ms: int) -> None:
        """A group of sends, some of them repeats of earlier ones or of each other."""
        self._day.clock.now += after_ms
        self._happen(dice, self._day.send)

    @rule(dice=DICE)
    def connect(self, dice: Random) -> None:
        """A device comes with its cursor, an old one, another epoch's, or none."""
        self._happen(dice, self._day.connect)

    @rule(dice=DICE)
    def receive(self, dice: Random) -> None:
        """A device reads on."""
        self._happen(dice, self._day.receive)

    @rule(dice=DICE)
    def acknowledge(self, dice: Random) -> None:
        """A device confirms, also late and twice."""
        self._happen(dice, self._day.acknowledge)

    @precondition(lambda self: self._day.stored)
    @rule(dice=DICE)
    def read(self, dice: Random) -> None:
        """A member reads some way, also backwards or beyond the end."""
        self._happen(dice, self._day.read)

    @precondition(lambda self: self._day.stored)
    @rule(dice=DICE, after_ms=st.integers(1, 5000))
    def edit(self, dice: Random, after_ms: int) -> None:
        """A sender lets a message say something else, or the same, or comes too late; somebody else tries."""
        self._day.clock.now += after_ms
        self._happen(dice, self._day.edit)

    @precondition(lambda self: self._day.stored)
    @rule(dice=DICE)
    def delete(self, dice: Random) -> None:
        """A sender takes a message back, perhaps again."""
        self._happen(dice, self._day.delete)

    @rule(dice=DICE)
    def disconnect(self, dice: Random) -> None:
        """A connection goes."""
        self._happen(dice, self._day.disconnect)

    @rule(dice=DICE)
    def restart(self, dice: Random) -> None:
        """All services are new; the store is what it was."""
        self._happen(dice, self._day.restart)

    @precondition(lambda self: self._day.stored)
    @rule(dice=DICE)
    def trim(self, dice: Random) -> None:
        """Retention takes what is old."""
        self._happen(dice, self._day.trim)

    @invariant()
    def is_as_the_model_says(self) -> None:
        """Heads, floors, devices, badges, unread counts, what is due, statuses."""
        if self._is_new:
            self._is_new = False
            self._runner.run(self._day.compare())

    def teardown(self) -> None:
        """Compare everything, and close."""
        try:
            self._runner.run(self._day.compare_everything())
        finally:
            self._runner.run(self._day.stop())
            self._runner.close()

    def _happen(self, dice: Random, happening: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._day.dice = dice
        self._is_new = True
        self._runner.run(happening())


@pytest.mark.timeout(180)
def test_no_sequence_of_happenings_breaks_a_rule() -> None:
    """Whatever happens in whatever order, the services say what the model says."""
    run_state_machine_as_test(
        CoreMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
