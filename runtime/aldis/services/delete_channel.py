"""Deleting a channel: it takes no more sends, and what was sent stays readable.

Its row stays, marked: messages on their way still follow its policy, and its audience's versions never begin anew.
"""

from aldis.domain.audit import Action
from aldis.domain.channels import CHAT, Channel
from aldis.domain.errors import Rejected
from aldis.ports.clock import Clock
from aldis.ports.store import Store
from aldis.services.apply_channel import check_version
from aldis.services.channel_spec import version_of


async def delete_channel(name: str, *, actor: str, match: str | None = None, store: Store, clock: Clock) -> Channel:
    """Close a channel and answer what it was; `match` is the version that is meant. Declaring it again opens it."""
    if name == CHAT:
        raise Rejected("conflict", f"{CHAT} is the channel that users chat in: it is always there", field="name")
    now = clock.now_ms()
    async with store.begin() as transaction:
        kept = await transaction.kept_channel(name)
        if kept is None or kept.is_deleted:
            raise Rejected("not_found", f"there is no channel {name}", field="name")
        check_version(kept.channel, match)
        await transaction.close_channel(name, now)
        details = {"type": kept.channel.type.value, "version": version_of(kept.channel)}
        await transaction.put_audit(actor, Action.CHANNEL_DELETE, name, details, now)
    return kept.channel
