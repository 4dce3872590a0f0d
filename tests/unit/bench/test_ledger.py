from bench.ledger import Ledger, Role
from bench.order import Verdict


def test_a_confirmed_message_that_no_one_got_is_missing() -> None:
    """Only what was confirmed can be missing, for each role by itself."""
    ledger = Ledger()
    numbers = ledger.start_phase(3)
    ledger.on_answer(0, 1.0)
    ledger.on_answer(1, 1.0)
    ledger.on_message(0, role=Role.RECIPIENT, verdict=Verdict.NEXT, now=2.0)

    assert ledger.missing(numbers, Role.RECIPIENT) == 1
    assert ledger.missing(numbers, Role.OTHER) == 2


def test_the_same_message_at_another_position_is_repeated() -> None:
    """A message shown twice is a repeat, even where the positions are in order."""
    ledger = Ledger()
    ledger.start_phase(1)
    ledger.on_message(0, role=Role.RECIPIENT, verdict=Verdict.NEXT, now=2.0)
    ledger.on_message(0, role=Role.RECIPIENT, verdict=Verdict.NEXT, now=3.0)

    assert ledger.tally.received[Role.RECIPIENT] == 1
    assert ledger.tally.repeated[Role.RECIPIENT] == 1
    assert ledger.tally.out_of_order[Role.RECIPIENT] == 0


def test_a_message_to_the_senders_own_devices_is_no_repeat() -> None:
    """The recipient, the other device and the sending device each get a message once."""
    ledger = Ledger()
    ledger.start_phase(1)
    for role in Role:
        ledger.on_message(0, role=role, verdict=Verdict.NEXT, now=2.0)

    assert ledger.tally.repeated.total() == 0


def test_latencies_count_from_the_intended_time() -> None:
    """A message that never came has no latency; the others have theirs in milliseconds."""
    ledger = Ledger()
    numbers = ledger.start_phase(2)
    ledger.intended[0] = ledger.intended[1] = 1.0
    ledger.on_answer(1, 1.5)

    assert ledger.latencies(numbers, ledger.answered) == [500.0]


def test_a_phase_goes_on_numbering_and_counts_anew() -> None:
    """Numbers are never used twice; tallies begin at nought."""
    ledger = Ledger()
    ledger.start_phase(2)
    ledger.on_answer(0, 1.0)

    assert ledger.start_phase(3) == range(2, 5)
    assert ledger.tally.answered == 0


def test_a_message_that_was_never_sent_is_strange() -> None:
    """What cannot be one of ours is counted, not believed."""
    ledger = Ledger()
    ledger.start_phase(1)
    ledger.on_message(None, role=Role.OTHER, verdict=Verdict.NEXT, now=1.0)
    ledger.on_message(7, role=Role.OTHER, verdict=Verdict.NEXT, now=1.0)

    assert ledger.tally.strange == 2
