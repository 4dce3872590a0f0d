import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from aldis.cli.place import open_place, place_path
from aldis_client import Cursor, Event

NAMES = st.text("ab.:@-_", min_size=1, max_size=5)


class Killed(Exception):
    """Stands for the end of the process."""


class Paper(io.StringIO):
    """Standard output of a process that is killed as soon as `last` has been written."""

    def __init__(self, last: str = "never") -> None:
        super().__init__()
        self._last = last

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.getvalue().endswith(self._last):
            raise Killed
        return written


def line_of(event: Event) -> str | None:
    return f"{event.position} {event.body['message']['text']}" if event.type == "message" else None


def cursor(position: int) -> Cursor:
    return Cursor.parse(f"epoch.e0.s{position}.be0.bs0.r0")


def event(position: int, type_: str = "message") -> Event:
    return Event("s", position, type_, {"message": {"text": "ü"}})


async def receive(path: Path, positions: list[int], last: str = "never") -> str:
    """What a process writes that starts, receives these positions, and ends well or is killed."""
    paper = Paper(last)
    try:
        with open_place(path, line_of=line_of, out=paper) as place:
            place.show_waiting()
            if positions:
                await place.apply([event(position) for position in positions], cursor(positions[-1]))
    except Killed:
        pass
    return paper.getvalue()


async def test_an_event_is_shown_once_it_is_stored(tmp_path: Path) -> None:
    """What is shown is behind the cursor already, in the order in which it came; the rest is silence."""
    paper = Paper()
    with open_place(tmp_path / "a" / "place.db", line_of=line_of, out=paper) as place:
        await place.apply([event(1), event(2, "receipt"), event(3)], cursor(3))

        assert paper.getvalue() == "1 ü\n3 ü\n"
        assert await place.load() == cursor(3)


async def test_nothing_is_shown_again_after_a_restart(tmp_path: Path) -> None:
    """The file knows what has been shown."""
    first, second = [await receive(tmp_path / "place.db", [position]) for position in (1, 2)]

    assert (first, second) == ("1 ü\n", "2 ü\n")


async def test_a_line_that_was_seen_whole_never_comes_again(tmp_path: Path) -> None:
    """Killed at the very end of a line, the next start goes on with the one behind it, so that none is lost."""
    first = await receive(tmp_path / "place.db", [1, 2, 3], last="2 ü\n")
    second = await receive(tmp_path / "place.db", [])

    assert (first, second) == ("1 ü\n2 ü\n", "3 ü\n")


async def test_a_line_that_was_begun_comes_again(tmp_path: Path) -> None:
    """Killed within a line, the next start shows all of it: the cursor is past an event that still waits."""
    first = await receive(tmp_path / "place.db", [1, 2, 3], last="2 ü")
    second = await receive(tmp_path / "place.db", [])

    assert (first, second) == ("1 ü\n2 ü", "2 ü\n3 ü\n")


async def test_a_reset_forgets_the_cursor_and_keeps_what_waits(tmp_path: Path) -> None:
    """What was received is shown even when the server can no longer go on from there."""
    await receive(tmp_path / "place.db", [1], last="1 ü")
    paper = Paper()

    with open_place(tmp_path / "place.db", line_of=line_of, out=paper) as place:
        await place.clear()
        assert await place.load() is None
        place.show_waiting()

    assert paper.getvalue() == "1 ü\n"


def test_the_file_is_named_for_its_user_and_device() -> None:
    """An ordinary name is readable in the folder."""
    assert place_path(Path("data"), "alice", "cli") == Path("data/clients/alice-cli.db")


@given(NAMES, NAMES, NAMES, NAMES)
def test_no_two_devices_share_a_file(user: str, device: str, other_user: str, other_device: str) -> None:
    """Hyphens in names do not make two devices one."""
    is_same = (user, device) == (other_user, other_device)

    assert (place_path(Path(), user, device) == place_path(Path(), other_user, other_device)) is is_same


def test_the_data_folder_is_closed_to_others_whoever_makes_it(tmp_path: Path) -> None:
    """A listener may be the first to write there: what others have written to its user is nobody else's business."""
    path = place_path(tmp_path / "data", "alice", "phone")

    with open_place(path, line_of=line_of, out=io.StringIO()):
        modes = [folder.stat().st_mode & 0o777 for folder in (path.parent.parent, path.parent)]

    assert modes == [0o700, 0o700]
