"""Bodies of batches take a bounded part of the memory, however many come and however slowly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from aldis.api.body_room import BodyRoom
from aldis.domain.errors import Rejected, Unavailable


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def never() -> AsyncIterator[bytes]:
    yield b"x"
    await asyncio.Event().wait()


async def test_a_body_is_read_whole() -> None:
    """In whatever pieces it comes."""
    async with BodyRoom().read("a", stream(b"one ", b"", b"two")) as body:
        assert bytes(body) == b"one two"


async def test_one_caller_has_his_share_and_no_more() -> None:
    """He is told to wait; the others have theirs, and he has his again when a batch of his is answered."""
    room = BodyRoom(room=100, share=10)
    async with room.read("a", stream(b"x" * 8)):
        with pytest.raises(Rejected) as refused:
            async with room.read("a", stream(b"x" * 2, b"x")):
                pass
        async with room.read("b", stream(b"x" * 10)):
            pass
    async with room.read("a", stream(b"x" * 10)):
        pass

    assert (refused.value.code, refused.value.retryable) == ("rate_limited", True)
    assert not room._taken


async def test_all_callers_together_have_the_room_and_no_more() -> None:
    """Whoever comes when it is full is told to come back."""
    room = BodyRoom(room=20, share=10)
    async with AsyncExitStack() as stack:
        for caller in ("a", "b"):
            await stack.enter_async_context(room.read(caller, stream(b"x" * 10)))
        with pytest.raises(Unavailable):
            await stack.enter_async_context(room.read("c", stream(b"x")))
    async with room.read("c", stream(b"x" * 10)):
        pass

    assert not room._taken


async def test_a_body_that_does_not_come_gives_its_room_back() -> None:
    """After a while it is refused: room is not for those who hold it."""
    room = BodyRoom(seconds=0.01)

    with pytest.raises(Rejected) as refused:
        async with room.read("a", never()):
            pass

    assert refused.value.code == "bad_request"
    assert not room._taken
