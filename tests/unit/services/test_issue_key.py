from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from aldis.adapters.memory.clock import DrivenClock
from aldis.domain.callers import ApiKey, Scope
from aldis.domain.errors import Rejected
from aldis.ports.store import Store
from aldis.services.issue_key import is_secret_of, issue_key, list_keys, parse_key, revoke_key


class Keys:
    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["Keys"]:
        yield self

    async def put_api_key(self, key: ApiKey) -> None:
        self.keys[key.id] = key

    async def api_key(self, key_id: str) -> ApiKey | None:
        return self.keys.get(key_id)

    async def api_keys(self) -> list[ApiKey]:
        return list(self.keys.values())


@pytest.fixture
def store() -> Store:
    return cast("Store", Keys())


async def test_a_key_is_kept_as_a_hash_and_shown_once(store: Store) -> None:
    """What is stored tells whether a secret is right, and not what it is."""
    issued = await issue_key("shop", channels=["orders"], store=store, clock=DrivenClock())

    parsed = parse_key(issued.text)
    assert parsed is not None
    assert await list_keys(store=store) == [issued.key]
    assert is_secret_of(issued.key, parsed.secret)
    assert parsed.secret not in repr(issued.key)


async def test_a_key_sends_by_default_and_administers_only_when_told(store: Store) -> None:
    """Nobody gets the scope `admin` by leaving something out."""
    issued = await issue_key("shop", store=store, clock=DrivenClock())

    assert issued.key.scopes == {Scope.SEND, Scope.SEND_AS}


async def test_two_keys_of_one_backend_are_told_apart(store: Store) -> None:
    """Several keys are valid at once, so that they can be rotated."""
    first, second = [await issue_key("shop", store=store, clock=DrivenClock()) for _ in range(2)]

    assert first.key.id != second.key.id
    assert not is_secret_of(first.key, second.text.split("_", 2)[2])


async def test_a_bad_name_is_refused(store: Store) -> None:
    """A backend and its channels are named as everything is."""
    with pytest.raises(Rejected, match="name"):
        await issue_key("my shop", store=store, clock=DrivenClock())


async def test_revoking_twice_keeps_the_first_time(store: Store) -> None:
    """A key is revoked once; the second call changes nothing."""
    clock = DrivenClock()
    issued = await issue_key("shop", store=store, clock=clock)

    first = await revoke_key(issued.key.id, store=store, clock=clock)
    await clock.advance(1)

    assert await revoke_key(issued.key.id, store=store, clock=clock) == first
    assert first.revoked_at is not None


async def test_revoking_an_unknown_key_says_so(store: Store) -> None:
    """A typing mistake must not look like a success."""
    with pytest.raises(Rejected) as refused:
        await revoke_key("0" * 16, store=store, clock=DrivenClock())

    assert refused.value.code == "not_found"


@pytest.mark.parametrize(
    "text", ["", "ak_", "ak_0123456789abcdef", "ak_0123456789abcdef_", f"AK_0123456789abcdef_{'x' * 43}", "ak_xyz_abc"]
)
def test_text_that_is_no_key_is_told(text: str) -> None:
    """Only the whole form is a key."""
    assert parse_key(text) is None
