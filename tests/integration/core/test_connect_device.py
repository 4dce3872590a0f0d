"""Connecting: where a device's reading starts, what is remembered of it, and when it must reload."""

import pytest

from aldis.domain.cursors import Cursor, Positions
from aldis.domain.devices import MAX_DEVICES
from aldis.domain.errors import Rejected
from aldis.domain.ids import DeviceId, MessageId, first_id_at
from aldis.domain.streams import Priority
from aldis.services.connect_device import ConnectDevice
from integration.core.commands import ALICE, BOB, chat, notification
from integration.core.faulty_store import FaultyStore
from integration.core.running_core import Core, open_core


def cursor(core: Core, **positions: int) -> Cursor:
    return Cursor(core.store.epoch, Positions(**positions))


def command(device: str) -> ConnectDevice:
    return ConnectDevice(BOB, DeviceId(device), "web", None)


async def acked(core: Core, device: str = "phone") -> Positions | None:
    found = await core.store.device(BOB, DeviceId(device))
    return found.acked if found is not None else None


async def trim_all(core: Core) -> None:
    async with core.store.begin() as transaction:
        await transaction.trim(MessageId(first_id_at(core.clock.now_ms() * 2)), 1000)


async def test_the_first_device_ever_starts_at_the_oldest(core: Core) -> None:
    """Somebody who installs the application gets all that is retained."""
    await core.store_all(chat("1"), chat("2", priority=Priority.HIGH))

    attachment = await core.connect(BOB, "phone")

    assert (attachment.start, attachment.recovered) == (Positions(), True)
    assert await acked(core) == Positions()


async def test_the_first_device_starts_above_what_was_trimmed(core: Core) -> None:
    """The oldest retained event is where it begins, not the oldest ever."""
    await core.store_all(chat("1"), chat("2"))
    await trim_all(core)
    await core.store_all(chat("3"))

    attachment = await core.connect(BOB, "phone")

    assert attachment.start == Positions(s=2)
    assert await core.texts(BOB, "s", attachment.start.s) == ["3"]


async def test_a_second_device_starts_at_the_heads(core: Core) -> None:
    """A new tablet is not flooded with what the phone has had."""
    await core.connect(BOB, "phone")
    await core.store_all(chat("1"), chat("2"), chat("3", priority=Priority.HIGH))
    await core.read(ALICE, chat().conversation_id, 1)

    attachment = await core.connect(BOB, "tablet")

    assert attachment.start == Positions(e=1, s=2, r=(await core.head(BOB, "r")).seq)
    assert await acked(core, "tablet") == attachment.start


async def test_two_devices_connecting_at_once_are_a_first_and_a_second(core: Core) -> None:
    """Also in one group only one of them is the first ever."""
    await core.store_all(chat("1"))
    starts: list[object] = []
    for name in ("phone", "tablet", "phone"):
        core.connector.connect_nowait(command(name), starts.append)
    await core.connector.connect(command("watch"))

    assert [getattr(start, "start", start) for start in starts] == [Positions(), Positions(s=1), Positions()]


async def test_a_known_device_goes_on_from_what_it_acknowledged(core: Core) -> None:
    """Without a cursor all that it did not confirm comes again."""
    await core.connect(BOB, "phone")
    await core.store_all(*(chat(str(n)) for n in range(4)))
    await core.ack(BOB, "phone", {"s": 3})

    attachment = await core.connect(BOB, "phone")

    assert (attachment.start, attachment.recovered) == (Positions(s=3), True)


async def test_a_cursor_is_followed_and_acknowledges_nothing(core: Core) -> None:
    """A client that has applied more than it confirmed goes on from there; its confirmations stay as they were."""
    await core.connect(BOB, "phone")
    await core.store_all(*(chat(str(n)) for n in range(4)))
    await core.ack(BOB, "phone", {"s": 1})

    attachment = await core.connect(BOB, "phone", cursor(core, s=3))

    assert (attachment.start, attachment.recovered) == (Positions(s=3), True)
    assert await acked(core) == Positions(s=1)


async def test_a_cursor_makes_an_unknown_device_known(core: Core) -> None:
    """After reloading by REST a new device goes on from the cursor of that page."""
    await core.connect(BOB, "phone")
    await core.store_all(*(chat(str(n)) for n in range(4)))

    attachment = await core.connect(BOB, "tablet", cursor(core, s=2))

    assert (attachment.start, attachment.recovered) == (Positions(s=2), True)
    assert await acked(core, "tablet") == Positions(s=2)


