"""`/v1/subscriptions`: the broadcast channels that a user hears."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from aldis.api import answers, schemas
from aldis.api.auth import CallingUser
from aldis.api.dependencies import Api
from aldis.api.problems import raises
from aldis.domain.ids import rfc3339
from aldis.ports.broadcasts import Interval

router = APIRouter(tags=["subscriptions"])

ChannelPath = Annotated[schemas.Name, Path()]


@router.get("/v1/subscriptions", summary="List my subscriptions", response_model=schemas.SubscriptionsAnswer)
async def list_subscriptions(caller: CallingUser, api: Api) -> Response:
    """The channels that I hear, by name; also those that everyone hears."""
    items = [to_answer(interval) for interval in await api.subscriptions.list(caller.user)]
    return answers.json_answer({"items": items, "next": None}, api.encoder)


@router.get(
    "/v1/subscriptions/{channel}",
    summary="Get a subscription",
    response_model=schemas.SubscriptionAnswer,
    openapi_extra=raises("not_found"),
)
async def get_subscription(channel: ChannelPath, caller: CallingUser, api: Api) -> Response:
    """Whether I hear a channel, and since when; 404 when I do not."""
    return answers.json_answer(to_answer(await api.subscriptions.find(caller.user, channel)), api.encoder)


@router.put(
    "/v1/subscriptions/{channel}",
    status_code=204,
    summary="Subscribe to a channel",
    response_class=Response,
    openapi_extra=raises("unknown_channel"),
)
async def subscribe(channel: ChannelPath, caller: CallingUser, api: Api) -> Response:
    """Hear a broadcast channel from now on; again changes nothing."""
    await api.subscriptions.subscribe(caller.user, channel)
    return Response(status_code=204)


@router.delete(
    "/v1/subscriptions/{channel}",
    status_code=204,
    summary="Unsubscribe from a channel",
    response_class=Response,
    openapi_extra=raises("conflict", "unknown_channel"),
)
async def unsubscribe(channel: ChannelPath, caller: CallingUser, api: Api) -> Response:
    """Hear it no more. What was sent before still reaches devices that were away."""
    await api.subscriptions.unsubscribe(caller.user, channel)
    return Response(status_code=204)


def to_answer(interval: Interval) -> dict[str, str]:
    """A subscription as its user sees it."""
    return {"channel": interval.channel, "subscribed_at": rfc3339(interval.at)}
