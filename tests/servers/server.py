"""One server process: started, waited for, paused, killed, started again, and gone in the end."""

import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from servers.guard import Guard, kill_tree, tree_of
from servers.place import Account, ServerFailed, make_folder

READY_SECONDS = 60.0  # RabbitMQ on a busy machine
STOP_SECONDS = 20.0
POLL_SECONDS = 0.02
TOLD_CHARACTERS = 4000  # of the log, when it fails


class Server(ABC):
    """A server with a folder of its own. Without a guard it outlives its starter."""

    name: str

    def __init__(self, *, guard: Guard | None, account: Account | None = None, folder: Path | None = None) -> None:
        """Choose a place; nothing runs before `start`. A folder that is given is kept by `close`."""
        self._guard = guard
        self._account = account
        self._uid = account.uid if account else None
        self._gid = account.gid if account else None
        self._groups: Sequence[int] | None = () if account else None
        self._is_folder_ours = folder is None
        self.folder = folder or make_folder(self.name, account)
        if guard is not None and self._is_folder_ours:
            guard.watch_folder(self.folder)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def arguments(self) -> Sequence[str]:
        """The command that is the server, in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers."""

    def environment(self) -> Mapping[str, str]:
        """Its variables."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}

    @property
    def log_file(self) -> Path:
        """What it has said, over all its lives."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """The process, which leads a process group."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives, be it paused."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it on its ports and its data, and wait until it answers. Raises `ServerFailed`."""
        assert not self.is_running, f"{self.name} runs already"
        self._process = self.spawn(self.arguments())
        wait_until(self.is_ready, f"{self.name} to answer", lambda: not self.is_running, self.said)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to go and wait until it has; one that takes too long is killed."""
        if self._process is None:
            return
        if self.is_running:
            self.resume()
            self._process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        self._end(self._process)

    def kill(self) -> None:
        """End it and all it has started at once, as a crash does."""
        if self._process is not None:
            self._end(self._process)

    def restart(self) -> None:
        """Stop it, and start it again on the same ports and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers, as on a machine that hangs."""
        for pid in tree_of(self.pid):
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on; one that is not paused does anyway."""
        for pid in tree_of(self.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        """Kill it, and remove its folder if it is ours: nobody needs the data any more."""
        self.kill()
        if self._is_folder_ours:
            shutil.rmtree(self.folder, ignore_errors=True)

    def said(self) -> str:
        """What it has logged."""
        if not self.log_file.exists():
            return ""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def spawn(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a process under the server's account, with its variables and log, in a group that is looked after."""
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                arguments, cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, user=self._uid, group=self._gid, extra_groups=self._groups,
            )  # fmt: skip
        if self._guard is not None:
            self._guard.watch(process.pid)
        return process

    def run(self, *arguments: str, **variables: str) -> str:
        """Run a program under the server's account to its end and give what it printed. Raises `ServerFailed`."""
        done = subprocess.run(
            arguments, cwd=self.folder, env={**self.environment(), **variables}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=READY_SECONDS, check=False,
            user=self._uid, group=self._gid, extra_groups=self._groups,
        )  # fmt: skip
        if done.returncode != 0:
            raise ServerFailed(f"{arguments[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            kill_tree(process.pid)
        process.wait()
        if self._guard is not None:
            self._guard.forget(process.pid)


def wait_until(
    condition: Callable[[], bool], what: str, is_hopeless: Callable[[], bool], said: Callable[[], str]
) -> None:
    """Wait for a condition of another process. Raises `ServerFailed`, with the end of what it said."""
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        if is_hopeless() or time.monotonic() > deadline:
            raise ServerFailed(f"waited in vain for {what}. It said:\n{said()[-TOLD_CHARACTERS:]}")
        time.sleep(POLL_SECONDS)
