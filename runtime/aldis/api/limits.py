"""What a request may bring, and how fast requests may come.

A body that is too large is refused while it streams in, before anything has parsed it. The pace of sends is told in
`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10), on refusals too.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aldis.api.dependencies import ApiDependencies
from aldis.api.errors import to_response
from aldis.domain.callers import Caller, UserCaller
from aldis.domain.errors import Rejected
from aldis.ports.limiter import Rate

LINGER_BYTES = 16 * 1024 * 1024  # of a refused body that are taken and dropped while its sender hears the refusal
LINGER_SECONDS = 5.0


class BodyLimit:
    """ASGI: lets at most `limit` bytes of a body through; paths in `larger` have limits of their own.

    What follows is taken and dropped for a while: closing with bytes unread resets the connection, and most clients
    send to the end before they read, so they would hear of a broken connection and not of the limit.
    """

    def __init__(self, app: ASGIApp, *, limit: int, larger: Mapping[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse by what is declared, then by what comes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(self._larger.get(scope["path"], self._limit), receive, send)
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > body.limit:
            body.is_refused = True
            await to_response(too_large(body.limit))(scope, receive, body.send)
            return
        await self._app(scope, body.receive, body.send)


class _Body:
    """A request's body on its way in, and the answer to it on its way out."""

    def __init__(self, limit: int, receive: Receive, send: Send) -> None:
        self.limit = limit
        self.is_refused = False
        self._taken = 0
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """The next piece, if it is within the limit."""
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        if self._taken > self.limit:
            self.is_refused = True
            raise too_large(self.limit)
        return message

    async def send(self, message: Message) -> None:
        """Answer; a refusal waits for its reader before the connection ends, or the end would overtake it."""
        if not self.is_refused or message["type"] != "http.response.body":
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self._drop_rest()
        await self._send({"type": "http.response.body", "body": b""})

    async def _drop_rest(self) -> None:
        dropped, is_more = 0, True
        while is_more and dropped < LINGER_BYTES:
            message = await self._receive()
            dropped += len(message.get("body", b""))
            is_more = message.get("more_body", False)


def too_large(limit: int) -> Rejected:
    """The refusal of a body."""
    return Rejected("too_large", f"a request's body has at most {limit} bytes")


class Spent(NamedTuple):
    """A bucket that does not have what was asked for."""

    name: str
    rate: Rate
    wait_ms: int
    headers: dict[str, str]


def take_tokens(request: Request, caller: Caller, cost: int, api: ApiDependencies) -> None:
    """Take a token for each message, or raise `Rejected("rate_limited")`; the answer's headers tell either way."""
    key, name, rate = bucket_of(caller, api)
    wait_ms = api.limiter.take(key, rate, min(cost, rate.burst))
    headers = rate_limit_headers(name, rate, api.limiter.remaining(key, rate))
    request.state.rate_limit_headers = headers
    if wait_ms:
        raise rate_limited(Spent(name, rate, wait_ms, headers))


def spent_bucket(caller: Caller, api: ApiDependencies) -> Spent | None:
    """A sender's bucket when there is nothing in it; it is only looked at."""
    key, name, rate = bucket_of(caller, api)
    if api.limiter.remaining(key, rate) > 0:
        return None
    wait_ms = api.limiter.take(key, rate)
    return Spent(name, rate, wait_ms, rate_limit_headers(name, rate, 0)) if wait_ms else None


def take_in_turn(request: Request, caller: Caller, costs: Sequence[int], api: ApiDependencies) -> list[Rejected | None]:
    """Take the tokens of several sends in their order: None for each that had them, else the refusal with its wait.

    Once one has to wait, so have all that follow, or its turn would come after theirs.
    """
    key, name, rate = bucket_of(caller, api)
    waits = _waits(key, rate, costs, api)
    headers = rate_limit_headers(name, rate, api.limiter.remaining(key, rate))
    request.state.rate_limit_headers = headers
    return [rate_limited(Spent(name, rate, wait, headers)) if wait else None for wait in waits]


async def take_channel_in_turn(name: str, costs: Sequence[int], api: ApiDependencies) -> list[Rejected | None]:
    """The same from the limit that a channel has for all backends together."""
    channel = await api.channel(name)
    if channel is None or channel.messages_per_second is None:
        return [None] * len(costs)
    rate = channel_rate(channel.messages_per_second, api.limits.recipients)
    waits = _waits(f"channel:{name}", rate, costs, api)
    return [rate_limited(Spent("channel", rate, wait, {})) if wait else None for wait in waits]


def _waits(key: str, rate: Rate, costs: Sequence[int], api: ApiDependencies) -> list[int]:
    """The ms that each has to wait: for the tokens of those before it, too."""
    costs = [min(cost, rate.burst) for cost in costs]
    if (together := sum(costs)) <= rate.burst and api.limiter.take(key, rate, together) == 0:
        return [0] * len(costs)
    waits: list[int] = []
    while len(waits) < len(costs) and not (wait_ms := api.limiter.take(key, rate, costs[len(waits)])):
        waits.append(0)
    behind = 0
    for cost in costs[len(waits) :]:
        waits.append(wait_ms + math.ceil(behind * 1000 / rate.per_second))
        behind += cost
    return waits


async def take_channel_tokens(
    request: Request, caller: Caller, name: str | None, cost: int, api: ApiDependencies
) -> None:
    """Take as many from the channel's own limit, if it has one, when a backend sends into it; all backends share it.

    The burst has room for the largest call, so that none is refused for ever.
    """
    if name is None or isinstance(caller, UserCaller):
        return
    channel = await api.channel(name)
    if channel is None or channel.messages_per_second is None:
        return
    rate = channel_rate(channel.messages_per_second, api.limits.recipients)
    key = f"channel:{name}"
    wait_ms = api.limiter.take(key, rate, min(cost, rate.burst))
    told = rate_limit_headers("channel", rate, api.limiter.remaining(key, rate))
    before: dict[str, str] = getattr(request.state, "rate_limit_headers", {})
    headers = {header: ", ".join(filter(None, (before.get(header), value))) for header, value in told.items()}
    request.state.rate_limit_headers = headers
    if wait_ms:
        raise rate_limited(Spent("channel", rate, wait_ms, headers))


def channel_rate(messages_per_second: int, recipients: int) -> Rate:
    """The bucket of a channel: bursts of two seconds, and never less than one call may have recipients."""
    return Rate(messages_per_second, max(2 * messages_per_second, recipients))


def rate_limited(spent: Spent) -> Rejected:
    """The refusal of a send."""
    channel = spent.name == "channel"
    words = f"at most {spent.rate.per_second:g} messages a second{' into this channel' if channel else ''}"
    return Rejected("rate_limited", words, field="channel" if channel else None, retry_after_ms=spent.wait_ms)


def bucket_of(caller: Caller, api: ApiDependencies) -> tuple[str, str, Rate]:
    """The limiter's key, the policy's name and the rate. A backend is its name, whichever of its keys it uses."""
    if isinstance(caller, UserCaller):
        return f"user:{caller.user}", "user", api.rates.user
    return f"key:{caller.name}", "key", api.rates.key


def rate_limit_headers(name: str, rate: Rate, remaining: int) -> dict[str, str]:
    """The policy as a quota over the time in which an empty bucket fills, and what is left of it."""
    return {
        "RateLimit-Policy": f'"{name}";q={rate.burst};w={_seconds(rate.burst, rate)}',
        "RateLimit": f'"{name}";r={remaining};t={_seconds(rate.burst - remaining, rate)}',
    }


def _seconds(tokens: int, rate: Rate) -> int:
    return math.ceil(tokens / rate.per_second)
