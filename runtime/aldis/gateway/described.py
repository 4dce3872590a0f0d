"""The schemas of everything that goes over a socket, by name, and which frame has which.

They are made from the structures that are decoded and encoded. Frames that are put together from bytes (events) are
described by the shape that they get; a test holds real frames to all of them.
"""

from typing import Any

import msgspec

from aldis.contract import schemas
from aldis.contract.schemas import Schema, reference_to
from aldis.domain.streams import BROADCASTS, LANES, MAX_POSITION, MESSAGE_TYPES, STATE
from aldis.gateway.answers import ANSWERED_AS, ANSWERS, NEED_ID, Disconnect, ErrorBody, Nothing, Welcome
from aldis.gateway.frames import MAX_EVENTS, REFUSED, Command
from aldis.services import news

_ID: Schema = {"type": "integer", "description": "Yours; the answer repeats it.", "examples": [1]}
_ANSWERED_ID: Schema = {"type": "integer", "description": "The command's; left out if it had none.", "examples": [1]}
_POSITION: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_POSITION}
Fields = dict[str, Schema]


def commands() -> list[str]:
    """The names of all commands."""
    return [field for field in Command.__struct_fields__ if field != "id"]


def frame_schemas() -> dict[str, Schema]:
    """All schemas, by name."""
    made = schemas.of_structs(
        [
            *(Command, Welcome, ErrorBody, Disconnect, Nothing, news.Message),
            *(type_ for type_ in ANSWERS.values() if type_ is not None),
            *(*news.CONTENTS, *news.SENDERS, *news.STATES.values(), *news.EPHEMERA),
        ]
    )
    bodies = {name: _taken(schema) for name, schema in made.items()}
    given = bodies.pop("Command")["properties"]
    bodies["ToBody"] = _exactly_one(bodies["ToBody"])
    bodies["ContentBody"] = {
        "description": "What is in the message.",
        "oneOf": [_closed(bodies[type_.__name__]) for type_ in news.CONTENTS],
    }
    frames = {
        **{command_name(name): _command_schema(name, _body(given[name])) for name in commands()},
        **{reply_name(name): _reply_schema(_answer(name, type_)) for name, type_ in _answered()},
        "ErrorReply": _reply_schema({"error": reference_to("ErrorBody")}),
        **_news_schemas(),
    }
    found = {**bodies, **frames}
    for name, schema in found.items():
        schemas.explain(name, schemas.tidy(schema))
    return found


def _answered() -> list[tuple[str, type[msgspec.Struct]]]:
    return [(name, type_) for name, type_ in ANSWERS.items() if type_ is not None]


def command_name(name: str) -> str:
    """The name of a command's frame."""
    return f"{name.title()}Command"


def reply_name(name: str) -> str:
    """The name of its answer's frame."""
    return f"{name.title()}Reply"


def _body(optional: Schema) -> Schema:
    """A command's body, where it is given."""
    (body,) = [part for part in optional["anyOf"] if part.get("type") != "null"]
    return {} if body == {"type": "object"} else body


def _command_schema(name: str, body: Schema) -> Schema:
    fields = {name: body or {"type": "object"}}
    required = ["id", name] if name in NEED_ID else [name]
    schema = {"type": "object", "properties": {"id": dict(_ID), **fields}, "required": required}
    return _closed(schema)


def _reply_schema(fields: Fields) -> Schema:
    schema = _frame(fields)
    return {**schema, "properties": {"id": dict(_ANSWERED_ID), **fields}}


def _answer(name: str, type_: type[msgspec.Struct]) -> Fields:
    return {ANSWERED_AS.get(name, name): reference_to(type_.__name__)}


def _frame(fields: Fields) -> Schema:
    """An object with these fields, all required."""
    return {"type": "object", "properties": fields, "required": [*fields]}


def _news_schemas() -> dict[str, Schema]:
    """What nobody asked for."""
    events = {_event(type_): _event_schema(type_, "message", "Message") for type_ in MESSAGE_TYPES}
    states = {_event(type_): _event_schema(type_, type_, shape.__name__) for type_, shape in news.STATES.items()}
    ephemera = [reference_to(type_.__name__) for type_ in news.EPHEMERA]
    return {
        **events,
        **states,
        "MessageNews": _events_schema([*LANES, *BROADCASTS], [*events]),
        "StateNews": _events_schema([STATE], [*states]),
        "EphemeralNews": _frame({"ephemeral": _list({"oneOf": ephemera})}),
        "PingNews": _frame({"ping": reference_to("Nothing")}),
        "DisconnectNews": _frame({"disconnect": reference_to("Disconnect")}),
    }


def _event(type_: str) -> str:
    return f"{type_.title().replace('.', '')}Event"


def _event_schema(type_: str, field: str, shape: str) -> Schema:
    fields: Fields = {"pos": dict(_POSITION), "type": {"const": type_}, field: reference_to(shape)}
    return _frame(fields)


def _events_schema(sources: list[str], events: list[str]) -> Schema:
    listed = _list({"oneOf": [reference_to(name) for name in events]})
    return _frame({"source": {"enum": sources}, "events": {**listed, "maxItems": MAX_EVENTS}})


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


def _taken(schema: Schema) -> Schema:
    """A structure without the fields that are there only to be refused."""
    fields: dict[str, Any] = schema.get("properties", {})
    kept = {name: part for name, part in fields.items() if REFUSED not in part}
    return {**schema, "properties": kept} if fields else schema


def _exactly_one(schema: Schema) -> Schema:
    """An object of one of these fields."""
    given = {name: _body(part) for name, part in schema["properties"].items()}
    closed = [_closed(_frame({name: part})) for name, part in given.items()]
    return {"description": schema["description"], "oneOf": closed}


def _closed(schema: Schema) -> Schema:
    return {**schema, "additionalProperties": False}
