"""The key source behind a URL.

Redirects are not followed, so that the address is the one that was configured, and proxies of the environment are not
used. A compressed answer is refused: its size would be known only after it has been unpacked.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2

from aldis.domain.errors import Unavailable
from aldis.ports.key_source import FETCH_SECONDS, MAX_BYTES

HEADERS = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}


class HttpKeySource:
    """Fetches with a client of its own. Make it with `open_http_key_source`."""

    def __init__(self, url: str, client: httpx2.AsyncClient, *, seconds: float) -> None:
        self._url = url
        self._client = client
        self._seconds = seconds

    async def fetch(self) -> bytes:
        """The body of a 200."""
        try:
            async with asyncio.timeout(self._seconds), self._client.stream("GET", self._url) as response:
                return await _read(response)
        except TimeoutError as error:
            raise Unavailable(f"no whole answer within {self._seconds:g} s") from error
        except (httpx2.HTTPError, OSError) as error:
            raise Unavailable(f"the request failed: {type(error).__name__}") from error


async def _read(response: httpx2.Response) -> bytes:
    if response.status_code != httpx2.codes.OK:
        raise Unavailable(f"the answer has the status {response.status_code}")
    if "content-encoding" in response.headers:
        raise Unavailable("the answer is compressed, which was not asked for")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_BYTES:
            raise Unavailable(f"the answer has more than {MAX_BYTES} bytes")
    return bytes(body)


@asynccontextmanager
async def open_http_key_source(url: str, *, seconds: float = FETCH_SECONDS) -> AsyncGenerator[HttpKeySource]:
    """A source whose connections are closed at the end; raises nothing when the other side is not there."""
    timeout = httpx2.Timeout(seconds)
    async with httpx2.AsyncClient(headers=HEADERS, timeout=timeout, follow_redirects=False, trust_env=False) as client:
        yield HttpKeySource(url, client, seconds=seconds)
