"""The address that the signing keys of user tokens come from, where one is set."""

from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from aldis.cli.checks.finding import Finding, fail, ok
from aldis.domain.errors import AldisError
from aldis.services.signing_keys import parse_key_set

UNREACHABLE = "See that this machine can reach it, without a proxy. A running server goes on with the keys that it has."
USELESS = "Correct ALDIS_JWT__JWKS_URL and ALDIS_JWT__ALGORITHMS, or publish the keys there."


def check_jwks(url: str, allowed: Collection[str], *, fetch: Callable[[str], bytes]) -> Finding:
    """It answers, and at least one of its keys would be used."""
    shown = without_secrets(url)
    try:
        document = fetch(url)
    except AldisError as error:
        return fail("jwks", f"{shown}: {error}", UNREACHABLE)
    try:
        keys = len(parse_key_set(document, allowed))
    except AldisError as error:
        return fail("jwks", f"{shown}: {error}", USELESS)
    return ok("jwks", f"{shown} holds {keys} key{'s' if keys > 1 else ''} that can be used")


def without_secrets(url: str) -> str:
    """An address without its user, password and query, which may be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
