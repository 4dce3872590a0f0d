"""What the command line tells running gateways, which would find it out by themselves some seconds later."""

from aldis.adapters.redis.backplane import open_redis_backplane
from aldis.adapters.redis.link import open_redis
from aldis.ports.backplane import ChannelsChanged
from aldis.settings import InvalidSettings, Settings
from aldis.telemetry.metrics import Metrics


async def tell_of_channels(settings: Settings) -> None:
    """Have gateways look at the channels, where they can be rung. Raises `InvalidSettings` for a URL that is none."""
    if settings.redis_url is None:
        return
    metrics = Metrics()
    try:
        async with (
            open_redis(settings.redis_url.get_secret_value(), metrics=metrics) as link,
            open_redis_backplane(link, metrics=metrics) as backplane,
        ):
            await backplane.ring_all([ChannelsChanged()])
            await backplane.settle()
    except ValueError as error:
        raise InvalidSettings(f"ALDIS_REDIS_URL: {error}") from error
