"""The opaque cursors of lists: the place after which the next page begins, in a form nobody is meant to read."""

import base64
import binascii
from typing import Annotated, Literal, TypeVar

import msgspec

from aldis.domain.errors import Rejected
from aldis.domain.streams import MAX_POSITION

Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f-]{36}$")]
OptionalId = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f-]{36})?$")]
User = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:@-]{1,128}$")]
Seq = Annotated[int, msgspec.Meta(ge=0, le=MAX_POSITION)]

CONVERSATION_PLACE: msgspec.json.Decoder[tuple[str, str]] = msgspec.json.Decoder(tuple[Id, Id])
HISTORY_PLACE: msgspec.json.Decoder[tuple[str, int]] = msgspec.json.Decoder(tuple[Literal["before", "after"], Seq])
USER_PLACE: msgspec.json.Decoder[tuple[str]] = msgspec.json.Decoder(tuple[User])
RECIPIENT_PLACE: msgspec.json.Decoder[tuple[str]] = msgspec.json.Decoder(tuple[User])
NAME_PLACE: msgspec.json.Decoder[tuple[str]] = msgspec.json.Decoder(tuple[User])
ID_PLACE: msgspec.json.Decoder[tuple[str]] = msgspec.json.Decoder(tuple[Id])
SEARCH_PLACE: msgspec.json.Decoder[tuple[str, str, int | str]] = msgspec.json.Decoder(
    tuple[OptionalId, OptionalId, Seq | Literal[""]]
)

Place = TypeVar("Place")


def encode_place(*place: str | int) -> str:
    """The text of a place."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()


def decode_place(text: str, list_of: msgspec.json.Decoder[Place]) -> Place:
    """The place that a text stands for; raises `Rejected("bad_cursor")` when it is none of this list."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return list_of.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError) as error:
        raise Rejected("bad_cursor", "this is not a cursor of this list", field="cursor") from error
