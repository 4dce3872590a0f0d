"""The promise as a child would keep it: lists and dictionaries in one place, nothing fast, nothing concurrent.

It says what each device is due, what the members are told, and what everybody has unread. The real services are
compared with it after every step.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from aldis.domain.cursors import Cursor, Positions
from aldis.domain.ids import ConversationId, MessageId, UserId, first_id_at
from aldis.domain.messages import Kind, SendMessage
from aldis.domain.status import Status
from aldis.domain.streams import DELETED, EDITED, LANE_NAMES, LANES, MESSAGE, EventType, Lane, Source

State = dict[str, Any]
Told = tuple[int, str, str]  # position, type, and what the message says now, or why it says nothing
GONE = "deleted"


@dataclass
class NaiveMessage:
    """A message, and per recipient what happened to it."""

    id: MessageId
    conversation: ConversationId
    seq: int
    sender: UserId | None
    text: str  # what it says now
    lane: Lane
    thread: MessageId | None = None
    steps: dict[UserId, set[str]] = field(default_factory=lambda: defaultdict(set))

    def status_for(self, user: UserId) -> Status:
        """The furthest step."""
        steps = self.steps[user]
        furthest = [Status.READ, Status.DELIVERED, Status.SENT]
        return next((status for status in furthest if status.value in steps), Status.PENDING)


@dataclass
class NaiveEntry:
    """What a lane says at one position, and from when retention counts."""

    message: NaiveMessage
    type: EventType
    age: MessageId


@dataclass
class NaiveConversation:
    """Messages in order, and how far each member is."""

    kind: Kind
    members: tuple[UserId, ...]
    messages: list[NaiveMessage] = field(default_factory=list)
    delivered: dict[tuple[UserId, Lane], int] = field(default_factory=lambda: defaultdict(int))
    read: dict[UserId, int] = field(default_factory=lambda: defaultdict(int))

    def unread(self, user: UserId) -> int:
        """Count them one by one."""
        return sum(message.sender != user for message in self.messages[self.read[user] :])


@dataclass
class NaiveDevice:
    """What the service knows of a device."""

    acked: Positions


class NaiveWorld:
    """Users, their lanes and states, conversations, devices and keys."""

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.lanes: dict[tuple[UserId, Lane], list[NaiveEntry]] = defaultdict(list)
        self.floors: dict[tuple[UserId, Lane], int] = defaultdict(int)
        self.due: set[tuple[UserId, Lane]] = set()
        self.joined: dict[tuple[UserId, Lane], int] = defaultdict(int)  # up to here nothing was left out
        self.conversations: dict[ConversationId, NaiveConversation] = {}
        self.keys: dict[tuple[str, str], NaiveMessage] = {}
        self.devices: dict[tuple[UserId, str], NaiveDevice] = {}
        self.states: dict[UserId, list[tuple[str, State]]] = defaultdict(list)  # every version ever, from 1

    # What is

    def heads(self, user: UserId) -> Positions:
        return Positions(e=len(self.lanes[user, "e"]), s=len(self.lanes[user, "s"]), r=len(self.states[user]))

    def floor(self, user: UserId) -> Positions:
        return Positions(e=self.floors[user, "e"], s=self.floors[user, "s"])

    def badge(self, user: UserId) -> int:
        return sum(c.unread(user) for c in self.conversations.values() if user in c.members)

    def due_to(self, user: UserId, lane: Lane, after: int) -> list[Told]:
        """What a device at that position still has to get."""
        return [(n, e.type, e.message.text) for n, e in enumerate(self.lanes[user, lane], start=1) if n > after]

    def thread(self, root: NaiveMessage) -> list[NaiveMessage]:
        """A message and all that answer it, or answer an answer."""
        return [m for m in self.conversations[root.conversation].messages if root.id in {m.id, m.thread}]

    def newest_states(self, user: UserId, after: int = 0) -> list[tuple[int, State]]:
        """The newest version of each key above a position, in order."""
        newest = {key: (n, value) for n, (key, value) in enumerate(self.states[user], start=1)}
        return sorted(((n, value) for n, value in newest.values() if n > after), key=lambda state: state[0])

    # What happens

    def send(self, command: SendMessage, text: str) -> tuple[NaiveMessage, bool]:
        """The message and whether it is a repeat."""
        key = (command.sender.scope, command.client_id or "")
        if command.client_id is not None and key in self.keys:
            return self.keys[key], True
        made = NaiveConversation(command.kind, command.members or ())
        conversation = self.conversations.setdefault(command.conversation_id, made)
        parent = next((m for m in conversation.messages if m.id == command.reply_to), None)
        message = NaiveMessage(
            command.message_id,
            command.conversation_id,
            len(conversation.messages) + 1,
            command.sender.user,
            text,
            command.lane,
            thread=(parent.thread or parent.id) if parent is not None else None,
        )
        conversation.messages.append(message)
        for user in conversation.members:
            self.lanes[user, command.lane].append(NaiveEntry(message, MESSAGE, message.id))
            if user != message.sender:
                self.due.add((user, command.lane))
        if command.client_id is not None:
            self.keys[key] = message
        return message, False

    def edit(self, message: NaiveMessage, text: str, now_ms: int) -> str:
        """What becomes of an edit by its sender: `gone`, `unchanged` or `edited`."""
        if message.text == GONE:
            return "gone"
        if message.text == text:
            return "unchanged"
        message.text = text
        self._tell_revision(message, EDITED, now_ms)
        return "edited"

    def delete(self, message: NaiveMessage, now_ms: int) -> bool:
        """Whether there was something to delete."""
        if message.text == GONE:
            return False
        message.text = GONE
        self._tell_revision(message, DELETED, now_ms)
        return True

    def _tell_revision(self, message: NaiveMessage, type_: EventType, now_ms: int) -> None:
        for user in self.conversations[message.conversation].members:
            self.lanes[user, message.lane].append(NaiveEntry(message, type_, MessageId(first_id_at(now_ms))))

    def connect(self, user: UserId, name: str | None, cursor: Cursor | None) -> tuple[Positions, bool]:
        """Where the reading starts, and whether nothing was lost."""
        start, recovered, known = self._start(user, name, cursor)
        if name is not None and not (known and recovered):
            self.devices[user, name] = NaiveDevice(acked=start)
        return start, recovered

    def _start(self, user: UserId, name: str | None, cursor: Cursor | None) -> tuple[Positions, bool, bool]:
        device = self.devices.get((user, name or ""))
        wanted = cursor.positions if cursor is not None else device.acked if device is not None else None
        if wanted is None:
            first = name is not None and not any(owner == user for owner, _ in self.devices)
            return (self.floor(user) if first else self.heads(user)), True, False
        right_epoch = cursor is None or cursor.epoch == self.epoch
        floor, heads = self.floor(user), self.heads(user)
        there = all(floor.at(source) <= wanted.at(source) <= heads.at(source) for source in ("e", "s", "r"))
        if right_epoch and there:
            return wanted, True, device is not None
        return heads, False, device is not None

    def note_sent(self, user: UserId, lane: Lane, low: int, high: int) -> None:
        for entry in self.lanes[user, lane][low:high]:
            if entry.type == MESSAGE:
                entry.message.steps[user].add("sent")

    def acknowledge(self, user: UserId, name: str, positions: dict[Source, int]) -> int:
        """Move a device; tell the others. Answers by how many events it moved."""
        device = self.devices[user, name]
        before = device.acked
        for source, position in positions.items():
            device.acked = device.acked.advance(source, position)
        grown: set[ConversationId] = set()
        for lane in LANES:
            low, high = before.at(lane), device.acked.at(lane)
            grown |= self._deliver(user, lane, low, high)
            if high > low and low <= max(self.joined[user, lane], self.floors[user, lane]):
                self.joined[user, lane] = max(self.joined[user, lane], high)
                if high == len(self.lanes[user, lane]):
                    self.due.discard((user, lane))
        for conversation in sorted(grown):
            self._tell_receipt(conversation, user)
        return sum(device.acked.at(lane) - before.at(lane) for lane in LANES)

    def _deliver(self, user: UserId, lane: Lane, low: int, high: int) -> set[ConversationId]:
        grown = set()
        for position in range(low + 1, high + 1):
            entry = self.lanes[user, lane][position - 1]
            message = entry.message
            if entry.type != MESSAGE:
                continue
            message.steps[user].add("delivered")
            conversation = self.conversations[message.conversation]
            trimmed = position <= self.floors[user, lane]
            if message.sender != user and not trimmed and message.seq > conversation.delivered[user, lane]:
                conversation.delivered[user, lane] = message.seq
                grown.add(message.conversation)
        return grown

    def read(self, user: UserId, conversation_id: ConversationId, seq: int) -> tuple[int, int]:
        """Unread there, and the badge."""
        conversation = self.conversations[conversation_id]
        low, high = conversation.read[user], min(seq, len(conversation.messages))
        if high > low:
            conversation.read[user] = high
            for message in conversation.messages[low:high]:
                message.steps[user].add("read")
            value = {"conversation_id": conversation_id, "read_seq": high, "unread": conversation.unread(user)}
            self.states[user].append((f"read:{conversation_id}", value))
            self._tell_receipt(conversation_id, user)
            self.states[user].append(("badge", {"badge": self.badge(user)}))
        return conversation.unread(user), self.badge(user)

    def _tell_receipt(self, conversation_id: ConversationId, user: UserId) -> None:
        conversation = self.conversations[conversation_id]
        value = {
            "conversation_id": conversation_id,
            "user": user,
            "delivered": {LANE_NAMES[lane]: conversation.delivered[user, lane] for lane in LANES},
            "read_seq": conversation.read[user],
        }
        for other in conversation.members:
            if other != user:
                self.states[other].append((f"receipt:{conversation_id}:{user}", value))

    def trim(self, before: MessageId) -> int:
        """Drop what is older from the low ends; answers how many entries."""
        dropped = 0
        for key, entries in self.lanes.items():
            while self.floors[key] < len(entries) and entries[self.floors[key]].age < before:
                self.floors[key] += 1
                dropped += 1
        return dropped
