"""Replays of dead letters: one at once, or all that fit a filter, in steps that are one transaction each.

A step stores how far the replay has come in the transaction that replays: killed at any moment it goes on there, and
nothing is lost or done twice. Letters that are made meanwhile are not in it, so it comes to an end.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aldis.domain.audit import Action
from aldis.domain.deliveries import ReplayState
from aldis.domain.errors import Rejected
from aldis.domain.ids import new_id, rfc3339
from aldis.domain.retry import RetryPolicies
from aldis.ports.clock import Clock
from aldis.ports.dead_letters import LetterFilter, Replay
from aldis.ports.store import Store, Transaction
from aldis.services.replay_letters import Replayed, replay_letters
from aldis.services.ring import Rings

BATCH = 200  # letters in one transaction
WINDOW = 2_000  # rows looked at for them, where two filters are given
COUNTED = 100_000  # letters counted beforehand: nobody waits for a million to be counted


async def request_replay(wanted: LetterFilter, *, actor: str, store: Store, clock: Clock) -> Replay:
    """Have all letters that fit replayed by the workers; it begins within a second or two."""
    now = clock.now_ms()
    matched = await store.count_letters(wanted, COUNTED)

    async def recipe(transaction: Transaction) -> Replay:
        until = await transaction.newest_letter()
        replay = Replay(new_id(now), wanted, ReplayState.RUNNING, "", until, matched, 0, 0, now, now)
        await transaction.put_replay(replay)
        details = {**told(wanted), "matched": matched}
        await transaction.put_audit(actor, Action.DEAD_LETTER_REPLAY, replay.id, details, now)
        return replay

    return await store.run(recipe)


async def replay_one(
    letter_id: str, *, actor: str, store: Store, ringer: Rings, clock: Clock, policies: RetryPolicies
) -> Replay:
    """Replay one letter now; the answer is a replay that is done. Raises `Rejected("not_found")`."""
    now = clock.now_ms()

    async def recipe(transaction: Transaction) -> tuple[Replay, Replayed]:
        letter = await transaction.letter(letter_id)
        if letter is None:
            raise Rejected("not_found", "there is no such dead letter", field="id")
        done = await replay_letters([letter], transaction, policies, now)
        replay = Replay(
            new_id(now), LetterFilter(letter.channel, letter.reason, letter.recipient), ReplayState.DONE,
            letter.id, letter.id, 1, done.replayed, 1 - done.replayed, now, now,
        )  # fmt: skip
        await transaction.put_replay(replay)
        details = {"replay": replay.id, "replayed": done.replayed, "skipped": replay.skipped}
        await transaction.put_audit(actor, Action.DEAD_LETTER_REPLAY, letter.id, details, now)
        return replay, done

    replay, done = await store.run(recipe)
    await ringer.ring(done.batches)
    return replay


async def find_replay(replay_id: str, *, store: Store) -> Replay:
    """How far it has come."""
    replay = await store.replay(replay_id)
    if replay is None:
        raise Rejected("not_found", "there is no such replay", field="id")
    return replay


async def replay_all(*, store: Store, ringer: Rings, clock: Clock, policies: Callable[[], RetryPolicies]) -> int:
    """Go on with the replays that were asked for, until all are done; answer in how many steps."""
    steps = 0
    while await replay_next(store=store, ringer=ringer, clock=clock, policies=policies()):
        steps += 1
    return steps


async def replay_next(*, store: Store, ringer: Rings, clock: Clock, policies: RetryPolicies) -> bool:
    """Take one step of the oldest replay; answer whether there was one."""
    now = clock.now_ms()

    async def recipe(transaction: Transaction) -> Replayed | None:
        replay = await transaction.next_replay()
        return await _step(replay, transaction, policies, now) if replay is not None else None

    done = await store.run(recipe)
    if done is None:
        return False
    await ringer.ring(done.batches)
    return True


async def _step(replay: Replay, transaction: Transaction, policies: RetryPolicies, now: int) -> Replayed:
    letters, looked = await transaction.letters_after(
        replay.wanted, replay.after, replay.until, limit=BATCH, window=WINDOW
    )
    done = await replay_letters(letters, transaction, policies, now)
    replayed, skipped = replay.replayed + done.replayed, replay.skipped + done.skipped
    further = replay._replace(
        after=looked or replay.until,
        matched=max(replay.matched, replayed + skipped),
        replayed=replayed,
        skipped=skipped,
    )
    await transaction.put_replay((further if looked is not None else _finished(further))._replace(updated_at=now))
    return done


def _finished(replay: Replay) -> Replay:
    """What was there at the beginning and is neither has been answered meanwhile: it counts as skipped."""
    return replay._replace(state=ReplayState.DONE, skipped=replay.matched - replay.replayed)


def told(wanted: LetterFilter) -> Mapping[str, Any]:
    """A filter as the audit log has it."""
    return {name: value for name, value in wanted._asdict().items() if value is not None}


def replay_view(replay: Replay) -> dict[str, Any]:
    """How far a replay has come, for programs."""
    wanted: dict[str, Any] = dict.fromkeys(LetterFilter._fields) | dict(told(replay.wanted))
    return {
        "id": replay.id,
        "state": replay.state.value,
        **wanted,
        "matched": replay.matched,
        "replayed": replay.replayed,
        "skipped": replay.skipped,
        "created_at": rfc3339(replay.created_at),
        "updated_at": rfc3339(replay.updated_at),
    }
