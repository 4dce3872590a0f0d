from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

import pytest

from aldis.adapters.memory.clock import DrivenClock
from aldis.domain.callers import ApiKey, Scope
from aldis.domain.errors import Rejected
from aldis.ports.store import Store
from aldis.services.issue_key import OVERLAP, is_secret_of, issue_key, list_keys, parse_key, revoke_key, rotate_key


class Keys:
    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}
        self.audited: list[tuple[str, str, str]] = []

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["Keys"]:
        yield self

    async def put_api_key(self, key: ApiKey) -> None:
        self.keys[key.id] = key

    async def put_audit(self, actor: str, action: str, target: str, details: Mapping[str, object], at: int) -> None:
        self.audited.append((actor, action, target))

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


async def test_a_key_may_end_by_itself(store: Store) -> None:
    """From its making on, for as long as it was told; without that it has no end."""
    clock = DrivenClock()
    ending = await issue_key("shop", expires_in=90, store=store, clock=clock)
    lasting = await issue_key("shop", store=store, clock=clock)

    await clock.advance(89.999)
    assert ending.key.is_valid(clock.now_ms())
    await clock.advance(0.001)

    assert not ending.key.is_valid(clock.now_ms())
    assert lasting.key.expires_at is None


async def test_rotating_makes_a_key_with_the_same_rights_and_lets_the_old_ones_end(store: Store) -> None:
    """Both work during the overlap; one that would have ended sooner does so; one that has ended stays as it is."""
    clock = DrivenClock()
    rights = {"channels": ["orders"], "scopes": {Scope.SEND}}
    ended = await issue_key("shop", expires_in=1, store=store, clock=clock)
    await clock.advance(1)
    old = await issue_key("shop", **rights, store=store, clock=clock)  # type: ignore[arg-type]  # each fits its own
    soon = await issue_key("shop", **rights, expires_in=60, store=store, clock=clock)  # type: ignore[arg-type]
    now = clock.now_ms()

    issued, ending = await rotate_key("shop", expires_in=3600, store=store, clock=clock)

    assert (issued.key.name, issued.key.scopes, issued.key.channels) == ("shop", old.key.scopes, old.key.channels)
    assert issued.key.expires_at == now + 3_600_000
    assert {key.id: key.expires_at for key in ending} == {
        old.key.id: now + OVERLAP * 1000,
        soon.key.id: now + 60_000,
    }
    kept = {key.id: key for key in await list_keys(store=store)}
    assert [kept[key.id] for key in ending] == ending
    assert kept[ended.key.id] == ended.key
    assert kept[issued.key.id] == issued.key


async def test_a_rotated_key_lives_as_long_as_the_one_before(store: Store) -> None:
    """A backend whose keys end after 90 days gets 90 more, without saying so again."""
    clock = DrivenClock()
    await issue_key("shop", expires_in=90, store=store, clock=clock)
    await clock.advance(60)

    rotated = await rotate_key("shop", store=store, clock=clock)

    assert rotated.issued.key.expires_at == clock.now_ms() + 90_000


async def test_keys_of_different_rights_are_rotated_one_by_one(store: Store) -> None:
    """One new key cannot stand for both; by its id each can be rotated alone."""
    clock = DrivenClock()
    sends = await issue_key("shop", scopes={Scope.SEND}, store=store, clock=clock)
    other = await issue_key("shop", scopes={Scope.ADMIN}, store=store, clock=clock)

    with pytest.raises(Rejected, match="by its id") as refused:
        await rotate_key("shop", store=store, clock=clock)
    rotated = await rotate_key(sends.key.id, store=store, clock=clock)

    assert refused.value.code == "conflict"
    assert rotated.issued.key.scopes == {Scope.SEND}
    assert [key.id for key in rotated.ending] == [sends.key.id]
    assert await store.api_key(other.key.id) == other.key


@pytest.mark.parametrize("ended", ["revoked", "expired", "unknown"])
async def test_rotating_needs_a_valid_key(store: Store, ended: str) -> None:
    """What has ended gives no rights to anybody new."""
    clock = DrivenClock()
    issued = await issue_key("shop", expires_in=1, store=store, clock=clock)
    if ended == "revoked":
        await revoke_key(issued.key.id, store=store, clock=clock)
    if ended == "expired":
        await clock.advance(1)

    with pytest.raises(Rejected, match="no valid key"):
        await rotate_key("stranger" if ended == "unknown" else "shop", store=store, clock=clock)


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
