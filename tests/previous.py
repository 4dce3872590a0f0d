"""The code of the version before, for tests of what it and this one leave to each other.

`tests/previous_version` says which that is. Its `runtime` comes out of the repository's own history, once, and runs
with the interpreter and the libraries of this version: `Server(folder, previous.environment())`.
"""

import os
import secrets
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[1]
RECORD = Path(__file__).with_name("previous_version")
PATHS = ("runtime", "runtime/clients/python")  # what goes on the path of modules


class Version(NamedTuple):
    """Its number, and the commit that it was made of."""

    number: str
    commit: str


class NotInHistory(Exception):
    """The commit is not in this clone; the message says how to get it."""


def version() -> Version:
    """What the record says."""
    lines = RECORD.read_text(encoding="utf-8").splitlines()
    [number, commit] = next(line for line in lines if line and not line.startswith("#")).split()
    return Version(number, commit)


def environment() -> dict[str, str]:
    """The variables that make `python -m aldis` the version before. Raises `NotInHistory`."""
    root = code(version())
    return {"PYTHONPATH": os.pathsep.join(str(root / path) for path in PATHS)}


def code(wanted: Version, *, repository: Path = CHECKOUT, cache: Path | None = None) -> Path:
    """The folder with a version's `runtime`, made at the first call; those who make it at once agree on one."""
    root = (cache or default_cache()) / f"previous-{wanted.commit}"
    if not root.exists():
        draft = root.with_name(f".{root.name}.{secrets.token_hex(4)}")
        try:
            with tarfile.open(fileobj=BytesIO(archive(wanted, repository))) as files:
                files.extractall(draft, filter="data")
            move(draft, root)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return root


def default_cache() -> Path:
    """Where scripts/setup keeps its tools, too."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aldis"


def archive(wanted: Version, repository: Path) -> bytes:
    """`runtime` as it was, as a tar file. Raises `NotInHistory`."""
    done = subprocess.run(
        ["git", "archive", wanted.commit, "runtime"], cwd=repository, capture_output=True, check=False
    )
    if done.returncode:
        raise NotInHistory(
            f"version {wanted.number} (commit {wanted.commit}) is not in this clone:"
            f" {done.stderr.decode(errors='replace').strip()}. Get the whole history with `git fetch --unshallow`"
        )
    return done.stdout


def move(draft: Path, root: Path) -> None:
    """Put a finished folder in its place, unless somebody else was faster."""
    try:
        draft.rename(root)
    except OSError:
        if not root.exists():
            raise
