"""`/v1/conversations` and what a user's devices say by REST: history, reads, acknowledgements, the badge."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Response

from aldis.api import answers, schemas
from aldis.api.auth import CallingUser
from aldis.api.dependencies import Api
from aldis.api.paging import CONVERSATION_PLACE, HISTORY_PLACE, decode_place, encode_place
from aldis.api.problems import raises
from aldis.domain.ids import ConversationId, DeviceId, MessageId
from aldis.domain.messages import Kind
from aldis.domain.streams import SOURCES
from aldis.services.check_acknowledgement import check_acknowledgement
from aldis.services.list_conversations import find_conversation, list_conversations
from aldis.services.read_badge import read_badge
from aldis.services.read_history import read_history
from aldis.services.read_thread import read_thread
from aldis.services.render import message_json
from aldis.services.set_conversation import set_conversation

router = APIRouter(tags=["conversations"])

ConversationPath = Annotated[schemas.Uuid, Path()]


@router.get("/v1/conversations", summary="List my conversations", response_model=schemas.ConversationsAnswer)
async def get_conversations(
    query: Annotated[schemas.ConversationsQuery, Query()], caller: CallingUser, api: Api
) -> Response:
    """My conversations, newest message first. The first page has the stream's `cursor` to go on from."""
    await api.subscriptions.greet(caller.user)
    page = await list_conversations(
        caller.user,
        kind=Kind(query.kind) if query.kind is not None else None,
        archived=query.archived,
        before=decode_place(query.cursor, CONVERSATION_PLACE) if query.cursor is not None else None,
        limit=query.limit,
        store=api.store,
    )
    now_ms = api.clock.now_ms()
    answer: dict[str, Any] = {
        "items": [answers.conversation_answer(row, now_ms) for row in page.items],
        "next": encode_place(*page.next) if page.next is not None else None,
    }
    if page.cursor is not None:
        answer["cursor"] = str(page.cursor)
    return answers.json_answer(answer, api.encoder)


@router.get(
    "/v1/conversations/{conversation_id}/messages",
    summary="Read a conversation's history",
    response_model=schemas.HistoryAnswer,
    openapi_extra=raises("not_found"),
)
async def get_history(
    conversation_id: ConversationPath,
    query: Annotated[schemas.HistoryQuery, Query()],
    caller: CallingUser,
    api: Api,
) -> Response:
    """Messages of a conversation, or of one thread: newest first (below `before`), or oldest first above `after`."""
    direction, seq = place_of(query)
    await api.subscriptions.greet(caller.user)
    before, after = (seq, None) if direction == "before" else (None, seq)
    where, user = ConversationId(conversation_id), caller.user
    if query.thread is not None:
        root = MessageId(query.thread)
        page = await read_thread(where, root, user, before=before, after=after, limit=query.limit, store=api.store)
    else:
        page = await read_history(where, user, before=before, after=after, limit=query.limit, store=api.store)
    now_ms = api.clock.now_ms()
    answer = {
        "items": [msgspec.Raw(message_json(message, now_ms)) for message in page.items],
        "next": encode_place(direction, page.next) if page.next is not None else None,
    }
    return answers.json_answer(answer, api.encoder)


@router.get(
    "/v1/conversations/{conversation_id}",
    summary="Get a conversation",
    response_model=schemas.ConversationAnswer,
    openapi_extra=raises("not_found"),
)
async def get_conversation(conversation_id: ConversationPath, caller: CallingUser, api: Api) -> Response:
    """One of my conversations, as in their list."""
    row = await find_conversation(ConversationId(conversation_id), caller.user, store=api.store)
    return answers.json_answer(answers.conversation_answer(row, api.clock.now_ms()), api.encoder)


@router.patch(
    "/v1/conversations/{conversation_id}",
    summary="Mute or archive a conversation",
    response_model=schemas.SettingsAnswer,
    openapi_extra=raises("not_found"),
)
async def patch_conversation(
    conversation_id: ConversationPath, body: schemas.SettingsBody, caller: CallingUser, api: Api
) -> Response:
    """Mute or archive a conversation for myself; all of my devices are told."""
    settings = await set_conversation(
        ConversationId(conversation_id),
        caller.user,
        muted=body.muted,
        archived=body.archived,
        store=api.store,
        ringer=api.ringer,
    )
    return answers.json_answer({"conversation_id": conversation_id, **settings._asdict()}, api.encoder)


def place_of(query: schemas.HistoryQuery) -> tuple[str, int | None]:
    """Which way to read, and from where; None is from the newest."""
    if query.cursor is not None:
        return decode_place(query.cursor, HISTORY_PLACE)
    if query.after is not None:
        return "after", query.after
    return "before", query.before


@router.post(
    "/v1/conversations/{conversation_id}/read",
    summary="Mark a conversation as read",
    response_model=schemas.ReadAnswer,
    openapi_extra=raises("not_found"),
)
async def read_conversation(
    conversation_id: ConversationPath, body: schemas.ReadBody, caller: CallingUser, api: Api
) -> Response:
    """Say that all up to `seq` has been read."""
    unread, badge = await api.moves.mark_read(caller.user, None, ConversationId(conversation_id), body.seq)
    return answers.json_answer({"unread": unread, "badge": badge}, api.encoder)


@router.post(
    "/v1/ack",
    status_code=204,
    summary="Acknowledge what a device has received",
    response_class=Response,
    openapi_extra=raises("not_found", "bad_cursor"),
)
async def acknowledge(
    body: schemas.AckBody, query: Annotated[schemas.AckQuery, Query()], caller: CallingUser, api: Api
) -> Response:
    """Say what a device has received, as `ack` does on the socket."""
    device = DeviceId(query.device)
    positions = {source: position for source in SOURCES if (position := getattr(body, source)) is not None}
    await check_acknowledgement(caller.user, device, positions, store=api.store)
    if positions:
        await api.moves.acknowledge(caller.user, device, positions)
    return Response(status_code=204)


@router.get("/v1/badge", summary="Get my badge", response_model=schemas.BadgeAnswer)
async def get_badge(caller: CallingUser, api: Api) -> Response:
    """All that is unread."""
    await api.subscriptions.greet(caller.user)
    return answers.json_answer({"badge": await read_badge(caller.user, store=api.store)}, api.encoder)
