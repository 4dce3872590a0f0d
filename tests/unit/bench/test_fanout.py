import json

from bench.crowd import ALDIS, Crowd
from bench.fanout import Posts


def posts_of(seqs: list[int]) -> Posts:
    """Answers to messages 0, 1, 2 … with these seqs."""
    crowd = Crowd(port=0, dialect=ALDIS)
    crowd.start_phase([0.0] * len(seqs))
    posts = Posts(len(seqs))
    for turn, seq in enumerate(seqs):
        posts.on_answer(201, json.dumps({"message_id": "m", "seq": seq}).encode(), turn, crowd)
    return posts


def test_what_is_heard_in_the_order_of_seq_is_in_place() -> None:
    """Posts over several connections may be stored in another order than they were sent in; that order counts."""
    posts = posts_of([2, 1, 3])

    assert posts.is_done
    assert posts.misplaced([1, 0, 2]) == 0


def test_what_is_heard_otherwise_or_not_at_all_is_told() -> None:
    """Two that changed places are two, and one that nobody heard is one."""
    assert posts_of([1, 2, 3]).misplaced([1, 0, 2]) == 2
    assert posts_of([1, 2, 3]).misplaced([0, 1]) == 1


def test_a_refusal_is_an_answer_but_no_message() -> None:
    """What was refused is counted by its status."""
    posts = Posts(1)

    posts.on_answer(503, b"", 0, Crowd(port=0, dialect=ALDIS))

    assert posts.is_done
    assert posts.refused == {503: 1}
    assert posts.answers == []
