"""Putting the HTTP room together."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from aldis import __version__
from aldis.api import (
    admin,
    batch,
    blocks,
    conversations,
    descriptions,
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
from aldis.api.descriptions import Descriptions
from aldis.api.door import Door
from aldis.api.errors import add_error_table
from aldis.api.limits import BodyLimit
from aldis.api.openapi import build_openapi

ROOMS = (
    messages,
    batch,
    scheduled,
    conversations,
    blocks,
    presence,
    subscriptions,
    events,
    operations,
    descriptions,
    page,
)


def build_app(api: ApiDependencies) -> FastAPI:
    """The application. It opens and closes nothing: what it is handed belongs to bootstrap."""
    app = build_routes()
    app.state.api = api
    app.state.descriptions = Descriptions(app, api)
    add_error_table(app)
    app.add_middleware(BodyLimit, limit=api.limits.body_bytes, larger={BATCH_PATH: api.limits.batch_bytes})
    app.add_middleware(Door, api=api)
    app.add_middleware(Access, metrics=api.metrics)  # added last, so it is the outermost
    return app


def build_routes() -> FastAPI:
    """All routes, with nothing behind them: enough to describe them."""
    app = FastAPI(
        title="Aldis",
        version=__version__,
        openapi_url=None,  # `descriptions` serves it, with an ETag, and pages that load nothing from elsewhere
        generate_unique_id_function=operation_id,
        responses={"default": {"model": schemas.Problem}},  # so that FastAPI adds none of its own; see `openapi`
    )
    for room in ROOMS:
        app.include_router(room.router)
    for router in admin.ROUTERS:
        app.include_router(router)
    app.openapi = lambda: openapi_of(app)  # type: ignore[method-assign]  # FastAPI's own way to replace it
    return app


def operation_id(route: APIRoute) -> str:
    """The handler's name: what generated clients call their methods."""
    return route.name


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The description of all routes, made when it is first asked for."""
    if app.openapi_schema is None:
        app.openapi_schema = build_openapi(app)
    return app.openapi_schema
