"""Issuing backend keys: `ak_<id>_<secret>`, shown once, kept only as a hash, several valid at once for rotation.

The secret has 256 random bits, so one SHA-256 keeps it: there is nothing to guess that a slow hash would protect.
Rotating makes a key with the same rights and lets the earlier ones end by themselves after an overlap.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from aldis.domain.audit import CLI, Action
from aldis.domain.callers import SENDING, ApiKey, Scope
from aldis.domain.errors import Rejected
from aldis.domain.ids import check_name, rfc3339
from aldis.ports.clock import Clock
from aldis.ports.store import Store

PREFIX = "ak_"
ID_BYTES = 8
SECRET_BYTES = 32
OVERLAP = 24 * 3600  # seconds in which a backend can be moved over to its new key
_KEY = re.compile(rf"{PREFIX}([0-9a-f]{{{2 * ID_BYTES}}})_([A-Za-z0-9_-]{{43}})")  # 43: 32 bytes in base64url


class KeyText(NamedTuple):
    """The two parts of a key as its holder has it."""

    id: str
    secret: str

    def __str__(self) -> str:
        """The text that goes into the Authorization header."""
        return f"{PREFIX}{self.id}_{self.secret}"


class IssuedKey(NamedTuple):
    """A new key; `text` is never to be had again."""

    key: ApiKey
    text: str


class RotatedKey(NamedTuple):
    """A new key in the place of others, which still work until their `expires_at`."""

    issued: IssuedKey
    ending: list[ApiKey]


def parse_key(text: str) -> KeyText | None:
    """The parts of a key's text, None when it is not one."""
    match = _KEY.fullmatch(text)
    return KeyText(match[1], match[2]) if match is not None else None


def hash_secret(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret_of(key: ApiKey, secret: str) -> bool:
    """Whether `secret` is the key's, in a time that does not depend on how much of it is right."""
    return hmac.compare_digest(hash_secret(secret), key.hash)


def build_key(
    name: str, *, scopes: Collection[Scope], channels: Collection[str], life: int | None, now: int
) -> IssuedKey:
    """A key that nobody had before, for `life` ms from `now` (Unix ms), or without an end."""
    text = KeyText(secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES))
    key = ApiKey(
        id=text.id,
        name=check_name(name, "name"),
        hash=hash_secret(text.secret),
        scopes=frozenset(scopes),
        channels=frozenset(check_name(channel, "channels") for channel in channels),
        created_at=now,
        expires_at=now + life if life is not None else None,
    )
    return IssuedKey(key, str(text))


async def issue_key(
    name: str,
    *,
    channels: Collection[str] = (),
    scopes: Collection[Scope] = SENDING,
    expires_in: int | None = None,
    actor: str = CLI,
    store: Store,
    clock: Clock,
) -> IssuedKey:
    """Make a key for the backend `name`; no channels means all of them, `expires_in` (seconds) None for ever."""
    life = expires_in * 1000 if expires_in is not None else None
    issued = build_key(name, scopes=scopes, channels=channels, life=life, now=clock.now_ms())
    async with store.begin() as transaction:
        await transaction.put_api_key(issued.key)
        await transaction.put_audit(
            actor, Action.KEY_CREATE, issued.key.id, rights_of(issued.key), issued.key.created_at
        )
    return issued


async def rotate_key(
    which: str,
    *,
    overlap: int = OVERLAP,
    expires_in: int | None = None,
    actor: str = CLI,
    store: Store,
    clock: Clock,
) -> RotatedKey:
    """Make a key with the rights of the keys of `which` (a backend's name, or one key's id), which end in `overlap` s.

    The new key lives for `expires_in` seconds, else for as long as the newest of the old ones was meant to.
    """
    now = clock.now_ms()
    old = choose_rotated(await store.api_keys(), which, now)
    newest = old[-1]
    life = expires_in * 1000 if expires_in is not None else _life(newest)
    issued = build_key(newest.name, scopes=newest.scopes, channels=newest.channels, life=life, now=now)
    end = now + overlap * 1000
    ending = [replace(key, expires_at=min(key.expires_at or end, end)) for key in old]
    async with store.begin() as transaction:
        for key in (issued.key, *ending):
            await transaction.put_api_key(key)
        details = {**rights_of(issued.key), "ending": [key.id for key in ending]}
        await transaction.put_audit(actor, Action.KEY_ROTATE, issued.key.id, details, now)
    return RotatedKey(issued, ending)


def choose_rotated(keys: Collection[ApiKey], which: str, now_ms: int) -> list[ApiKey]:
    """The valid keys that one new key can stand for, oldest first; raises `Rejected` when there is no such thing."""
    valid = sorted((key for key in keys if key.is_valid(now_ms)), key=lambda key: key.created_at)
    found = [key for key in valid if key.id == which] or [key for key in valid if key.name == which]
    if not found:
        raise Rejected("not_found", f"there is no valid key of {which}", field="name")
    if len({(key.scopes, key.channels) for key in found}) > 1:
        raise Rejected("conflict", f"the keys of {which} have different rights: rotate one by its id", field="name")
    return found


def _life(key: ApiKey) -> int | None:
    return key.expires_at - key.created_at if key.expires_at is not None else None


async def list_keys(*, store: Store) -> list[ApiKey]:
    """All keys ever issued, oldest first, the revoked ones too."""
    return await store.api_keys()


def rights_of(key: ApiKey) -> dict[str, object]:
    """What the audit log says of a key."""
    rights: dict[str, object] = {"name": key.name, "scopes": sorted(key.scopes), "channels": sorted(key.channels)}
    return rights | ({"expires_at": rfc3339(key.expires_at)} if key.expires_at is not None else {})


async def revoke_key(key_id: str, *, actor: str = CLI, store: Store, clock: Clock) -> ApiKey:
    """Refuse a key from now on; running gateways follow within the bound that `authenticate` states."""
    key = await store.api_key(key_id)
    if key is None:
        raise Rejected("not_found", f"there is no key {key_id}", field="id")
    if key.revoked_at is not None:
        return key
    now = clock.now_ms()
    revoked = replace(key, revoked_at=now)
    async with store.begin() as transaction:
        await transaction.put_api_key(revoked)
        await transaction.put_audit(actor, Action.KEY_REVOKE, key.id, rights_of(key), now)
    return revoked
