"""Who is calling: users with a signed token, backends with a key.

Tokens are checked without any look-up, unless they name a key of the issuer that is not known yet. Backends' keys are
read from the store and remembered for a moment (`services/known_keys.py`).
"""

from aldis.domain.callers import Caller, UserCaller
from aldis.domain.errors import Rejected
from aldis.domain.ids import UserId, check_name
from aldis.ports.clock import Clock
from aldis.ports.store import Store
from aldis.services.issue_key import PREFIX
from aldis.services.key_set import KeySet
from aldis.services.known_keys import KEY_MEMORY_MS, KnownKeys
from aldis.services.user_tokens import TokenRules, TokenVerifier, UnknownKey, decode_token, sign_token

__all__ = [
    "KEY_MEMORY_MS",
    "Authenticator",
    "TokenRules",
    "UnknownKey",
    "decode_token",
    "parse_bearer",
    "sign_token",
]


class Authenticator:
    """Turns what stands in the Authorization header, or in a socket's first frame, into a caller."""

    def __init__(self, *, store: Store, clock: Clock, rules: TokenRules, key_set: KeySet | None = None) -> None:
        self.keys = KnownKeys(store=store, clock=clock)
        self._key_set = key_set
        self._tokens = TokenVerifier(rules=rules, clock=clock, key_set=key_set)

    async def authenticate(self, header: str | None, *, may_look_up: bool = True) -> Caller:
        """The caller that an Authorization header names; raises `Rejected("unauthorized")` or `Unavailable`.

        Without `may_look_up` a key that has not been used lately is refused: for clients that are guessing.
        """
        credential = parse_bearer(header)
        if credential.startswith(PREFIX):
            return await self.keys.authenticate(credential, may_read=may_look_up)
        return await self.resolve_token(credential)

    def recognise(self, header: str | None) -> Caller | None:
        """The same without waiting; None when only waiting would tell. Raises as `authenticate` does."""
        credential = parse_bearer(header)
        if credential.startswith(PREFIX):
            return self.keys.recognise(credential)
        try:
            return self.authenticate_token(credential)
        except UnknownKey:
            return None

    def authenticate_token(self, token: str) -> UserCaller:
        """The user that a token names. Never waits.

        Raises `Rejected("unauthorized")`, `UnknownKey` among them when `resolve_token` may do better, or `Unavailable`.
        """
        claims = self._tokens.verify(token)
        try:
            user = UserId(check_name(claims["sub"], "sub"))
        except Rejected as error:
            raise Rejected("unauthorized", f"the token's {error.message}") from error
        return UserCaller(user=user, expires_at=int(claims["exp"]))

    async def resolve_token(self, token: str) -> UserCaller:
        """The user that a token names; waits for the issuer when the token names a key that is not known yet."""
        try:
            return self.authenticate_token(token)
        except UnknownKey:
            if self._key_set is not None:
                await self._key_set.learn()
        return self.authenticate_token(token)


def parse_bearer(header: str | None) -> str:
    """The credential of `Authorization: Bearer <credential>`."""
    if header is None:
        raise Rejected("unauthorized", "send Authorization: Bearer with a token or a key")
    scheme, _, credential = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise Rejected("unauthorized", "the Authorization header must be Bearer with a token or a key")
    return credential.strip()
