"""Tokens signed with the issuer's keys: each algorithm, and each way of passing one thing off as another."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aldis.adapters.memory.clock import DrivenClock
from aldis.adapters.memory.key_source import MemoryKeySource
from aldis.domain.errors import Rejected
from aldis.services.key_set import KeySet
from aldis.services.signing_keys import PUBLIC_ALGORITHMS
from aldis.services.user_tokens import TokenRules, TokenVerifier, sign_token
from aldis.telemetry.metrics import Metrics
from issuer import ALGORITHMS, key_set, kind_of, private_key, public_jwk, signed

SECRET = "a-secret-of-at-least-thirty-two-bytes"
KINDS = ("RSA", "P-256", "P-384", "Ed25519")
NOW = DrivenClock().now_ms() // 1000
ALL = [public_jwk(kind, kind) for kind in KINDS]


async def open_verifier(*jwks: dict[str, Any], allowed: tuple[str, ...] = ALGORITHMS, **rules: Any) -> TokenVerifier:
    keys = KeySet(
        source=MemoryKeySource(key_set(*jwks)),
        clock=DrivenClock(),
        metrics=Metrics(),
        ttl_seconds=300,
        algorithms=allowed,
    )
    await keys.refresh()
    return TokenVerifier(rules=TokenRules(**{"secrets": (SECRET,), **rules}), clock=DrivenClock(), key_set=keys)


@pytest.fixture
async def verifier() -> TokenVerifier:
    return await open_verifier(*ALL)


def token(algorithm: str, kid: str | None = None, **claims: Any) -> str:
    return signed(algorithm, kid or kind_of(algorithm), now=NOW, **claims)


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def forged(header: object, key: bytes | None = None) -> str:
    """A token with any header, signed with an HMAC of `key` or not at all."""
    text = f"{part(header)}.{part({'sub': 'mallory', 'exp': NOW + 60})}"
    signature = hmac.digest(key, text.encode(), hashlib.sha256) if key is not None else b""
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Rejected) as refused:
        verifier.verify(token)
    assert refused.value.code == "unauthorized"
    return refused.value.message


def test_every_algorithm_of_the_contract_is_tried_here() -> None:
    """A table that forgets one would prove nothing about it."""
    assert set(ALGORITHMS) == set(PUBLIC_ALGORITHMS)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_algorithm_counts(verifier: TokenVerifier, algorithm: str) -> None:
    """A token signed with a published key names its user."""
    assert verifier.verify(token(algorithm))["sub"] == "alice"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_anothers_key_of_the_same_name_does_not_count(verifier: TokenVerifier, algorithm: str) -> None:
    """The name of a key is no proof."""
    stolen = signed(algorithm, kind_of(algorithm), number=1, now=NOW)

    assert "signature" in refusal(verifier, stolen)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_changed_token_does_not_count(verifier: TokenVerifier, algorithm: str) -> None:
    """Other claims under a good signature are refused."""
    header, _, signature = token(algorithm).split(".")
    changed = f"{header}.{part({'sub': 'mallory', 'exp': NOW + 60})}.{signature}"

    assert "signature" in refusal(verifier, changed)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kid", KINDS)
async def test_a_key_of_another_kind_is_never_tried(verifier: TokenVerifier, algorithm: str, kid: str) -> None:
    """A token says which key, the key says which algorithm."""
    if kind_of(algorithm) != kid:
        assert "its key is not for its algorithm" in refusal(verifier, token(algorithm, kid))


async def test_our_secret_counts_beside_the_keys(verifier: TokenVerifier) -> None:
    """`aldis token` goes on working."""
    assert verifier.verify(sign_token("bob", SECRET, 60, NOW))["sub"] == "bob"


def public_texts() -> list[bytes]:
    """Every text by which an RSA key is known to everybody."""
    key = private_key("RSA").public_key()
    jwk = public_jwk("RSA", "RSA")
    texts = [
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        key.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ]
    return [*texts, jwk["n"].encode(), base64.urlsafe_b64decode(jwk["n"] + "=="), json.dumps(jwk).encode()]


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("kid", ["RSA", None, "unknown"])
async def test_a_public_key_is_no_secret_of_an_hmac(verifier: TokenVerifier, number: int, kid: str | None) -> None:
    """HS256 with what everybody knows: the oldest of these attacks."""
    header = {"alg": "HS256", "typ": "JWT", **({"kid": kid} if kid is not None else {})}

    assert "signature" in refusal(verifier, forged(header, public_texts()[number]))


@pytest.mark.parametrize(
    "algorithm",
    ["none", "None", "NONE", "nOnE", "", "HS384", "HS512", "ES256K", "ES512", "ES521", "rs256", "RSA-OAEP", "dir"],
)
async def test_no_other_algorithm_counts(verifier: TokenVerifier, algorithm: str) -> None:
    """`none` in any spelling, and what is not in the list, is refused with the list."""
    assert "RS256" in refusal(verifier, forged({"alg": algorithm, "kid": "RSA"}))
    assert "RS256" in refusal(verifier, forged({"alg": algorithm, "kid": "RSA"}, b"x" * 32))


@pytest.mark.parametrize("header", [{}, {"alg": None}, {"alg": ["RS256"]}, {"alg": {}}, [], 5, None])
async def test_a_header_without_an_algorithm_is_no_token(verifier: TokenVerifier, header: object) -> None:
    """What cannot be read is refused like everything else."""
    assert "not a valid token" in refusal(verifier, forged(header))


@pytest.mark.parametrize("more", [{"kid": 5}, {"kid": ["RSA"]}, {"crit": ["exp"]}, {"b64": False, "crit": ["b64"]}])
async def test_a_strange_header_is_refused(verifier: TokenVerifier, more: dict[str, Any]) -> None:
    """A `kid` that is no text, and extensions that nobody here understands."""
    refusal(verifier, forged({"alg": "RS256", **more}))


async def test_a_key_inside_the_token_is_not_looked_at(verifier: TokenVerifier) -> None:
    """`jwk`, `jku` and `x5u` bring a key of the attacker's own."""
    header = {"alg": "ES256", "kid": "P-256", "jwk": public_jwk("P-256", "P-256", 1), "jku": "https://evil.example"}
    own = signed("ES256", "P-256", number=1, now=NOW).split(".")

    assert "signature" in refusal(verifier, f"{part(header)}.{own[1]}.{own[2]}")


