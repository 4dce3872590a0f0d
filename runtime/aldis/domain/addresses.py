"""Which client a request comes from, when proxies stand in between, and which clients count as one.

Only a proxy that is trusted is believed what it says of those before it, and the list is read from the right: what
stands further left may have been made up by the client.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOPS = 32  # read of a list of proxies; no chain is longer, and a longer list is an attempt to keep us busy
IPV6_PREFIX = 64  # bits: a subscriber has at least a /64, and so any number of addresses in it
_PORT = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<four>[^:]*))(?::[0-9]{1,5})?")
MAX_TEXT = 64  # characters of an address, with brackets, zone and port


def parse_address(text: str) -> Address | None:
    """An address as sockets and proxies write it, with or without a port; None for anything else."""
    return _parse(text) if len(text) <= MAX_TEXT else None


@lru_cache(maxsize=16_384)  # the addresses of those who are connected now; looked at for every request
def _parse(text: str) -> Address | None:
    match = _PORT.fullmatch(text.strip())
    bare = (match["six"] or match["four"]) if match is not None else text.strip()
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def client_address(peer: str, headers: Iterable[tuple[bytes, bytes]], trusted: Sequence[Network]) -> Address | None:
    """The client behind `peer`: the first from the right that is no trusted proxy; None when the peer has no address.

    Of a proxy that says nothing that can be read, or says two things (one of the two headers is not its own), the
    client is the proxy itself.
    """
    address = parse_address(peer)
    if address is None or not trusted or not _is_trusted(address, trusted):
        return address
    lists = [hops for hops in _hops(headers) if hops]
    found = {_walk(address, hops, trusted) for hops in lists}
    return found.pop() if len(found) == 1 else address


def _walk(peer: Address, hops: list[str], trusted: Sequence[Network]) -> Address:
    address = peer
    for hop in reversed(hops[-HOPS:]):
        if not _is_trusted(address, trusted) or (before := parse_address(hop)) is None:
            break
        address = before
    return address


def _hops(headers: Iterable[tuple[bytes, bytes]]) -> tuple[list[str], list[str]]:
    forwarded_for: list[str] = []
    forwarded: list[str] = []
    for name, value in headers:
        if name == b"x-forwarded-for":
            forwarded_for += _last(value)
        elif name == b"forwarded":
            forwarded += map(_for_of, _last(value))
    return forwarded_for, forwarded


def _last(value: bytes) -> list[str]:
    return value.decode("latin-1").rsplit(",", HOPS)[-HOPS:]


def _for_of(element: str) -> str:
    """The `for` of one proxy's part of a Forwarded header (RFC 7239 §4); empty when it does not say."""
    pairs = (pair.partition("=") for pair in element.split(";"))
    return next((value.strip().strip('"') for name, _, value in pairs if name.strip().lower() == "for"), "")


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def subscriber(address: Address) -> str:
    """What is limited as one: an IPv4 address, or the /64 of an IPv6 address."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((address, IPV6_PREFIX), strict=False))
