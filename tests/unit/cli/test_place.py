from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.cli.place import open_place, place_path
from aldis_client import Cursor, Event

NAMES = st.text("ab.:@-_", min_size=1, max_size=5)


class Killed(Exception):
    """Stands for the end of the process while a line is shown."""


def cursor(position: int) -> Cursor:
    return Cursor.parse(f"epoch.e0.s{position}.be0.bs0.r0")


def event(position: int) -> Event:
    return Event("s", position, "message", {"message": {"id": f"m{position}", "text": "\ud800 ü"}})


async def test_an_event_is_shown_once_it_is_stored(tmp_path: Path) -> None:
    """What is shown is behind the cursor already, in the order in which it came."""
    shown: list[Event] = []
    with open_place(tmp_path / "a" / "place.db", shown.append) as place:
        await place.apply([event(1), event(2)], cursor(2))

        assert shown == [event(1), event(2)]
        assert await place.load() == cursor(2)


async def test_nothing_is_shown_again_after_a_restart(tmp_path: Path) -> None:
    """The file knows what has been shown."""
    shown: list[Event] = []
    for position in (1, 2):
        with open_place(tmp_path / "place.db", shown.append) as place:
            place.show_waiting()
            await place.apply([event(position)], cursor(position))

    assert shown == [event(1), event(2)]


async def test_what_was_stored_and_not_shown_is_shown_by_the_next_start(tmp_path: Path) -> None:
    """A process that ends while it shows loses nothing: the cursor is past an event that still waits."""
    shown: list[Event] = []

    def show(event: Event) -> None:
        if event.position == 2 and len(shown) == 1:
            raise Killed
        shown.append(event)

    with pytest.raises(Killed), open_place(tmp_path / "place.db", show) as place:
        await place.apply([event(1), event(2), event(3)], cursor(3))
    with open_place(tmp_path / "place.db", lambda late: shown.append(late)) as place:
        assert await place.load() == cursor(3)
        place.show_waiting()

    assert shown == [event(1), event(2), event(3)]


async def test_a_reset_forgets_the_cursor_and_keeps_what_waits(tmp_path: Path) -> None:
    """What was received is shown even when the server can no longer go on from there."""

    def show(event: Event) -> None:
        raise Killed

    with open_place(tmp_path / "place.db", show) as place:
        with pytest.raises(Killed):
            await place.apply([event(1)], cursor(1))
        await place.clear()
        assert await place.load() is None

    shown: list[Event] = []
    with open_place(tmp_path / "place.db", shown.append) as place:
        place.show_waiting()
    assert shown == [event(1)]


def test_the_file_is_named_for_its_user_and_device() -> None:
    """An ordinary name is readable in the folder."""
    assert place_path(Path("data"), "alice", "cli") == Path("data/clients/alice-cli.db")


@given(NAMES, NAMES, NAMES, NAMES)
def test_no_two_devices_share_a_file(user: str, device: str, other_user: str, other_device: str) -> None:
    """Hyphens in names do not make two devices one."""
    is_same = (user, device) == (other_user, other_device)

    assert (place_path(Path(), user, device) == place_path(Path(), other_user, other_device)) is is_same
