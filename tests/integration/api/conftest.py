"""REST on a real database: the application, the committers and SQLite in a folder of its own."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx2
import msgspec
import pytest

from aldis.adapters.memory.backplane import MemoryBackplane
from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.memory.limiter import MemoryLimiter
from aldis.adapters.memory.presence import MemoryPresence
from aldis.adapters.sql.store import SqlStore, open_sql_store
from aldis.api.app import build_app
from aldis.api.dependencies import ApiDependencies, Rates
from aldis.ports.http_streams import HttpStreams
from aldis.ports.limiter import Rate
from aldis.services.audience import Subscriptions
from aldis.services.authenticate import Authenticator, TokenRules, sign_token
from aldis.services.bulk_sends import BulkSends
from aldis.services.group_commit import GroupCommitter
from aldis.services.moves import MoveCommitter
from aldis.services.revise_message import Reviser
from aldis.services.ring import Ringer
from aldis.services.schedule_commit import ScheduleCommitter
from aldis.telemetry.metrics import Metrics
from described import check_response

SECRET = "a-secret-of-at-least-thirty-two-bytes"
Caller = Callable[[str], httpx2.AsyncClient]


@dataclass(frozen=True)
class Ready:
    started: bool = True
    draining: bool = False
    usable: bool = True

    def check(self) -> dict[str, float | None]:
        return {"database": 0.0}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    url = f"sqlite:///{tmp_path / 'aldis.db'}"
    async with open_sql_store(url, now_ms=SystemClock().now_ms()) as store:
        yield store


@pytest.fixture
async def api(store: SqlStore) -> AsyncIterator[ApiDependencies]:
    clock, metrics = SystemClock(), Metrics()
    presence = MemoryPresence()
    ringer = Ringer(presence=presence, backplane=MemoryBackplane(metrics=metrics))
    committer = GroupCommitter(store=store, ringer=ringer, clock=clock, metrics=metrics)
    schedules = ScheduleCommitter(store=store, clock=clock, metrics=metrics)
    moves = MoveCommitter(store=store, ringer=ringer, clock=clock, metrics=metrics)
    yield ApiDependencies(
        store=store,
        committer=committer,
        bulk=BulkSends(committer),
        schedules=schedules,
        moves=moves,
        reviser=Reviser(store=store, ringer=ringer, clock=clock, metrics=metrics, channel=store.channel),
        subscriptions=Subscriptions(store=store, ringer=ringer, clock=clock, channel=store.channel),
        streams=cast("HttpStreams", None),
        authenticator=Authenticator(store=store, clock=clock, rules=TokenRules(secrets=(SECRET,))),
        channel=store.channel,
        limiter=MemoryLimiter(clock=clock),
        rates=Rates(user=Rate(1000, 1000), key=Rate(1000, 2000)),
        presence=presence,
        ringer=ringer,
        clock=clock,
        metrics=metrics,
        health=Ready(),
        connections=None,
        encoder=msgspec.json.Encoder(),
    )
    await schedules.settle()
    await committer.settle()
    await moves.settle()


@pytest.fixture
async def as_bearer(api: ApiDependencies) -> AsyncIterator[Caller]:
    """Call with any credential."""
    transport = httpx2.ASGITransport(app=build_app(api))
    clients: list[httpx2.AsyncClient] = []

    def open_client(credential: str) -> httpx2.AsyncClient:
        headers = {"authorization": f"Bearer {credential}"}
        clients.append(
            httpx2.AsyncClient(
                transport=transport,
                base_url="http://aldis.test",
                headers=headers,
                event_hooks={"response": [check_response]},
            )
        )
        return clients[-1]

    yield open_client
    for client in clients:
        await client.aclose()


@pytest.fixture
def as_user(as_bearer: Caller) -> Caller:
    """Call as a user."""
    return lambda user: as_bearer(sign_token(user, SECRET, 600, SystemClock().now_ms() // 1000))
