"""`/v1/blocks`: whom a user does not want to hear from."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from aldis.api import answers, schemas
from aldis.api.auth import CallingUser
from aldis.api.dependencies import Api
from aldis.api.paging import USER_PLACE, decode_place, encode_place
from aldis.api.problems import raises
from aldis.domain.ids import UserId, rfc3339
from aldis.ports.relations import Block
from aldis.services.block_user import block_user, find_block, list_blocks, unblock_user

router = APIRouter(tags=["blocks"])

UserPath = Annotated[schemas.Name, Path()]


@router.get("/v1/blocks", summary="List my blocks", response_model=schemas.BlocksAnswer)
async def get_blocks(query: Annotated[schemas.PageQuery, Query()], caller: CallingUser, api: Api) -> Response:
    """Whom I have blocked, by name."""
    after = UserId(decode_place(query.cursor, USER_PLACE)[0]) if query.cursor is not None else None
    page = await list_blocks(caller.user, after=after, limit=query.limit, store=api.store)
    answer = {
        "items": [to_answer(block) for block in page.items],
        "next": encode_place(page.next) if page.next is not None else None,
    }
    return answers.json_answer(answer, api.encoder)


@router.get(
    "/v1/blocks/{user}",
    summary="Get a block",
    response_model=schemas.BlockAnswer,
    openapi_extra=raises("not_found"),
)
async def get_block(user: UserPath, caller: CallingUser, api: Api) -> Response:
    """Whether I have blocked somebody, and since when; 404 when I have not."""
    return answers.json_answer(to_answer(await find_block(caller.user, UserId(user), store=api.store)), api.encoder)


@router.put(
    "/v1/blocks/{user}",
    status_code=204,
    summary="Block a user",
    response_class=Response,
    openapi_extra=raises("too_large"),
)
async def put_block(user: UserPath, caller: CallingUser, api: Api) -> Response:
    """From now on neither of us can write to the other; again changes nothing."""
    await block_user(caller.user, UserId(user), store=api.store, ringer=api.ringer, clock=api.clock)
    return Response(status_code=204)


@router.delete("/v1/blocks/{user}", status_code=204, summary="Unblock a user", response_class=Response)
async def delete_block(user: UserPath, caller: CallingUser, api: Api) -> Response:
    """Take my block away; the other's, if there is one, stays."""
    await unblock_user(caller.user, UserId(user), store=api.store, ringer=api.ringer)
    return Response(status_code=204)


def to_answer(block: Block) -> dict[str, str]:
    """A block as the one who made it sees it."""
    return {"user": block.blocked, "blocked_at": rfc3339(block.blocked_at)}
