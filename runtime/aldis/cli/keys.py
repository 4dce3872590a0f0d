"""`aldis key`: backend keys. The secret is printed once, on standard output and alone, so that it can be piped."""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from aldis.adapters.memory.clock import SystemClock
from aldis.bootstrap import open_admin_store
from aldis.cli import folder
from aldis.cli.tables import build_table, print_json
from aldis.cli.terminal import say
from aldis.domain.callers import ApiKey, Scope
from aldis.domain.ids import rfc3339
from aldis.services.authenticate import KEY_MEMORY_MS
from aldis.services.issue_key import IssuedKey, RotatedKey, issue_key, list_keys, parse_key, revoke_key, rotate_key
from aldis.settings import Settings


def create(
    name: str,
    *,
    channels: Sequence[str],
    scopes: Collection[Scope],
    expires_in: int | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Make a key and print it."""
    issued = asyncio.run(_issue(name, channels, scopes, expires_in, _settings(data_dir)))
    if as_json:
        print_json({**to_json(issued.key), "key": issued.text})
        return
    print(issued.text, flush=True)
    say(f"Keep it now: it is shown this once. `aldis key revoke {issued.key.id}` ends it.")


def rotate(name: str, *, overlap: int, expires_in: int | None, data_dir: Path | None, as_json: bool) -> None:
    """Make a key in the place of others and print it."""
    rotated = asyncio.run(_rotate(name, overlap, expires_in, _settings(data_dir)))
    issued = rotated.issued
    if as_json:
        print_json({**to_json(issued.key), "key": issued.text, "ending": [to_json(key) for key in rotated.ending]})
        return
    print(issued.text, flush=True)
    say("Keep it now: it is shown this once.")
    for key in rotated.ending:
        say(f"{key.id} ({key.name}) ends at {_time(key.expires_at)}; `aldis key revoke {key.id}` ends it now.")


def show(*, everything: bool, data_dir: Path | None, as_json: bool) -> None:
    """Print the keys."""
    found, now = asyncio.run(_list(_settings(data_dir))), SystemClock().now_ms()
    keys = [key for key in found if everything or key.is_valid(now)]
    if as_json:
        print_json([to_json(key) for key in keys])
        return
    header = ["ID", "NAME", "SCOPES", "CHANNELS", "CREATED", "EXPIRES", "LAST USED"]
    header += ["REVOKED"] if everything else []
    print("\n".join(build_table(header, [to_row(key)[: len(header)] for key in keys])))


def revoke(key: str, *, data_dir: Path | None, as_json: bool) -> None:
    """Revoke a key by its id; the key's whole text does, too, and is not repeated."""
    parsed = parse_key(key)
    revoked = asyncio.run(_revoke(parsed.id if parsed is not None else key, _settings(data_dir)))
    if as_json:
        print_json(to_json(revoked))
        return
    print(f"{revoked.id} ({revoked.name}) is revoked", flush=True)
    say(f"A running server refuses it within {KEY_MEMORY_MS // 1000} s.")


def to_json(key: ApiKey) -> dict[str, Any]:
    """A key for programs; what is kept of its secret stays where it is."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "channels": sorted(key.channels),
        "created_at": rfc3339(key.created_at),
        "expires_at": _time(key.expires_at) or None,
        "last_used_at": _time(key.last_used_at) or None,
        "revoked_at": _time(key.revoked_at) or None,
    }


def to_row(key: ApiKey) -> list[str]:
    """A key for people."""
    channels = ",".join(sorted(key.channels)) or "all"
    times = (_time(at) for at in (key.created_at, key.expires_at, key.last_used_at, key.revoked_at))
    return [key.id, key.name, ",".join(sorted(key.scopes)), channels, *times]


def _time(at: int | None) -> str:
    return rfc3339(at) if at is not None else ""


def _settings(data_dir: Path | None) -> Settings:
    settings = folder.load(data_dir)
    folder.check_database(settings)
    return settings


async def _issue(
    name: str, channels: Sequence[str], scopes: Collection[Scope], expires_in: int | None, settings: Settings
) -> IssuedKey:
    async with open_admin_store(settings) as store:
        return await issue_key(
            name, channels=channels, scopes=scopes, expires_in=expires_in, store=store, clock=SystemClock()
        )


async def _rotate(name: str, overlap: int, expires_in: int | None, settings: Settings) -> RotatedKey:
    async with open_admin_store(settings) as store:
        return await rotate_key(name, overlap=overlap, expires_in=expires_in, store=store, clock=SystemClock())


async def _list(settings: Settings) -> list[ApiKey]:
    async with open_admin_store(settings) as store:
        return await list_keys(store=store)


async def _revoke(key_id: str, settings: Settings) -> ApiKey:
    async with open_admin_store(settings) as store:
        return await revoke_key(key_id, store=store, clock=SystemClock())
