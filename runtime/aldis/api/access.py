"""The outermost layer: counts and times every request, names it in the log, and answers what nobody foresaw.

A failure that is not one of ours is logged with where it happened, but without its words: a driver's message may
repeat what a user wrote.
"""

import secrets
import time
import traceback

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aldis.api.errors import to_response
from aldis.domain.errors import Rejected
from aldis.telemetry.metrics import Metrics

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})  # others are counted as one
CALLS = "/v1/"  # where all calls with a credential are
MAX_FRAMES = 30  # innermost frames of a traceback; what is above them is the server's


class Access:
    """ASGI: the edge of HTTP."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens below."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._answer(scope, receive, send, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        begun = time.perf_counter()
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                keep_private(scope, message)
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001 - this is the edge that owns the answer
            log.error(  # noqa: TRY400 - `exception` would log the words
                "request_failed", method=scope["method"], route=route_of(scope), trace=trace_of(error)
            )
            if status == 0:
                failure = Rejected("internal", f"something failed here; it is in the log as {request_id}")
                await to_response(failure, request_id=request_id)(scope, receive, watch)
        finally:
            self._count(scope, status, time.perf_counter() - begun)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = route_of(scope)
        self._metrics.http_requests.labels(method=method, route=route, status=str(status)).inc()
        self._metrics.http_seconds.labels(route=route).observe(seconds)


def keep_private(scope: Scope, start: Message) -> None:
    """What is answered to a caller is for nobody's cache, unless the answer says something else."""
    if scope["path"].startswith(CALLS) and not any(name == b"cache-control" for name, _ in start["headers"]):
        start["headers"] = [*start["headers"], (b"cache-control", b"no-store")]


def route_of(scope: Scope) -> str:
    """The route's template: never the path itself, which has ids in it."""
    return str(getattr(scope.get("route"), "path", "none"))


def trace_of(error: BaseException) -> list[str]:
    """The error and then its causes, each with the places in the code that it passed."""
    lines: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        frames = traceback.extract_tb(cause.__traceback__)[-MAX_FRAMES:]
        lines.append(type(cause).__qualname__)
        lines.extend(f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
        cause = cause.__cause__ or cause.__context__
    return lines
