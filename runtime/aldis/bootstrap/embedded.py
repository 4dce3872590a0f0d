"""Every role in one process, on SQLite, memory and, where one is configured, RabbitMQ."""

import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aldis.adapters.rabbitmq.broker import RabbitBroker
from aldis.adapters.sql.store import SqlStore
from aldis.api.app import build_app
from aldis.bootstrap.core import open_core
from aldis.bootstrap.edge import build_api_dependencies, build_context, build_hub, tidy
from aldis.bootstrap.health import ProcessHealth
from aldis.gateway.app import GatewayApp
from aldis.gateway.ephemera import EphemeralWriter
from aldis.gateway.hub import Hub
from aldis.gateway.ringing import Ringing
from aldis.services.send_scheduled import ScheduledSender
from aldis.settings import Settings
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import cancel_and_wait, spawn
from aldis.workers.loops import run_workers

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Embedded:
    """One process with every role, ready to be served."""

    app: GatewayApp
    hub: Hub
    health: ProcessHealth
    store: SqlStore
    metrics: Metrics


@asynccontextmanager
async def open_embedded(settings: Settings) -> AsyncGenerator[Embedded]:
    """Every role in this process, on SQLite and memory."""
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(open_core(settings))
        node = f"{os.uname().nodename}-{secrets.token_hex(4)}"
        broker = core.broker if isinstance(core.broker, RabbitBroker) else None
        hub, health = build_hub(core, node, settings), ProcessHealth(core.clock, key_set=core.key_set, broker=broker)
        context = build_context(core, hub, node, settings)
        http = build_app(build_api_dependencies(core, hub, context, health, settings))
        ringing = Ringing(
            hub=hub, typists=context.typists, watching=context.watching, writer=EphemeralWriter(metrics=core.metrics)
        )
        await stack.enter_async_context(core.backplane.listen(node, ringing.on_ring))
        await stack.enter_async_context(hub.running())
        await stack.enter_async_context(context.watching.running())
        await stack.enter_async_context(
            run_workers(
                store=core.store,
                broker=core.broker,
                ringer=core.ringer,
                scheduled=ScheduledSender(
                    store=core.store,
                    sends=core.bulk,
                    channel=core.channels.channel,
                    clock=core.clock,
                    metrics=core.metrics,
                ),
                clock=core.clock,
                metrics=core.metrics,
                stored=core.committer.stored,
                retention_ms=settings.stream_retention_days * DAY_MS,
                policies=core.channels.retries,
            )
        )
        chores = [
            spawn(health.watch(core.store), "health"),
            spawn(tidy(hub, core.clock), "collector"),
            spawn(core.authenticator.keys.keep_noting(), "key-use"),
            spawn(core.channels.keep_fresh(), "channels"),
        ]
        stack.push_async_callback(cancel_and_wait, *chores)
        app = GatewayApp(context, http, is_draining=lambda: health.draining)
        yield Embedded(app, hub, health, core.store, core.metrics)
