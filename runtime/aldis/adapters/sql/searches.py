"""Searching messages for administrators, in bounded steps.

Along `seq` when a conversation is named; along a user's conversations, one after the other, when a sender or a
recipient is; else along the ids of all messages, which is the order of their time.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, or_, select, true

from aldis.adapters.sql import schema
from aldis.adapters.sql.connection import Executing
from aldis.adapters.sql.dialect import Dialect
from aldis.adapters.sql.rows import to_message
from aldis.adapters.sql.windows import Looked, look
from aldis.domain.ids import ConversationId, UserId, first_id_at
from aldis.domain.messages import Message
from aldis.domain.streams import MAX_POSITION
from aldis.ports.administration import Found, MessageFilter, SearchPlace

CONVERSATIONS = 200  # of a user, looked through in one search: most are short

_messages = schema.messages


async def search_messages(
    connection: Executing,
    dialect: Dialect,
    wanted: MessageFilter,
    place: SearchPlace,
    *,
    limit: int,
    window: int,
    now: int,
) -> Found:
    """Choose the way along which few rows are looked at in vain."""
    hit, user = _hit(dialect, wanted, now), wanted.sender or wanted.recipient
    if wanted.conversation is not None:
        following = SearchPlace(conversation=wanted.conversation, seq=place.seq)
        rows, next_place = await _along([wanted.conversation], connection, hit, following, limit, window)
    elif user is not None:
        conversations = await _conversations_from(connection, user, place.conversation)
        rows, next_place = await _along(conversations, connection, hit, place, limit, window)
    else:
        rows, next_place = await _along_ids(connection, wanted, hit, place, limit, window)
    return Found(await _messages_of(connection, rows), next_place)


async def _along_ids(
    connection: Executing,
    wanted: MessageFilter,
    hit: ColumnElement[bool],
    place: SearchPlace,
    limit: int,
    window: int,
) -> tuple[list[Row[Any]], SearchPlace | None]:
    along = select(_messages.c.id).where(_within(wanted)).order_by(_messages.c.id.desc())
    if place.id is not None:
        along = along.where(_messages.c.id < place.id)
    looked = await look(connection, along, hit, limit=limit, window=window)
    return looked.hits, SearchPlace(id=looked.last.id) if looked.last is not None else None


async def _along(
    conversations: Sequence[ConversationId],
    connection: Executing,
    hit: ColumnElement[bool],
    place: SearchPlace,
    limit: int,
    window: int,
) -> tuple[list[Row[Any]], SearchPlace | None]:
    """One conversation after the other, newest first in each; the last of too many is only where to go on."""
    found: list[Row[Any]] = []
    for number, conversation in enumerate(conversations):
        if number == CONVERSATIONS or window <= 0:
            return found, SearchPlace(conversation=conversation)
        below = place.seq if conversation == place.conversation else None
        looked = await _look_in(connection, conversation, hit, below, limit - len(found), window)
        found += looked.hits
        window -= looked.rows
        if looked.last is not None:
            return found, SearchPlace(conversation=conversation, seq=looked.last.seq)
    return found, None


async def _look_in(
    connection: Executing,
    conversation: ConversationId,
    hit: ColumnElement[bool],
    below: int | None,
    limit: int,
    window: int,
) -> Looked:
    along = (
        select(_messages.c.id, _messages.c.seq)
        .where(
            _messages.c.conversation_id == conversation,
            _messages.c.seq < (below if below is not None else MAX_POSITION),
        )
        .order_by(_messages.c.seq.desc())
    )
    return await look(connection, along, hit, limit=limit, window=window)


async def _conversations_from(
    connection: Executing, user: UserId, first: ConversationId | None
) -> list[ConversationId]:
    members = schema.members
    statement = select(members.c.conversation_id).where(members.c.user_id == user)
    if first is not None:
        statement = statement.where(members.c.conversation_id >= first)
    rows = await connection.execute(statement.order_by(members.c.conversation_id).limit(CONVERSATIONS + 1))
    return [ConversationId(identifier) for (identifier,) in rows]


def _within(wanted: MessageFilter) -> ColumnElement[bool]:
    """The time, as a range of ids: those of a time begin with it."""
    since = _messages.c.id >= first_id_at(wanted.since) if wanted.since is not None else true()
    until = _messages.c.id < first_id_at(wanted.until) if wanted.until is not None else true()
    return and_(since, until)


def _hit(dialect: Dialect, wanted: MessageFilter, now: int) -> ColumnElement[bool]:
    """Whether a row is one of those that are wanted."""
    is_hit = _within(wanted)
    if wanted.channel is not None:
        is_hit = and_(is_hit, _messages.c.channel == wanted.channel)
    if wanted.sender is not None:
        is_hit = and_(is_hit, _messages.c.sender_user == wanted.sender)
    if wanted.recipient is not None:
        is_hit = and_(is_hit, _is_received_by(wanted.recipient))
    if wanted.text is not None:
        is_hit = and_(is_hit, _is_readable(now), dialect.contains(_messages.c.content, wanted.text))
    return is_hit


def _is_received_by(user: UserId) -> ColumnElement[bool]:
    members = schema.members
    is_member = exists().where(members.c.conversation_id == _messages.c.conversation_id, members.c.user_id == user)
    return and_(is_member, or_(_messages.c.sender_user.is_(None), _messages.c.sender_user != user))


def _is_readable(now: int) -> ColumnElement[bool]:
    """Whether there still is a content to be shown."""
    return and_(_messages.c.gone.is_(None), or_(_messages.c.expires_at.is_(None), _messages.c.expires_at > now))


async def _messages_of(connection: Executing, rows: Sequence[Row[Any]]) -> list[Message]:
    ids = [row.id for row in rows]
    found = await connection.execute(select(_messages).where(_messages.c.id.in_(ids))) if ids else ()
    by_id = {message.id: message for message in map(to_message, found)}
    return [by_id[identifier] for identifier in ids]
