"""`aldis dead-letter`: what recipients did not get in time. Works beside a running server, which does the replaying."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from aldis.adapters.memory.clock import SystemClock
from aldis.bootstrap import open_admin_store
from aldis.cli import folder
from aldis.cli.tables import build_table, print_json
from aldis.cli.terminal import say
from aldis.domain.audit import CLI
from aldis.domain.channels import retry_policies
from aldis.domain.deliveries import ReplayState
from aldis.ports.dead_letters import DeadLetter, LetterFilter, Replay
from aldis.ports.store import Store
from aldis.services.list_dead_letters import letter_view, list_dead_letters
from aldis.services.pages import MAX_PAGE
from aldis.services.purge_dead_letters import purge_dead_letters, purge_one
from aldis.services.replay_dead_letters import find_replay, replay_one, replay_view, request_replay
from aldis.settings import Settings

LOOK_SECONDS = 0.25
PATIENCE_SECONDS = 10.0  # without progress, after which it is told that a server must be running


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which letters: one by its id, or those that fit a filter, which is empty when all are meant."""

    letter: str | None
    wanted: LetterFilter


class _Nobody:
    """Rings nobody: the server's gateways look for what is new by themselves."""

    async def ring(self, rings: object) -> None:
        """Do nothing."""


def show(wanted: LetterFilter, *, limit: int, data_dir: Path | None, as_json: bool) -> None:
    """Print letters, newest first."""
    letters, is_all = asyncio.run(_list(wanted, limit, _settings(data_dir)))
    if as_json:
        print_json([letter_view(letter) for letter in letters])
    else:
        header = ["ID", "MESSAGE", "RECIPIENT", "CHANNEL", "REASON", "ATTEMPTS", "FAILED AT"]
        rows = [[str(value) for value in letter_view(letter).values()] for letter in letters]
        print("\n".join(build_table(header, rows)), flush=True)
    if not is_all:
        say("There are more: see --limit, or narrow it with --channel, --reason, --recipient.")


async def _list(wanted: LetterFilter, limit: int, settings: Settings) -> tuple[list[DeadLetter], bool]:
    found: list[DeadLetter] = []
    before: str | None = None
    async with open_admin_store(settings) as store:
        while True:
            size = min(limit - len(found), MAX_PAGE)
            page = await list_dead_letters(wanted, before=before, limit=size, store=store)
            found += page.items
            before = page.next
            if before is None or len(found) >= limit:
                return found, before is None


def replay(order: Order, *, wait: bool, data_dir: Path | None, as_json: bool) -> None:
    """Have letters replayed and, unless told otherwise, wait until it is done."""
    done = asyncio.run(_replay(order, wait, _settings(data_dir)))
    if as_json:
        print_json(replay_view(done))
    elif done.state is ReplayState.DONE:
        print(f"{done.replayed} replayed, {done.skipped} skipped", flush=True)
    else:
        print(f"{done.matched} will be replayed by the running server ({done.id})", flush=True)


async def _replay(order: Order, wait: bool, settings: Settings) -> Replay:  # noqa: FBT001 - the option's value
    clock = SystemClock()
    async with open_admin_store(settings) as store:
        if order.letter is not None:
            policies = retry_policies(await store.channels())
            return await replay_one(
                order.letter, actor=CLI, store=store, ringer=_Nobody(), clock=clock, policies=policies
            )
        asked = await request_replay(order.wanted, actor=CLI, store=store, clock=clock)
        return await _until_done(asked, store, clock) if wait else asked


async def _until_done(now: Replay, store: Store, clock: SystemClock) -> Replay:
    """Watch it, saying how far it has come."""
    still = 0.0
    while now.state is not ReplayState.DONE:
        await clock.sleep(LOOK_SECONDS)
        before, now = now, await find_replay(now.id, store=store)
        if now != before:
            say(f"{now.replayed + now.skipped} of {now.matched}")
            still = 0.0
        elif still <= PATIENCE_SECONDS < (still := still + LOOK_SECONDS):
            say("Nothing moves: a server must run on this data folder. Ctrl-C leaves the work to the next one.")
    return now


def purge(order: Order, *, data_dir: Path | None, as_json: bool) -> None:
    """Purge letters and say how many there were."""
    purged = asyncio.run(_purge(order, _settings(data_dir)))
    if as_json:
        print_json({"purged": purged})
    else:
        print(f"{purged} purged", flush=True)


async def _purge(order: Order, settings: Settings) -> int:
    clock, total, may_be_more = SystemClock(), 0, True
    async with open_admin_store(settings) as store:
        if order.letter is not None:
            await purge_one(order.letter, actor=CLI, store=store, clock=clock)
            return 1
        while may_be_more:
            purged, may_be_more = await purge_dead_letters(
                order.wanted, everything=order.wanted.is_empty, actor=CLI, store=store, clock=clock
            )
            total += purged
            if may_be_more:
                say(f"{total} purged so far")
    return total


def _settings(data_dir: Path | None) -> Settings:
    settings = folder.load(data_dir)
    folder.check_database(settings)
    return settings
