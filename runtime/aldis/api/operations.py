"""Running it: is it alive, may it have traffic, has it started, and what does it count.

`/readyz` fails only when the process has not started, can do nothing for anyone, or drains: a dependency's blip must
not take every gateway out of its service at once. Dependencies are told in the body, by when they last answered.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response

from aldis.api import schemas
from aldis.api.answers import json_answer
from aldis.api.dependencies import Api, Health
from aldis.telemetry.metrics import CONTENT_TYPE

router = APIRouter(tags=["operations"])

METRICS: dict[str, Any] = {
    "description": "The numbers.",
    "content": {"text/plain": {"schema": {"type": "string"}, "example": "aldis_connections 2.0\n"}},
}


@router.get("/livez", summary="Alive?", response_model=schemas.ProbeAnswer)
async def livez(api: Api) -> Response:
    """200 as long as the event loop turns."""
    return json_answer({"status": "alive"}, api.encoder)


@router.get(
    "/startupz",
    summary="Started?",
    response_model=schemas.ProbeAnswer,
    responses={503: {"model": schemas.ProbeAnswer, "description": "It is starting."}},
)
async def startupz(api: Api) -> Response:
    """200 once it has begun to serve."""
    started = api.health.started
    return json_answer({"status": "started" if started else "starting"}, api.encoder, status=200 if started else 503)


@router.get(
    "/readyz",
    summary="Ready?",
    response_model=schemas.ReadinessAnswer,
    responses={503: {"model": schemas.ReadinessAnswer, "description": "It has not started, drains, or is unusable."}},
)
async def readyz(api: Api) -> Response:
    """200 when it may have traffic."""
    reason = why_unready(api.health)
    answer = {"status": reason or "ready", "dependencies": dependencies_answer(api.health.check())}
    return json_answer(answer, api.encoder, status=200 if reason is None else 503)


def why_unready(health: Health) -> str | None:
    """The one word for why there should be no traffic, None when there should."""
    if not health.started:
        return "starting"
    if health.draining:
        return "draining"
    return None if health.usable else "unusable"


def dependencies_answer(ages: Mapping[str, float | None]) -> dict[str, Any]:
    """How long ago each dependency last answered well; null when it never has."""
    return {
        name: {"seconds_since_success": round(age, 3) if age is not None else None}
        for name, age in sorted(ages.items())
    }


@router.get("/metrics", summary="Metrics", response_class=Response, responses={200: METRICS})
async def metrics(api: Api) -> Response:
    """The numbers, in the Prometheus text format."""
    return Response(api.metrics.render(), headers={"content-type": CONTENT_TYPE})
