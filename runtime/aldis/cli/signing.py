"""`aldis token`: a user's token on standard output and alone, so that it can be piped."""

import time
from pathlib import Path

from aldis.cli import folder
from aldis.cli.tables import print_json
from aldis.domain.ids import rfc3339


def sign(user: str, ttl: int, *, data_dir: Path | None, as_json: bool) -> None:
    """Print a token for `user` that is valid for `ttl` seconds."""
    now = int(time.time())
    token = folder.sign(folder.load(data_dir), user, ttl, now=now)
    if as_json:
        print_json({"token": token, "user": user, "expires_at": rfc3339((now + ttl) * 1000)})
    else:
        print(token, flush=True)
