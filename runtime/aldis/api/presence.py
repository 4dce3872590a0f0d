"""`/v1/presence`: who is online now, for clients that have no socket to be told on."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from aldis.api import answers, schemas
from aldis.api.auth import CallingUser
from aldis.api.dependencies import Api
from aldis.domain.ids import UserId
from aldis.services.read_presence import read_presence

router = APIRouter(tags=["presence"])


@router.get("/v1/presence", summary="Ask who is online", response_model=schemas.PresenceAnswer)
async def get_presence(query: Annotated[schemas.PresenceQuery, Query()], caller: CallingUser, api: Api) -> Response:
    """Who of these is online. Whom I share no chat with, or a block stands between us, is offline for me."""
    users = [UserId(user) for user in dict.fromkeys(query.user)]
    found = await read_presence(caller.user, users, store=api.store, presence=api.presence)
    answer = {"users": [{"user": user, "online": online} for user, online in found]}
    return answers.json_answer(answer, api.encoder)
