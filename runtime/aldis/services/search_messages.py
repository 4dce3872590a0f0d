"""Searching messages as an administrator. Somebody reads what others wrote, so each search is in the audit log.

The log says what was asked for and how much was found, but not which words were looked for: they may be somebody's.
"""

from typing import Any

from aldis.domain.audit import Action
from aldis.ports.administration import Found, MessageFilter, SearchPlace
from aldis.ports.clock import Clock
from aldis.ports.store import Store

WINDOW = 2_000  # rows looked at in one request, some ten milliseconds of a reader's thread


async def search_messages(
    wanted: MessageFilter,
    place: SearchPlace,
    *,
    limit: int,
    include_content: bool,
    actor: str,
    store: Store,
    clock: Clock,
) -> Found:
    """A bounded search; a page may be empty and have a next one."""
    now = clock.now_ms()
    found = await store.search_messages(wanted, place, limit=limit, window=WINDOW, now=now)
    details = {**told(wanted), "content": include_content, "found": len(found.messages)}
    async with store.begin() as transaction:
        await transaction.put_audit(actor, Action.MESSAGE_SEARCH, target_of(wanted), details, now)
    return found


def told(wanted: MessageFilter) -> dict[str, Any]:
    """The filters as the log has them."""
    given = {name: value for name, value in wanted._asdict().items() if value is not None}
    return given | ({"text": True} if wanted.text is not None else {})


def target_of(wanted: MessageFilter) -> str:
    """Whose messages were looked for, as narrowly as it was said."""
    return wanted.conversation or wanted.sender or wanted.recipient or wanted.channel or "*"
