"""`/v1/scheduled`: what a backend has scheduled with `send_at`, and has not been sent."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from aldis.api import answers, schemas
from aldis.api.auth import AnyCaller
from aldis.api.dependencies import Api
from aldis.api.messages import owner_of
from aldis.api.paging import ID_PLACE, decode_place, encode_place
from aldis.api.problems import raises
from aldis.domain.scheduling import ScheduledId
from aldis.services.cancel_scheduled import cancel_scheduled
from aldis.services.find_scheduled import Outcome, find_scheduled, list_scheduled

router = APIRouter(tags=["scheduled"])

ScheduledPath = Annotated[schemas.Uuid, Path()]


async def find_owner(caller: AnyCaller) -> str:
    """The scope of the backend that calls."""
    return owner_of(caller)


Owner = Annotated[str, Depends(find_owner)]


@router.get(
    "/v1/scheduled",
    summary="List scheduled sends",
    response_model=schemas.ScheduledAnswers,
    openapi_extra=raises("forbidden"),
)
async def get_all_scheduled(query: Annotated[schemas.PageQuery, Query()], owner: Owner, api: Api) -> Response:
    """What waits and what has failed, soonest first; failed ones are kept for 30 days."""
    after = ScheduledId(decode_place(query.cursor, ID_PLACE)[0]) if query.cursor is not None else None
    page = await list_scheduled(owner, after=after, limit=query.limit, store=api.store)
    answer = {
        "items": [answers.scheduled_answer(Outcome(row.id, row.state, row)) for row in page.items],
        "next": encode_place(page.next) if page.next is not None else None,
    }
    return answers.json_answer(answer, api.encoder)


@router.get(
    "/v1/scheduled/{scheduled_id}",
    summary="Get a scheduled send",
    response_model=schemas.ScheduledAnswer,
    openapi_extra=raises("forbidden", "not_found"),
)
async def get_scheduled(scheduled_id: ScheduledPath, owner: Owner, api: Api) -> Response:
    """One of them; also one that was sent, with its messages, for 30 days."""
    outcome = await find_scheduled(owner, ScheduledId(scheduled_id), store=api.store)
    return answers.json_answer(answers.scheduled_answer(outcome), api.encoder)


@router.delete(
    "/v1/scheduled/{scheduled_id}",
    status_code=204,
    summary="Take a scheduled send back",
    response_class=Response,
    openapi_extra=raises("forbidden", "not_found", "conflict"),
)
async def delete_scheduled(scheduled_id: ScheduledPath, owner: Owner, api: Api) -> Response:
    """Take it back; `conflict` when it has been sent already."""
    await cancel_scheduled(owner, ScheduledId(scheduled_id), store=api.store, metrics=api.metrics)
    return Response(status_code=204)
