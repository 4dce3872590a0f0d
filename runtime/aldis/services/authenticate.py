"""Who is calling: users with a signed token, backends with a key.

Tokens are checked without any look-up, with the one algorithm that is meant (RFC 8725 §3.1). Keys are read from the
store and remembered for `KEY_MEMORY_MS`, which bounds how long a revoked key still works on a running gateway.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from aldis.domain.callers import ApiKey, BackendCaller, Caller, UserCaller
from aldis.domain.errors import Rejected
from aldis.domain.ids import UserId, check_name
from aldis.ports.clock import Clock
from aldis.ports.store import Store
from aldis.services.issue_key import PREFIX, is_secret_of, parse_key

ALGORITHM = "HS256"
MAX_TOKEN = 8192  # characters; what header lines commonly may hold
LAST_SECOND = 253_402_300_799  # the end of the year 9999, the last that RFC 3339 can write
KEY_MEMORY_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What makes a token ours. Several secrets are valid at once for rotation.

    The leeway forgives an issuer's clock that is ahead (`nbf`, `iat`); `exp` is honoured to the second, because a
    connection ends with it.
    """

    secrets: tuple[str, ...]
    audience: str | None = None
    issuer: str | None = None
    leeway_seconds: int = 30


class Authenticator:
    """Turns what stands in the Authorization header, or in a socket's first frame, into a caller."""

    def __init__(self, *, store: Store, clock: Clock, rules: TokenRules) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._keys: dict[str, tuple[ApiKey, int]] = {}  # id → key, read at; only keys that exist, so it stays small

    async def authenticate(self, header: str | None) -> Caller:
        """The caller that an Authorization header names; raises `Rejected("unauthorized")`."""
        credential = parse_bearer(header)
        if credential.startswith(PREFIX):
            return await self._authenticate_key(credential)
        return self.authenticate_token(credential)

    def authenticate_token(self, token: str) -> UserCaller:
        """The user that a token names; raises `Rejected("unauthorized")`. Never waits."""
        claims = decode_token(token, self._rules)
        check_times(claims, now=self._clock.now_ms() / 1000, leeway=self._rules.leeway_seconds)
        try:
            user = UserId(check_name(claims["sub"], "sub"))
        except Rejected as error:
            raise Rejected("unauthorized", f"the token's {error.message}") from error
        return UserCaller(user=user, expires_at=int(claims["exp"]))

    async def _authenticate_key(self, text: str) -> BackendCaller:
        parsed = parse_key(text)
        key = await self._find_key(parsed.id) if parsed is not None else None
        if parsed is None or key is None or not is_secret_of(key, parsed.secret):
            raise Rejected("unauthorized", "this is not a valid key")
        if key.revoked_at is not None:
            raise Rejected("unauthorized", "this key has been revoked")
        return BackendCaller(name=key.name, key_id=key.id, scopes=key.scopes, channels=key.channels)

    async def _find_key(self, key_id: str) -> ApiKey | None:
        now = self._clock.now_ms()
        known = self._keys.get(key_id)
        if known is not None and 0 <= now - known[1] < KEY_MEMORY_MS:
            return known[0]
        key = await self._store.api_key(key_id)
        if key is None:
            self._keys.pop(key_id, None)
            return None
        self._keys[key_id] = (key, now)
        return key


def parse_bearer(header: str | None) -> str:
    """The credential of `Authorization: Bearer <credential>`."""
    if header is None:
        raise Rejected("unauthorized", "send Authorization: Bearer with a token or a key")
    scheme, _, credential = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise Rejected("unauthorized", "the Authorization header must be Bearer with a token or a key")
    return credential.strip()


def decode_token(token: str, rules: TokenRules) -> dict[str, Any]:
    """The claims of a token that one of our secrets has signed, for our audience; its times are not looked at."""
    if len(token) > MAX_TOKEN:
        raise Rejected("unauthorized", f"a token has at most {MAX_TOKEN} characters")
    for secret in rules.secrets:
        try:
            return _decode(token, secret, rules)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, TypeError, ValueError, RecursionError) as error:
            raise Rejected("unauthorized", _say(error)) from None
    raise Rejected("unauthorized", "the token's signature is not ours")


def _decode(token: str, secret: str, rules: TokenRules) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        secret,
        algorithms=[ALGORITHM],
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


def _say(error: Exception) -> str:
    match error:
        case jwt.MissingRequiredClaimError():
            return f"the token lacks the claim {error.claim}"
        case jwt.InvalidAudienceError():
            return "the token is for another audience"
        case jwt.InvalidIssuerError():
            return "the token comes from another issuer"
        case jwt.InvalidAlgorithmError():
            return f"the token must be signed with {ALGORITHM}"
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
