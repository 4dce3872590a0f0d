"""Setting a conversation for oneself: muted, archived. All of the user's devices are told, nobody else is.

An archived conversation stays archived when a message comes, and both go on counting into the badge: what they mean on
the screen, and for the noise a telephone makes, is the clients' to show.
"""

from aldis.domain.errors import Rejected
from aldis.domain.ids import ConversationId, UserId
from aldis.domain.streams import Batch
from aldis.ports.relations import MemberSettings
from aldis.ports.store import State, Store, Transaction
from aldis.services.news import ConversationSettings
from aldis.services.put_states import put_states
from aldis.services.render import value_json
from aldis.services.ring import Ringer


async def set_conversation(
    conversation: ConversationId,
    user: UserId,
    *,
    muted: bool | None,
    archived: bool | None,
    store: Store,
    ringer: Ringer,
) -> MemberSettings:
    """Change what is given (None leaves it); answer how it is now. Raises `Rejected("not_found")` for a stranger."""

    async def recipe(transaction: Transaction) -> tuple[MemberSettings, list[Batch]]:
        before = await transaction.member_settings(conversation, user)
        if before is None:
            raise Rejected("not_found", "there is no such conversation for you", field="conversation_id")
        after = MemberSettings(
            muted=before.muted if muted is None else muted, archived=before.archived if archived is None else archived
        )
        if after == before:
            return after, []
        await transaction.put_member_settings(conversation, user, after)
        return after, await put_states([_state(conversation, user, after)], transaction)

    settings, batches = await store.run(recipe)
    await ringer.ring(batches)
    return settings


def _state(conversation: ConversationId, user: UserId, settings: MemberSettings) -> State:
    value = ConversationSettings(conversation_id=conversation, muted=settings.muted, archived=settings.archived)
    return State(user, f"conversation:{conversation}", "conversation", value_json(value))
