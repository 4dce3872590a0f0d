"""`/v1/admin/connections`: who is connected, and sending connections away."""

from typing import Annotated, Any

from fastapi import Path, Query, Response

from aldis.api import admin_schemas as shapes
from aldis.api import answers, schemas
from aldis.api.auditing import audited
from aldis.api.auth import AdminCaller, admin_router
from aldis.api.dependencies import Api
from aldis.api.paging import ID_PLACE, decode_place, encode_place
from aldis.api.problems import raises
from aldis.domain.audit import Action
from aldis.domain.errors import Rejected
from aldis.domain.ids import UserId, rfc3339
from aldis.ports.backplane import Disconnect
from aldis.ports.connections import ConnectionView
from aldis.services.disconnect import disconnect

router = admin_router()

ConnectionPath = Annotated[schemas.Uuid, Path()]
UserPath = Annotated[schemas.Name, Path()]
DEFAULT = shapes.DisconnectBody()


@router.get("/v1/admin/connections", summary="List connections", response_model=shapes.ConnectionsAnswer)
async def admin_list_connections(query: Annotated[shapes.ConnectionsQuery, Query()], api: Api) -> Response:
    """Open connections of all gateways, oldest first. One that does not answer within a second is left out."""
    after = decode_place(query.cursor, ID_PLACE)[0] if query.cursor is not None else ""
    found = (await api.admin.roll(user=query.user, after=str(after), limit=query.limit + 1)).views
    items = found[: query.limit]
    answer = {
        "items": [to_answer(connection) for connection in items],
        "next": encode_place(items[-1].id) if len(found) > query.limit else None,
    }
    return answers.json_answer(answer, api.encoder)


@router.delete(
    "/v1/admin/connections/{connection_id}",
    summary="Close a connection",
    status_code=204,
    response_class=Response,
    openapi_extra=audited(Action.CONNECTION_CLOSE) | raises("not_found"),
)
async def admin_close_connection(connection_id: ConnectionPath, caller: AdminCaller, api: Api) -> Response:
    """Close one connection with 4403."""
    found = (await api.admin.roll(connection=connection_id, limit=1)).views
    if not found:
        raise Rejected("not_found", "there is no such connection", field="connection_id")
    asked = Disconnect(UserId(found[0].user), connection_id, DEFAULT.code, DEFAULT.reason)
    await disconnect(asked, actor=caller.actor, store=api.store, ringer=api.admin.ringer, clock=api.clock)
    return Response(status_code=204)


@router.post(
    "/v1/admin/users/{user}:disconnect",
    summary="Disconnect a user",
    status_code=204,
    response_class=Response,
    openapi_extra=audited(Action.USER_DISCONNECT),
)
async def admin_disconnect_user(
    user: UserPath, caller: AdminCaller, api: Api, body: shapes.DisconnectBody = DEFAULT
) -> Response:
    """Close all of a user's connections. A token that is still valid opens new ones."""
    asked = Disconnect(UserId(user), None, body.code, body.reason)
    await disconnect(asked, actor=caller.actor, store=api.store, ringer=api.admin.ringer, clock=api.clock)
    return Response(status_code=204)


def to_answer(connection: ConnectionView) -> dict[str, Any]:
    """A connection as administrators see it."""
    return {
        "connection": connection.id,
        "user": connection.user,
        "device": connection.device,
        "platform": connection.platform,
        "since": rfc3339(connection.since_ms),
        "node": connection.node,
        "transport": connection.transport,
        "address": connection.address,
        "unsent_bytes": connection.unsent_bytes,
    }
