import base64
import json
from dataclasses import replace
from typing import Any, cast

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.adapters.memory.clock import DrivenClock
from aldis.domain.callers import ApiKey, BackendCaller, Scope, UserCaller
from aldis.domain.errors import Rejected
from aldis.ports.store import Store
from aldis.services.authenticate import KEY_MEMORY_MS, Authenticator, TokenRules, parse_bearer, sign_token
from aldis.services.issue_key import KeyText, hash_secret

SECRET = "a-secret-of-at-least-thirty-two-bytes"
OLD_SECRET = "an-older-secret-of-thirty-two-bytes-or-so"
KEY = KeyText("0123456789abcdef", "x" * 43)


class Keys:
    def __init__(self, *keys: ApiKey) -> None:
        self.keys = {key.id: key for key in keys}
        self.reads = 0

    async def api_key(self, key_id: str) -> ApiKey | None:
        self.reads += 1
        return self.keys.get(key_id)


def stored_key(**changes: Any) -> ApiKey:
    key = ApiKey(
        id=KEY.id,
        name="shop",
        hash=hash_secret(KEY.secret),
        scopes=frozenset({Scope.SEND}),
        channels=frozenset({"orders"}),
        created_at=0,
    )
    return replace(key, **changes)


def open_store(keys: Keys) -> Store:
    return cast("Store", keys)


def open_authenticator(*keys: ApiKey, **rules: Any) -> Authenticator:
    return Authenticator(
        store=open_store(Keys(*keys)),
        clock=DrivenClock(),
        rules=TokenRules(secrets=(SECRET, OLD_SECRET), **rules),
    )


def now() -> int:
    return DrivenClock().now_ms() // 1000


def signed(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    return jwt.encode({"sub": "alice", "exp": now() + 60, **claims}, secret, algorithm=algorithm)


def refusal(token: str, **rules: Any) -> str:
    with pytest.raises(Rejected) as refused:
        open_authenticator(**rules).authenticate_token(token)
    assert refused.value.code == "unauthorized"
    return refused.value.message


def test_a_signed_token_names_its_user() -> None:
    """A valid token gives the user and its end."""
    token = sign_token("alice", SECRET, 60, now())

    caller = open_authenticator().authenticate_token(token)

    assert caller == UserCaller(user=caller.user, expires_at=now() + 60)
    assert caller.user == "alice"


def test_a_token_of_the_older_secret_still_counts() -> None:
    """While a secret is rotated both are valid."""
    assert open_authenticator().authenticate_token(signed(OLD_SECRET)).user == "alice"


def test_a_token_without_a_signature_is_refused() -> None:
    """`alg: none` is no signature, whatever the rest says."""
    header, claims = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "none", "typ": "JWT"}, {"sub": "alice", "exp": now() + 60})
    )

    assert "HS256" in refusal(f"{header}.{claims}.")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused(algorithm: str) -> None:
    """Even our own secret counts with the one algorithm only."""
    assert "HS256" in refusal(signed("long-enough-for-any-of-them" * 4, algorithm))


def test_a_foreign_signature_is_refused() -> None:
    """Another's secret makes no token of ours."""
    assert "signature" in refusal(signed("somebody-else-has-this-secret-of-32-bytes"))


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": now()}, "expired"),
        ({"exp": now() - 1}, "expired"),
        ({"exp": "soon"}, "exp must be a number"),
        ({"exp": True}, "exp must be a number"),
        ({"exp": 1e300}, "out of range"),
        ({"exp": -5}, "out of range"),
        ({"nbf": now() + 31}, "not valid yet"),
        ({"iat": now() + 31}, "not valid yet"),
        ({"sub": "no spaces"}, "sub must be"),
        ({"sub": ""}, "sub must be"),
        ({"sub": 5}, "not a valid token"),
    ],
)
def test_claims_that_do_not_hold_are_refused(claims: dict[str, Any], words: str) -> None:
    """The end is honoured to the second, other clocks are forgiven 30 s, the user must be a name."""
    assert words in refusal(signed(**claims))


