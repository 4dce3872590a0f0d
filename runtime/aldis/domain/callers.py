"""Who is calling, and what each may do."""

from dataclasses import dataclass, field
from enum import StrEnum

from aldis.domain.errors import Rejected
from aldis.domain.ids import UserId


class Scope(StrEnum):
    """What a backend's key may do."""

    SEND = "send"
    SEND_AS = "send_as"
    ADMIN = "admin"


SENDING = frozenset({Scope.SEND, Scope.SEND_AS})  # what a key may do when nothing else is said


@dataclass(frozen=True, slots=True)
class UserCaller:
    """A user with a valid token; `expires_at` is its end, Unix seconds."""

    user: UserId
    expires_at: int


@dataclass(frozen=True, slots=True)
class BackendCaller:
    """A backend with a valid key. `channels` empty means every channel."""

    name: str
    key_id: str
    scopes: frozenset[Scope] = field(default_factory=frozenset)
    channels: frozenset[str] = field(default_factory=frozenset)

    @property
    def actor(self) -> str:
        """Its name in the audit log."""
        return f"backend:{self.name}"

    def check_scope(self, scope: Scope) -> None:
        """Raise `Rejected("forbidden")` unless the key has `scope`."""
        if scope not in self.scopes:
            raise Rejected("forbidden", f"this key lacks the scope {scope}")

    def hears(self, channel: str) -> bool:
        """Whether the key is for `channel`."""
        return not self.channels or channel in self.channels


Caller = UserCaller | BackendCaller


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A backend's key as it is kept: the secret only as its hash. Times are Unix milliseconds."""

    id: str
    name: str
    hash: str
    scopes: frozenset[Scope]
    channels: frozenset[str]
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None  # coarse: noted about once a minute

    def is_valid(self, now_ms: int) -> bool:
        """Whether it opens anything at `now_ms`."""
        return self.revoked_at is None and (self.expires_at is None or now_ms < self.expires_at)
