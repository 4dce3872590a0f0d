"""Where a reader is: a position for each source, of one epoch, as text `EPOCH.e12.s151.be3.bs88.r17`.

Laws: `Cursor.parse(str(c)) == c`, and a position never moves back.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aldis_client.errors import CursorError

SOURCES = ("e", "s", "be", "bs", "r")
GAPLESS = frozenset({"e", "s"})
"""Sources whose positions reach a device one by one; the others may jump."""

_EPOCH = re.compile(r"[A-Za-z0-9_-]{1,64}")
_POSITION = re.compile(r"([a-z]{1,8})(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Positions and the epoch they count in; a source that is not named stands at 0, before its first event.

    Sources that this version does not know are kept and written back as they came.
    """

    epoch: str
    positions: Mapping[str, int]

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read a cursor's text. Raises `CursorError` when it is not one."""
        epoch, *parts = text.split(".")
        matches = [_POSITION.fullmatch(part) for part in parts]
        positions = {match[1]: int(match[2]) for match in matches if match is not None}
        if not _EPOCH.fullmatch(epoch) or len(positions) != len(parts) or not positions.keys() >= set(SOURCES):
            raise CursorError(f"not a cursor: {text[:200]!r}")
        return cls(epoch, MappingProxyType(positions))

    def __str__(self) -> str:
        """The text to keep and to give back to the server."""
        others = [source for source in self.positions if source not in SOURCES]
        return ".".join([self.epoch, *(f"{source}{self.at(source)}" for source in (*SOURCES, *others))])

    def __eq__(self, other: object) -> bool:
        """Whether both name the same place; 0 and unnamed are one."""
        return isinstance(other, Cursor) and str(self) == str(other)

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(str(self))

    def at(self, source: str) -> int:
        """The highest position of `source` that this cursor covers."""
        return self.positions.get(source, 0)

    def advance(self, source: str, position: int) -> "Cursor":
        """The same with `source` moved forward to `position`; itself when that would move it back."""
        if position <= self.at(source):
            return self
        return Cursor(self.epoch, MappingProxyType({**self.positions, source: position}))
