"""Issuing backend keys: `ak_<id>_<secret>`, shown once, kept only as a hash, several valid at once for rotation.

The secret has 256 random bits, so one SHA-256 keeps it: there is nothing to guess that a slow hash would protect.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from aldis.domain.callers import ApiKey, Scope
from aldis.domain.errors import Rejected
from aldis.domain.ids import check_name
from aldis.ports.clock import Clock
from aldis.ports.store import Store

PREFIX = "ak_"
ID_BYTES = 8
SECRET_BYTES = 32
SENDING = frozenset({Scope.SEND, Scope.SEND_AS})  # what a key may do when nothing else is said
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


async def issue_key(
    name: str, *, channels: Collection[str] = (), scopes: Collection[Scope] = SENDING, store: Store, clock: Clock
) -> IssuedKey:
    """Make a key for the backend `name`; no channels means all of them."""
    text = KeyText(secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES))
    key = ApiKey(
        id=text.id,
        name=check_name(name, "name"),
        hash=hash_secret(text.secret),
        scopes=frozenset(scopes),
        channels=frozenset(check_name(channel, "channels") for channel in channels),
        created_at=clock.now_ms(),
    )
    async with store.begin() as transaction:
        await transaction.put_api_key(key)
    return IssuedKey(key, str(text))


async def list_keys(*, store: Store) -> list[ApiKey]:
    """All keys ever issued, oldest first, the revoked ones too."""
    return await store.api_keys()


async def revoke_key(key_id: str, *, store: Store, clock: Clock) -> ApiKey:
    """Refuse a key from now on; running gateways follow within the bound that `authenticate` states."""
    key = await store.api_key(key_id)
    if key is None:
        raise Rejected("not_found", f"there is no key {key_id}", field="id")
    if key.revoked_at is not None:
        return key
    revoked = replace(key, revoked_at=clock.now_ms())
    async with store.begin() as transaction:
        await transaction.put_api_key(revoked)
    return revoked
