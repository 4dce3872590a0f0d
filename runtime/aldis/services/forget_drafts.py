"""Taking a user out of sends that wait for their time: a send to him, or in his name, goes; one to several goes on."""

import json
from typing import Any

from aldis.domain.ids import UserId
from aldis.ports.erasures import ErasureRows

DRAFTS = 100  # in one transaction: each may hold a content of 32 KiB
_ONE = frozenset({"user", "to_user", "from_user"})
_SEVERAL = frozenset({"users", "to_users"})


async def forget_drafts(user: UserId, after: str, transaction: ErasureRows) -> str | None:
    """Look at some drafts above the id `after`; answer where to go on, None at the end."""
    found = await transaction.scheduled_drafts(after, DRAFTS)
    changed = [(identifier, without(user, draft)) for identifier, draft in found if f'"{user}"' in draft]
    await transaction.replace_drafts(changed)
    return found[-1][0] if len(found) == DRAFTS else None


def without(user: UserId, draft: str) -> str | None:
    """The draft for the others that it names, None when it names nobody else."""
    body: dict[str, Any] = json.loads(draft)
    return json.dumps(body) if _remove(user, body) else None


def _remove(user: UserId, value: dict[str, Any]) -> bool:
    """Take the user out of lists of users; False when he is named alone, or is left over as nobody."""
    for name, part in value.items():
        if name in _ONE and part == user:
            return False
        if name in {"to", "from"} and isinstance(part, dict) and not _remove(user, part):
            return False
        if name in _SEVERAL and part is not None and user in part:
            value[name] = [other for other in part if other != user]
            if not value[name]:
                return False
    return True
