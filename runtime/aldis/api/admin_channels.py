"""`/v1/admin/channels`: what channels there are, and their policy, in the shape of the resource's `spec`."""

from typing import Annotated, Any

from fastapi import Header, Path, Query, Response

from aldis.api import admin_schemas as shapes
from aldis.api import answers, schemas
from aldis.api.auditing import audited
from aldis.api.auth import AdminCaller, admin_router
from aldis.api.dependencies import Api
from aldis.api.headers import tells
from aldis.api.paging import NAME_PLACE, decode_place, encode_place
from aldis.api.problems import raises
from aldis.domain.audit import Action
from aldis.domain.channels import Channel
from aldis.domain.errors import Rejected
from aldis.services.apply_channel import apply_channel
from aldis.services.channel_spec import spec_of, version_of
from aldis.services.delete_channel import delete_channel
from aldis.services.list_channels import find_channel, list_channels

router = admin_router()

ChannelPath = Annotated[schemas.Name, Path()]
IfMatch = Annotated[str | None, Header(max_length=200)]


@router.get("/v1/admin/channels", summary="List channels", response_model=shapes.AdminChannelsAnswer)
async def admin_list_channels(query: Annotated[shapes.PageQuery, Query()], api: Api) -> Response:
    """All channels, by name."""
    after = decode_place(query.cursor, NAME_PLACE)[0] if query.cursor is not None else ""
    page = await list_channels(after=after, limit=query.limit, store=api.store)
    answer = {
        "items": [to_answer(channel) for channel in page.items],
        "next": encode_place(page.next) if page.next is not None else None,
    }
    return answers.json_answer(answer, api.encoder)


@router.get(
    "/v1/admin/channels/{name}",
    summary="Get a channel",
    response_model=shapes.AdminChannelAnswer,
    openapi_extra=raises("not_found") | tells("ETag"),
)
async def admin_get_channel(name: ChannelPath, api: Api) -> Response:
    """One channel; its version is the ETag."""
    channel = await find_channel(name, store=api.store)
    return answers.json_answer(to_answer(channel), api.encoder, headers=etag_of(channel))


@router.put(
    "/v1/admin/channels/{name}",
    summary="Declare or change a channel",
    response_model=shapes.AdminChannelAnswer,
    responses={201: {"model": shapes.AdminChannelAnswer, "description": "It was not there before."}},
    openapi_extra=audited(Action.CHANNEL_APPLY) | raises("conflict", "precondition_failed") | tells("ETag"),
)
async def admin_put_channel(
    name: ChannelPath,
    body: Annotated[dict[str, Any], shapes.CHANNEL_SPEC],
    caller: AdminCaller,
    api: Api,
    if_match: IfMatch = None,
) -> Response:
    """Declare a channel, or change its policy; the body is its `spec`. The same again changes nothing."""
    applied = await apply_channel(
        body, name=name, actor=caller.actor, match=to_version(if_match), store=api.store, clock=api.clock
    )
    await api.admin.channels_changed()
    return answers.json_answer(
        to_answer(applied.channel, applied.ignored),
        api.encoder,
        status=201 if applied.result == "created" else 200,
        headers=etag_of(applied.channel),
    )


@router.delete(
    "/v1/admin/channels/{name}",
    summary="Delete a channel",
    status_code=204,
    response_class=Response,
    openapi_extra=audited(Action.CHANNEL_DELETE) | raises("not_found", "conflict", "precondition_failed"),
)
async def admin_delete_channel(name: ChannelPath, caller: AdminCaller, api: Api, if_match: IfMatch = None) -> Response:
    """Take no more sends into it. What was sent stays readable, and declaring it again opens it."""
    await delete_channel(name, actor=caller.actor, match=to_version(if_match), store=api.store, clock=api.clock)
    await api.admin.channels_changed()
    return Response(status_code=204)


def to_answer(channel: Channel, ignored: tuple[str, ...] = ()) -> dict[str, Any]:
    """A channel as administrators see it."""
    return {"name": channel.name, "spec": spec_of(channel), "ignored": ignored, "version": version_of(channel)}


def etag_of(channel: Channel) -> dict[str, str]:
    """The version as a header."""
    return {"etag": f'"{version_of(channel)}"'}


def to_version(if_match: str | None) -> str | None:
    """The version of an If-Match header, `*` for any; raises `Rejected` for a list or a weak one."""
    if if_match is None or if_match == "*":
        return if_match
    version = if_match.strip()
    if len(version) < len('""') or version[0] != '"' or version[-1] != '"' or '"' in version[1:-1]:
        raise Rejected("bad_request", 'If-Match must be one ETag, as in "1f0c…", or *', field="If-Match")
    return version[1:-1]
