import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.cursors import Positions
from aldis.domain.streams import SOURCES, Event, Source
from aldis.gateway.close_codes import CloseCode
from aldis.gateway.connection import EXPRESS_ROOM, STANDARD_ROOM
from aldis.gateway.frames import events_frame
from aldis.gateway.protocol import text_frame
from unit.gateway.fakes import Rig, make_rig


@pytest.fixture
def rig() -> Rig:
    """A connection that goes on after position 10 of each source."""
    rig = make_rig()
    at = Positions(**dict.fromkeys(SOURCES, 10))
    rig.connection.attach(at, at)
    return rig


@pytest.mark.parametrize("source", SOURCES)
def test_the_next_event_is_written(rig: Rig, source: Source) -> None:
    """And becomes what was written last."""
    assert rig.offer(source, 11, 3)
    assert rig.connection.written[source] == 13
    assert rig.frames == 1


@pytest.mark.parametrize(("first", "count"), [(1, 1), (10, 1), (8, 3)])
def test_what_was_written_is_dropped(rig: Rig, first: int, count: int) -> None:
    """It is no gap: nobody has to read for it."""
    assert rig.offer("s", first, count)
    assert (rig.frames, rig.connection.written["s"], rig.connection.behind) == (0, 10, [])


@pytest.mark.parametrize(("first", "count"), [(12, 1), (9, 4), (10, 2), (100, 1)])
def test_a_jump_or_an_overlap_is_left_to_the_feed(rig: Rig, first: int, count: int) -> None:
    """Nothing is written, and the connection knows how far it is behind."""
    assert not rig.offer("s", first, count)
    assert (rig.frames, rig.connection.written["s"]) == (0, 10)
    assert rig.connection.rung["s"] == first + count - 1
    assert rig.connection.behind == ["s"]


def test_nothing_is_written_before_it_is_known_what_was() -> None:
    """A connection that is not attached remembers what it was rung with."""
    rig = make_rig()

    assert not rig.offer("s", 1)
    rig.connection.attach(Positions(), Positions())

    assert rig.frames == 0
    assert rig.connection.behind == ["s"]


@pytest.mark.parametrize("source", ["s", "be", "bs", "r"])
def test_beyond_its_room_everything_but_express_waits(rig: Rig, source: Source) -> None:
    """64 KiB unsent are enough for what can be read again later."""
    rig.protocol.unsent = STANDARD_ROOM

    assert not rig.offer(source, 11)
    assert rig.offer("e", 11)
    assert (rig.frames, rig.connection.behind) == (1, [source])


async def test_express_that_finds_no_room_at_all_ends_the_connection(rig: Rig) -> None:
    """More than 1 MiB unsent: 4002, told before the close, and nothing is written after it."""
    rig.protocol.unsent = EXPRESS_ROOM
    assert rig.offer("e", 11)

    rig.protocol.unsent = EXPRESS_ROOM + 1
    assert not rig.offer("e", 12)

    assert rig.protocol.closed_with == CloseCode.SLOW_CONSUMER
    assert b'"code":4002' in rig.protocol.transport.written[-1]
    assert rig.connection.written["e"] == 11


async def test_a_slow_consumer_is_cut_off_soon_after(rig: Rig) -> None:
    """It will not read the close frame either."""
    rig.connection.close(CloseCode.SLOW_CONSUMER)

    assert rig.context.hub.removed == [rig.connection]


def test_closing_twice_says_it_once(rig: Rig) -> None:
    """The first reason stands."""
    rig.connection.close(CloseCode.REPLACED)
    rig.connection.close(CloseCode.SHUTDOWN)

    assert rig.protocol.closed_with == CloseCode.REPLACED
    assert (rig.frames, len(rig.context.hub.removed)) == (1, 1)


def test_a_socket_that_has_ended_is_forgotten_once(rig: Rig) -> None:
    """Whether it was closed, lost, or both."""
    rig.connection.lost()
    rig.connection.lost()
    rig.connection.close(CloseCode.SHUTDOWN)

    assert (len(rig.context.hub.removed), rig.protocol.closed_with) == (1, None)


@pytest.mark.parametrize("code", [CloseCode.SHUTDOWN, CloseCode.TOKEN])
def test_only_those_who_shall_come_back_are_told_when(rig: Rig, code: CloseCode) -> None:
    """`after_ms` spreads those who come back."""
    rig.connection.close(code, after_ms=1234)

    (frame,) = rig.protocol.transport.written
    told = json.loads(frame[frame.index(b"{") :])["disconnect"]
    assert told == {
        "code": code,
        "reason": told["reason"],
        "reconnect": code.reconnect,
        "after_ms": 1234 if code.reconnect else 0,
    }


def test_what_is_behind_is_written_express_first(rig: Rig) -> None:
    """Then broadcasts of the express lane, state, and the standard lanes."""
    for source in SOURCES:
        rig.connection.rung[source] = 11

    assert rig.connection.behind == ["e", "be", "r", "s", "bs"]


def test_the_cursor_is_what_was_written(rig: Rig) -> None:
    """Never what was rung for."""
    rig.offer("s", 11)
    rig.offer("e", 50)

    assert rig.connection.cursor == "epoch.e10.s11.be10.bs10.r10"


def test_what_a_device_was_sent_is_noted_once(rig: Rig) -> None:
    """One note from where the last one ended up to what is written by then."""
    rig.offer("s", 11)
    rig.offer("s", 12, 4)

    notes = rig.connection.take_sent(5)

    assert [(note.source, note.low, note.high, note.at) for note in notes] == [("s", 10, 15, 5)]
    assert rig.connection.take_sent(6) == []


def test_state_and_own_messages_are_no_deliveries(rig: Rig) -> None:
    """Nobody waits to hear that they were sent."""
    rig.offer("r", 11)
    rig.offer("s", 11, own=True)

    assert rig.connection.take_sent(5) == []


def test_a_reader_without_a_name_leaves_no_notes() -> None:
    """It gets events and moves nothing."""
    rig = make_rig(device=None)
    rig.connection.attach(Positions(), Positions())

    assert rig.offer("s", 1)
    assert rig.connection.take_sent(5) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(SOURCES),
            st.integers(1, 12),
            st.integers(1, 4),
            st.sampled_from([0, STANDARD_ROOM, EXPRESS_ROOM]),
        ),
        max_size=40,
    )
)
def test_whatever_is_offered_only_the_next_is_ever_written(offers: list[tuple[Source, int, int, int]]) -> None:
    """Positions of a source on the wire are 1, 2, 3 …, and what was refused is known to be missing."""
    rig = make_rig()
    rig.connection.attach(Positions(), Positions())
    wire: dict[Source, list[int]] = {source: [] for source in SOURCES}

    for source, first, count, unsent in offers:
        rig.protocol.unsent = unsent
        before = rig.frames
        events = [Event(first + index, b'"type":"t"}') for index in range(count)]
        taken = rig.connection.offer(source, events, text_frame(events_frame(source, events)))
        wire[source] += [event.pos for event in events] if rig.frames > before else []
        assert taken or source in rig.connection.behind

    for source, positions in wire.items():
        assert positions == list(range(1, len(positions) + 1))
        assert rig.connection.written[source] == len(positions)
