"""From what services answer to JSON: messages in the one form that sockets send too, times as RFC 3339."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import Response

from aldis.domain.ids import created_ms, rfc3339
from aldis.domain.messages import Stored
from aldis.domain.scheduling import ScheduledState, due_ms_of
from aldis.domain.status import RecipientStatus
from aldis.ports.store import ConversationRow, Store
from aldis.services.find_scheduled import Outcome, follow_scheduled
from aldis.services.message_status import MessageStatus, Milestone
from aldis.services.render import message_json
from aldis.services.schedule_sends import Scheduled, ShownDraft, show_draft


def json_answer(
    answer: object, encoder: msgspec.json.Encoder, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer for this caller alone."""
    return Response(
        encoder.encode(answer),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store", **(headers or {})},
    )


def stored_answer(stored: Stored) -> dict[str, Any]:
    """A message that is committed."""
    return {
        "message_id": stored.message_id,
        "conversation_id": stored.conversation_id,
        "seq": stored.seq,
        "created_at": rfc3339(created_ms(stored.message_id)),
        "duplicate": stored.duplicate,
    }


def broadcast_answer(stored: Stored, channel: str) -> dict[str, Any]:
    """A broadcast that is committed."""
    return {
        "message_id": stored.message_id,
        "channel": channel,
        "seq": stored.seq,
        "created_at": rfc3339(created_ms(stored.message_id)),
        "duplicate": stored.duplicate,
    }


async def scheduled_receipt(scheduled: Scheduled, owner: str, *, store: Store) -> dict[str, Any]:
    """What a scheduled send is answered with: when it is new, and when it is repeated."""
    receipt = {
        "scheduled_id": scheduled.id,
        "send_at": rfc3339(due_ms_of(scheduled.id)),
        "duplicate": scheduled.duplicate,
        "state": ScheduledState.WAITING,
    }
    if not scheduled.duplicate:
        return receipt
    outcome = await follow_scheduled(owner, scheduled.id, store=store)
    return {**receipt, "state": outcome.state, **_sent_part(outcome)}


def scheduled_answer(outcome: Outcome) -> dict[str, Any]:
    """A scheduled send as its backend sees it; of one that was sent only its messages are known."""
    row = outcome.row
    draft = show_draft(row.draft) if row is not None else ShownDraft()
    channels = [draft.channel, draft.to_channel, *(message.channel for message in outcome.messages)]
    return {
        "scheduled_id": outcome.id,
        "send_at": rfc3339(due_ms_of(outcome.id)),
        "state": outcome.state,
        "reason": msgspec.Raw(row.reason.encode()) if row is not None and row.reason is not None else None,
        "to": _recipients_answer(draft) or None,
        "channel": next((channel for channel in channels if channel is not None), None),
        "from": {"user": draft.from_user} if draft.from_user is not None else None,
        "client_id": draft.client_id,
        "created_at": rfc3339(row.created_at) if row is not None else None,
        **_sent_part(outcome),
    }


def _recipients_answer(draft: ShownDraft) -> dict[str, Any]:
    named = {
        "user": draft.to_user,
        "users": draft.to_users,
        "conversation": draft.to_conversation,
        "channel": draft.to_channel,
    }
    return {name: value for name, value in named.items() if value is not None}


def _sent_part(outcome: Outcome) -> dict[str, Any]:
    if outcome.state is not ScheduledState.SENT:
        return {}
    return {
        "messages": [
            {
                "message_id": message.id,
                "conversation_id": message.conversation_id,
                "seq": message.seq,
                "created_at": rfc3339(message.created_at),
            }
            for message in outcome.messages
        ]
    }


def status_answer(status: MessageStatus, now_ms: int, *, place: str | None) -> dict[str, Any]:
    """A message with its recipients; `place` is where the next page of them begins."""
    message: dict[str, Any] = msgspec.json.decode(message_json(status.message, now_ms), type=dict[str, msgspec.Raw])
    recipients = [recipient_answer(recipient) for recipient in status.recipients.items]
    answer = {**message, "recipients": {"items": recipients, "next": place}}
    return answer if status.counts is None else {**answer, "counts": status.counts._asdict()}


def recipient_answer(status: RecipientStatus) -> dict[str, Any]:
    """One recipient's status."""
    return {
        "user": status.user,
        "status": status.status,
        "sent_at": _time(status.sent_at),
        "delivered_at": _time(status.delivered_at),
        "read_at": _time(status.read_at),
        "failed_at": _time(status.failed_at),
        "reason": status.reason,
    }


def milestone_answer(milestone: Milestone) -> dict[str, Any]:
    """One line of a timeline."""
    return {
        "type": milestone.type,
        "at": rfc3339(milestone.at),
        "user": milestone.user,
        "device": milestone.device,
        "attempt": milestone.attempt,
        "outcome": milestone.outcome,
        "reason": milestone.reason,
    }


def conversation_answer(row: ConversationRow, now_ms: int) -> dict[str, Any]:
    """A conversation as one of its members sees it."""
    return {
        "id": row.conversation.id,
        "kind": row.conversation.kind,
        "channel": row.conversation.channel,
        "members": row.conversation.members,
        "last_message": msgspec.Raw(message_json(row.last, now_ms)) if row.last is not None else None,
        "unread": row.mark.unread,
        "read_seq": row.mark.read_seq,
        "head_seq": row.mark.head_seq,
        "muted": row.muted,
        "archived": row.archived,
    }


def _time(ms: int | None) -> str | None:
    return rfc3339(ms) if ms is not None else None
