import gc
from collections.abc import Iterator

import pytest

from aldis.telemetry.collector import ENDED_AT_LEAST, Collector


@pytest.fixture(autouse=True)
def own_collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_is_alive_is_set_aside() -> None:
    """Later collections look only at what is new."""
    collector = Collector()

    collector.tidy(ended=0, alive=0)

    assert gc.get_freeze_count() > 0
    assert sum(gc.get_count()) < ENDED_AT_LEAST


def test_everything_is_looked_at_when_as_many_have_ended() -> None:
    """What was set aside and ended in a cycle is not kept for ever."""
    collector = Collector()

    assert not collector.tidy(ended=ENDED_AT_LEAST - 1, alive=10)
    assert collector.tidy(ended=ENDED_AT_LEAST, alive=10)
    assert not collector.tidy(ended=ENDED_AT_LEAST + 1, alive=10)


def test_many_open_connections_put_it_off() -> None:
    """The pause grows with what is alive, so it comes as much more rarely."""
    collector = Collector()

    assert not collector.tidy(ended=ENDED_AT_LEAST, alive=ENDED_AT_LEAST)
    assert collector.tidy(ended=2 * ENDED_AT_LEAST, alive=ENDED_AT_LEAST)
