"""`/v1/admin/messages`: searching what was sent. Each search costs the same, and is in the audit log."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Query, Response

from aldis.api import admin_schemas as shapes
from aldis.api import answers
from aldis.api.auditing import audited
from aldis.api.auth import AdminCaller, admin_router
from aldis.api.dependencies import Api
from aldis.api.paging import SEARCH_PLACE, decode_place, encode_place
from aldis.domain.audit import Action
from aldis.domain.errors import Rejected
from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Message
from aldis.ports.administration import MessageFilter, SearchPlace
from aldis.services.render import message_json
from aldis.services.search_messages import search_messages

router = admin_router()


@router.get(
    "/v1/admin/messages",
    summary="Search messages",
    response_model=shapes.FoundMessagesAnswer,
    openapi_extra=audited(Action.MESSAGE_SEARCH),
)
async def admin_search_messages(
    query: Annotated[shapes.MessagesQuery, Query()], caller: AdminCaller, api: Api
) -> Response:
    """Messages, newest first; of a user, conversation by conversation. Follow `next` until it is null."""
    found = await search_messages(
        to_filter(query),
        to_place(query),
        limit=query.limit,
        include_content=query.include is not None,
        actor=caller.actor,
        store=api.store,
        clock=api.clock,
    )
    now_ms = api.clock.now_ms()
    items = [to_answer(message, now_ms, include_content=query.include is not None) for message in found.messages]
    place = encode_place(*(part if part is not None else "" for part in found.next)) if found.next else None
    return answers.json_answer({"items": items, "next": place}, api.encoder)


def to_filter(query: shapes.MessagesQuery) -> MessageFilter:
    """What is wanted, as the store takes it."""
    return MessageFilter(
        channel=query.channel,
        sender=UserId(query.sender) if query.sender is not None else None,
        recipient=UserId(query.recipient) if query.recipient is not None else None,
        conversation=ConversationId(query.conversation) if query.conversation is not None else None,
        since=to_ms(query.from_, "from"),
        until=to_ms(query.until, "until"),
        text=query.text,
    )


def to_ms(time: datetime | None, field: str) -> int | None:
    """Unix milliseconds; raises `Rejected` for a time before there were any."""
    if time is None:
        return None
    ms = round(time.timestamp() * 1000)
    if ms < 0:
        raise Rejected("bad_request", f"{field} must not be before 1970", field=field)
    return ms


def to_place(query: shapes.MessagesQuery) -> SearchPlace:
    """Where the page before has ended."""
    if query.cursor is None:
        return SearchPlace()
    identifier, conversation, seq = decode_place(query.cursor, SEARCH_PLACE)
    return SearchPlace(
        id=MessageId(identifier) if identifier else None,
        conversation=ConversationId(conversation) if conversation else None,
        seq=seq if isinstance(seq, int) else None,
    )


def to_answer(message: Message, now_ms: int, *, include_content: bool) -> dict[str, Any]:
    """A message, without what is in it unless that was asked for."""
    fields: dict[str, Any] = msgspec.json.decode(message_json(message, now_ms), type=dict[str, msgspec.Raw])
    if not include_content:
        del fields["content"]
    return fields
