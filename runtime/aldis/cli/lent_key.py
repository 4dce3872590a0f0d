"""A key of the data folder for the time of one call, for those who send as a backend and have none."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aldis.adapters.memory.clock import SystemClock
from aldis.bootstrap import open_admin_store
from aldis.cli import folder
from aldis.cli.terminal import say
from aldis.domain.callers import Scope
from aldis.domain.errors import AldisError
from aldis.services.issue_key import issue_key, revoke_key
from aldis.settings import Settings

NAME = "cli"


@asynccontextmanager
async def lend_key(settings: Settings, *, channel: str) -> AsyncGenerator[str]:
    """A key that may send through `channel` only; it is revoked at the end."""
    folder.check_database(settings)
    clock = SystemClock()
    async with open_admin_store(settings) as store:
        issued = await issue_key(NAME, channels=[channel], scopes={Scope.SEND}, store=store, clock=clock)
        try:
            yield issued.text
        finally:
            try:
                await revoke_key(issued.key.id, store=store, clock=clock)
            except AldisError as error:  # what was sent is sent; its secret is forgotten with this process anyway
                say(f"aldis: the key {issued.key.id} could not be revoked: {error}")
