"""Pairs of users who write to each other: senders with two devices, recipients with one, all of them connected."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench.client import Acks, Client, NoAcks, connect_all, leave_all, open_acks
from bench.exchange import Exchange, Goals, Population
from bench.ledger import Ledger, Role
from bench.scenario import HANDSHAKES_AT_ONCE, seats_of, tell
from bench.server import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """How many there are and how many write in one second; what they do without is for telling what it costs."""

    count: int
    active: int
    have_other_device: bool = True
    are_acknowledging: bool = True


@asynccontextmanager
async def connected(server: Server, pairs: Pairs, goals: Goals) -> AsyncIterator[Exchange]:
    """Connect all their devices for as long as the block lasts."""
    ledger = Ledger()
    secret = server.secret
    seats = [
        *seats_of("sender", pairs.count, device="phone", role=Role.SENDER, secret=secret),
        *seats_of("recipient", pairs.count, device="phone", role=Role.RECIPIENT, secret=secret),
    ]
    if pairs.have_other_device:
        seats += seats_of("sender", pairs.count, device="laptop", role=Role.OTHER, secret=secret)
    async with open_acks(Acks() if pairs.are_acknowledging else NoAcks()) as acks:
        tell(f"{goals.scenario}: {len(seats):,} devices connect")
        clients = await connect_all(seats, url=server.url, ledger=ledger, acks=acks, at_once=HANDSHAKES_AT_ONCE)
        population = _sort(clients, is_acknowledging=pairs.are_acknowledging)
        yield Exchange(server, population=population, ledger=ledger, active=pairs.active, goals=goals)
        await leave_all(clients)


def _sort(clients: list[Client], *, is_acknowledging: bool) -> Population:
    """Bring the devices, which connected in any order, into the order of their users."""
    by_role: dict[Role, list[Client]] = {}
    for client in sorted(clients, key=lambda client: client.seat.user):
        by_role.setdefault(client.role, []).append(client)
    return Population(
        senders=by_role[Role.SENDER],
        recipients=by_role[Role.RECIPIENT],
        roles=tuple(by_role),
        is_acknowledging=is_acknowledging,
    )
