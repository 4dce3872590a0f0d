"""What every source of public keys promises (`aldis.ports.key_source`)."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest

from aldis.adapters.http.key_source import open_http_key_source
from aldis.adapters.memory.key_source import MemoryKeySource
from aldis.domain.errors import Unavailable
from aldis.ports.key_source import MAX_BYTES, KeySource
from issuer import Issuer, Mood, issuing

SECONDS = 1.0  # for an answer; the machine may be busy
DOCUMENT = b'{"keys": []}'


@dataclass
class Published:
    """A source, and how to change what it will say."""

    source: KeySource
    publish: Callable[[bytes | None], None]


@asynccontextmanager
async def open_memory() -> AsyncIterator[Published]:
    source = MemoryKeySource(DOCUMENT)

    def publish(document: bytes | None) -> None:
        source.document = document

    yield Published(source, publish)


@asynccontextmanager
async def open_http() -> AsyncIterator[Published]:
    async with issuing(DOCUMENT) as issuer, open_http_key_source(issuer.url, seconds=20) as source:

        def publish(document: bytes | None) -> None:
            issuer.document = document or b""
            issuer.mood = "well" if document is not None else "dead"

        yield Published(source, publish)


ADAPTERS: dict[str, Callable[[], AbstractAsyncContextManager[Published]]] = {"memory": open_memory, "http": open_http}


@pytest.fixture(params=ADAPTERS)
async def published(request: pytest.FixtureRequest) -> AsyncIterator[Published]:
    async with ADAPTERS[request.param]() as published:
        yield published


async def test_it_answers_what_is_published_now(published: Published) -> None:
    """Nothing is remembered between two calls."""
    first = await published.source.fetch()
    published.publish(b"another")

    assert (first, await published.source.fetch()) == (DOCUMENT, b"another")


async def test_an_outage_is_unavailable_and_ends(published: Published) -> None:
    """Whoever asks again later is answered."""
    published.publish(None)
    with pytest.raises(Unavailable):
        await published.source.fetch()
    published.publish(DOCUMENT)

    assert await published.source.fetch() == DOCUMENT


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing(DOCUMENT) as issuer:
        yield issuer


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("dead", "failed"),
        ("hangs", "within 1 s"),
        ("drips", "within 1 s"),
        ("huge", str(MAX_BYTES)),
        ("error", "500"),
        ("redirects", "302"),
        ("compressed", "compressed"),
    ],
)
async def test_whatever_the_other_side_does_it_is_unavailable_in_time(issuer: Issuer, mood: Mood, words: str) -> None:
    """No answer, an endless or a huge one, another address: all are told apart, and none takes long."""
    async with open_http_key_source(issuer.url, seconds=SECONDS) as source:
        issuer.mood = mood

        with pytest.raises(Unavailable, match=words):
            await source.fetch()


async def test_nobody_at_the_address_is_unavailable() -> None:
    """A refused connection is an outage like any other."""
    async with issuing(DOCUMENT) as issuer:
        url = issuer.url
    async with open_http_key_source(url) as source:
        with pytest.raises(Unavailable, match="failed"):
            await source.fetch()
