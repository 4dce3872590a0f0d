"""A cursor: text with a position for each source, of one epoch: `EPOCH.e12.s151.be3.bs88.r17`.

The epoch names the life of the positions: after a restore they could be reused, so a cursor of another epoch says
nothing here. Clients treat the text as opaque; `parse(format(c)) == c` holds for every cursor.
"""

import re
from dataclasses import dataclass, replace

from aldis.domain.errors import Rejected
from aldis.domain.streams import MAX_POSITION, SOURCES, Source

_POSITION = "(0|[1-9][0-9]{0,15})"
_CURSOR = re.compile(rf"([a-z0-9]{{1,32}})\.e{_POSITION}\.s{_POSITION}\.be{_POSITION}\.bs{_POSITION}\.r{_POSITION}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """A position for each source; 0 is before the first event."""

    e: int = 0
    s: int = 0
    be: int = 0
    bs: int = 0
    r: int = 0

    def at(self, source: Source) -> int:
        """The position in `source`."""
        position: int = getattr(self, source)
        return position

    def advance(self, source: Source, position: int) -> "Positions":
        """The same with `source` moved forward to `position`; never back."""
        return replace(self, **{source: max(self.at(source), position)})

    def within(self, *, floor: "Positions", head: "Positions") -> bool:
        """Whether all that follows these positions is still there and nothing of them is yet to come."""
        return all(floor.at(source) <= self.at(source) <= head.at(source) for source in SOURCES)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Positions and the epoch they count in."""

    epoch: str
    positions: Positions

    def __str__(self) -> str:
        """The text a client keeps."""
        at = self.positions
        return f"{self.epoch}.e{at.e}.s{at.s}.be{at.be}.bs{at.bs}.r{at.r}"


def parse_cursor(text: str, field: str = "cursor") -> Cursor:
    """Read a cursor's text. Raises `Rejected("bad_cursor")` when it is not one."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise Rejected("bad_cursor", "this is not a cursor of this service", field=field)
    epoch, *numbers = match.groups()
    positions = [int(number) for number in numbers]
    if max(positions) > MAX_POSITION:
        raise Rejected("bad_cursor", "a position is out of range", field=field)
    return Cursor(epoch, Positions(**dict(zip(SOURCES, positions, strict=True))))
