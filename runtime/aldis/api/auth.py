"""Who is calling, for the handlers: any caller, or a user."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from aldis.api.dependencies import Api
from aldis.domain.callers import Caller, UserCaller
from aldis.domain.errors import Rejected

SCHEME = HTTPBearer(
    auto_error=False,  # the Authenticator refuses, with our own words
    scheme_name="bearer",
    description="A user's token (JWT), or a backend's key (ak_…).",
)


async def find_caller(request: Request, api: Api) -> Caller:
    """The user or the backend that calls."""
    return await api.authenticator.authenticate(request.headers.get("authorization"))


async def find_user(caller: Annotated[Caller, Depends(find_caller)]) -> UserCaller:
    """The user that calls; backends have no conversations, devices or badge of their own."""
    if not isinstance(caller, UserCaller):
        raise Rejected("forbidden", "this is for users; call it with a user's token")
    return caller


AnyCaller = Annotated[Caller, Depends(find_caller)]
CallingUser = Annotated[UserCaller, Depends(find_user)]
