"""`/v1/messages`: sending, editing, deleting, and what became of a message."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Header, Path, Query, Request, Response

from aldis.api import answers, schemas, send_examples
from aldis.api.auth import AnyCaller
from aldis.api.dependencies import Api, ApiDependencies
from aldis.api.errors import to_json
from aldis.api.headers import tells
from aldis.api.limits import take_channel_tokens, take_tokens
from aldis.api.paging import RECIPIENT_PLACE, decode_place, encode_place
from aldis.api.problems import raises
from aldis.domain.callers import BackendCaller, Caller
from aldis.domain.content import json_content, text_content
from aldis.domain.errors import Rejected, Unavailable
from aldis.domain.ids import ConversationId, MessageId, UserId
from aldis.domain.messages import Kind, Sender, SendMessage, Stored
from aldis.domain.scheduling import parse_time
from aldis.domain.streams import Priority
from aldis.services.compose import Draft, compose
from aldis.services.find_own_message import find_own_message
from aldis.services.message_status import read_message_status, read_timeline
from aldis.services.render import message_json
from aldis.services.schedule_sends import Scheduled, ScheduleSend

router = APIRouter(tags=["messages"])

SEND_CODES = (
    "forbidden",
    "forbidden_field",
    "read_only",
    "not_found",
    "unknown_channel",
    "conflict",
    "idempotency_mismatch",
    "unstorable",
)
MessagePath = Annotated[schemas.Uuid, Path()]
Outcome = Stored | Rejected | Unavailable


@router.post(
    "/v1/messages",
    status_code=201,
    summary="Send a message",
    response_model=schemas.SentOne | schemas.SentSeveral | schemas.SentBroadcast,
    responses={
        201: send_examples.ANSWERS,
        202: {"model": schemas.ScheduledReceipt, "description": "It waits for its `send_at`."},
    },
    openapi_extra=raises(*SEND_CODES) | tells("Idempotent-Replayed", "RateLimit", "RateLimit-Policy"),
)
async def send_message(
    body: Annotated[schemas.SendBody, Body(openapi_examples=send_examples.BODIES)],
    caller: AnyCaller,
    api: Api,
    request: Request,
    idempotency_key: Annotated[schemas.RequestKey | None, Header()] = None,
) -> Response:
    """Send to a user, to several, into a conversation, or to all who hear a channel. 201 means that it is committed."""
    check_recipients(body, api.limits.recipients)
    draft = to_draft(body, idempotency_key, content_bytes=api.limits.content_bytes)
    cost = len(body.to.users or [""])
    take_tokens(request, caller, cost, api)
    await take_channel_tokens(request, caller, draft.to_channel or draft.channel, cost, api)
    commands = await compose(draft, caller, store_channel=api.channel, now_ms=api.clock.now_ms())
    if draft.send_at is not None:
        return await _schedule(draft, caller, commands, request, api)
    outcomes = await api.committer.send(commands)
    check_any_stored(outcomes)
    headers = dict(request.state.rate_limit_headers)
    if idempotency_key is not None and all(isinstance(outcome, Stored) and outcome.duplicate for outcome in outcomes):
        headers["Idempotent-Replayed"] = "true"
    answer = to_answer(commands, outcomes, is_several=body.to.users is not None)
    return answers.json_answer(answer, api.encoder, status=201, headers=headers)


async def _schedule(
    draft: Draft, caller: Caller, commands: Sequence[SendMessage], request: Request, api: ApiDependencies
) -> Response:
    (answer,) = await api.schedules.schedule([schedule_of(draft, caller, commands)])
    if not isinstance(answer, Scheduled):
        raise answer
    headers = dict(request.state.rate_limit_headers)
    if draft.request_key is not None and answer.duplicate:
        headers["Idempotent-Replayed"] = "true"
    receipt = await answers.scheduled_receipt(answer, owner_of(caller), store=api.store)
    return answers.json_answer(receipt, api.encoder, status=202, headers=headers)


def schedule_of(draft: Draft, caller: Caller, commands: Sequence[SendMessage]) -> ScheduleSend:
    """The send to be scheduled; users' drafts have been refused before."""
    return ScheduleSend(owner=owner_of(caller), draft=draft, commands=commands)


def owner_of(caller: Caller) -> str:
    """The scope of a backend, whichever of its keys it uses. Raises `Rejected` for a user."""
    if not isinstance(caller, BackendCaller):
        raise Rejected("forbidden", "this is for backends: users cannot schedule")
    return Sender(backend=caller.name).scope


def check_recipients(body: schemas.SendBody, limit: int) -> None:
    """Raise `Rejected` when there are too many."""
    if len(body.to.users or ()) > limit:
        raise Rejected("too_large", f"one call sends to at most {limit} users", field="to.users")


def to_draft(body: schemas.SendBody, request_key: str | None, *, content_bytes: int) -> Draft:
    """What is to be sent, as the service takes it; raises `Rejected` for content that is not allowed."""
    content = to_content(body.content, content_bytes)
    return Draft(
        to_user=UserId(body.to.user) if body.to.user is not None else None,
        to_users=tuple(UserId(user) for user in body.to.users) if body.to.users is not None else None,
        to_conversation=ConversationId(body.to.conversation) if body.to.conversation is not None else None,
        to_channel=body.to.channel,
        kind=Kind(body.kind) if body.kind is not None else None,
        channel=body.channel,
        from_user=UserId(body.from_.user) if body.from_ is not None else None,
        content=content,
        priority=Priority(body.priority) if body.priority is not None else None,
        expires_in=body.expires_in,
        reply_to=MessageId(body.reply_to) if body.reply_to is not None else None,
        client_id=body.client_id,
        request_key=request_key,
        fingerprint=fingerprint_of(body, content) if request_key is not None else None,
        send_at=parse_time(body.send_at, "send_at") if body.send_at is not None else None,
    )


