from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.domain.addresses import client_address, parse_address, subscriber

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
Headers = list[tuple[bytes, bytes]]


def forwarded_for(*values: str) -> Headers:
    return [(b"x-forwarded-for", value.encode()) for value in values]


def forwarded(*values: str) -> Headers:
    return [(b"forwarded", value.encode()) for value in values]


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", forwarded_for("198.51.100.9"), "192.0.2.1"),  # not a proxy of ours
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", forwarded_for("198.51.100.9"), "198.51.100.9"),
        ("10.0.0.1", forwarded_for("1.1.1.1, 198.51.100.9"), "198.51.100.9"),  # further left it may be made up
        ("10.0.0.1", forwarded_for("198.51.100.9, 10.0.0.2, 10.0.0.3"), "198.51.100.9"),
        ("10.0.0.1", forwarded_for("198.51.100.9", "10.0.0.2"), "198.51.100.9"),  # two lines are one list
        ("10.0.0.1", forwarded_for("10.0.0.3, 10.0.0.2"), "10.0.0.3"),
        ("10.0.0.1", forwarded_for("198.51.100.9, nonsense"), "10.0.0.1"),
        ("10.0.0.1", forwarded_for("nonsense, 10.0.0.2"), "10.0.0.2"),
        ("10.0.0.1", forwarded_for(""), "10.0.0.1"),
        ("10.0.0.1", forwarded_for("198.51.100.9:4711"), "198.51.100.9"),
        ("10.0.0.1", forwarded_for("[2001:db8::1]:4711"), "2001:db8::1"),
        ("10.0.0.1", forwarded_for("2001:db8::1"), "2001:db8::1"),
        ("fd00::1", forwarded_for("2001:db8::1"), "2001:db8::1"),
        ("::ffff:10.0.0.1", forwarded_for("198.51.100.9"), "198.51.100.9"),
        ("10.0.0.1", forwarded("for=198.51.100.9;proto=https;by=10.0.0.1"), "198.51.100.9"),
        ("10.0.0.1", forwarded('For="[2001:db8::1]:4711"'), "2001:db8::1"),
        ("10.0.0.1", forwarded("for=1.1.1.1, proto=http ; for = 198.51.100.9"), "198.51.100.9"),
        ("10.0.0.1", forwarded("for=198.51.100.9, for=unknown"), "10.0.0.1"),
        ("10.0.0.1", forwarded("proto=https"), "10.0.0.1"),
        ("10.0.0.1", forwarded_for("198.51.100.9") + forwarded("for=198.51.100.9"), "198.51.100.9"),
        ("10.0.0.1", forwarded_for("198.51.100.9") + forwarded("for=1.1.1.1"), "10.0.0.1"),  # one is made up
        ("10.0.0.1", forwarded_for(*["10.0.0.2"] * 40, "198.51.100.9"), "198.51.100.9"),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, headers: Headers, client: str) -> None:
    """The client is the first from the right that is no proxy of ours."""
    assert client_address(peer, headers, PROXIES) == ip_address(client)


def test_without_trusted_proxies_nothing_is_believed() -> None:
    """The default: who connects is who counts."""
    assert client_address("10.0.0.1", forwarded_for("198.51.100.9"), []) == ip_address("10.0.0.1")


@pytest.mark.parametrize("peer", ["", "testclient", "/run/aldis.sock", "a" * 10_000])
def test_a_peer_without_an_address_has_none(peer: str) -> None:
    """A Unix socket's name is no address."""
    assert client_address(peer, forwarded_for("198.51.100.9"), PROXIES) is None


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_ipv6_client_counts_as_its_network(address: str, counts_as: str) -> None:
    """Whoever has one IPv6 address has 2^64 of them."""
    parsed = parse_address(address)

    assert parsed is not None
    assert subscriber(parsed) == counts_as


@given(st.lists(st.text(max_size=80) | st.ip_addresses().map(str), max_size=40))
def test_no_header_breaks_it(hops: list[str]) -> None:
    """Whatever clients and proxies write, there is an answer, and never one that is left of a stranger."""
    text = ",".join(hops).encode("utf-8", "replace")

    for name in (b"x-forwarded-for", b"forwarded"):
        assert client_address("10.0.0.1", [(name, text)], PROXIES) is not None
