import json
from typing import Any

import pytest

from aldis.domain.errors import Unavailable
from aldis.services.signing_keys import MAX_KEYS, PUBLIC_ALGORITHMS, RSA, parse_key_set
from issuer import Json, key_set, private_key, public_jwk

GOOD = public_jwk("P-256", "good")


def algorithms(*jwks: Any) -> dict[str | None, set[str]]:
    """What each key of a set may verify."""
    return {key.kid: set(key.algorithms) for key in parse_key_set(key_set(*jwks), PUBLIC_ALGORITHMS)}


@pytest.mark.parametrize(
    ("kind", "may"),
    [("RSA", set(RSA)), ("P-256", {"ES256"}), ("P-384", {"ES384"}), ("Ed25519", {"EdDSA"})],
)
def test_a_key_may_verify_what_its_type_and_curve_say(kind: str, may: set[str]) -> None:
    """The algorithms follow from the key."""
    assert algorithms(public_jwk(kind, "k")) == {"k": may}


@pytest.mark.parametrize("use", [{"use": "sig"}, {"key_ops": ["verify"]}, {"use": "sig", "x5t": "abc", "unknown": [1]}])
def test_a_key_for_signatures_is_taken(use: Json) -> None:
    """What it says of its use, and what nobody knows, does no harm."""
    assert algorithms({**GOOD, **use}) == {"good": {"ES256"}}


def test_a_key_that_names_its_algorithm_is_for_that_alone() -> None:
    """An RSA key for PS256 verifies no RS256."""
    assert algorithms(public_jwk("RSA", "k", alg="PS256")) == {"k": {"PS256"}}


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "kid": "k", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "alg": "HS256"},
        {**GOOD, "alg": "HS256"},
        {**GOOD, "alg": "none"},
        {**GOOD, "alg": "ES384"},
        {**GOOD, "alg": ["ES256"]},
        {**GOOD, "use": "enc"},
        {**GOOD, "key_ops": ["encrypt"]},
        {**GOOD, "key_ops": "verify"},
        {**GOOD, "crv": "P-384"},
        {**GOOD, "crv": ["P-256"]},
        {**GOOD, "kid": 5},
        {**GOOD, "x": "AAAA"},
        {**GOOD, "x": 5},
        {name: value for name, value in GOOD.items() if name != "y"},
        {"kty": "RSA", "kid": "k"},
        {"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"},
        public_jwk("RSA1024", "k"),
        public_jwk("P-521", "k"),
        {"kty": "PQC", "kid": "k"},
        {"kty": None},
        {},
        "a key",
        None,
    ],
)
def test_a_key_that_cannot_be_used_is_left_out(jwk: object) -> None:
    """Other types, curves, uses and algorithms, broken and weak keys: none of them spoils the others."""
    other = public_jwk("Ed25519", "other")

    assert algorithms(jwk, other) == {"other": {"EdDSA"}}


def test_the_private_half_is_not_looked_at() -> None:
    """Whoever publishes it by mistake still gives us a public key only."""
    number = private_key("P-256").private_numbers().private_value

    (key,) = parse_key_set(key_set({**GOOD, "d": str(number)}), PUBLIC_ALGORITHMS)

    assert not hasattr(key.public_key, "private_numbers")


def test_only_allowed_algorithms_are_kept() -> None:
    """A key with nothing left to verify is left out."""
    keys = parse_key_set(key_set(GOOD, public_jwk("RSA", "r")), {"RS256", "PS512"})

    assert [(key.kid, key.algorithms) for key in keys] == [("r", frozenset({"RS256", "PS512"}))]


def test_a_set_has_a_bound() -> None:
    """What comes behind the first hundred is not looked at."""
    assert len(parse_key_set(key_set(*[GOOD] * (MAX_KEYS + 10)), PUBLIC_ALGORITHMS)) == MAX_KEYS


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff\xfe",
        b"<html>",
        b"[]",
        b"5",
        b'{"keys": {}}',
        b'{"keys": null}',
        b'{"keys": []}',
        b"[" * 100_000,
        json.dumps({"keys": [{"kty": "oct", "k": "AAAA"}]}).encode(),
    ],
)
def test_what_is_no_set_of_keys_is_unavailable(document: bytes) -> None:
    """Garbage, and a set without any usable key, never replaces the keys that are known."""
    with pytest.raises(Unavailable):
        parse_key_set(document, PUBLIC_ALGORITHMS)
