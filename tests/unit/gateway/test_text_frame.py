from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from aldis.gateway.protocol import text_frame

LENGTH_CLASSES = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 1_000_000]  # RFC 6455 §5.2: 7, 16 and 64 bits


def parse(data: bytes) -> tuple[Frame, int]:
    """The first frame as the library's own parser reads it, and how many bytes are left."""
    reader = StreamReader()
    reader.feed_data(data)
    parser: Generator[None, None, Frame] = Frame.parse(reader.read_exact, mask=False, max_size=None)
    try:
        next(parser)
    except StopIteration as end:
        frame: Frame = end.value
        return frame, len(reader.buffer)
    raise AssertionError("the frame is not whole")


@pytest.mark.parametrize("length", LENGTH_CLASSES)
def test_a_text_frame_of_each_length_is_read_back(length: int) -> None:
    """Unmasked, final, text, and exactly the payload, in each of the three ways to write a length."""
    payload = b"x" * length

    frame, left = parse(text_frame(payload))

    assert (frame.opcode, frame.fin, frame.data, left) == (Opcode.TEXT, True, payload, 0)
    assert [frame.rsv1, frame.rsv2, frame.rsv3] == [False, False, False]


@given(st.text(max_size=300))
def test_any_text_is_read_back(text: str) -> None:
    """Whatever the characters."""
    frame, left = parse(text_frame(text.encode()))

    assert (bytes(frame.data).decode(), left) == (text, 0)