@pytest.mark.parametrize("place", ["another epoch", "above the head", "below the floor"])
async def test_a_cursor_that_cannot_be_followed_means_a_reload(core: Core, place: str) -> None:
    """Nothing of what came before is sent; the device begins anew at the heads."""
    await core.connect(BOB, "phone")
    await core.store_all(chat("1"), chat("2"))
    await trim_all(core)
    await core.store_all(chat("3"))
    broken = {
        "another epoch": Cursor("other", Positions(s=3)),
        "above the head": cursor(core, s=4),
        "below the floor": cursor(core, s=1),
    }[place]

    attachment = await core.connect(BOB, "phone", broken)

    assert (attachment.start, attachment.recovered) == (Positions(s=3), False)
    assert await acked(core) == Positions(s=3)
    assert await core.texts(BOB, "s", attachment.start.s) == []


async def test_one_bad_position_spoils_the_whole_cursor(core: Core) -> None:
    """A cursor is followed in all its sources or in none."""
    await core.connect(BOB, "phone")
    await core.store_all(chat("1"), chat("2", priority=Priority.HIGH))

    attachment = await core.connect(BOB, "phone", cursor(core, s=0, e=2))

    assert (attachment.start, attachment.recovered) == (Positions(e=1, s=1), False)


async def test_a_device_away_beyond_retention_means_a_reload(core: Core) -> None:
    """What it did not confirm is gone, so it is told to begin anew."""
    await core.connect(BOB, "phone")
    await core.store_all(chat("1"), chat("2"))
    await trim_all(core)

    attachment = await core.connect(BOB, "phone")

    assert (attachment.start, attachment.recovered) == (Positions(s=2), False)


async def test_a_cursor_at_the_floor_is_followed(core: Core) -> None:
    """At the floor all that follows is still there."""
    await core.connect(BOB, "phone")
    await core.store_all(chat("1"), chat("2"))
    await trim_all(core)
    await core.store_all(chat("3"))

    assert (await core.connect(BOB, "phone", cursor(core, s=2))).recovered
    assert (await core.connect(BOB, "phone", cursor(core, s=3))).recovered


async def test_a_reader_without_a_name_leaves_no_trace(core: Core) -> None:
    """It starts at the heads or at its cursor; nothing is stored, and a first device is still the first."""
    await core.store_all(chat("1"), chat("2"))

    assert (await core.connect(BOB, None)).start == Positions(s=2)
    assert (await core.connect(BOB, None, cursor(core, s=1))).start == Positions(s=1)
    assert not (await core.connect(BOB, None, Cursor("other", Positions()))).recovered
    assert (await core.connect(BOB, "phone")).start == Positions()


async def test_a_device_too_many_is_refused(core: Core) -> None:
    """Known devices still connect, other users too, and so do readers without a name."""
    for n in range(MAX_DEVICES):
        await core.connect(BOB, f"d{n}")

    with pytest.raises(Rejected) as refused:
        await core.connect(BOB, "one-too-many")

    assert (refused.value.code, refused.value.field) == ("device_limit", "device.id")
    assert (await core.connect(BOB, "d0")).recovered
    assert (await core.connect(BOB, None)).recovered
    assert (await core.connect(ALICE, "d0")).recovered


async def test_a_device_too_many_is_refused_in_its_group_alone(core: Core) -> None:
    """Twenty-five new devices at once: twenty are taken, five are refused."""
    answers: list[object] = []
    for n in range(MAX_DEVICES + 5):
        core.connector.connect_nowait(command(f"d{n}"), answers.append)
    await core.connect(ALICE, "phone")

    assert sum(isinstance(answer, Rejected) for answer in answers) == 5
    assert not any(isinstance(answer, Rejected) for answer in answers[:MAX_DEVICES])


async def test_coming_back_unchanged_writes_nothing(core: Core) -> None:
    """A known device that resumes leaves its row as it was."""
    await core.connect(BOB, "phone")
    await core.store_all(notification())
    before = await core.store.device(BOB, DeviceId("phone"))

    await core.connect(BOB, "phone")
    await core.connect(BOB, "phone", cursor(core, s=1))

    assert await core.store.device(BOB, DeviceId("phone")) == before


async def test_devices_are_remembered_over_a_restart(durable_url: str) -> None:
    """A cursor of before the restart is followed after it, and what was confirmed is known."""
    async with open_core(durable_url) as core:
        await core.connect(BOB, "phone")
        await core.store_all(chat("1"), chat("2"), chat("3"))
        await core.ack(BOB, "phone", {"s": 1})
        kept = cursor(core, s=2)
    async with open_core(durable_url) as core:
        assert (await core.connect(BOB, "phone")).start == Positions(s=1)
        assert (await core.connect(BOB, "phone", kept)).start == Positions(s=2)


async def test_a_failed_group_is_told_to_all_and_can_be_repeated(faulty_core: Core, faulty: FaultyStore) -> None:
    """When the commit did not answer nobody is attached; connecting again works either way."""
    faulty.lost_commits = 1
    with pytest.raises(Exception, match="no answer"):
        await faulty_core.connect(BOB, "phone")

    assert (await faulty_core.connect(BOB, "phone")).recovered
