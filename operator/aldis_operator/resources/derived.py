"""Passwords, all derived from one root: a Secret that is lost comes back equal, and only the root has to be kept."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Root:
    """What the root Secret holds: at least 32 random bytes, made once and never again."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < hashlib.sha256().digest_size:
            raise ValueError("a root has at least 32 bytes")

    def derive(self, purpose: str, number: int = 1) -> str:
        """43 letters, digits, `-` and `_`: safe in URLs and in files of servers. Another number is another one."""
        made = hmac.digest(self.secret, f"aldis/{purpose}/{number}".encode(), "sha256")
        return base64.urlsafe_b64encode(made).decode().rstrip("=")
