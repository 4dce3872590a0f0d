"""States of users, stored under new positions in their `r`: what gateways are told after the commit."""

from collections import Counter
from collections.abc import Sequence

from aldis.domain.ids import UserId
from aldis.domain.streams import Batch, Event, Source
from aldis.ports.store import State, Transaction
from aldis.services.render import state_event


async def put_states(states: Sequence[State], transaction: Transaction) -> list[Batch]:
    """Store states, the last of each key, under new positions in their users' `r`."""
    newest = list({(state.user, state.key): state for state in states}.values())
    counts: Counter[tuple[UserId, Source]] = Counter((state.user, "r") for state in newest)
    heads = await transaction.extend_sources(counts, {})
    following = {user: head - counts[user, source] for (user, source), head in heads.items()}
    versions: list[int] = []
    events: dict[UserId, list[Event]] = {}
    for state in newest:
        following[state.user] = version = following[state.user] + 1
        versions.append(version)
        events.setdefault(state.user, []).append(Event(version, state_event(state.type, state.value)))
    await transaction.put_states(newest, versions)
    return [Batch(user, "r", tuple(of_user)) for user, of_user in events.items()]
