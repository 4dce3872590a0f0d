"""One device as the contract sees it: the judge of all raw frames of all its connections.

It knows no client library. On each connection every lane must go on, position by position, from where the connect reply
says that it is; the client rules then decide what would be shown. Positions of a user always mean the same message,
on every device and after every crash.
"""

from dataclasses import dataclass, field

from integration.promise.wire import LANES, SOURCES, Connected, Event, Frame, Message, parse_places


@dataclass(slots=True)
class Places:
    """Which message each position of each user was seen to be, on whatever device; shared by all witnesses."""

    seen: dict[tuple[str, str, int], str] = field(default_factory=dict)

    def contradicts(self, user: str, source: str, position: int, message_id: str) -> bool:
        """Whether this position was another message before."""
        return self.seen.setdefault((user, source, position), message_id) != message_id


@dataclass(slots=True)
class Witness:
    """What came to one device of one user."""

    user: str
    device: str
    places: Places
    epoch: str = ""
    applied: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SOURCES, 0))
    shown: set[str] = field(default_factory=set)
    repeated: int = 0
    shown_twice: int = 0
    out_of_order: int = 0
    resets: int = 0
    connects: int = 0
    frames: int = 0
    faults: list[str] = field(default_factory=list)
    _line: dict[str, int] = field(default_factory=dict)
    _seqs: dict[tuple[str, str], int] = field(default_factory=dict)

    def judge(self, frame: Frame) -> None:
        """Take one frame, in the order in which it came."""
        self.frames += 1
        if frame.connect is not None:
            self._begin(frame.connect)
        elif frame.source is not None:
            for event in frame.events:
                self._take(frame.source, event)

    def _begin(self, reply: Connected) -> None:
        """A connection starts; it may lie behind what was applied, never before it."""
        self.epoch, self._line = parse_places(reply.cursor)
        self.connects += 1
        if self.connects == 1 or not reply.recovered:
            self.resets += not reply.recovered
            self.applied = dict(self._line)
            self._seqs.clear()
        for source in LANES:
            if self._line[source] > self.applied[source]:
                self._disorder(f"{source} starts at {self._line[source]}, {self.applied[source]} was applied")

    def _take(self, source: str, event: Event) -> None:
        before = self._line[source]
        if event.pos <= before or (source in LANES and event.pos != before + 1):
            self._disorder(f"{source}{event.pos} came after {source}{before}")
        self._line[source] = event.pos
        is_new = event.pos > self.applied[source]
        if event.message is not None and event.type == "message":
            self._show(source, event.pos, event.message, is_new=is_new)
        self.applied[source] = max(event.pos, self.applied[source])
        self.repeated += not is_new

    def _show(self, source: str, position: int, message: Message, *, is_new: bool) -> None:
        if self.places.contradicts(self.user, source, position, message.id):
            self._disorder(f"{source}{position} was another message before")
        if not is_new:
            return
        if message.id in self.shown:
            self.shown_twice += 1
            self._note(f"{message.id} was shown twice")
        self.shown.add(message.id)
        key = (source, message.conversation_id)
        if message.seq <= self._seqs.get(key, 0):
            self._disorder(f"seq {message.seq} of {message.conversation_id} came after {self._seqs[key]}")
        self._seqs[key] = message.seq

    def _disorder(self, what: str) -> None:
        self.out_of_order += 1
        self._note(what)

    def _note(self, what: str) -> None:
        self.faults.append(f"{self.user}/{self.device} (connection {self.connects}): {what}")
