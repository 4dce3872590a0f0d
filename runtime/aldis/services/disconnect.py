"""Sending connections away: written into the audit log first, then rung for at every gateway of the user."""

from aldis.domain.audit import Action
from aldis.ports.backplane import Disconnect
from aldis.ports.clock import Clock
from aldis.ports.store import Store
from aldis.services.ring import Rings


async def disconnect(asked: Disconnect, *, actor: str, store: Store, ringer: Rings, clock: Clock) -> None:
    """Close one connection of a user, or all. Doorbells may be lost: asking again does no harm."""
    now = clock.now_ms()
    one = asked.connection is not None
    details = {"user": asked.user, "code": asked.code, "reason": asked.reason}
    async with store.begin() as transaction:
        await transaction.put_audit(
            actor,
            Action.CONNECTION_CLOSE if one else Action.USER_DISCONNECT,
            asked.connection or asked.user,
            details,
            now,
        )
    await ringer.ring([asked])
