"""Dead letters for administrators, newest first."""

from typing import Any

from aldis.domain.ids import rfc3339
from aldis.ports.dead_letters import DeadLetter, LetterFilter
from aldis.ports.store import Store
from aldis.services.pages import Page

WINDOW = 5_000  # rows looked at for one page, where two filters are given: an index has one of them


async def list_dead_letters(
    wanted: LetterFilter, *, before: str | None = None, limit: int, store: Store
) -> Page[DeadLetter, str]:
    """Letters below an id; a page of two filters may be empty and have a next one."""
    letters, following = await store.dead_letters(wanted, before, limit=limit, window=WINDOW)
    return Page(items=letters, next=following)


def letter_view(letter: DeadLetter) -> dict[str, Any]:
    """A letter for programs; where it lies in a lane is nobody's business."""
    return {
        "id": letter.id,
        "message_id": letter.message_id,
        "recipient": letter.recipient,
        "channel": letter.channel,
        "reason": letter.reason.value,
        "attempts": letter.attempts,
        "failed_at": rfc3339(letter.failed_at),
    }
