"""The secret that user tokens are signed with: there, closed to others, long enough. It is read and never told."""

import stat
from pathlib import Path

from aldis.cli.checks.finding import Finding, fail, ok, warn
from aldis.settings import SECRET_BYTES, SECRET_FILE, Settings

SECRET_MODE = 0o600
ANEW = "Stop the server, delete the file and start it: a new secret is made, and every user needs a new token."


def check_secret(settings: Settings) -> Finding:
    """The secret that was set, or the data folder's."""
    if settings.jwt.secret is not None:
        return ok("secret", "set by ALDIS_JWT__SECRET, or its file")
    path = settings.data_dir / SECRET_FILE
    if not path.exists():
        remedy = "`aldis serve` makes one at its start; if there was one, put it back, or all tokens are refused."
        return warn("secret", f"{path} is not there yet", remedy)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not text"
        return fail("secret", f"{path} cannot be read: {words}", "Mend its rights, or put the secret back.")
    return _check_content(path, len(text))


def _check_content(path: Path, length: int) -> Finding:
    if length < SECRET_BYTES:
        return fail("secret", f"{path} holds fewer than {SECRET_BYTES} characters: it can be guessed", ANEW)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~SECRET_MODE:
        remedy = f"chmod 600 {path}; who has read it can be any user: then make a new one."
        return fail("secret", f"{path} is open to others: mode {mode:04o}", remedy)
    return ok("secret", f"{path}, mode {mode:04o}")
