"""A limiter whose buckets are shared with other processes: it takes blocks of tokens from a bank, in the background.

It never waits, so it decides by what it has: each key has a balance of leased tokens, and a lease is asked for before
the balance is used up. Until its answer is there the balance may be overdrawn by one burst; once the bank has said that
it has nothing left, it may not. What is overdrawn is paid back out of later leases and never forgotten, so in the long
run all processes together keep to one rate. Whatever the bank says, this process alone
keeps to the rate too; while the bank does not answer that is the only limit.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from aldis.domain.errors import Unavailable
from aldis.ports.clock import Clock
from aldis.ports.limiter import Limiter, Rate
from aldis.ports.token_bank import Lease, TokenBank
from aldis.telemetry.tasks import spawn

LEASE_SECONDS = 1.0  # within which a bank has to answer
AWAY_MS = 1_000  # after which a bank that did not answer is asked again
ROUND_TRIP_MS = 20  # what a caller is told to wait for a lease that is under way
BLOCKS = 4  # in a burst: small enough to leave some for the other processes
SWEEP_KEYS = 2  # looked at for each new key, so that idle ones leave faster than new ones come

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Account:
    """What this process holds of one key's bucket."""

    rate: Rate
    balance: int = 0  # tokens leased and not used; below 0 they were used and are still to be leased
    asking: bool = False
    is_dry: bool = False  # the bank had less than was asked for, last time
    ask_at: int = 0  # Unix ms; earlier the bank has nothing
    used_at: int = 0


class LeasingLimiter:
    """One bucket a key, shared by all who use the same bank. `local` limits this process alone."""

    def __init__(self, *, bank: TokenBank, local: Limiter, clock: Clock, lease_seconds: float = LEASE_SECONDS) -> None:
        self._lease_seconds = lease_seconds
        self._bank = bank
        self._local = local
        self._clock = clock
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._away_until = 0  # Unix ms; the bank did not answer

    def take(self, key: str, rate: Rate, cost: int = 1) -> int:
        """Take `cost` tokens: 0 when they were there, else the wait in ms; ValueError for more than `burst` at once."""
        now = self._clock.now_ms()
        account = self._account(key, rate, now)
        is_covered = account.balance - cost >= -self._credit_of(account, cost, now) or now < self._away_until
        is_here = self._local.remaining(key, rate) >= cost
        wait = self._wait(account, now) if is_here and not is_covered else self._local.take(key, rate, cost)
        if wait == 0:
            account.balance = max(account.balance - cost, -rate.burst)  # beyond it only while the bank is away
            account.used_at = now
        if account.balance < self._block(rate):
            self._ask(key, account, now)
        return wait

    def remaining(self, key: str, rate: Rate) -> int:
        """How many tokens could be taken now."""
        local = self._local.remaining(key, rate)
        account = self._accounts.get(key)
        if account is None or self._clock.now_ms() < self._away_until:
            return local
        credit = self._credit_of(account, 1, self._clock.now_ms())
        return min(local, max(0, account.balance + credit))

    def __len__(self) -> int:
        """How many keys it remembers."""
        return len(self._accounts)

    def _account(self, key: str, rate: Rate, now: int) -> Account:
        account = self._accounts.get(key)
        if account is None:
            self._sweep(now)
            account = self._accounts[key] = Account(rate, used_at=now)
        account.rate = rate
        return account

    @staticmethod
    def _credit_of(account: Account, cost: int, now: int) -> int:
        """By how much the balance may be overdrawn: once the bank ran dry, only for what it said would be there now."""
        if not account.is_dry:
            return account.rate.burst
        return cost if now >= account.ask_at else 0

    def _wait(self, account: Account, now: int) -> int:
        return max(ROUND_TRIP_MS if account.asking else 1, account.ask_at - now)

    @staticmethod
    def _block(rate: Rate) -> int:
        return -(-rate.burst // BLOCKS)

    def _ask(self, key: str, account: Account, now: int) -> None:
        """Lease what is owed and a block more, unless that is under way or known to bring nothing yet."""
        if account.asking or now < max(account.ask_at, self._away_until):
            return
        account.asking = True
        _ = spawn(self._lease(key, account), "token-lease")

    async def _lease(self, key: str, account: Account) -> None:
        rate = account.rate
        wanted = min(self._block(rate) - min(account.balance, 0), 2 * rate.burst)
        try:
            async with asyncio.timeout(self._lease_seconds):
                lease = await self._bank.lease(key, rate, wanted)
        except (Unavailable, TimeoutError):
            self._miss(account)
        else:
            self._credit(account, lease)

    def _credit(self, account: Account, lease: Lease) -> None:
        account.asking = False
        account.balance += lease.granted
        account.is_dry = lease.wait_ms > 0
        account.ask_at = self._clock.now_ms() + lease.wait_ms

    def _miss(self, account: Account) -> None:
        account.asking = False
        now = self._clock.now_ms()
        if now >= self._away_until:
            log.warning("token_bank_unavailable", again_in_ms=AWAY_MS)
        self._away_until = now + AWAY_MS

    def _sweep(self, now: int) -> None:
        """Look at the next few keys in turn: forget idle ones that owe nothing, have the others pay."""
        for _ in range(min(SWEEP_KEYS, len(self._accounts))):
            key, account = self._accounts.popitem(last=False)
            is_idle = (now - account.used_at) * account.rate.per_second >= account.rate.burst * 1000
            if is_idle and account.balance >= 0 and not account.asking:
                continue
            self._accounts[key] = account
            if is_idle and account.balance < 0:
                self._ask(key, account, now)
