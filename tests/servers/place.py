"""Where a server's program is, whom it runs as, and where its data goes."""

import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

INSTALL = "scripts/install-servers"


class ServerFailed(Exception):
    """A server is not installed, or did not come up; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a server runs as."""

    name: str
    uid: int
    gid: int


def find_program(name: str, *folders: Path) -> Path:
    """A program in the first of `folders` that has it, else on PATH. Raises `ServerFailed`."""
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            return folder / name
    found = shutil.which(name)
    if found is None:
        raise ServerFailed(f"{name} is not installed. Run {INSTALL}")
    return Path(found)


def choose_account(*names: str) -> Account | None:
    """The first of these accounts that exists, for servers that refuse to run as root; None when we are not root."""
    if os.getuid() != 0:
        return None
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ServerFailed(f"none of the accounts {', '.join(names)} exists, and this server refuses to run as root")


def make_folder(name: str, account: Account | None) -> Path:
    """A new private folder that `account` owns. Not below a test's own: that one is closed to other accounts."""
    folder = Path(tempfile.mkdtemp(prefix=f"aldis-{name}-"))
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


def write_private(path: Path, text: str, account: Account | None) -> Path:
    """A file that only `account` may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    if account is not None:
        os.chown(path, account.uid, account.gid)
    return path
