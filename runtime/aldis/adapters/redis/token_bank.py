"""The token bank in Redis: GCRA in one script, by Redis's own clock, so that no process's clock counts.

A key holds one number: the time at which its bucket will be full again. Times are whole microseconds and the time a
token takes is rounded up, so the promised bound holds exactly. All leases that are asked for while a round trip is
under way share the next one.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from aldis.adapters.redis.gathering import Gatherer
from aldis.adapters.redis.link import Command, RedisLink
from aldis.ports.clock import Clock
from aldis.ports.limiter import Rate
from aldis.ports.token_bank import Lease

US_PER_SECOND = 1_000_000
US_PER_MS = 1_000
GATHERED = 200  # leases in one script, which holds Redis up for about a millisecond
WAITING = 20_000
DRIVEN_MS = 3_600_000  # Redis forgets by its own clock; where another one counts, it must not do so too early

LEASE = """
local now, answers = tonumber(ARGV[1]), {}
if now < 0 then
  local clock = redis.call('TIME')
  now = clock[1] * 1000000 + clock[2]
end
for i, key in ipairs(KEYS) do
  local token, burst, wanted = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2])
  local room = now + burst * token
  local full_at = math.min(math.max(tonumber(redis.call('GET', key) or now), now), room)
  local granted = math.min(wanted, math.floor((room - full_at) / token))
  if granted > 0 then
    full_at = full_at + granted * token
    local ms = math.max(math.ceil((full_at - now) / 1000), tonumber(ARGV[2]))
    redis.call('SET', key, string.format('%.0f', full_at), 'PX', ms)
  end
  answers[2 * i - 1] = granted
  answers[2 * i] = granted < wanted and token - (room - full_at) % token or 0
end
return answers
"""
"""KEYS buckets; ARGV: now in microseconds or -1, the least ms to keep a bucket, then for each the microseconds of a
token, the burst, the tokens wanted.

Answers for each the tokens granted and, if those were fewer, the microseconds until there is another.
"""


class _Wanted(NamedTuple):
    key: str
    token_us: int
    burst: int
    tokens: int


class RedisTokenBank:
    """Buckets by key. A `clock` counts in place of Redis's; with one, tests drive the time."""

    def __init__(self, link: RedisLink, *, clock: Clock | None = None) -> None:
        self._link = link
        self._clock = clock
        self._leases: Gatherer[_Wanted, Lease] = Gatherer(self._lease, name="lease", most=GATHERED, bound=WAITING)

    async def lease(self, key: str, rate: Rate, tokens: int) -> Lease:
        """Take what is there, up to `tokens`."""
        name = self._link.keyspace.spread("bucket", key)
        return await self._leases.ask(_Wanted(name, _token_us(rate.per_second), rate.burst, tokens))

    async def _lease(self, group: Sequence[_Wanted]) -> list[Lease]:
        places: dict[str, list[int]] = {}
        for place, wanted in enumerate(group):
            places.setdefault(wanted.key, []).append(place)
        parts = [
            [place for key in keys for place in places[key]]
            for keys in self._link.keyspace.together(list(places), GATHERED)
        ]
        replies = await self._link.run([self._command([group[place] for place in part]) for part in parts])
        leases: dict[int, Lease] = {}
        for part, reply in zip(parts, replies, strict=True):
            for place, granted, wait_us in zip(part, reply[::2], reply[1::2], strict=True):
                leases[place] = Lease(granted, -(-wait_us // US_PER_MS))
        return [leases[place] for place in range(len(group))]

    def _command(self, group: Sequence[_Wanted]) -> Command:
        now, least_ms = (-1, 1) if self._clock is None else (self._clock.now_ms() * US_PER_MS, DRIVEN_MS)
        keys = [wanted.key for wanted in group]
        numbers = [number for wanted in group for number in wanted[1:]]
        return ("EVAL", LEASE, len(keys), *keys, now, least_ms, *numbers)


@lru_cache(maxsize=1024)  # there are as many rates as the policy names
def _token_us(per_second: float) -> int:
    """The microseconds in which one token grows, rounded up."""
    return math.ceil(US_PER_SECOND / Fraction(per_second))
