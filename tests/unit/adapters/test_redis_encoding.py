from hypothesis import given
from hypothesis import strategies as st

from aldis.adapters.redis.encoding import decode_letter, encode_letter, encode_ring
from aldis.adapters.redis.lanes import EXPRESS_LANE, STANDARD_LANE, WHISPERED, lane_of
from aldis.domain.ids import UserId
from aldis.domain.streams import MAX_POSITION, Batch, Broadcast, BroadcastEvent, Event
from aldis.ports.backplane import Disconnect, Knock, Parting, Ring, Sighting, Whisper

users = st.text(min_size=1, max_size=20).map(UserId)
positions = st.integers(0, MAX_POSITION)
bodies = st.binary(max_size=50)
events = st.builds(Event, positions, bodies, st.booleans())
broadcast_events = st.builds(
    BroadcastEvent, positions, bodies, st.booleans(), st.text(max_size=10), st.integers(-1, MAX_POSITION)
)
rings: st.SearchStrategy[Ring] = st.one_of(
    st.builds(Batch, users, st.sampled_from(["e", "s", "r"]), st.lists(events, min_size=1).map(tuple), positions),
    st.builds(Broadcast, st.sampled_from(["be", "bs"]), st.lists(broadcast_events, min_size=1).map(tuple), positions),
    st.builds(Knock, users),
    st.builds(Disconnect, users, st.none() | st.text(max_size=10), st.integers(4000, 4499), st.none() | st.text()),
    st.builds(Whisper, users, bodies),
    st.builds(Sighting, users, st.booleans()),
    st.builds(Parting, users, users),
)


@given(sent_before=st.integers(0, MAX_POSITION), rung=st.lists(rings, max_size=5))
def test_a_letter_is_read_as_it_was_written(sent_before: int, rung: list[Ring]) -> None:
    """Every kind of ring, with all that is in it."""
    letter = decode_letter(encode_letter("writer", sent_before, [encode_ring(ring) for ring in rung]))

    assert letter == ("writer", sent_before, rung)
    assert [type(ring) for ring in letter.rings] == [type(ring) for ring in rung]


def test_each_ring_has_its_lane() -> None:
    """What is urgent, or protects somebody, rides in express; what is ephemeral by itself."""
    event = Event(1, b"")
    anna, bob = UserId("anna"), UserId("bob")

    assert lane_of(Batch(anna, "e", (event,))) == EXPRESS_LANE
    assert lane_of(Broadcast("be", (BroadcastEvent(1, b""),))) == EXPRESS_LANE
    assert lane_of(Disconnect(anna, None, 4403)) == EXPRESS_LANE
    assert lane_of(Parting(anna, bob)) == EXPRESS_LANE
    assert lane_of(Batch(anna, "s", (event,))) == STANDARD_LANE
    assert lane_of(Batch(anna, "r", (event,))) == STANDARD_LANE
    assert lane_of(Broadcast("bs", (BroadcastEvent(1, b""),))) == STANDARD_LANE
    assert lane_of(Knock(anna)) == STANDARD_LANE
    assert lane_of(Whisper(anna, b"")) == WHISPERED
    assert lane_of(Sighting(anna, online=True)) == WHISPERED
