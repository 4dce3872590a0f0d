"""`/v1/events` and `/v1/sync`: the stream for clients without a WebSocket. They answer by REST."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query, Response
from starlette.types import Receive, Scope, Send

from aldis.api import answers, schemas
from aldis.api.auth import CallingUser
from aldis.api.dependencies import Api
from aldis.api.problems import raises
from aldis.domain.callers import UserCaller
from aldis.domain.cursors import parse_cursor
from aldis.domain.ids import DeviceId
from aldis.ports.http_streams import StreamRequest
from aldis.telemetry.tasks import cancel_and_wait, spawn

STALLED = 30.0  # seconds without room for more after which a reader is given up, as on the socket

STREAM: dict[str, Any] = {
    "description": "Events, each with a frame as its data and the cursor after it as its id, until one leaves.",
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": 'retry: 1000\n\nid: 9f3ac1.e12.s151.be3.bs88.r17\ndata: {"connect": {"recovered": true}}\n\n',
        }
    },
}
router = APIRouter(tags=["streams"])


class EventStreamResponse(Response):
    """An answer that goes on until its source, or its reader, has ended."""

    media_type = "text/event-stream"

    def __init__(self, pieces: AsyncGenerator[bytes]) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        """ASGI."""
        writing, leaving = spawn(self._write(send), "event-stream"), spawn(_wait_gone(receive), "event-stream-reader")
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait(writing, leaving)
            await self._pieces.aclose()

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for piece in self._pieces:
                async with asyncio.timeout(STALLED):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            return  # without an end: the server closes a connection that was left in the middle
        await send({"type": "http.response.body", "body": b""})


async def _wait_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@router.get(
    "/v1/events",
    status_code=200,
    summary="Stream events",
    response_class=EventStreamResponse,
    responses={200: STREAM},
    openapi_extra=raises("connection_limit", "device_limit"),
)
async def stream_events(
    query: Annotated[schemas.EventsQuery, Query()],
    caller: CallingUser,
    api: Api,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Server-sent events: what a socket would be told, frame by frame; the id of each is the cursor after it."""
    cursor = last_event_id or query.cursor
    return EventStreamResponse(await api.streams.events(to_request(caller, query.device, cursor)))


@router.get(
    "/v1/sync",
    summary="Poll for events",
    response_model=schemas.SyncAnswer,
    openapi_extra=raises("connection_limit", "device_limit"),
)
async def sync(query: Annotated[schemas.SyncQuery, Query()], caller: CallingUser, api: Api) -> Response:
    """Long poll: what there is to be told, or what comes first within `wait` seconds."""
    found = await api.streams.poll(to_request(caller, query.device, query.cursor), query.wait)
    answer = {
        "frames": [msgspec.Raw(frame) for frame in found.frames],
        "cursor": found.cursor,
        "recovered": found.recovered,
    }
    return answers.json_answer(answer, api.encoder)


def to_request(caller: UserCaller, device: str | None, cursor: str | None) -> StreamRequest:
    """Who reads, from where. Raises `Rejected("bad_cursor")`."""
    return StreamRequest(
        user=caller.user,
        device=DeviceId(device) if device is not None else None,
        cursor=parse_cursor(cursor) if cursor is not None else None,
        expires_at=caller.expires_at,
    )
