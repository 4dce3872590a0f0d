"""Users' tokens (JWT): what makes one ours, and making one.

The algorithm is decided by us: HS256 goes with our secrets only, every other one with the public keys of the issuer
that are bound to it (RFC 8725 §3.1).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.ids import check_name
from aldis.ports.clock import Clock
from aldis.services.key_set import KeySet

ALGORITHM = "HS256"  # of our own secrets
MAX_TOKEN = 8192  # characters; what header lines commonly may hold
LAST_SECOND = 253_402_300_799  # the end of the year 9999, the last that RFC 3339 can write
TWINS = 4  # keys of one name that are tried: more than one only by an issuer's mistake


class UnknownKey(Rejected):
    """The token names a key that is not known yet; `Authenticator.resolve_token` may come to know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What makes a token ours. Several secrets are valid at once for rotation; no secrets: no HS256.

    The leeway forgives an issuer's clock that is ahead (`nbf`, `iat`); `exp` is honoured to the second, because a
    connection ends with it.
    """

    secrets: tuple[str, ...]
    audience: str | None = None
    issuer: str | None = None
    leeway_seconds: int = 30


class TokenVerifier:
    """Reads tokens; `key_set` None means that only our own secrets count."""

    def __init__(self, *, rules: TokenRules, clock: Clock, key_set: KeySet | None = None) -> None:
        self._rules = rules
        self._clock = clock
        self._key_set = key_set

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a valid token. Never waits.

        Raises `Rejected("unauthorized")`, of which `UnknownKey` is worth a wait, and `Unavailable` when the token may
        be right but the issuer's keys cannot be had.
        """
        claims = self._decode(token)
        check_times(claims, now=self._clock.now_ms() / 1000, leeway=self._rules.leeway_seconds)
        return claims

    def _decode(self, token: str) -> dict[str, Any]:
        if self._key_set is None:
            return decode_token(token, self._rules)
        _check_length(token)
        algorithm, kid = _read_header(token)
        if algorithm == ALGORITHM and self._rules.secrets:
            return decode_token(token, self._rules)
        if algorithm not in self._key_set.algorithms:
            raise Rejected("unauthorized", f"the token must be signed with {self._accepted(self._key_set)}")
        keys = [key.public_key for key in self._key_set.find(kid, algorithm)]
        if not keys:
            raise self._why_no_key(self._key_set, token, kid)
        return _decode_any(token, keys[:TWINS], algorithm, self._rules)

    def _accepted(self, key_set: KeySet) -> str:
        own = [ALGORITHM] if self._rules.secrets else []
        return " or ".join([*own, *sorted(key_set.algorithms)])

    def _why_no_key(self, key_set: KeySet, token: str, kid: str | None) -> Rejected | Unavailable:
        """What a token is told for which there is no key. One that is out of date is not worth a fetch."""
        if key_set.knows(kid):
            words = "its key is not for its algorithm" if kid is not None else "it must name its key (kid)"
            return Rejected("unauthorized", f"the token cannot be checked: {words}")
        claims = _decode_unverified(token)
        check_times(claims, now=self._clock.now_ms() / 1000, leeway=self._rules.leeway_seconds)
        if key_set.can_learn:
            return UnknownKey("unauthorized", "the token's key is not known")
        if key_set.is_failing:
            words = "the issuer's keys cannot be had at the moment"
            return Unavailable(words, retry_after_ms=key_set.retry_after_ms)
        return Rejected("unauthorized", "the token's key is not known")


def decode_token(token: str, rules: TokenRules) -> dict[str, Any]:
    """The claims of a token that one of our secrets has signed, for our audience; its times are not looked at."""
    _check_length(token)
    return _decode_any(token, rules.secrets, ALGORITHM, rules)


def _check_length(token: str) -> None:
    if len(token) > MAX_TOKEN:
        raise Rejected("unauthorized", f"a token has at most {MAX_TOKEN} characters")


def _read_header(token: str) -> tuple[str, str | None]:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, TypeError, ValueError, RecursionError) as error:
        raise Rejected("unauthorized", _say(error, ALGORITHM)) from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str):
        raise Rejected("unauthorized", "this is not a valid token")
    return algorithm, kid


def _decode_any(token: str, keys: Sequence[Any], algorithm: str, rules: TokenRules) -> dict[str, Any]:
    for key in keys:
        try:
            return _decode(token, key, algorithm, rules)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, TypeError, ValueError, RecursionError) as error:
            raise Rejected("unauthorized", _say(error, algorithm)) from None
    raise Rejected("unauthorized", "the token's signature is not ours")


def _decode(token: str, key: Any, algorithm: str, rules: TokenRules) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        audience=rules.audience,
        issuer=rules.issuer,
        options={
            "require": ["exp", "sub"],
            "verify_aud": rules.audience is not None,
            "verify_exp": False,  # the times are checked by `check_times`, with our own clock
            "verify_nbf": False,
            "verify_iat": False,
        },
    )
    return claims


def _decode_unverified(token: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False, "require": ["exp"]})
    except (jwt.InvalidTokenError, TypeError, ValueError, RecursionError) as error:
        raise Rejected("unauthorized", _say(error, ALGORITHM)) from None
    return claims


def _say(error: Exception, algorithm: str) -> str:
    match error:
        case jwt.MissingRequiredClaimError():
            return f"the token lacks the claim {error.claim}"
        case jwt.InvalidAudienceError():
            return "the token is for another audience"
        case jwt.InvalidIssuerError():
            return "the token comes from another issuer"
        case jwt.InvalidAlgorithmError():
            return f"the token must be signed with {algorithm}"
        case _:
            return "this is not a valid token"


def check_times(claims: Mapping[str, Any], *, now: float, leeway: int) -> None:
    """Raise `Rejected("unauthorized")` unless the token is valid at `now` (Unix seconds)."""
    if _seconds(claims, "exp") <= now:
        raise Rejected("unauthorized", "the token has expired")
    for claim in ("nbf", "iat"):
        if claim in claims and _seconds(claims, claim) > now + leeway:
            raise Rejected("unauthorized", f"the token is not valid yet ({claim})")


def _seconds(claims: Mapping[str, Any], claim: str) -> float:
    value = claims[claim]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Rejected("unauthorized", f"the token's {claim} must be a number of seconds")
    if not 0 <= value <= LAST_SECOND:
        raise Rejected("unauthorized", f"the token's {claim} is out of range")
    return float(value)


def sign_token(
    user: str, secret: str, ttl: int, now: int, *, audience: str | None = None, issuer: str | None = None
) -> str:
    """A token for `user` from `now` (Unix seconds) for `ttl` seconds."""
    claims: dict[str, Any] = {"sub": check_name(user, "user"), "iat": now, "exp": now + ttl}
    claims |= {"aud": audience} if audience is not None else {}
    claims |= {"iss": issuer} if issuer is not None else {}
    return jwt.encode(claims, secret, algorithm=ALGORITHM)
