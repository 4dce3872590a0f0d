"""Scheduling sends: what can be checked is checked, the keys are taken, and a row waits for its time.

One transaction for a group of them. A repeat gets the first one's id, whatever has become of it since; what is refused
takes no key. The messages themselves are made when it is due (`services/send_scheduled.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from aldis.domain.channels import ChatPolicies
from aldis.domain.errors import AldisError, Rejected, Unavailable
from aldis.domain.ids import MessageId
from aldis.domain.messages import SendMessage, request_keys
from aldis.domain.scheduling import ScheduledId, ScheduledState, new_scheduled_id, refuse_time
from aldis.ports.scheduling import ScheduledSend
from aldis.ports.store import KeyClaim, KeyHolder, Store, Transaction
from aldis.services.compose import Draft
from aldis.services.store_group import CLIENT_KEY_MS, REQUEST_KEY_MS, check_sends


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSend:
    """A draft with a `send_at`, of the backend whose scope is `owner`, and the messages that it would be now."""

    owner: str
    draft: Draft
    commands: Sequence[SendMessage]

    @property
    def send_at(self) -> int:
        """Unix milliseconds."""
        assert self.draft.send_at is not None, "only such drafts are scheduled"
        return self.draft.send_at

    @property
    def keys(self) -> list[tuple[str, str]]:
        """The keys that it is known by: those that it would have if it were sent now."""
        return request_keys(self.commands[0].sender, self.draft.client_id, self.draft.request_key)


class Scheduled(NamedTuple):
    """The answer: it waits, or `duplicate`: an earlier one had the same key."""

    id: ScheduledId
    duplicate: bool = False


@dataclass(slots=True)
class _Group:
    """A group on its way: by index the ids they will have, the answers as they become known, and repeats of others."""

    sends: Sequence[ScheduleSend]
    ids: Sequence[ScheduledId]
    answers: dict[int, Scheduled | AldisError] = field(default_factory=dict)
    repeats: dict[int, int] = field(default_factory=dict)
    rivals: dict[int, int] = field(default_factory=dict)  # those with another body under the key of an earlier one

    def open(self) -> list[tuple[int, ScheduleSend]]:
        """Those not yet answered, no repeats and no rivals."""
        others = self.answers.keys() | self.repeats.keys() | self.rivals.keys()
        return [(index, send) for index, send in enumerate(self.sends) if index not in others]

    def finish(self) -> list[Scheduled | AldisError]:
        """All answers in order; a rival gets what the first one's leaves for it."""
        for rival, first in self.rivals.items():
            self.answers.setdefault(rival, _beside(self.answers[first]))
        for repeat, first in self.repeats.items():
            answer = self.answers[first]
            self.answers[repeat] = answer._replace(duplicate=True) if isinstance(answer, Scheduled) else answer
        return [self.answers[index] for index in range(len(self.sends))]


async def schedule_sends(
    sends: Sequence[ScheduleSend],
    *,
    store: Store,
    now_ms: int,
    created_ms: int | None = None,
    policies: ChatPolicies = MappingProxyType({}),
) -> list[Scheduled | AldisError]:
    """Schedule a group; one answer for each, in order. Of those due together, the lower `created_ms` comes first."""
    ids = [new_scheduled_id(send.send_at, place) for place, send in enumerate(sends)]
    group = _Group(sends, ids)
    _collapse(group)

    async def recipe(transaction: Transaction) -> None:
        await _claim(group, transaction, now_ms)
        await _check(group, transaction, policies, now_ms)
        at = created_ms if created_ms is not None else now_ms
        await transaction.put_scheduled([_row(send, ids[index], at) for index, send in group.open()])
        group.answers |= {index: Scheduled(ids[index]) for index, _ in group.open()}

    await store.run(recipe)
    return group.finish()


def encode_draft(draft: Draft) -> str:
    """The draft as it is kept: without what was only for the request that brought it."""
    return msgspec.json.encode(replace(draft, request_key=None, fingerprint=None, send_at=None)).decode()


class ShownDraft(msgspec.Struct):
    """What a backend is told of a draft: all but its content, which is not even decoded."""

    to_user: str | None = None
    to_users: list[str] | None = None
    to_conversation: str | None = None
    to_channel: str | None = None
    channel: str | None = None
    from_user: str | None = None
    client_id: str | None = None


def show_draft(text: str) -> ShownDraft:
    """The draft that was kept, as far as it is told."""
    return _decode_shown(text)


