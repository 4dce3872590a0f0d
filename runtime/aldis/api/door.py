"""What a request must pass before anything is done for it: its address's limits, and its caller's when it writes.

A flood is refused here for a fraction of what a request costs behind: no route is looked up, no body is read or parsed,
nothing is awaited. Who is not known without a look into the database goes on, and is found or refused behind.
"""

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from aldis.api.dependencies import BATCH_PATH, ApiDependencies
from aldis.api.errors import to_response
from aldis.api.limits import rate_limited, spent_bucket
from aldis.domain.callers import Caller
from aldis.domain.errors import AldisError, Rejected

MESSAGES = "/v1/messages"
POSTS = frozenset({MESSAGES, BATCH_PATH})


class Door:
    """ASGI: lets requests in."""

    def __init__(self, app: ASGIApp, *, api: ApiDependencies) -> None:
        self._app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 429, or hand on with what was found out about the client."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[str, str] = {}
        try:
            self._check_address(scope)
            if _writes(scope):
                self._check_sender(scope, headers)
        except Rejected as error:
            self._api.metrics.rejected.labels(code=error.code).inc()
            await to_response(error, headers=headers)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check_address(self, scope: Scope) -> None:
        gate = self._api.gate
        if gate is None:
            return
        address = gate.key_of(scope.get("client"), scope["headers"])
        scope.setdefault("state", {})["address"] = address
        gate.check_request(address)

    def _check_sender(self, scope: Scope, headers: dict[str, str]) -> None:
        caller = self._recognise(scope["headers"])
        if caller is None:
            return
        scope.setdefault("state", {})["caller"] = caller
        spent = spent_bucket(caller, self._api)
        if spent is not None:
            headers.update(spent.headers)
            raise rate_limited(spent)

    def _recognise(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller | None:
        given = next((value.decode("latin-1") for name, value in headers if name == b"authorization"), None)
        try:
            return self._api.authenticator.recognise(given)
        except AldisError:
            return None  # refused behind, where it is counted


def _writes(scope: Scope) -> bool:
    """Whether it costs of what its caller may write: sends, or an edit."""
    method, path = str(scope["method"]), str(scope["path"])
    return (method == "POST" and path in POSTS) or (method == "PATCH" and path.startswith(f"{MESSAGES}/"))
