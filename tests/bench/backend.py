"""A backend: its key, its channels and the requests it makes."""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from bench import frames
from bench.lines import Lines, build_request, open_lines
from bench.server import Server

SUBSCRIBING_LINES = 16

Body = Mapping[str, object]


class Backend:
    """A backend with a key for all channels."""

    def __init__(self, server: Server) -> None:
        """Make a key."""
        self._server = server
        self._key = server.make_key()

    def declare(self, channel: str, spec: dict[str, object]) -> None:
        """Declare a channel, before anything is sent into it."""
        self._server.apply_channel(channel, spec)

    def post(self, message: Body) -> bytes:
        """Return the request that sends one message."""
        return self._request("POST", "/v1/messages", message)

    def post_batch(self, messages: Sequence[Body]) -> bytes:
        """Return the request that sends several."""
        return self._request("POST", "/v1/messages:batch", {"messages": messages})

    async def subscribe_all(self, tokens: Mapping[str, str], *, channel: str) -> None:
        """Let each user subscribe to a channel. Raises `ConnectionError` when one cannot."""
        path = f"/v1/subscriptions/{channel}"
        async with open_lines(self._server.port, SUBSCRIBING_LINES) as lines:
            await asyncio.gather(*(self._subscribe(lines, path, token) for token in tokens.values()))

    async def _subscribe(self, lines: Lines, path: str, token: str) -> None:
        status, body = await lines.answer(build_request("PUT", path, port=self._server.port, credential=token))
        if status not in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT}:
            raise ConnectionError(f"nobody can subscribe: {status} {body[:300]!r}")

    def _request(self, method: str, path: str, body: Body) -> bytes:
        return build_request(method, path, port=self._server.port, credential=self._key, body=frames.encode(body))