def decode_draft(text: str) -> Draft:
    """The draft that was kept; raises `msgspec.ValidationError` for what is none."""
    return _decode_draft(text)


_decode_shown = msgspec.json.Decoder(ShownDraft).decode
_decode_draft = msgspec.json.Decoder(Draft).decode


def _row(send: ScheduleSend, identifier: ScheduledId, created_ms: int) -> ScheduledSend:
    draft = encode_draft(send.draft)
    return ScheduledSend(identifier, send.owner, send.send_at, draft, ScheduledState.WAITING, None, created_ms)


def _collapse(group: _Group) -> None:
    """Mark the repeats inside the group, and those with another body: what is stored says which of them is wrong."""
    first: dict[tuple[str, str], int] = {}
    for index, send in enumerate(group.sends):
        holders = [first[key] for key in send.keys if key in first]
        others = [holder for holder in holders if _differs(send.draft, group.sends[holder].draft)]
        if not holders:
            first.update(dict.fromkeys(send.keys, index))
        elif others:
            group.rivals[index] = others[-1]
        else:
            group.repeats[index] = holders[-1]


def _differs(draft: Draft, earlier: Draft) -> bool:
    same_key = draft.request_key is not None and draft.request_key == earlier.request_key
    return same_key and draft.fingerprint != earlier.fingerprint


def _beside(first: Scheduled | AldisError) -> AldisError:
    """The answer to another body under the key of `first`, if the key did not stand for anything before."""
    if isinstance(first, Scheduled) and not first.duplicate:
        return _mismatch()
    return Unavailable("another request with this Idempotency-Key was just answered: send this one again")


def _mismatch() -> Rejected:
    return Rejected("idempotency_mismatch", "this Idempotency-Key was used with another body", field="Idempotency-Key")


async def _claim(group: _Group, transaction: Transaction, now_ms: int) -> None:
    """Take the keys; answer those whose key is held with what it stands for."""
    claims = [
        _claim_of(send, scope, key, group.ids[index], now_ms)
        for index, send in group.open()
        for scope, key in send.keys
    ]
    held = await transaction.claim_keys(claims)
    if not held:
        return
    sent = await transaction.messages(sorted({holder.message_id for holder in held.values()}))
    unused: list[tuple[str, str]] = []
    for index, send in group.open():
        holders = [held[key] for key in send.keys if key in held]
        if holders:
            group.answers[index] = _repeat_of(send.draft, holders[-1], is_message=holders[-1].message_id in sent)
            unused += [key for key in send.keys if key not in held]
    for index in group.rivals:
        send = group.sends[index]
        holder = held.get(send.keys[-1])  # the request key, about which they differ
        if holder is not None:
            group.answers[index] = _repeat_of(send.draft, holder, is_message=holder.message_id in sent)
    await transaction.release_keys(unused)


def _claim_of(send: ScheduleSend, scope: str, key: str, identifier: ScheduledId, now_ms: int) -> KeyClaim:
    """A key that is remembered for as long as that of a message that is sent when this one is due."""
    is_request = key.startswith("h:")
    expires_at = max(send.send_at, now_ms) + (REQUEST_KEY_MS if is_request else CLIENT_KEY_MS)
    return KeyClaim(scope, key, MessageId(identifier), send.draft.fingerprint if is_request else None, expires_at)


def _repeat_of(draft: Draft, holder: KeyHolder, *, is_message: bool) -> Scheduled | Rejected:
    if holder.fingerprint is not None and holder.fingerprint != draft.fingerprint:
        return _mismatch()
    if is_message:
        words = f"this client_id was given to a message that has been sent: {holder.message_id}"
        return Rejected("conflict", words, field="client_id")
    return Scheduled(ScheduledId(holder.message_id), duplicate=True)


async def _check(group: _Group, transaction: Transaction, policies: ChatPolicies, now_ms: int) -> None:
    """Refuse what could not be sent now, or never at its time. After the claims: a repeat is answered as it was."""
    fresh = group.open()
    commands = [replace(c, client_id=None, request_key=None) for _, send in fresh for c in send.commands]
    refusals = iter(await check_sends(commands, transaction, policies))
    unused: list[tuple[str, str]] = []
    for index, send in fresh:
        own = [next(refusals) for _ in send.commands]
        refused = own[0] if all(own) else None  # of several recipients, one who can be reached is enough
        refusal = refuse_time(send.send_at, now_ms) or refused
        if refusal is not None:
            group.answers[index] = refusal
            unused += send.keys
    await transaction.release_keys(unused)
