import json

from bench.ingest import Answers


def test_a_batch_is_counted_message_by_message() -> None:
    """In one answer some may be stored and others refused, each by its code."""
    answers = Answers(batch=3)
    items = [{"message_id": "a"}, {"error": {"code": "rate_limited"}}, {"message_id": "b"}]

    answers.take(200, json.dumps({"results": items}).encode(), 0.0)

    assert answers.ids == {"a", "b"}
    assert answers.refused == {"rate_limited": 1}
    assert answers.requests == 1


def test_a_refused_request_refuses_all_of_its_messages() -> None:
    """A connection that ended (0) or an error counts for every message of the request."""
    answers = Answers(batch=3)

    answers.take(0, b"", 0.0)

    assert answers.refused == {"0": 3}
    assert not answers.ids
