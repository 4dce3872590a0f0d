"""The ports of a process, opened by what the settings name, and the services that write through them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aldis.adapters.http.key_source import open_http_key_source
from aldis.adapters.memory.backplane import MemoryBackplane
from aldis.adapters.memory.broker import MemoryBroker
from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.memory.limiter import MemoryLimiter
from aldis.adapters.memory.presence import MemoryPresence
from aldis.adapters.rabbitmq.broker import RabbitBroker, open_rabbit_broker
from aldis.adapters.sql.store import SqlStore, open_sql_store
from aldis.domain.amqp_address import parse_amqp_address
from aldis.ports.limiter import Rate
from aldis.services.address_gate import AddressGate, AddressLimits
from aldis.services.audience import Subscriptions
from aldis.services.authenticate import Authenticator, TokenRules
from aldis.services.bulk_sends import BulkSends
from aldis.services.channel_lookup import ChannelDirectory
from aldis.services.group_commit import GroupCommitter
from aldis.services.key_set import KeySet
from aldis.services.moves import MoveCommitter
from aldis.services.ring import Ringer
from aldis.services.schedule_commit import ScheduleCommitter
from aldis.settings import HMAC, Settings, accepted_secrets
from aldis.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Core:
    """The ports that were opened and the services that write through them."""

    store: SqlStore
    broker: MemoryBroker | RabbitBroker
    backplane: MemoryBackplane
    presence: MemoryPresence
    limiter: MemoryLimiter
    clock: SystemClock
    metrics: Metrics
    ringer: Ringer
    committer: GroupCommitter
    bulk: BulkSends
    schedules: ScheduleCommitter
    moves: MoveCommitter
    authenticator: Authenticator
    gate: AddressGate
    key_set: KeySet | None
    channels: ChannelDirectory
    subscriptions: Subscriptions


@asynccontextmanager
async def open_core(settings: Settings) -> AsyncGenerator[Core]:
    """Open the ports; what is under way when the block ends is stored before they close."""
    clock, metrics = SystemClock(), Metrics()
    backplane, presence = MemoryBackplane(metrics=metrics), MemoryPresence()
    ringer = Ringer(presence=presence, backplane=backplane)
    limiter = MemoryLimiter(clock=clock)
    async with (
        open_sql_store(
            settings.database_url,
            now_ms=clock.now_ms(),
            writers=settings.database_writers,
            read_url=settings.database_read_url,
        ) as store,
        _open_key_set(settings, clock, metrics) as key_set,
        _open_broker(settings, clock, metrics) as broker,
    ):
        channels = ChannelDirectory(store=store, clock=clock)
        await channels.refresh()
        committer = GroupCommitter(
            store=store,
            ringer=ringer,
            clock=clock,
            metrics=metrics,
            policies=channels.policies,
            retries=channels.retries,
        )
        core = Core(
            store=store,
            broker=broker,
            backplane=backplane,
            presence=presence,
            limiter=limiter,
            clock=clock,
            metrics=metrics,
            ringer=ringer,
            committer=committer,
            bulk=BulkSends(committer),
            schedules=ScheduleCommitter(store=store, clock=clock, metrics=metrics, policies=channels.policies),
            moves=MoveCommitter(
                store=store,
                ringer=ringer,
                clock=clock,
                metrics=metrics,
                announced=committer.stored if settings.rabbitmq_url is not None else None,
            ),
            authenticator=Authenticator(store=store, clock=clock, rules=_token_rules(settings), key_set=key_set),
            gate=AddressGate(limits=_address_limits(settings), limiter=limiter, clock=clock, metrics=metrics),
            key_set=key_set,
            channels=channels,
            subscriptions=Subscriptions(store=store, ringer=ringer, clock=clock, channel=channels.channel),
        )
        try:
            yield core
        finally:
            await core.schedules.settle()
            await core.committer.settle()
            await core.moves.settle()
            await core.authenticator.keys.note_used()


@asynccontextmanager
async def _open_broker(
    settings: Settings, clock: SystemClock, metrics: Metrics
) -> AsyncGenerator[MemoryBroker | RabbitBroker]:
    """The broker that is configured, else this process's own."""
    if settings.rabbitmq_url is None:
        yield MemoryBroker(clock=clock, metrics=metrics)
        return
    address = parse_amqp_address(settings.rabbitmq_url.get_secret_value())
    async with open_rabbit_broker(address, clock=clock, metrics=metrics) as broker:
        yield broker


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
