"""The only place where things are put together: settings to ports, ports to services, services to applications.

One AsyncExitStack opens all and closes all in reverse order; nothing else in the project makes an adapter.
"""

import fcntl
import logging as stdlib_logging
import os
import resource
import secrets
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog
import uvloop

from aldis.adapters.http.key_source import open_http_key_source
from aldis.adapters.memory.backplane import MemoryBackplane
from aldis.adapters.memory.broker import MemoryBroker
from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.memory.limiter import MemoryLimiter
from aldis.adapters.memory.presence import MemoryPresence
from aldis.adapters.sql.inspection import Inspection, inspect_sqlite
from aldis.adapters.sql.store import SqlStore, open_sql_store
from aldis.api.administration import AdminDependencies
from aldis.api.app import build_app
from aldis.api.dependencies import ApiDependencies, OpenConnection, Rates, RequestLimits
from aldis.domain.errors import AldisError
from aldis.gateway.app import GatewayApp
from aldis.gateway.context import GatewayContext, GatewayLimits
from aldis.gateway.ephemera import EphemeralWriter
from aldis.gateway.http_streams import GatewayHttpStreams
from aldis.gateway.hub import Hub
from aldis.gateway.ringing import Ringing
from aldis.gateway.server import DrainingServer, build_config
from aldis.gateway.views import view_of
from aldis.gateway.watching import Watching
from aldis.ports.limiter import Rate
from aldis.services.address_gate import AddressGate, AddressLimits
from aldis.services.audience import Subscriptions
from aldis.services.authenticate import Authenticator, TokenRules
from aldis.services.channel_lookup import ChannelDirectory
from aldis.services.connect_device import Connector
from aldis.services.group_commit import GroupCommitter
from aldis.services.key_set import KeySet
from aldis.services.moves import MoveCommitter
from aldis.services.read_streams import StreamReader
from aldis.services.revise_message import Reviser
from aldis.services.ring import Ringer
from aldis.services.typists import Typists
from aldis.settings import HMAC, Settings, accepted_secrets
from aldis.telemetry import log as logging
from aldis.telemetry.collector import Collector
from aldis.telemetry.metrics import Metrics
from aldis.telemetry.tasks import cancel_and_wait, spawn
from aldis.workers.loops import run_workers

DAY_MS = 24 * 3600 * 1000
CHECK_SECONDS = 5.0  # between looks at the database
STUCK_SECONDS = 30.0  # without a look that went well, or without a heartbeat, after which the process is not usable
OWN_FILES = 200  # for the database, requests and what the interpreter needs; the rest may be sockets
TIDY_SECONDS = 5.0  # between the collector's turns
LOCK_FILE = "lock"  # in the data folder

log = structlog.get_logger(__name__)


class DataDirLocked(Exception):
    """Another process serves this data folder."""


class ServeFailed(Exception):
    """The server did not start; what it was is in the log."""


@dataclass(slots=True)
class ProcessHealth:
    """What this process knows of itself, for the probes."""

    clock: SystemClock
    started: bool = False
    draining: bool = False
    answered: dict[str, float] = field(default_factory=dict)
    key_set: KeySet | None = None

    def check(self) -> Mapping[str, float | None]:
        """Seconds since each dependency last answered well."""
        now = time.monotonic()
        ages = {"database": now - self.answered["database"] if "database" in self.answered else None}
        return ages | ({"jwks": self.key_set.age()} if self.key_set is not None else {})

    @property
    def usable(self) -> bool:
        """Whether the database has answered lately."""
        age = self.check()["database"]
        return age is not None and age < STUCK_SECONDS

    async def watch(self, store: SqlStore) -> None:
        """Look at the dependencies for ever."""
        while True:
            try:
                await store.check()
                self.answered["database"] = time.monotonic()
            except AldisError as error:
                log.warning("dependency_failed", dependency="database", reason=str(error))
            await self.clock.sleep(CHECK_SECONDS)


@dataclass(frozen=True, slots=True)
class Core:
    """The ports that were opened and the services that write through them."""

    store: SqlStore
    broker: MemoryBroker
    backplane: MemoryBackplane
    presence: MemoryPresence
    limiter: MemoryLimiter
    clock: SystemClock
    metrics: Metrics
    ringer: Ringer
    committer: GroupCommitter
    moves: MoveCommitter
    authenticator: Authenticator
    gate: AddressGate
    key_set: KeySet | None
    channels: ChannelDirectory
    subscriptions: Subscriptions


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
        core = await stack.enter_async_context(_open_core(settings))
        node = f"{os.uname().nodename}-{secrets.token_hex(4)}"
        hub, health = _build_hub(core, node, settings), ProcessHealth(core.clock, key_set=core.key_set)
        context = _gateway_context(core, hub, node, settings)
        http = build_app(_api_dependencies(core, hub, context, health, settings))
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
                clock=core.clock,
                metrics=core.metrics,
                stored=core.committer.stored,
                retention_ms=settings.stream_retention_days * DAY_MS,
            )
        )
        chores = [
            spawn(health.watch(core.store), "health"),
            spawn(_tidy(hub, core.clock), "collector"),
            spawn(core.authenticator.keys.keep_noting(), "key-use"),
            spawn(core.channels.keep_fresh(), "channels"),
        ]
        stack.push_async_callback(cancel_and_wait, *chores)
        app = GatewayApp(context, http, is_draining=lambda: health.draining)
        yield Embedded(app, hub, health, core.store, core.metrics)


