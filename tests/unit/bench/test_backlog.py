from bench import frames
from bench.backlog import Inbox


def event(pos: int, number: int) -> frames.Event:
    content = frames.content_of(number)
    return frames.Event(pos=pos, type="message", message=frames.Message(content=frames.Content(text=content["text"])))


def test_what_comes_in_front_of_an_urgent_message_is_counted() -> None:
    """Low ones before the first urgent one are told, and how many had come by each."""
    inbox = Inbox()

    for source, pos, number in (("s", 1, 1), ("e", 1, 100), ("s", 2, 2), ("s", 3, 3), ("e", 2, 101)):
        inbox.on_event(source, event(pos, number), float(number))

    assert inbox.low_before_first == 1
    assert inbox.urgent_at == {100: (100.0, 1), 101: (101.0, 3)}
