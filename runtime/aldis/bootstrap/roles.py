"""What runs in a process: all of it, what faces clients, or what works behind.

`serve` is all in one. A cluster runs `gateway`, which stores and rings but does no job of its own, and `worker`, which
nobody talks to but the probes. The same services stand in each.
"""

import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import msgspec
from fastapi import FastAPI

from aldis.api.app import ADMINISTRATION, EVERYTHING, PUBLIC, build_app, build_operations_app
from aldis.api.operations import router as probes
from aldis.bootstrap.core import Core, open_core
from aldis.bootstrap.edge import build_api_dependencies, build_context, build_hub, tidy
from aldis.bootstrap.health import ProcessHealth
from aldis.gateway.app import GatewayApp
from aldis.gateway.context import GatewayContext
from aldis.gateway.ephemera import EphemeralWriter
from aldis.gateway.hub import Hub
from aldis.gateway.ringing import Ringing
from aldis.services.send_scheduled import ScheduledSender
from aldis.settings import Settings
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import cancel_and_wait, spawn
from aldis.workers.loops import RELAY_IDLE_SECONDS, RELAY_SECONDS, run_workers

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Edge:
    """What faces clients, ready to be served; `internal` is for a port of its own, None where there is none."""

    app: GatewayApp
    internal: FastAPI | None
    hub: Hub
    health: ProcessHealth


@dataclass(frozen=True, slots=True)
class Office:
    """What works behind; `app` has its probes and metrics."""

    app: FastAPI
    health: ProcessHealth


@dataclass(frozen=True, slots=True)
class Operations:
    """What probes and metrics need."""

    health: ProcessHealth
    metrics: Metrics
    encoder: msgspec.json.Encoder


@asynccontextmanager
async def open_embedded(settings: Settings) -> AsyncGenerator[Edge]:
    """Every role in this process."""
    node = _new_node()
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(open_core(settings, node=node))
        edge = await _open_edge(stack, core, node, settings)
        await _open_jobs(stack, core, settings)
        yield edge


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncGenerator[Edge]:
    """What faces clients, and nothing else."""
    node = _new_node()
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(open_core(settings, node=node))
        yield await _open_edge(stack, core, node, settings)


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncGenerator[Office]:
    """What works behind."""
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(open_core(settings))
        health = _health(core)
        await _open_jobs(stack, core, settings, look_seconds=RELAY_SECONDS)  # gateways store, and tell nobody here
        chores = [spawn(health.watch(core.ports.store), "health"), spawn(core.channels.keep_fresh(), "channels")]
        stack.push_async_callback(cancel_and_wait, *chores)
        yield Office(build_operations_app(Operations(health, core.ports.metrics, msgspec.json.Encoder())), health)


def _new_node() -> str:
    """A name of this process, not of its host: it dies with it."""
    return f"{os.uname().nodename}-{secrets.token_hex(4)}"


async def _open_edge(stack: AsyncExitStack, core: Core, node: str, settings: Settings) -> Edge:
    hub, health = build_hub(core, node, settings), _health(core)
    context = build_context(core, hub, node, settings)
    await _listen(stack, core, hub, context)
    chores = [
        spawn(health.watch(core.ports.store), "health"),
        spawn(tidy(hub, core.ports.clock), "collector"),
        spawn(core.authenticator.keys.keep_noting(), "key-use"),
        spawn(core.channels.keep_fresh(), "channels"),
    ]
    stack.push_async_callback(cancel_and_wait, *chores)
    api = build_api_dependencies(core, hub, context, health, settings)
    is_apart = settings.admin_port is not None
    http = build_app(api, PUBLIC if is_apart else EVERYTHING)
    internal = build_app(api, (*ADMINISTRATION, probes)) if is_apart else None
    return Edge(GatewayApp(context, http, is_draining=lambda: health.refusing), internal, hub, health)


def _health(core: Core) -> ProcessHealth:
    return ProcessHealth(core.ports.clock, key_set=core.key_set, others=core.ports.aged)


async def _listen(stack: AsyncExitStack, core: Core, hub: Hub, context: GatewayContext) -> None:
    """Have this node rung, and its connections kept."""
    writer = EphemeralWriter(metrics=core.ports.metrics)
    ringing = Ringing(
        hub=hub,
        typists=context.typists,
        watching=context.watching,
        writer=writer,
        channels=core.channels,
        neighbours=context.neighbours,
    )
    await stack.enter_async_context(core.ports.backplane.listen(context.node, ringing.on_ring))
    await stack.enter_async_context(hub.running())
    await stack.enter_async_context(context.watching.running())


async def _open_jobs(
    stack: AsyncExitStack, core: Core, settings: Settings, *, look_seconds: float = RELAY_IDLE_SECONDS
) -> None:
    await stack.enter_async_context(
        run_workers(
            store=core.ports.store,
            broker=core.ports.broker,
            ringer=core.ringer,
            scheduled=ScheduledSender(
                store=core.ports.store,
                sends=core.bulk,
                channel=core.channels.channel,
                clock=core.ports.clock,
                metrics=core.ports.metrics,
            ),
            clock=core.ports.clock,
            metrics=core.ports.metrics,
            stored=core.committer.stored,
            retention_ms=settings.stream_retention_days * DAY_MS,
            policies=core.channels.retries,
            look_seconds=look_seconds,
        )
    )
