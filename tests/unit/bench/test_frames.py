import json

import jwt

from bench import frames, tokens

SECRET = "a secret of at least thirty-two bytes"


def test_a_message_is_known_again_by_its_text() -> None:
    """The number that a send carries is read from the event that brings it, in a text of 100 bytes."""
    sent = json.loads(frames.build_send(42, recipient="bob"))["send"]
    message = {"id": "m", "conversation_id": "c", "seq": 1, "content": sent["content"]}
    event = {"source": "s", "events": [{"pos": 1, "type": "message", "message": message}]}

    news = frames.decode(json.dumps(event).encode())

    assert len(sent["content"]["text"]) == 100
    assert frames.number_of(news.events[0].message) == 42


def test_a_strange_message_has_no_number() -> None:
    """A text that the generator did not write is not taken for one of its own."""
    assert frames.number_of(frames.Message(content=frames.Content(text="hi"))) is None
    assert frames.number_of(None) is None


def test_a_token_is_a_valid_jwt() -> None:
    """A token that is signed here names its user to the library that the server checks it with."""
    token = tokens.sign("alice", secret=SECRET)

    assert jwt.decode(token, SECRET, algorithms=["HS256"])["sub"] == "alice"
