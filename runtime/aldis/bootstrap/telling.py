"""What the command line tells running gateways, which would find it out by themselves some seconds later."""

from contextlib import AsyncExitStack

from aldis.adapters.redis.backplane import open_redis_backplane
from aldis.bootstrap.ports import enter_redis
from aldis.ports.backplane import ChannelsChanged
from aldis.settings import Settings
from aldis.telemetry.metrics import Metrics


async def tell_of_channels(settings: Settings) -> None:
    """Have gateways look at the channels, where they can be rung. Raises `InvalidSettings` for a URL that is none."""
    if settings.redis_url is None:
        return
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        link = await enter_redis(stack, settings.redis_url.get_secret_value(), metrics)
        backplane = await stack.enter_async_context(open_redis_backplane(link, metrics=metrics))
        await backplane.ring_all([ChannelsChanged()])
        await backplane.settle()
