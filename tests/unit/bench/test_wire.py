import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import wire


def server_frame(payload: bytes) -> bytes:
    """A frame as a server sends it: the client's without the mask, which is nought."""
    framed = wire.client_frame(payload)
    head = framed[: len(framed) - len(payload) - 4]
    return bytes((head[0], head[1] & 0x7F)) + head[2:] + payload


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_frame_of_any_length_is_cut_whole(size: int) -> None:
    """The three forms of a length are read as they are written."""
    data = server_frame(b"x" * size)

    [(first, start, stop)], rest = wire.cut(data)

    assert (first, data[start:stop], rest) == (wire.TEXT, b"x" * size, len(data))


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(min_value=0, max_value=1_500))
def test_what_has_not_come_yet_is_left(payloads: list[bytes], split: int) -> None:
    """However the bytes are split over two reads, the frames are those that were sent, in order."""
    sent = b"".join(map(server_frame, payloads))

    early, rest = wire.cut(sent[:split])
    late, end = wire.cut(sent[:split][rest:] + sent[split:])

    got = [sent[start:stop] for _, start, stop in early]
    got += [sent[rest:][start:stop] for _, start, stop in late]
    assert got == payloads
    assert rest + end == len(sent)


def test_the_handshake_names_a_subprotocol_only_where_there_is_one() -> None:
    """A server that knows none is not asked for one."""
    plain = wire.upgrade_request(host="h", path="/p")
    named = wire.upgrade_request(host="h", path="/p", subprotocol="aldis.v1")

    assert b"Sec-WebSocket-Protocol" not in plain
    assert b"Sec-WebSocket-Protocol: aldis.v1\r\n" in named
    assert plain.endswith(b"\r\n\r\n")