async def _tidy(hub: Hub, clock: SystemClock) -> None:
    collector = Collector()
    while True:
        await clock.sleep(TIDY_SECONDS)
        collector.tidy(ended=hub.ended, alive=len(hub.connections()))


@asynccontextmanager
async def _open_core(settings: Settings) -> AsyncGenerator[Core]:
    clock, metrics = SystemClock(), Metrics()
    backplane, presence = MemoryBackplane(metrics=metrics), MemoryPresence()
    ringer = Ringer(presence=presence, backplane=backplane)
    limiter = MemoryLimiter(clock=clock)
    async with (
        open_sql_store(settings.database_url, now_ms=clock.now_ms()) as store,
        _open_key_set(settings, clock, metrics) as key_set,
    ):
        channels = ChannelDirectory(store=store, clock=clock)
        await channels.refresh()
        core = Core(
            store=store,
            broker=MemoryBroker(clock=clock, metrics=metrics),
            backplane=backplane,
            presence=presence,
            limiter=limiter,
            clock=clock,
            metrics=metrics,
            ringer=ringer,
            committer=GroupCommitter(
                store=store, ringer=ringer, clock=clock, metrics=metrics, policies=channels.policies
            ),
            moves=MoveCommitter(store=store, ringer=ringer, clock=clock, metrics=metrics),
            authenticator=Authenticator(store=store, clock=clock, rules=_token_rules(settings), key_set=key_set),
            gate=AddressGate(limits=_address_limits(settings), limiter=limiter, clock=clock, metrics=metrics),
            key_set=key_set,
            channels=channels,
            subscriptions=Subscriptions(store=store, ringer=ringer, clock=clock, channel=channels.channel),
        )
        try:
            yield core
        finally:
            await core.committer.settle()
            await core.moves.settle()
            await core.authenticator.keys.note_used()


@asynccontextmanager
async def _open_key_set(settings: Settings, clock: SystemClock, metrics: Metrics) -> AsyncGenerator[KeySet | None]:
    """The issuer's keys, when there is an issuer."""
    rules = settings.jwt
    if rules.jwks_url is None:
        yield None
        return
    async with open_http_key_source(rules.jwks_url) as source:
        key_set = KeySet(
            source=source,
            clock=clock,
            metrics=metrics,
            ttl_seconds=rules.jwks_ttl_seconds,
            algorithms=rules.allowed - {HMAC},
        )
        async with key_set.running():
            yield key_set


def _token_rules(settings: Settings) -> TokenRules:
    return TokenRules(
        secrets=accepted_secrets(settings),
        audience=settings.jwt.audience,
        issuer=settings.jwt.issuer,
        leeway_seconds=settings.jwt.leeway_seconds,
    )


def _address_limits(settings: Settings) -> AddressLimits:
    limits = settings.limits
    return AddressLimits(
        handshakes=Rate(limits.address_handshakes_per_second, limits.address_handshake_burst),
        requests=Rate(limits.address_requests_per_second, limits.address_request_burst),
        failures=Rate(limits.address_failures_per_second, limits.address_failure_burst),
        connections=limits.connections_per_address,
        trusted_proxies=settings.trusted_proxies or (),
        exempt_loopback=limits.exempt_loopback,
    )


def _build_hub(core: Core, node: str, settings: Settings) -> Hub:
    return Hub(
        node=node,
        store=core.store,
        moves=core.moves,
        presence=core.presence,
        clock=core.clock,
        metrics=core.metrics,
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
        store=core.store,
        presence=core.presence,
        ringer=core.ringer,
        writer=EphemeralWriter(metrics=core.metrics),
        clock=core.clock,
        metrics=core.metrics,
        of_user=hub.of,
    )
    hub.on_left = watching.left
    return watching


def _user_rate(settings: Settings) -> Rate:
    return Rate(settings.limits.messages_per_second, settings.limits.burst)


