"""The descriptions, for machines and as pages for people. Each is made when it is first asked for, and kept."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, FastAPI, Header, Request, Response
from fastapi.responses import HTMLResponse

from aldis.api.dependencies import ApiDependencies
from aldis.api.headers import tells
from aldis.api.page import base_url
from aldis.api.reference import frame, rest, socket

router = APIRouter(tags=["descriptions"])

IfNoneMatch = Annotated[str | None, Header(max_length=1_000)]
VERSION_CHARACTERS = 16
_DOCUMENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The document.",
        "content": {"application/json": {"schema": {"type": "object"}, "example": {"info": {"title": "Aldis"}}}},
    },
    304: {"description": "It is still in that version."},
}
_PAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The page.",
        "content": {"text/html": {"schema": {"type": "string"}, "example": "<!doctype html>…"}},
    }
}


@dataclass(slots=True)
class Descriptions:
    """What has been made so far, of one application."""

    app: FastAPI
    api: ApiDependencies
    _made: dict[str, bytes] = field(default_factory=dict)
    _pages: dict[str, str] = field(default_factory=dict)

    def document(self, path: str) -> Mapping[str, Any]:
        """What `/openapi.json` or `/asyncapi.json` has in it."""
        return self.app.openapi() if path == "/openapi.json" else self.api.asyncapi()

    def encoded(self, path: str) -> bytes:
        """The same as it is sent."""
        if path not in self._made:
            self._made[path] = msgspec.json.encode(self.document(path))
        return self._made[path]

    def page(self, path: str) -> str:
        """The page at `/docs` or `/docs/socket`."""
        if path not in self._pages:
            is_rest = path == rest.PATH
            build = rest.build_rest_page if is_rest else socket.build_socket_page
            self._pages[path] = build(self.document("/openapi.json" if is_rest else "/asyncapi.json"))
        return self._pages[path]


def document_answer(request: Request, path: str, if_none_match: str | None) -> Response:
    """A document, or that it has not changed."""
    encoded = descriptions_of(request).encoded(path)
    etag = f'"{hashlib.sha256(encoded).hexdigest()[:VERSION_CHARACTERS]}"'
    headers = {"etag": etag, "cache-control": "no-cache"}
    if if_none_match is not None and (if_none_match.strip() == "*" or etag in if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(encoded, media_type="application/json", headers=headers)


def descriptions_of(request: Request) -> Descriptions:
    """Those of the application that answers."""
    found: Descriptions = request.app.state.descriptions
    return found


@router.get(
    "/openapi.json",
    summary="REST as OpenAPI",
    response_class=Response,
    responses=_DOCUMENT,
    openapi_extra=tells("ETag"),
)
async def get_openapi(request: Request, if_none_match: IfNoneMatch = None) -> Response:
    """This description of REST, as OpenAPI 3.1."""
    return document_answer(request, "/openapi.json", if_none_match)


@router.get(
    "/asyncapi.json",
    summary="The socket as AsyncAPI",
    response_class=Response,
    responses=_DOCUMENT,
    openapi_extra=tells("ETag"),
)
async def get_asyncapi(request: Request, if_none_match: IfNoneMatch = None) -> Response:
    """The description of the socket, event streams and long polls, as AsyncAPI 3.0."""
    return document_answer(request, "/asyncapi.json", if_none_match)


@router.get("/docs", summary="REST as a page", response_class=HTMLResponse, responses=_PAGE)
async def get_docs(request: Request) -> Response:
    """REST, for people. It needs nothing from elsewhere, and no script."""
    html = descriptions_of(request).page(rest.PATH).replace(rest.BASE, base_url(request))
    return HTMLResponse(html, headers={**frame.HEADERS, "cache-control": "no-cache"})


@router.get("/docs/socket", summary="The socket as a page", response_class=HTMLResponse, responses=_PAGE)
async def get_socket_docs(request: Request) -> Response:
    """The socket, for people."""
    return HTMLResponse(
        descriptions_of(request).page(socket.PATH), headers={**frame.HEADERS, "cache-control": "no-cache"}
    )
