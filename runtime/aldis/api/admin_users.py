"""`/v1/admin/users`: what there is of a user, and having him erased."""

from typing import Annotated, Any

from fastapi import Path, Response

from aldis.api import admin_schemas as shapes
from aldis.api import answers, schemas
from aldis.api.auditing import audited
from aldis.api.auth import AdminCaller, admin_router
from aldis.api.dependencies import Api
from aldis.api.problems import raises
from aldis.domain.audit import Action
from aldis.domain.cursors import Positions
from aldis.domain.ids import UserId, rfc3339
from aldis.domain.streams import SOURCES
from aldis.ports.administration import SeenDevice
from aldis.ports.erasures import Erasure
from aldis.services.describe_user import UserDescription, describe_user
from aldis.services.erase_user import find_erasure, request_erasure

router = admin_router()

UserPath = Annotated[schemas.Name, Path()]


@router.get(
    "/v1/admin/users/{user}",
    summary="Get a user",
    response_model=shapes.UserAnswer,
    openapi_extra=raises("not_found"),
)
async def admin_get_user(user: UserPath, api: Api) -> Response:
    """How much there is of a user, and where his devices stand."""
    found = await describe_user(UserId(user), store=api.store)
    connections = (await api.admin.roll(user=user)).total
    return answers.json_answer(to_answer(found, connections), api.encoder)


@router.delete(
    "/v1/admin/users/{user}",
    summary="Erase a user",
    status_code=202,
    response_model=shapes.ErasureAnswer,
    openapi_extra=audited(Action.USER_ERASE),
)
async def admin_erase_user(user: UserPath, caller: AdminCaller, api: Api) -> Response:
    """Erase a user: his contents, and all that is about him alone. It begins within a second or two."""
    erasure = await request_erasure(UserId(user), actor=caller.actor, store=api.store, clock=api.clock)
    return answers.json_answer(erasure_answer(erasure), api.encoder, status=202)


@router.get(
    "/v1/admin/users/{user}/erasure",
    summary="Follow an erasure",
    response_model=shapes.ErasureAnswer,
    openapi_extra=raises("not_found"),
)
async def admin_get_erasure(user: UserPath, api: Api) -> Response:
    """How far it has come; `done` says that the database's files hold nothing of it either."""
    return answers.json_answer(erasure_answer(await find_erasure(UserId(user), store=api.store)), api.encoder)


def to_answer(found: UserDescription, connections: int) -> dict[str, Any]:
    """A user as administrators see him."""
    profile = found.profile
    return {
        "user": found.user,
        "devices": [device_answer(device) for device in profile.devices],
        "head": positions_answer(found.head),
        "floor": positions_answer(found.floor),
        "conversations": profile.conversations,
        "unread": found.unread,
        "connections": connections,
        "subscriptions": profile.subscriptions,
        "blocks": profile.blocks,
        "erasure": erasure_answer(found.erasure) if found.erasure is not None else None,
    }


def device_answer(seen: SeenDevice) -> dict[str, Any]:
    """A device and where it stands."""
    return {
        "id": seen.device.id,
        "platform": seen.device.platform,
        "seen_at": rfc3339(seen.seen_at),
        "start": positions_answer(seen.device.start),
        "acked": positions_answer(seen.device.acked),
    }


def positions_answer(positions: Positions) -> dict[str, int]:
    """A position of each source."""
    return {source: positions.at(source) for source in SOURCES}


def erasure_answer(erasure: Erasure) -> dict[str, Any]:
    """How far it has come."""
    return {
        "user": erasure.user,
        "state": erasure.state.value,
        "purged": erasure.purged,
        "requested_at": rfc3339(erasure.requested_at),
        "updated_at": rfc3339(erasure.updated_at),
    }
