"""What an event looks like on a line. Every word in it comes from somebody else, so every word is escaped."""

import json
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from aldis.cli.terminal import Paint, escape
from aldis_client import Event

URGENT = frozenset({"urgent", "high"})
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


def render_event(event: Event, *, paint: Paint, now: datetime) -> str:
    """One line: time, conversation, sender and text; for other news, what it says. Times are in `now`'s zone."""
    if event.message is not None:
        return render_message(event.message, event.type, paint=paint, zone=now.tzinfo)
    words = f"{now.strftime(TIME_FORMAT)}  {event.type}  {compact(event.payload)}"
    return paint(escape(words), "dim")


def render_message(message: Mapping[str, Any], type_: str, *, paint: Paint, zone: tzinfo | None) -> str:
    """The line of a message as it is now, with the time when it was sent; what is gone says so instead of a text."""
    time = paint(escape(time_of(message, zone)), "dim")
    sender = paint(escape(sender_of(message)), "sender")
    urgency = paint(escape(f" [{message['priority']}]"), "alarm") if message.get("priority") in URGENT else ""
    became = change_of(message, type_)
    change = paint(escape(f" [{became}]"), "dim") if became else ""
    return f"{time}  {escape(place_of(message))}  {sender}{urgency}{change}: {escape(text_of(message))}"


def change_of(message: Mapping[str, Any], type_: str) -> str:
    """What has become of a message that can still be read, in a word; nothing of one that is as it was sent."""
    if not isinstance(message.get("content"), Mapping):
        return ""
    if message.get("edited_at") is not None:
        return "edited"
    return type_.rpartition(".")[2] if type_ != "message" else ""


def time_of(message: Mapping[str, Any], zone: tzinfo | None) -> str:
    """When it was sent, in the reader's own zone; as it came, when it is no time."""
    told = str(message.get("created_at"))
    try:
        return datetime.fromisoformat(told).astimezone(zone).strftime(TIME_FORMAT)
    except (ValueError, OverflowError):
        return told


def place_of(message: Mapping[str, Any]) -> str:
    """The kind of its conversation and the channel, where the two differ."""
    kind, channel = str(message.get("kind")), str(message.get("channel"))
    return kind if kind == channel else f"{kind}/{channel}"


def sender_of(message: Mapping[str, Any]) -> str:
    """The user, or the backend with a word before it, so that neither passes for the other."""
    sender = message.get("sender")
    if not isinstance(sender, Mapping):
        return "?"
    return str(sender["user"]) if sender.get("user") else f"backend {sender.get('backend', '?')}"


def text_of(message: Mapping[str, Any]) -> str:
    """What it says, or why it says nothing any more."""
    content = message.get("content")
    if not isinstance(content, Mapping):
        return f"[{message.get('gone') or 'empty'}]"
    match content.get("type"):
        case "text":
            return str(content.get("text"))
        case "json":
            return compact(content.get("data"))
        case "media":
            words = [content.get("name") or content.get("media_id"), content.get("caption")]
            return f"[media] {' '.join(str(word) for word in words if word)}"
        case _:
            return compact(content)


def to_json(event: Event) -> dict[str, Any]:
    """The event for programs, in the protocol's own words; typing and presence have no source and no position."""
    if event.is_ephemeral:
        return {"type": event.type, **event.body}
    return {"source": event.source, "pos": event.position, "type": event.type, **event.body}


def compact(value: Any) -> str:
    """JSON without a space too many."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
