"""Putting the HTTP room together."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from aldis import __version__
from aldis.api import (
    admin,
    batch,
    blocks,
    conversations,
    events,
    messages,
    operations,
    page,
    presence,
    scheduled,
    schemas,
    subscriptions,
)
from aldis.api.access import Access
from aldis.api.dependencies import BATCH_PATH, ApiDependencies
from aldis.api.door import Door
from aldis.api.errors import MEDIA_TYPE, add_error_table
from aldis.api.limits import BodyLimit

DESCRIPTION = """Messages between users, and from backends to users.

Every error is an `application/problem+json` with a stable `code`. A 2xx answer to a send means that it is committed."""


def build_app(api: ApiDependencies) -> FastAPI:
    """The application. It opens and closes nothing: what it is handed belongs to bootstrap."""
    app = FastAPI(
        title="Aldis",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # the default pages load their scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=operation_id,
        responses={"default": {"model": schemas.Problem, "description": "A problem (RFC 9457)."}},
    )
    app.state.api = api
    add_error_table(app)
    app.add_middleware(BodyLimit, limit=api.limits.body_bytes, larger={BATCH_PATH: api.limits.batch_bytes})
    app.add_middleware(Door, api=api)
    app.add_middleware(Access, metrics=api.metrics)  # added last, so it is the outermost
    for room in (messages, batch, scheduled, conversations, blocks, presence, subscriptions, events, operations, page):
        app.include_router(room.router)
    for router in admin.ROUTERS:
        app.include_router(router)
    app.openapi = lambda: openapi_of(app)  # type: ignore[method-assign]  # FastAPI's own way to replace it
    return app


def operation_id(route: APIRoute) -> str:
    """The handler's name: what generated clients call their methods."""
    return route.name


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The description of all routes; problems under their own media type, which FastAPI cannot be told."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        for operation in (operation for path in schema["paths"].values() for operation in path.values()):
            problem = operation["responses"]["default"]["content"]
            problem[MEDIA_TYPE] = problem.pop(next(iter(problem)))
        app.openapi_schema = schema
    return app.openapi_schema
