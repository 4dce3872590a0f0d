from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import pytest

from aldis.adapters.memory.clock import DrivenClock
from aldis.adapters.memory.limiter import MemoryLimiter
from aldis.domain.errors import Rejected
from aldis.ports.limiter import Rate
from aldis.services.address_gate import AddressGate, AddressLimits
from aldis.telemetry.metrics import Metrics


def open_gate(clock: DrivenClock | None = None, **limits: Any) -> AddressGate:
    clock = clock or DrivenClock()
    given: dict[str, Any] = {
        "handshakes": Rate(1, 3), "requests": Rate(1, 3), "failures": Rate(1, 2), "connections": 2, **limits
    }  # fmt: skip
    return AddressGate(
        limits=AddressLimits(**given), limiter=MemoryLimiter(clock=clock), clock=clock, metrics=Metrics()
    )


def key(gate: AddressGate, host: str, *headers: tuple[bytes, bytes]) -> str | None:
    return gate.key_of((host, 4711), headers)


@pytest.mark.parametrize("check", ["check_request", "check_handshake"])
async def test_an_address_has_a_bucket_of_its_own(check: str) -> None:
    """A burst goes through, then the rate holds; the neighbour is not touched, and each limit has its own bucket."""
    clock = DrivenClock()
    gate = open_gate(clock)
    one, other = key(gate, "192.0.2.1"), key(gate, "192.0.2.2")
    for _ in range(3):
        getattr(gate, check)(one)

    with pytest.raises(Rejected) as refused:
        getattr(gate, check)(one)
    getattr(gate, check)(other)
    gate.count_failure(one)
    await clock.advance(1)
    getattr(gate, check)(one)

    assert (refused.value.code, refused.value.retry_after_ms) == ("rate_limited", 1000)


async def test_addresses_of_one_network_share() -> None:
    """Changing the address within one's /64 helps nobody."""
    gate = open_gate()
    for number in range(3):
        gate.check_request(key(gate, f"2001:db8::{number}"))

    with pytest.raises(Rejected):
        gate.check_request(key(gate, "2001:db8::ffff"))
    gate.check_request(key(gate, "2001:db8:0:1::1"))


@pytest.mark.parametrize(
    ("peer", "is_exempt"), [(("127.0.0.1", 1), True), (("::1", 1), True), (("192.0.2.1", 1), False), (None, True)]
)
def test_this_machine_can_be_exempt(peer: Sequence[object] | None, is_exempt: bool) -> None:
    """By a setting; who has no address at all is not limited by it."""
    assert (open_gate(exempt_loopback=True).key_of(peer, []) is None) is is_exempt
    assert (open_gate().key_of(peer, []) is None) is (peer is None)


def test_a_client_behind_our_proxy_is_limited_and_not_the_proxy() -> None:
    """Two clients behind one proxy have a bucket each."""
    gate = open_gate(trusted_proxies=[ip_network("127.0.0.0/8")], exempt_loopback=True)
    keys = [key(gate, "127.0.0.1", (b"x-forwarded-for", address)) for address in (b"192.0.2.1", b"192.0.2.2")]

    assert keys == ["192.0.2.1", "192.0.2.2"]


def test_wrong_credentials_are_counted() -> None:
    """Beyond the limit the answer is to wait, and nothing is looked up for that address any more."""
    gate = open_gate()
    one, other = key(gate, "192.0.2.1"), key(gate, "192.0.2.2")
    gate.count_failure(one)
    assert gate.may_look_up(one)
    gate.count_failure(one)

    with pytest.raises(Rejected, match="wrong credentials"):
        gate.count_failure(one)

    assert not gate.may_look_up(one)
    assert gate.may_look_up(other)
    assert gate.may_look_up(None)


def test_connections_are_counted_while_they_are_open() -> None:
    """Two fit; when one has gone there is room again, and nothing is remembered of those who have left."""
    gate = open_gate()
    one = key(gate, "192.0.2.1")
    gate.opened(one)
    gate.opened(one)
    assert not gate.has_room(one)
    assert gate.has_room(key(gate, "192.0.2.2"))

    gate.closed(one)
    assert gate.has_room(one)
    gate.closed(one)

    assert not gate._connections
