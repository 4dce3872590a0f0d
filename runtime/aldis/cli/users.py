"""`aldis user`: having a user erased. The work is done by the server, beside which this writes that it is wanted."""

import asyncio
from pathlib import Path

from aldis.adapters.memory.clock import SystemClock
from aldis.bootstrap import open_admin_store
from aldis.cli import folder
from aldis.cli.tables import print_json
from aldis.cli.terminal import say
from aldis.domain.audit import CLI
from aldis.domain.erasures import ErasureState
from aldis.domain.ids import UserId
from aldis.ports.erasures import Erasure
from aldis.ports.store import Store
from aldis.services.erase_user import find_erasure, request_erasure
from aldis.settings import Settings

LOOK_SECONDS = 0.25
PATIENCE_SECONDS = 10.0  # without progress, after which it is told that a server must be running


def erase(user: str, *, wait: bool, data_dir: Path | None, as_json: bool) -> None:
    """Have a user erased and, unless told otherwise, wait until it is done."""
    settings = folder.load(data_dir)
    folder.check_database(settings)
    erasure = asyncio.run(_erase(UserId(user), settings, wait=wait))
    if as_json:
        print_json({"user": user, "state": erasure.state.value, "purged": erasure.purged})
    elif erasure.state is ErasureState.DONE:
        print(f"{user} is erased; {erasure.purged} messages have lost their content", flush=True)
    else:
        print(f"{user} will be erased by the running server", flush=True)


async def _erase(user: UserId, settings: Settings, *, wait: bool) -> Erasure:
    clock = SystemClock()
    async with open_admin_store(settings) as store:
        erasure = await request_erasure(user, actor=CLI, store=store, clock=clock)
        return await _until_done(erasure, store, clock) if wait else erasure


async def _until_done(erasure: Erasure, store: Store, clock: SystemClock) -> Erasure:
    """Watch it, saying how far it has come."""
    still = 0.0
    while erasure.state is not ErasureState.DONE:
        await clock.sleep(LOOK_SECONDS)
        before, erasure = erasure, await find_erasure(erasure.user, store=store)
        if (erasure.state, erasure.purged) != (before.state, before.purged):
            say(f"{erasure.user}: {erasure.state.value}, {erasure.purged} messages purged")
            still = 0.0
        elif still <= PATIENCE_SECONDS < (still := still + LOOK_SECONDS):
            say("Nothing moves: a server must run on this data folder. Ctrl-C leaves the work to the next one.")
    return erasure
