"""`/v1/admin/keys`: keys of backends. A secret is shown once, in the answer that makes it."""

from typing import Annotated, Any

from fastapi import Path, Query, Response

from aldis.api import admin_schemas as shapes
from aldis.api import answers
from aldis.api.auditing import audited
from aldis.api.auth import AdminCaller, admin_router
from aldis.api.dependencies import Api
from aldis.api.paging import NAME_PLACE, decode_place, encode_place
from aldis.api.problems import raises
from aldis.domain.audit import Action
from aldis.domain.callers import ApiKey, Scope
from aldis.domain.ids import rfc3339
from aldis.services.issue_key import issue_key, revoke_key, rotate_key
from aldis.services.list_keys import list_key_page

router = admin_router()

DEFAULT_ROTATION = shapes.RotateBody()
KeyPath = Annotated[shapes.KeyId, Path()]


@router.get("/v1/admin/keys", summary="List keys", response_model=shapes.KeysAnswer)
async def admin_list_keys(query: Annotated[shapes.PageQuery, Query()], api: Api) -> Response:
    """All keys ever made, by id, the revoked ones too."""
    after = decode_place(query.cursor, NAME_PLACE)[0] if query.cursor is not None else ""
    page = await list_key_page(after=after, limit=query.limit, store=api.store)
    answer = {
        "items": [to_answer(key) for key in page.items],
        "next": encode_place(page.next) if page.next is not None else None,
    }
    return answers.json_answer(answer, api.encoder)


@router.post(
    "/v1/admin/keys",
    summary="Make a key",
    status_code=201,
    response_model=shapes.IssuedKeyAnswer,
    openapi_extra=audited(Action.KEY_CREATE),
)
async def admin_create_key(body: shapes.KeyBody, caller: AdminCaller, api: Api) -> Response:
    """Make a key; `key` in the answer is not to be had again."""
    issued = await issue_key(
        body.name,
        channels=body.channels,
        scopes=[Scope(scope) for scope in body.scopes],
        expires_in=body.expires_in,
        actor=caller.actor,
        store=api.store,
        clock=api.clock,
    )
    return answers.json_answer({**to_answer(issued.key), "key": issued.text}, api.encoder, status=201)


@router.delete(
    "/v1/admin/keys/{key_id}",
    summary="Revoke a key",
    status_code=204,
    response_class=Response,
    openapi_extra=audited(Action.KEY_REVOKE) | raises("not_found"),
)
async def admin_revoke_key(key_id: KeyPath, caller: AdminCaller, api: Api) -> Response:
    """Refuse a key from now on; other processes follow within 5 s."""
    await revoke_key(key_id, actor=caller.actor, store=api.store, clock=api.clock)
    return Response(status_code=204)


@router.post(
    "/v1/admin/keys/{key_id}:rotate",
    summary="Rotate a key",
    status_code=201,
    response_model=shapes.RotatedKeyAnswer,
    openapi_extra=audited(Action.KEY_ROTATE) | raises("not_found"),
)
async def admin_rotate_key(
    key_id: KeyPath, caller: AdminCaller, api: Api, body: shapes.RotateBody = DEFAULT_ROTATION
) -> Response:
    """Make a key with the same rights; the earlier one still works for the overlap."""
    rotated = await rotate_key(
        key_id,
        overlap=body.overlap,
        expires_in=body.expires_in,
        actor=caller.actor,
        store=api.store,
        clock=api.clock,
    )
    issued = rotated.issued
    answer = {**to_answer(issued.key), "key": issued.text, "ending": [to_answer(key) for key in rotated.ending]}
    return answers.json_answer(answer, api.encoder, status=201)


def to_answer(key: ApiKey) -> dict[str, Any]:
    """A key; what is kept of its secret stays where it is."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "channels": sorted(key.channels),
        "created_at": rfc3339(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
        "last_used_at": _time(key.last_used_at),
    }


def _time(ms: int | None) -> str | None:
    return rfc3339(ms) if ms is not None else None
