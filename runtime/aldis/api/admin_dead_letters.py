"""`/v1/admin/dead-letters`: what recipients did not get in time, replaying and purging it; `/v1/admin/replays`."""

from typing import Annotated

from fastapi import Path, Query, Response

from aldis.api import admin_schemas as shapes
from aldis.api import answers, schemas
from aldis.api.auditing import audited
from aldis.api.auth import AdminCaller, admin_router
from aldis.api.dependencies import Api
from aldis.api.paging import ID_PLACE, decode_place, encode_place
from aldis.api.problems import raises
from aldis.domain.audit import Action
from aldis.domain.deliveries import Reason
from aldis.domain.ids import UserId
from aldis.ports.dead_letters import LetterFilter
from aldis.services.list_dead_letters import letter_view, list_dead_letters
from aldis.services.purge_dead_letters import purge_dead_letters, purge_one
from aldis.services.replay_dead_letters import find_replay, replay_one, replay_view, request_replay

router = admin_router()

LetterPath = Annotated[schemas.Uuid, Path()]
EVERY_LETTER = shapes.ReplayBody()


@router.get("/v1/admin/dead-letters", summary="List dead letters", response_model=shapes.DeadLettersAnswer)
async def admin_list_dead_letters(query: Annotated[shapes.LettersQuery, Query()], api: Api) -> Response:
    """Messages that have failed, newest first. Follow `next` until it is null."""
    before = decode_place(query.cursor, ID_PLACE)[0] if query.cursor is not None else None
    page = await list_dead_letters(to_filter(query), before=before, limit=query.limit, store=api.store)
    answer = {
        "items": [letter_view(letter) for letter in page.items],
        "next": encode_place(page.next) if page.next is not None else None,
    }
    return answers.json_answer(answer, api.encoder)


@router.post(
    "/v1/admin/dead-letters:replay",
    status_code=202,
    response_model=shapes.ReplayAnswer,
    openapi_extra=audited(Action.DEAD_LETTER_REPLAY),
)
async def admin_replay_dead_letters(caller: AdminCaller, api: Api, body: shapes.ReplayBody = EVERY_LETTER) -> Response:
    """Ring again for all that fit. It begins within a second or two; the answer's `id` tells how far it is."""
    replay = await request_replay(to_filter(body), actor=caller.actor, store=api.store, clock=api.clock)
    return answers.json_answer(replay_view(replay), api.encoder, status=202)


@router.post(
    "/v1/admin/dead-letters/{letter_id}:replay",
    status_code=202,
    response_model=shapes.ReplayAnswer,
    openapi_extra=audited(Action.DEAD_LETTER_REPLAY) | raises("not_found"),
)
async def admin_replay_dead_letter(letter_id: LetterPath, caller: AdminCaller, api: Api) -> Response:
    """Ring again for one, at once."""
    replay = await replay_one(
        letter_id,
        actor=caller.actor,
        store=api.store,
        ringer=api.admin.ringer,
        clock=api.clock,
        policies=api.admin.retries(),
    )
    return answers.json_answer(replay_view(replay), api.encoder, status=202)


@router.get(
    "/v1/admin/replays/{replay_id}",
    summary="Get a replay",
    response_model=shapes.ReplayAnswer,
    openapi_extra=raises("not_found"),
)
async def admin_get_replay(replay_id: Annotated[schemas.Uuid, Path()], api: Api) -> Response:
    """How far a replay has come."""
    return answers.json_answer(replay_view(await find_replay(replay_id, store=api.store)), api.encoder)


@router.delete(
    "/v1/admin/dead-letters",
    response_model=shapes.PurgedAnswer,
    openapi_extra=audited(Action.DEAD_LETTER_DELETE),
)
async def admin_purge_dead_letters(
    query: Annotated[shapes.PurgeQuery, Query()], caller: AdminCaller, api: Api
) -> Response:
    """Purge those that fit, up to a thousand a call: when `more` is true, call again."""
    purged = await purge_dead_letters(
        to_filter(query), everything=query.all, actor=caller.actor, store=api.store, clock=api.clock
    )
    return answers.json_answer(purged._asdict(), api.encoder)


@router.delete(
    "/v1/admin/dead-letters/{letter_id}",
    status_code=204,
    response_class=Response,
    openapi_extra=audited(Action.DEAD_LETTER_DELETE) | raises("not_found"),
)
async def admin_purge_dead_letter(letter_id: LetterPath, caller: AdminCaller, api: Api) -> Response:
    """Purge one; its message has failed as before, and is kept."""
    await purge_one(letter_id, actor=caller.actor, store=api.store, clock=api.clock)
    return Response(status_code=204)


def to_filter(asked: shapes.LettersQuery | shapes.PurgeQuery | shapes.ReplayBody) -> LetterFilter:
    """What is wanted, as the store takes it."""
    return LetterFilter(
        channel=asked.channel,
        reason=Reason(asked.reason) if asked.reason is not None else None,
        recipient=UserId(asked.recipient) if asked.recipient is not None else None,
    )
