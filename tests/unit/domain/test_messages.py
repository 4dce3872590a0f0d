import pytest

from aldis.domain.content import text_content
from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Gone, Kind, Message, Sender, deleted, edited, purged
from aldis.domain.streams import Priority

MESSAGE = Message(
    id=MessageId("01a3185c-5000-74ec-9654-2e063d8fc4e8"),
    conversation_id=ConversationId("c"),
    seq=7,
    kind=Kind.CHAT,
    channel="chat",
    sender=Sender(user=UserId("ann")),
    content=text_content("hi"),
    priority=Priority.NORMAL,
    client_id="c-1",
    expires_at=100,
)


def place(message: Message) -> tuple[object, ...]:
    """What no revision changes."""
    return message.id, message.conversation_id, message.seq, message.sender, message.priority, message.thread_id


def test_an_edit_changes_the_words_and_tells_when() -> None:
    """All else stays, the end of its life too."""
    now = edited(MESSAGE, text_content("ho"), 50)

    assert (now.content, now.edited_at, now.expires_at, now.gone) == (text_content("ho"), 50, 100, None)
    assert (place(now), now.client_id) == (place(MESSAGE), "c-1")


def test_a_deletion_leaves_the_place() -> None:
    """The sender still knows it by the id that he gave it; nothing in it can expire any more."""
    now = deleted(edited(MESSAGE, text_content("ho"), 50))

    assert (now.content, now.edited_at, now.expires_at, now.gone) == (None, None, None, Gone.DELETED)
    assert (place(now), now.client_id) == (place(MESSAGE), "c-1")


def test_a_purge_leaves_nothing_that_the_sender_gave() -> None:
    """Not even his own id for it."""
    now = purged(MESSAGE)

    assert (now.content, now.client_id, now.gone) == (None, None, Gone.PURGED)
    assert place(now) == place(MESSAGE)


@pytest.mark.parametrize(("now_ms", "gone"), [(99, None), (100, Gone.EXPIRED), (101, Gone.EXPIRED)])
def test_a_message_is_gone_when_its_time_is_over(now_ms: int, gone: Gone | None) -> None:
    """To the millisecond; what was taken away before stays so, for its own reason."""
    assert MESSAGE.gone_at(now_ms) == gone
    assert deleted(MESSAGE).gone_at(now_ms) is Gone.DELETED
    assert purged(MESSAGE).gone_at(now_ms) is Gone.PURGED
