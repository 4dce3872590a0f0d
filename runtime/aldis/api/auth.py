"""Who is calling, for the handlers: any caller, a user, or an administrator."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPBearer

from aldis.api.dependencies import Api, ApiDependencies
from aldis.domain.callers import BackendCaller, Caller, Scope, UserCaller
from aldis.domain.errors import Rejected

SCHEME = HTTPBearer(
    auto_error=False,  # the Authenticator refuses, with our own words
    scheme_name="bearer",
    description="A user's token (JWT), or a backend's key (ak_…).",
)


async def find_caller(request: Request, api: Api) -> Caller:
    """The user or the backend that calls; who is wrong too often from one address is told to wait."""
    known: Caller | None = getattr(request.state, "caller", None)
    if known is not None:
        return known  # `door` has found out already
    request.state.caller = caller = await _authenticate(request, api)
    return caller


async def _authenticate(request: Request, api: ApiDependencies) -> Caller:
    address: str | None = getattr(request.state, "address", None)
    header = request.headers.get("authorization")
    if api.gate is None:
        return await api.authenticator.authenticate(header)
    try:
        return await api.authenticator.authenticate(header, may_look_up=api.gate.may_look_up(address))
    except Rejected as error:
        if error.code == "unauthorized":
            api.gate.count_failure(address)
        raise


async def find_user(caller: Annotated[Caller, Depends(find_caller)]) -> UserCaller:
    """The user that calls; backends have no conversations, devices or badge of their own."""
    if not isinstance(caller, UserCaller):
        raise Rejected("forbidden", "this is for users; call it with a user's token")
    return caller


async def find_admin(caller: Annotated[Caller, Depends(find_caller)]) -> BackendCaller:
    """The backend that administers: its key has the scope `admin`."""
    if not isinstance(caller, BackendCaller):
        raise Rejected("forbidden", "this is for administrators; call it with a key that has the scope admin")
    caller.check_scope(Scope.ADMIN)
    return caller


AnyCaller = Annotated[Caller, Depends(find_caller)]
CallingUser = Annotated[UserCaller, Depends(find_user)]
AdminCaller = Annotated[BackendCaller, Depends(find_admin)]


def admin_router() -> APIRouter:
    """Routes for administrators: whoever else calls one of them is refused, also where nobody thought of it."""
    return APIRouter(tags=["admin"], dependencies=[Depends(find_admin)])
