"""What faces the clients: the hub, its context, and what the HTTP room is handed."""

import resource
import sys
from contextlib import suppress

import msgspec

from aldis.adapters.memory.clock import SystemClock
from aldis.api.administration import AdminDependencies
from aldis.api.dependencies import ApiDependencies, OpenConnection, Rates, RequestLimits
from aldis.bootstrap.core import Core
from aldis.bootstrap.health import ProcessHealth
from aldis.domain.ids import UserId
from aldis.gateway.asyncapi import build_asyncapi
from aldis.gateway.context import GatewayContext, GatewayLimits
from aldis.gateway.ephemera import EphemeralWriter
from aldis.gateway.http_streams import GatewayHttpStreams
from aldis.gateway.hub import Hub
from aldis.gateway.views import view_of
from aldis.gateway.watching import Watching
from aldis.ports.backplane import ChannelsChanged
from aldis.ports.connections import ConnectionView
from aldis.ports.limiter import Rate
from aldis.services.connect_device import Connector
from aldis.services.neighbours import Neighbours
from aldis.services.read_streams import StreamReader
from aldis.services.revise_message import Reviser
from aldis.services.typists import Typists
from aldis.settings import Settings
from aldis.telemetry.collector import Collector

OWN_FILES = 200  # for the database, requests and what the interpreter needs; the rest may be sockets
TIDY_SECONDS = 5.0  # between the collector's turns


async def tidy(hub: Hub, clock: SystemClock) -> None:
    """Keep the garbage collector short, for ever."""
    collector = Collector()
    while True:
        await clock.sleep(TIDY_SECONDS)
        collector.tidy(ended=hub.ended, alive=len(hub.connections()))


def build_hub(core: Core, node: str, settings: Settings) -> Hub:
    """All connections of this process."""
    return Hub(
        node=node,
        store=core.ports.store,
        moves=core.moves,
        presence=core.ports.presence,
        clock=core.ports.clock,
        metrics=core.ports.metrics,
        ping_interval=settings.ping_interval,
        connections_per_user=settings.limits.connections_per_user,
        hides_past=core.channels.hides_past,
    )


def _open_files() -> int:
    """How many files this process may have open: as many as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # not everywhere may it be raised that far
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return soft if soft != resource.RLIM_INFINITY else sys.maxsize


def _build_watching(core: Core, hub: Hub, node: str) -> Watching:
    watching = Watching(
        node=node,
        store=core.ports.store,
        presence=core.ports.presence,
        ringer=core.ringer,
        writer=EphemeralWriter(metrics=core.ports.metrics),
        clock=core.ports.clock,
        metrics=core.ports.metrics,
        of_user=hub.of,
    )
    hub.on_left = watching.left
    return watching


def _views(hub: Hub, user: str | None) -> list[ConnectionView]:
    connections = hub.of(UserId(user)) if user is not None else hub.connections()
    return [view_of(connection) for connection in connections if not connection.closed]


async def _tell_of_channels(core: Core) -> None:
    """Know of a change here first, then have the others look."""
    await core.channels.follow()
    await core.ringer.ring([ChannelsChanged()])


def _user_rate(settings: Settings) -> Rate:
    return Rate(settings.limits.messages_per_second, settings.limits.burst)


def build_context(core: Core, hub: Hub, node: str, settings: Settings) -> GatewayContext:
    """What every connection shares."""
    limits = settings.limits
    return GatewayContext(
        node=node,
        epoch=core.ports.store.epoch,
        hub=hub,
        authenticator=core.authenticator,
        gate=core.gate,
        connector=Connector(
            store=core.ports.store,
            clock=core.ports.clock,
            metrics=core.ports.metrics,
            max_devices=limits.devices_per_user,
        ),
        committer=core.committer,
        moves=core.moves,
        reader=StreamReader(store=core.ports.store, clock=core.ports.clock, metrics=core.ports.metrics),
        channels=core.channels,
        typists=Typists(store=core.ports.store, ringer=core.ringer, clock=core.ports.clock, metrics=core.ports.metrics),
        watching=_build_watching(core, hub, node),
        neighbours=Neighbours(
            node=node,
            presence=core.ports.presence,
            backplane=core.ports.backplane,
            here=lambda user: _views(hub, user),
        ),
        limiter=core.ports.limiter,
        limits=GatewayLimits(
            user=_user_rate(settings),
            content_bytes=limits.content_bytes,
            connections_per_user=limits.connections_per_user,
            connections=min(limits.connections, _open_files() - OWN_FILES),
            ping_interval=settings.ping_interval,
        ),
        clock=core.ports.clock,
        metrics=core.ports.metrics,
    )


def build_api_dependencies(
    core: Core, hub: Hub, context: GatewayContext, health: ProcessHealth, settings: Settings
) -> ApiDependencies:
    """What the HTTP room needs."""
    limits = settings.limits
    return ApiDependencies(
        store=core.ports.store,
        committer=core.committer,
        bulk=core.bulk,
        schedules=core.schedules,
        moves=core.moves,
        subscriptions=core.subscriptions,
        reviser=Reviser(
            store=core.ports.store,
            ringer=core.ringer,
            clock=core.ports.clock,
            metrics=core.ports.metrics,
            channel=core.channels.channel,
            policies=core.channels.policies,
            on_stored=core.committer.stored.set,
        ),
        streams=GatewayHttpStreams(context),
        authenticator=core.authenticator,
        channel=core.channels.channel,
        limiter=core.ports.limiter,
        rates=Rates(user=_user_rate(settings), key=Rate(limits.key_messages_per_second, limits.key_burst)),
        limits=RequestLimits(content_bytes=limits.content_bytes, recipients=limits.recipients),
        gate=core.gate,
        presence=core.ports.presence,
        ringer=core.ringer,
        clock=core.ports.clock,
        metrics=core.ports.metrics,
        health=health,
        connections=lambda: [
            OpenConnection(c.user or "", c.device, c.platform, c.opened_at) for c in hub.connections()
        ],
        encoder=msgspec.json.Encoder(),
        asyncapi=build_asyncapi,
        admin=AdminDependencies(
            roll=context.neighbours.roll,
            ringer=core.ringer,
            channels_changed=lambda: _tell_of_channels(core),
            retries=core.channels.retries,
            started_ms=core.ports.clock.now_ms(),
        ),
    )
