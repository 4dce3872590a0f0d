from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from aldis_client.outbox import Entry, Outbox, Payload

NOW = 100.0


def to(user: str, client_id: str = "c") -> Payload:
    return {"to": {"user": user}, "client_id": client_id}


def drain(outbox: Outbox, now: float = NOW) -> list[int]:
    taken: list[int] = []
    while (entry := outbox.take(now)) is not None:
        taken.append(entry.number)
    return taken


STEPS = st.lists(st.tuples(st.sampled_from(["put", "take", "accept", "refuse", "lose", "wait"]), st.integers(0, 2)))


@given(STEPS)
def test_a_lane_is_accepted_in_the_order_it_was_filled(steps: list[tuple[str, int]]) -> None:
    """With one send in flight, no refusal, delay or lost connection lets a send overtake another of its lane."""
    outbox, now = Outbox(window=1), 0.0
    put, accepted = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    flying: list[Entry] = []
    for step, choice in steps:
        now += 1.0
        if step == "put":
            put[f"user=u{choice}"].append(outbox.put(to(f"u{choice}")))
        elif step == "take" and (entry := outbox.take(now)) is not None:
            flying.append(entry)
        elif step == "lose":
            outbox.disconnected()
            flying.clear()
        elif flying and step in {"accept", "refuse"}:
            entry = flying.pop(choice % len(flying))
            if step == "accept":
                accepted[entry.lane].append(entry.number)
                outbox.answer(entry.number)
            else:
                outbox.hold(entry.number, now + 2.0 * choice)

    while (entry := outbox.take(now + 10.0)) is not None or flying:
        entry = entry or flying.pop(0)
        accepted[entry.lane].append(entry.number)
        outbox.answer(entry.number)

    assert accepted == put
    assert len(outbox) == 0


def test_a_lane_has_one_send_in_flight() -> None:
    """The next to the same recipient waits for the answer; other recipients do not."""
    outbox = Outbox(window=1)
    first, second, other = outbox.put(to("bob")), outbox.put(to("bob")), outbox.put(to("eve"))

    assert drain(outbox) == [first, other]

    outbox.answer(first)
    assert drain(outbox) == [second]


def test_unanswered_sends_go_again_in_their_order_before_new_ones() -> None:
    """After a lost connection the old come first, as they were put, across all lanes."""
    outbox = Outbox(window=3)
    old = [outbox.put(to(user)) for user in ("bob", "eve", "bob", "ann")]
    assert drain(outbox) == old
    outbox.answer(old[1])
    new = outbox.put(to("ann"))

    assert outbox.disconnected() == 3
    assert drain(outbox) == [old[0], old[2], old[3], new]


def test_a_send_put_off_holds_its_lane_and_no_other() -> None:
    """What the server wants later keeps what is behind it waiting, until it is due."""
    outbox = Outbox(window=1)
    first, second = outbox.put(to("bob")), outbox.put(to("bob"))
    drain(outbox)

    outbox.hold(first, NOW + 5)
    other = outbox.put(to("eve"))

    assert drain(outbox) == [other]
    assert outbox.wait_seconds(NOW) == 5
    assert drain(outbox, NOW + 5) == [first]
    outbox.answer(first)
    assert drain(outbox, NOW + 5) == [second]


def test_a_send_put_off_stops_those_of_its_window_that_have_not_left() -> None:
    """Even when more may be in flight, nothing new leaves past a send that was put off."""
    outbox = Outbox(window=3)
    first = outbox.put(to("bob"))
    assert drain(outbox) == [first]
    behind = outbox.put(to("bob"))

    outbox.hold(first, NOW + 1)

    assert drain(outbox) == []
    assert drain(outbox, NOW + 1) == [first, behind]


def test_a_send_that_nobody_waits_for_does_not_leave() -> None:
    """Taken back before it left, it makes room for the next and is not repeated."""
    outbox = Outbox(window=1)
    first, second = outbox.put(to("bob")), outbox.put(to("bob"))

    outbox.answer(first)

    assert drain(outbox) == [second]
    assert outbox.disconnected() == 1


def test_a_delay_outlives_the_connection() -> None:
    """A lost connection does not make a send due that the server put off."""
    outbox = Outbox(window=1)
    number = outbox.put(to("bob"))
    drain(outbox)
    outbox.hold(number, NOW + 5)

    assert outbox.disconnected() == 0
    assert drain(outbox) == []
    assert drain(outbox, NOW + 5) == [number]
