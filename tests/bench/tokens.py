"""User tokens as the server expects them: HS256 with the secret of its data folder."""

import base64
import hashlib
import hmac
import json
import time

Claims = dict[str, str | int]

LIFETIME = 4 * 3600  # seconds; longer than any scenario


def sign(user: str, *, secret: str, lifetime: int = LIFETIME) -> str:
    """Return a JWT that names `user` and expires after `lifetime` seconds."""
    claims: Claims = {"sub": user, "exp": int(time.time()) + lifetime}
    signed = _segment({"alg": "HS256", "typ": "JWT"}) + b"." + _segment(claims)
    signature = hmac.digest(secret.encode(), signed, hashlib.sha256)
    return (signed + b"." + _encode(signature)).decode()


def _segment(claims: Claims) -> bytes:
    return _encode(json.dumps(claims, separators=(",", ":")).encode())


def _encode(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
