"""`POST /v1/messages:batch`: many sends in order, each with an answer of its own.

Each message passes what a single send passes, in the same order; one that is refused takes nothing from the others.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response

from aldis.api import answers, schemas
from aldis.api.auth import AnyCaller
from aldis.api.batch_items import in_place, parse_batch
from aldis.api.dependencies import BATCH_PATH, Api, ApiDependencies
from aldis.api.errors import as_told_to, to_json
from aldis.api.headers import tells
from aldis.api.limits import bucket_of, take_channel_in_turn, take_in_turn
from aldis.api.messages import SEND_CODES, check_any_stored, owner_of, to_answer
from aldis.api.problems import OF_BODIES, raises
from aldis.domain.callers import BackendCaller, Caller
from aldis.domain.errors import CODES, Rejected, Unavailable
from aldis.domain.messages import SendMessage
from aldis.services.compose import Draft, compose
from aldis.services.schedule_sends import Scheduled, ScheduleSend

router = APIRouter(tags=["messages"])

TURN = 100  # messages that are composed before others get a turn on the event loop: a millisecond or two


def _body_schema() -> dict[str, Any]:
    """What OpenAPI says of the body, which FastAPI does not read; a message's parts are described there already."""
    schema = schemas.BatchBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schema["properties"]["messages"]["items"] = schema.pop("$defs")["BatchItem"]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.post(
    BATCH_PATH,
    summary="Send many messages",
    response_model=schemas.BatchAnswer,
    openapi_extra=_body_schema()
    | raises(*OF_BODIES, *SEND_CODES)
    | tells("Idempotent-Replayed", "RateLimit", "RateLimit-Policy"),
)
async def send_batch(
    caller: AnyCaller,
    api: Api,
    request: Request,
    idempotency_key: Annotated[schemas.RequestKey | None, Header()] = None,
) -> Response:
    """Send up to 1,000 messages in order. Each has the answer that it would have had alone, with its status."""
    async with api.bodies.read(bucket_of(caller, api)[0], request.stream()) as body:
        batch = _Batch(caller, api, request)
        for draft in parse_batch(body, request_key=idempotency_key, limits=api.limits):
            batch.add(draft)
        await batch.run()
    headers = dict(request.state.rate_limit_headers)
    if idempotency_key is not None and batch.is_replay:
        headers["Idempotent-Replayed"] = "true"
    return answers.json_answer({"results": batch.results}, api.encoder, headers=headers)


@dataclass(slots=True)
class _Place:
    """A message on its way: what it asks for, and what is to be stored for it."""

    index: int
    draft: Draft
    commands: Sequence[SendMessage] = ()

    @property
    def cost(self) -> int:
        """Its tokens: one for each recipient."""
        return len(self.draft.to_users) if self.draft.to_users is not None else 1


@dataclass(slots=True)
class _Batch:
    """The messages of a call. `open` are those that nothing has refused yet; each result is in its place."""

    caller: Caller
    api: ApiDependencies
    request: Request
    results: list[dict[str, Any] | None] = field(default_factory=list)
    open: list[_Place] = field(default_factory=list)

    @property
    def is_replay(self) -> bool:
        """Whether all of it was stored, or scheduled, by an earlier call."""
        told = [one for result in self.results for one in (result or {}).get("messages", [result])]
        return all(one is not None and one.get("duplicate") for one in told)

    def add(self, draft: Draft | Rejected) -> None:
        """Take the next message, or the reason why it cannot be read."""
        index = len(self.results)
        self.results.append(None)
        if isinstance(draft, Draft):
            self.open.append(_Place(index, draft))
        else:
            self._refuse(index, draft)

    async def run(self) -> None:
        """Check, store and answer all of them."""
        self._keep(self._check_recipients([place.cost for place in self.open]))
        costs = [place.cost for place in self.open]
        self._keep(take_in_turn(self.request, self.caller, costs, self.api))
        await self._limit_channels()
        await self._compose()
        await self._send([place for place in self.open if place.draft.send_at is None])
        await self._schedule([place for place in self.open if place.draft.send_at is not None])

    def _refuse(self, index: int, error: Rejected | Unavailable) -> None:
        told = in_place(as_told_to(self.caller, error), index)
        self.results[index] = {"index": index, "status": CODES[told.code].status, "error": to_json(told)}
        self.api.metrics.rejected.labels(code=told.code).inc()

    def _keep(self, refusals: Iterable[Rejected | Unavailable | None]) -> None:
        """Answer those of the open messages that have a refusal."""
        kept: list[_Place] = []
        for place, refusal in zip(self.open, refusals, strict=True):
            if refusal is None:
                kept.append(place)
            else:
                self._refuse(place.index, refusal)
        self.open = kept

    def _check_recipients(self, costs: Sequence[int]) -> Iterable[Rejected | None]:
        most = self.api.limits.batch_recipients
        refusal = Rejected("too_large", f"a batch goes to at most {most} recipients in all", field="to.users")
        return [refusal if total > most else None for total in accumulate(costs)]

    async def _limit_channels(self) -> None:
        """Take from the limits of the channels that backends send into; each channel's messages keep their order."""
        if not isinstance(self.caller, BackendCaller):
            return
        into: dict[str, list[_Place]] = {}
        for place in self.open:
            name = place.draft.to_channel or place.draft.channel
            if name is not None:
                into.setdefault(name, []).append(place)
        refused: dict[int, Rejected] = {}
        for name, places in into.items():
            refusals = await take_channel_in_turn(name, [place.cost for place in places], self.api)
            refused |= {place.index: r for place, r in zip(places, refusals, strict=True) if r is not None}
        if refused:
            self._keep(refused.get(place.index) for place in self.open)

    async def _compose(self) -> None:
        refusals: list[Rejected | Unavailable | None] = []
        now_ms = self.api.clock.now_ms()
        for number, place in enumerate(self.open, start=1):
            try:
                place.commands = await compose(place.draft, self.caller, store_channel=self.api.channel, now_ms=now_ms)
                refusals.append(None)
            except (Rejected, Unavailable) as error:
                refusals.append(error)
            if number % TURN == 0:
                await asyncio.sleep(0)
        self._keep(refusals)

    async def _send(self, places: Sequence[_Place]) -> None:
        outcomes = iter(await self.api.bulk.send([command for place in places for command in place.commands]))
        for place in places:
            own = [next(outcomes) for _ in place.commands]
            try:
                check_any_stored(own)
            except (Rejected, Unavailable) as error:
                self._refuse(place.index, error)
                continue
            answer = to_answer(place.commands, own, is_several=place.draft.to_users is not None)
            self.results[place.index] = {"index": place.index, "status": 201, **answer}

    async def _schedule(self, places: Sequence[_Place]) -> None:
        if not places:
            return
        owner = owner_of(self.caller)
        sends = [ScheduleSend(owner=owner, draft=place.draft, commands=place.commands) for place in places]
        for place, answer in zip(places, await self.api.schedules.schedule(sends), strict=True):
            if isinstance(answer, Scheduled):
                receipt = await answers.scheduled_receipt(answer, owner, store=self.api.store)
                self.results[place.index] = {"index": place.index, "status": 202, **receipt}
            else:
                self._refuse(place.index, answer)
