"""Connect a device: decide where its reading starts and remember it, many connections in one transaction.

A known device that comes back unchanged writes nothing: five thousand phones after a network fault cost reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aldis.domain.cursors import Cursor
from aldis.domain.devices import MAX_DEVICES, Attachment, Device, attach
from aldis.domain.errors import AldisError, Rejected
from aldis.domain.ids import DeviceId, UserId
from aldis.ports.clock import Clock
from aldis.ports.store import Store, Transaction, positions
from aldis.services.audience import join_everyone
from aldis.services.grouping import Done, Grouper
from aldis.services.retry_contention import retry_contention
from aldis.telemetry.metrics import Metrics

GROUP = 200
WAITING = 20_000


@dataclass(frozen=True, slots=True)
class ConnectDevice:
    """A connection wants to read; `device` is None for a reader without a name, who moves nothing."""

    user: UserId
    device: DeviceId | None
    platform: str
    cursor: Cursor | None


class Connector:
    """Attaches devices; one instance a process."""

    def __init__(self, *, store: Store, clock: Clock, metrics: Metrics, max_devices: int = MAX_DEVICES) -> None:
        self._store = store
        self._clock = clock
        self._max_devices = max_devices
        self._grouper: Grouper[ConnectDevice, Attachment] = Grouper(
            self._attach, name="connect", most=GROUP, bound=WAITING, metrics=metrics
        )

    async def connect(self, command: ConnectDevice) -> Attachment:
        """Where this connection starts. Raises `Rejected("device_limit")` for one device too many."""
        return await self._grouper.ask(command)

    def connect_nowait(self, command: ConnectDevice, done: Done[Attachment]) -> None:
        """The same with a callback."""
        self._grouper.submit(command, done)

    async def _attach(self, group: Sequence[ConnectDevice]) -> list[Attachment | AldisError]:
        async def recipe(transaction: Transaction) -> list[Attachment | AldisError]:
            answers: list[Attachment | AldisError] = []
            users = sorted({command.user for command in group})
            await join_everyone(users, transaction, self._clock.now_ms())
            heads = await transaction.heads(users)
            broadcasts = await transaction.broadcast_heads()
            floors = await transaction.broadcast_floors(users) if any(h.floor for h in broadcasts.values()) else {}
            keys = sorted({(command.user, command.device) for command in group if command.device is not None})
            known = await transaction.devices(keys)
            new = sorted({user for user, device in keys if (user, device) not in known})
            counts = await transaction.device_counts(new) if new else {}
            changed: dict[tuple[UserId, DeviceId], Device] = {}
            for command in group:
                head, floor = positions(heads, command.user, broadcasts, floors.get(command.user, {}))
                device = known.get((command.user, command.device)) if command.device is not None else None
                owned = counts.get(command.user, 0)
                if command.device is not None and device is None and owned >= self._max_devices:
                    answers.append(
                        Rejected("device_limit", f"a user has at most {self._max_devices} devices", field="device.id")
                    )
                    continue
                attachment = attach(
                    epoch=self._store.epoch,
                    head=head,
                    floor=floor,
                    device=device,
                    is_first_device=command.device is not None and owned == 0,
                    cursor=command.cursor,
                )
                answers.append(attachment)
                if command.device is not None and attachment.restart:
                    fresh = _restarted(command.user, command.device, command.platform, attachment)
                    if device is None:
                        counts[command.user] = owned + 1
                    known[command.user, command.device] = changed[command.user, command.device] = fresh
            await transaction.put_devices(list(changed.values()), self._clock.now_ms())
            return answers

        return await retry_contention(lambda: self._store.run(recipe), clock=self._clock)


def _restarted(user: UserId, device: DeviceId, platform: str, attachment: Attachment) -> Device:
    return Device(user=user, id=device, platform=platform, start=attachment.start, acked=attachment.start)