def to_content(content: schemas.TextContent | schemas.JsonContent, limit: int) -> bytes:
    """The canonical JSON of the content, at most `limit` bytes of it."""
    if isinstance(content, schemas.TextContent):
        return text_content(content.text, limit=limit)
    return json_content(content.data, limit=limit)


def fingerprint_of(body: schemas.SendBody, content: bytes) -> str:
    """What tells one body from another, whatever the order and the spacing of its fields."""
    rest = body.model_dump(by_alias=True, exclude_none=True, exclude={"content"})
    canonical = msgspec.json.encode({**rest, "content": msgspec.Raw(content)}, order="deterministic")
    return hashlib.sha256(canonical).hexdigest()


def check_any_stored(outcomes: Sequence[Outcome]) -> None:
    """A 2xx answer means committed: when nothing was, the first error is the answer."""
    if outcomes and not any(isinstance(outcome, Stored) for outcome in outcomes):
        first = outcomes[0]
        assert not isinstance(first, Stored)
        raise first


def to_answer(commands: Sequence[SendMessage], outcomes: Sequence[Outcome], *, is_several: bool) -> dict[str, Any]:
    """One message's place, or that of each recipient's."""
    if not is_several:
        (outcome,) = outcomes
        assert isinstance(outcome, Stored)
        if commands[0].members == ():
            return answers.broadcast_answer(outcome, commands[0].channel)
        return answers.stored_answer(outcome)
    pairs = zip(commands, outcomes, strict=True)
    return {"messages": [{"recipient": recipient_of(command), **_one_answer(outcome)} for command, outcome in pairs]}


def recipient_of(command: SendMessage) -> UserId:
    """The member of a one-to-one conversation who is not the sender."""
    members = command.members
    assert members, "only sends to named users have several recipients"
    return next((member for member in members if member != command.sender.user), members[0])


def _one_answer(outcome: Outcome) -> dict[str, Any]:
    return answers.stored_answer(outcome) if isinstance(outcome, Stored) else {"error": to_json(outcome)}


@router.get(
    "/v1/messages/{message_id}",
    summary="Get a message and its status",
    response_model=schemas.MessageStatusAnswer,
    openapi_extra=raises("not_found"),
)
async def get_message(
    message_id: MessagePath, query: Annotated[schemas.StatusQuery, Query()], caller: AnyCaller, api: Api
) -> Response:
    """A message as it is now, and its status for each recipient."""
    after = decode_place(query.cursor, RECIPIENT_PLACE)[0] if query.cursor is not None else None
    now_ms = api.clock.now_ms()
    status = await read_message_status(
        MessageId(message_id),
        caller,
        after=UserId(after) if after is not None else None,
        limit=query.limit,
        store=api.store,
        now_ms=now_ms,
    )
    following = status.recipients.next
    place = encode_place(following) if following is not None else None
    return answers.json_answer(answers.status_answer(status, now_ms, place=place), api.encoder)


@router.patch(
    "/v1/messages/{message_id}",
    summary="Edit a message",
    response_model=schemas.MessageAnswer,
    openapi_extra=raises("not_found", "forbidden", "unknown_channel", "conflict", "unstorable")
    | tells("RateLimit", "RateLimit-Policy"),
)
async def edit_message(
    message_id: MessagePath, body: schemas.EditBody, caller: AnyCaller, api: Api, request: Request
) -> Response:
    """Let a message of mine say something else. All who have it are told; its place stays."""
    content = to_content(body.content, api.limits.content_bytes)
    take_tokens(request, caller, 1, api)
    message, conversation = await find_own_message(MessageId(message_id), caller, store=api.store)
    await take_channel_tokens(request, caller, message.channel, 1, api)
    now_said = await api.reviser.edit(message, conversation, content)
    answer = msgspec.Raw(message_json(now_said, api.clock.now_ms()))
    return answers.json_answer(answer, api.encoder, headers=request.state.rate_limit_headers)


@router.delete(
    "/v1/messages/{message_id}",
    status_code=204,
    summary="Delete a message",
    response_class=Response,
    openapi_extra=raises("not_found", "forbidden"),
)
async def delete_message(message_id: MessagePath, caller: AnyCaller, api: Api) -> Response:
    """Take away what a message of mine says, for good; its place stays. All who have it are told, once."""
    message, conversation = await find_own_message(MessageId(message_id), caller, store=api.store)
    await api.reviser.delete(message, conversation)
    return Response(status_code=204)


@router.get(
    "/v1/messages/{message_id}/timeline",
    summary="Get a message's timeline",
    response_model=schemas.Timeline,
    openapi_extra=raises("not_found"),
)
async def get_timeline(message_id: MessagePath, caller: AnyCaller, api: Api) -> Response:
    """What happened to a message, on which device, and when."""
    milestones = await read_timeline(MessageId(message_id), caller, store=api.store)
    items = [answers.milestone_answer(milestone) for milestone in milestones]
    return answers.json_answer({"items": items, "next": None}, api.encoder)
