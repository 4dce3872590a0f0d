"""The public keys of a JSON Web Key Set, each bound to the algorithms that it may verify.

What a key may be used for follows from the key and never from a token (RFC 8725 §3.1), so a public key is never taken
for the secret of an HMAC. A key that cannot be used is left out and does not spoil the others: other types and curves,
symmetric keys, keys for encryption, RSA keys of less than 2048 bits.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import jwt

from aldis.domain.errors import Unavailable

MAX_KEYS = 100  # looked at; an issuer has a handful
MIN_RSA_BITS = 2048  # RFC 7518 §3.3
MAX_RSA_BITS = 8192  # verifying takes longer with each bit
RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
PUBLIC_ALGORITHMS = (*RSA, "ES256", "ES384", "EdDSA")
_ALGORITHMS = {  # by type and curve
    ("RSA", None): RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
_PUBLIC = ("kty", "crv", "n", "e", "x", "y")  # the parts that make a public key; no other part is even looked at


class SigningKey(NamedTuple):
    """A public key, the name that tokens call it by, and the algorithms it may verify."""

    kid: str | None
    algorithms: frozenset[str]
    public_key: Any  # a key of the library that verifies


def parse_key_set(document: bytes, allowed: Collection[str]) -> list[SigningKey]:
    """The keys of a set that are usable with the `allowed` algorithms; raises `Unavailable` when there is none."""
    try:
        content = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise Unavailable("the answer is not JSON") from error
    listed = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise Unavailable("the answer is not a key set")
    keys = list(_usable(listed[:MAX_KEYS], allowed))
    if not keys:
        raise Unavailable("the key set has no key that can be used")
    return keys


def _usable(listed: Collection[object], allowed: Collection[str]) -> Iterator[SigningKey]:
    for jwk in listed:
        if not isinstance(jwk, dict):
            continue
        algorithms = algorithms_of(jwk) & frozenset(allowed)
        if algorithms and (key := _read(jwk, min(algorithms))) is not None:
            yield SigningKey(jwk.get("kid"), algorithms, key)


def algorithms_of(jwk: Mapping[str, Any]) -> frozenset[str]:
    """What a key may verify by its type, its curve and its own restrictions; nothing when it is not for signatures."""
    type_, curve, kid = jwk.get("kty"), jwk.get("crv"), jwk.get("kid")
    if not isinstance(type_, str) or not isinstance(curve, str | None) or not isinstance(kid, str | None):
        return frozenset()
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return frozenset()
    named = jwk.get("alg")
    return frozenset(each for each in _ALGORITHMS.get((type_, curve), ()) if named is None or named == each)


def _read(jwk: Mapping[str, Any], algorithm: str) -> Any:
    public = {name: jwk[name] for name in _PUBLIC if name in jwk}
    try:
        key = jwt.PyJWK(public, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if algorithm in RSA and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        return None
    return key
