"""A page of a list: what every paged read answers."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Place = TypeVar("Place")

MAX_PAGE = 200  # items; enough for a screen, little enough to hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item, Place]):
    """Items in order, and the place after which the next page begins, None at the end."""

    items: list[Item]
    next: Place | None = None
