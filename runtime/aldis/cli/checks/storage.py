"""The data folder: whose it is, what kind of disk it lies on, and how much room that has."""

import os
import re
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aldis.cli.checks.finding import Finding, fail, ok, to_size, warn

PRIVATE = 0o700
FULL_BYTES = 100 * 1024 * 1024  # the log alone may take 64 MiB
LOW_BYTES = 1024 * 1024 * 1024
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "ncpfs", "davfs"}
)
VOLATILE = frozenset({"tmpfs", "ramfs"})
LAYERS = frozenset({"overlay", "aufs"})
MOUNTS = Path("/proc/self/mountinfo")


class Room(Protocol):
    """What `os.statvfs` answers, as far as it is used."""

    @property
    def f_bavail(self) -> int:
        """Blocks that are free for us."""
        ...

    @property
    def f_frsize(self) -> int:
        """Bytes of a block."""
        ...

    @property
    def f_favail(self) -> int:
        """Files that can still be made."""
        ...

    @property
    def f_files(self) -> int:
        """Files that can be made at all; 0 where nobody counts them."""
        ...


def nearest(path: Path) -> Path:
    """The folder itself, or the first above it that is there."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def check_folder(folder: Path) -> Finding:
    """There, a folder, ours, writable, and closed to others."""
    if not folder.exists():
        return _check_parent(folder)
    if not folder.is_dir():
        return fail("data_folder", f"{folder} is not a folder", "Move that file away, or say --data-dir.")
    if (trouble := _try_writing(folder)) is not None:
        remedy = f"Run as the user that owns it (uid {folder.stat().st_uid}), or mend its rights and its mount."
        return fail("data_folder", f"{folder} cannot be written to: {trouble}", remedy)
    return _check_owner(folder, folder.stat())


def _check_parent(folder: Path) -> Finding:
    above = nearest(folder)
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        return fail("data_folder", f"{folder} is not there, and {above} is closed to you", "Say another --data-dir.")
    remedy = "`aldis serve` makes it at its first start; if there should be one, say --data-dir."
    return warn("data_folder", f"{folder} is not there yet", remedy)


def _try_writing(folder: Path) -> str | None:
    """Why not. Only trying tells, since root and read-only mounts have rules of their own."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _check_owner(folder: Path, state: os.stat_result) -> Finding:
    mode = stat.S_IMODE(state.st_mode)
    if state.st_uid != os.geteuid():
        detail = f"{folder} belongs to uid {state.st_uid}, and you are uid {os.geteuid()}"
        return warn("data_folder", detail, "Let one user own the folder and run the server.")
    if mode & ~PRIVATE:
        detail = f"{folder} is open to others: mode {mode:04o}"
        return warn("data_folder", detail, f"chmod 700 {folder}: messages and the signing secret lie there.")
    return ok("data_folder", f"{folder}, writable, mode {mode:04o}")


@dataclass(frozen=True, slots=True)
class Mount:
    """Where something is mounted, and what kind of file system it is."""

    place: Path
    kind: str


def check_filesystem(folder: Path, mounts: Path = MOUNTS) -> Finding:
    """SQLite needs locks that work and a log in shared memory; people need the data to outlast a restart."""
    mount = find_mount(nearest(folder).resolve(), read_mounts(mounts))
    if mount is None:
        return ok("filesystem", "its kind is not to be seen here")
    detail = f"{mount.kind} at {mount.place}"
    if mount.kind in NETWORK or mount.kind.startswith("fuse.ssh"):
        remedy = "Put the data folder on a local disk: locks and the log of SQLite do not work over a network."
        return warn("filesystem", f"{detail} is a network file system", remedy)
    if mount.kind in VOLATILE:
        return warn("filesystem", f"{detail} is in memory", "Put the data folder on a disk: a restart takes it all.")
    if mount.kind in LAYERS:
        remedy = "In a container, mount a volume for the data folder: this layer goes with the container."
        return warn("filesystem", f"{detail} is a container's own layer", remedy)
    return ok("filesystem", detail)


def read_mounts(mounts: Path) -> list[Mount]:
    """What is mounted, in the order of mounting; nothing where the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    split = [line.partition(" - ") for line in lines]
    return [Mount(Path(_unescape(left.split()[4])), right.split()[0]) for left, _, right in split if right]


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def find_mount(path: Path, mounts: list[Mount]) -> Mount | None:
    """The mount that a path lies on: the deepest, and of several at one place the last."""
    above = [mount for mount in mounts if path.is_relative_to(mount.place)]
    return max(reversed(above), key=lambda mount: len(mount.place.parts), default=None)


def check_disk(folder: Path, *, statvfs: Callable[[Path], Room] = os.statvfs) -> Finding:
    """Room for what comes: a full disk refuses every send."""
    room = statvfs(nearest(folder))
    free = room.f_bavail * room.f_frsize
    detail = f"{to_size(free)} free"
    if room.f_files and not room.f_favail:
        return fail("disk", "no file can be made: the disk has no inode left", "Remove files you do not need.")
    if free < FULL_BYTES:
        return fail("disk", detail, "Make room, or move the data folder: sends are refused when the disk is full.")
    if free < LOW_BYTES:
        return warn("disk", detail, "Make room soon; the database does not shrink by itself.")
    return ok("disk", detail)
