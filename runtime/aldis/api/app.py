"""Putting the HTTP room together."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
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
from aldis.api.dependencies import BATCH_PATH, ApiDependencies, OperationsDependencies
from aldis.api.descriptions import Descriptions
from aldis.api.door import Door
from aldis.api.errors import add_error_table
from aldis.api.limits import BodyLimit
from aldis.api.openapi import build_openapi

_ROOMS = (
    messages, batch, scheduled, conversations, blocks, presence, subscriptions, events, operations, descriptions, page,
)  # fmt: skip
PUBLIC = tuple(room.router for room in _ROOMS)
ADMINISTRATION = (*admin.ROUTERS, operations.metrics_router)  # on a port of its own in a cluster, with the probes
EVERYTHING = (*PUBLIC, *ADMINISTRATION)


def build_app(api: ApiDependencies, routers: Sequence[APIRouter] = EVERYTHING) -> FastAPI:
    """The application. It opens and closes nothing: what it is handed belongs to bootstrap."""
    app = build_routes(routers)
    app.state.api = api
    app.state.descriptions = Descriptions(app, api)
    add_error_table(app)
    app.add_middleware(BodyLimit, limit=api.limits.body_bytes, larger={BATCH_PATH: api.limits.batch_bytes})
    app.add_middleware(Door, api=api)
    app.add_middleware(Access, metrics=api.metrics)  # added last, so it is the outermost
    return app


def build_routes(routers: Sequence[APIRouter] = EVERYTHING) -> FastAPI:
    """All routes, with nothing behind them: enough to describe them."""
    app = FastAPI(
        title="Aldis",
        version=__version__,
        openapi_url=None,  # `descriptions` serves it, with an ETag, and pages that load nothing from elsewhere
        generate_unique_id_function=operation_id,
        responses={"default": {"model": schemas.Problem}},  # so that FastAPI adds none of its own; see `openapi`
    )
    for router in routers:
        app.include_router(router)
    app.openapi = lambda: openapi_of(app)  # type: ignore[method-assign]  # FastAPI's own way to replace it
    return app


def build_operations_app(operations_of: OperationsDependencies) -> FastAPI:
    """Probes and metrics alone, for a process that no caller talks to."""
    app = FastAPI(title="Aldis", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.api = operations_of
    add_error_table(app)
    app.add_middleware(Access, metrics=operations_of.metrics)
    app.include_router(operations.router)
    app.include_router(operations.metrics_router)
    return app


def operation_id(route: APIRoute) -> str:
    """The handler's name: what generated clients call their methods."""
    return route.name


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The description of all routes, made when it is first asked for."""
    if app.openapi_schema is None:
        app.openapi_schema = build_openapi(app)
    return app.openapi_schema