@pytest.mark.parametrize("claim", ["exp", "sub"])
def test_a_token_needs_a_user_and_an_end(claim: str) -> None:
    """A token without an end would be valid for ever."""
    claims = {"sub": "alice", "exp": now() + 60}
    del claims[claim]

    assert claim in refusal(jwt.encode(claims, SECRET, algorithm="HS256"))


def test_a_clock_that_is_a_little_ahead_is_forgiven() -> None:
    """An issuer's clock may be half a minute ahead of ours."""
    token = signed(nbf=now() + 29, iat=now() + 29)

    assert open_authenticator().authenticate_token(token).user == "alice"


def test_the_audience_is_checked_when_it_is_configured() -> None:
    """With an audience set, a token for another or for nobody in particular is refused; without, any will do."""
    assert "audience" in refusal(signed(aud="other"), audience="aldis")
    assert "aud" in refusal(signed(), audience="aldis")
    assert open_authenticator(audience="aldis").authenticate_token(signed(aud=["x", "aldis"])).user == "alice"
    assert open_authenticator().authenticate_token(signed(aud="other")).user == "alice"


def test_the_issuer_is_checked_when_it_is_configured() -> None:
    """With an issuer set, another's token is refused."""
    assert "issuer" in refusal(signed(iss="other"), issuer="login")
    token = sign_token("alice", SECRET, 60, now(), audience="aldis", issuer="login")
    assert open_authenticator(audience="aldis", issuer="login").authenticate_token(token).user == "alice"


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}"))
def test_nothing_that_is_no_token_raises_anything_else(text: str) -> None:
    """Whatever is sent, the answer is `unauthorized`."""
    refusal(text)


@pytest.mark.parametrize(
    "header", [{"alg": ["HS256"]}, {"alg": {}}, {"alg": None}, {}, [], 5, {"alg": "HS256", "crit": ["x"]}]
)
def test_a_strange_header_is_refused(header: object) -> None:
    """A header of the wrong shape is refused like any other."""
    first, second = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header, {"sub": "alice", "exp": now() + 60})
    )

    refusal(f"{first}.{second}.AAAA")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "abc"])
def test_only_a_bearer_credential_is_taken(header: str | None) -> None:
    """Other schemes, and nothing, are refused."""
    with pytest.raises(Rejected):
        parse_bearer(header)


def test_the_scheme_is_read_in_any_case() -> None:
    """`bearer` is as good as `Bearer` (RFC 9110 §11.1)."""
    assert parse_bearer("bearer  abc ") == "abc"


async def test_a_key_names_its_backend() -> None:
    """A valid key gives the backend's name, with what the key may do."""
    caller = await open_authenticator(stored_key()).authenticate(f"Bearer {KEY}")

    assert caller == BackendCaller("shop", KEY.id, frozenset({Scope.SEND}), frozenset({"orders"}))


@pytest.mark.parametrize(
    ("credential", "key"),
    [
        (f"ak_{KEY.id}_{'y' * 43}", stored_key()),
        (f"ak_{'f' * 16}_{KEY.secret}", stored_key()),
        ("ak_", stored_key()),
        (f"ak_{KEY.id}", stored_key()),
        (str(KEY), stored_key(revoked_at=1)),
    ],
)
async def test_a_wrong_or_revoked_key_is_refused(credential: str, key: ApiKey) -> None:
    """A wrong secret, an unknown id, half a key and a revoked one are all unauthorized."""
    with pytest.raises(Rejected, match="key") as refused:
        await open_authenticator(key).authenticate(f"Bearer {credential}")

    assert refused.value.code == "unauthorized"


async def test_a_revocation_is_seen_within_its_bound() -> None:
    """A key is remembered for five seconds and not longer."""
    clock, keys = DrivenClock(), Keys(stored_key())
    authenticator = Authenticator(store=open_store(keys), clock=clock, rules=TokenRules(secrets=(SECRET,)))
    await authenticator.authenticate(f"Bearer {KEY}")
    keys.keys[KEY.id] = stored_key(revoked_at=1)

    await clock.advance((KEY_MEMORY_MS - 1) / 1000)
    await authenticator.authenticate(f"Bearer {KEY}")
    await clock.advance(0.001)

    with pytest.raises(Rejected, match="revoked"):
        await authenticator.authenticate(f"Bearer {KEY}")
    assert keys.reads == 2