async def test_an_algorithm_that_is_switched_off_does_not_count() -> None:
    """Only what the setting names is taken, even with a key that could do more."""
    verifier = await open_verifier(*ALL, allowed=("ES256",), secrets=())

    assert verifier.verify(token("ES256"))["sub"] == "alice"
    assert "signed with ES256" in refusal(verifier, token("RS256"))
    assert "signed with ES256" in refusal(verifier, sign_token("alice", SECRET, 60, NOW))


async def test_a_token_without_a_name_is_taken_where_one_key_fits() -> None:
    """Issuers with one key often do not name it; with two there would be guessing."""
    one = await open_verifier(public_jwk("RSA", "a"), public_jwk("P-256", None))
    two = await open_verifier(public_jwk("RSA", "a"), public_jwk("RSA", "b", 1))

    assert one.verify(signed("RS256", None, now=NOW))["sub"] == "alice"
    assert one.verify(signed("ES256", None, now=NOW))["sub"] == "alice"
    assert "must name its key" in refusal(two, signed("RS256", None, now=NOW))
    assert two.verify(signed("RS256", "b", number=1, now=NOW))["sub"] == "alice"


async def test_keys_of_one_name_are_all_tried() -> None:
    """An issuer's mistake costs nobody the token."""
    verifier = await open_verifier(public_jwk("RSA", "k"), public_jwk("P-256", "k"), public_jwk("RSA", "k", 1))

    for algorithm, number in [("RS256", 0), ("PS256", 1), ("ES256", 0)]:
        assert verifier.verify(signed(algorithm, "k", number=number, now=NOW))["sub"] == "alice"
    assert "signature" in refusal(verifier, signed("RS256", "k", number=2, now=NOW))


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": NOW}, "expired"),
        ({"nbf": NOW + 31}, "not valid yet"),
        ({"aud": "other"}, "audience"),
        ({"iss": "other"}, "issuer"),
        ({"sub": None}, "sub"),
    ],
)
async def test_claims_are_checked_as_with_a_secret(claims: dict[str, Any], words: str) -> None:
    """A good signature is not enough."""
    verifier = await open_verifier(*ALL, audience="aldis", issuer="login")
    given = {"aud": "aldis", "iss": "login", **claims}

    assert words in refusal(verifier, token("RS256", **given))
    assert verifier.verify(token("RS256", aud="aldis", iss="login"))["sub"] == "alice"
