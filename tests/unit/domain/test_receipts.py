from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.ids import ConversationId, UserId
from aldis.domain.receipts import ReadMark, Receipt

seqs = st.integers(0, 2**53)
receipts = st.builds(
    Receipt,
    conversation_id=st.just(ConversationId("c")),
    user=st.just(UserId("u")),
    express=seqs,
    standard=seqs,
    read_seq=seqs,
)
NOTHING = Receipt(conversation_id=ConversationId("c"), user=UserId("u"))


@given(receipts, receipts, receipts)
def test_receipts_merge_in_any_order(one: Receipt, two: Receipt, three: Receipt) -> None:
    """Whatever comes first, late or twice, the result is the same."""
    assert one.merge(two) == two.merge(one)
    assert one.merge(two).merge(three) == one.merge(two.merge(three))
    assert one.merge(one) == one
    assert one.merge(NOTHING) == one


@given(receipts, receipts)
def test_a_merged_receipt_is_behind_neither(one: Receipt, two: Receipt) -> None:
    """Merging loses nothing, and merging a part again changes nothing."""
    both = one.merge(two)

    for part in (one, two):
        assert (both.express, both.standard, both.read_seq) >= (part.express, part.standard, part.read_seq)
        assert both.merge(part) == both


@given(st.lists(st.booleans(), max_size=60), st.data())
def test_unread_is_the_number_of_others_above_the_mark(own: list[bool], data: st.DataObject) -> None:
    """The four numbers of a mark give what counting the messages one by one gives."""
    read = data.draw(st.integers(0, len(own)))
    mark = ReadMark(head_seq=len(own), read_seq=read, own_total=sum(own), own_read=sum(own[:read]))

    assert mark.unread == sum(not mine for mine in own[read:])