def _gateway_context(core: Core, hub: Hub, node: str, settings: Settings) -> GatewayContext:
    limits = settings.limits
    return GatewayContext(
        node=node,
        epoch=core.store.epoch,
        hub=hub,
        authenticator=core.authenticator,
        gate=core.gate,
        connector=Connector(
            store=core.store, clock=core.clock, metrics=core.metrics, max_devices=limits.devices_per_user
        ),
        committer=core.committer,
        moves=core.moves,
        reader=StreamReader(store=core.store, clock=core.clock, metrics=core.metrics),
        channels=core.channels,
        typists=Typists(store=core.store, ringer=core.ringer, clock=core.clock, metrics=core.metrics),
        watching=_build_watching(core, hub, node),
        presence=core.presence,
        limiter=core.limiter,
        limits=GatewayLimits(
            user=_user_rate(settings),
            content_bytes=limits.content_bytes,
            connections_per_user=limits.connections_per_user,
            connections=min(limits.connections, _open_files() - OWN_FILES),
            ping_interval=settings.ping_interval,
        ),
        clock=core.clock,
        metrics=core.metrics,
    )


def _api_dependencies(
    core: Core, hub: Hub, context: GatewayContext, health: ProcessHealth, settings: Settings
) -> ApiDependencies:
    limits = settings.limits
    return ApiDependencies(
        store=core.store,
        committer=core.committer,
        moves=core.moves,
        reviser=Reviser(
            store=core.store,
            ringer=core.ringer,
            clock=core.clock,
            metrics=core.metrics,
            channel=core.channels.channel,
            policies=core.channels.policies,
            on_stored=core.committer.stored.set,
        ),
        subscriptions=core.subscriptions,
        streams=GatewayHttpStreams(context),
        authenticator=core.authenticator,
        channel=core.channels.channel,
        limiter=core.limiter,
        rates=Rates(user=_user_rate(settings), key=Rate(limits.key_messages_per_second, limits.key_burst)),
        limits=RequestLimits(content_bytes=limits.content_bytes, recipients=limits.recipients),
        gate=core.gate,
        presence=core.presence,
        ringer=core.ringer,
        clock=core.clock,
        metrics=core.metrics,
        health=health,
        connections=lambda: [
            OpenConnection(c.user or "", c.device, c.platform, c.opened_at) for c in hub.connections()
        ],
        encoder=msgspec.json.Encoder(),
        admin=AdminDependencies(
            connections=lambda: [view_of(connection) for connection in hub.connections()],
            ringer=core.ringer,
            channels_changed=core.channels.follow,
            started_ms=core.clock.now_ms(),
        ),
    )


def serve(settings: Settings) -> int:
    """Run every role in this process until SIGTERM or SIGINT; answer the exit code.

    Raises `DataDirLocked` when another process serves the data folder, `ServeFailed` when the address is taken.
    """
    close_log = logging.configure(settings.log_level, json=settings.log_json)
    stdlib_logging.getLogger("uvicorn.error").setLevel("WARNING")  # it has a line for each socket, twice
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # messages and secrets lie here
    try:
        with (settings.data_dir / LOCK_FILE).open("w", encoding="ascii") as lock:
            _lock(lock.fileno(), settings.data_dir)
            uvloop.run(_serve(settings))
    finally:
        close_log()
    return 0


def _lock(descriptor: int, data_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise DataDirLocked(f"another aldis serves the data folder {data_dir}; stop it or use --data-dir") from error


def is_served(data_dir: Path) -> bool:
    """Whether a server holds the data folder. For the moment of asking this shares the lock, and gives it back."""
    try:
        with (data_dir / LOCK_FILE).open(encoding="ascii") as lock:
            fcntl.flock(lock.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


async def fetch_issuer_keys(url: str) -> bytes:
    """The keys of user tokens, fetched as a server does. Raises `Unavailable`."""
    async with open_http_key_source(url) as source:
        return await source.fetch()


def inspect_database(path: Path, *, seconds: float | None) -> Inspection:
    """What a database file says, read and not opened for use; its pages are checked for at most `seconds`."""
    return inspect_sqlite(path, seconds=seconds)


async def _serve(settings: Settings) -> None:
    async with open_embedded(settings) as embedded:

        async def drain() -> None:
            embedded.health.draining = True
            log.info("draining", connections=len(embedded.hub.connections()), seconds=settings.drain_seconds)
            await embedded.hub.drain(settings.drain_seconds)

        def started(port: int) -> None:
            embedded.health.started = True
            log.info("serving", url=f"http://{settings.host}:{port}/", data_dir=str(settings.data_dir))

        config = build_config(
            embedded.app, host=settings.host, port=settings.port, content_bytes=settings.limits.content_bytes
        )
        try:
            await DrainingServer(config, on_started=started, on_drain=drain).serve()
        except SystemExit as error:  # uvicorn's way to say that it could not bind
            raise ServeFailed(f"cannot listen on {settings.host}:{settings.port}; is the port taken?") from error


@asynccontextmanager
async def open_admin_store(settings: Settings) -> AsyncGenerator[SqlStore]:
    """The store beside a running `serve`, for the command line."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # messages and secrets lie here
    async with open_sql_store(settings.database_url, now_ms=SystemClock().now_ms()) as store:
        yield store
