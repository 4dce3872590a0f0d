"""A terminal with a shell in it, as a newcomer has one: what is typed goes through a pseudo-terminal, keys included."""

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

PROMPT = "<<ready>> "
PATIENCE_SECONDS = 30.0
CTRL_C, CTRL_Z = "\x03", "\x1a"


class Terminal:
    """An interactive bash in a folder. Use it as a context manager: at the end it hangs up on what still runs."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        """Open it and wait for the first prompt."""
        self._closing = ExitStack()
        self._screen, slave = pty.openpty()
        self._closing.callback(os.close, self._screen)
        _show_what_is_printed_only(slave)
        self._shell = subprocess.Popen(
            # With a session and a terminal of its own, keys make signals and jobs can be stopped.
            ["setsid", "--ctty", "bash", "--norc", "--noprofile", "--noediting", "-i"],
            cwd=folder,
            env={**env, "PS1": PROMPT, "PS2": "", "VIRTUAL_ENV_DISABLE_PROMPT": "1"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self._unread = ""
        self.seen = ""
        self.read_until_prompt()

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up: the shell passes that on to all it has started."""
        self._closing.close()
        try:
            self._shell.wait(PATIENCE_SECONDS)
        finally:
            self._shell.kill()
            self._shell.wait()

    def type(self, text: str) -> None:
        """Type a line, or several."""
        os.write(self._screen, text.encode())

    def run(self, command: str) -> str:
        """Type a command, wait until the shell is ready again, and give what was printed."""
        printed = ""
        for line in _whole_lines(command):
            self.type(line)
            printed += self.read_until_prompt()
        return printed

    def press(self, key: str) -> str:
        """Press a key that ends or stops what runs; give what was printed until the shell is ready."""
        self.type(key)
        return self.read_until_prompt()

    def read_until_prompt(self) -> str:
        """What is printed before the next prompt."""
        return self._read(PROMPT)[: -len(PROMPT)]

    def read_line_with(self, words: str) -> str:
        """The next line with `words` in it."""
        self._read(words)
        rest = self._read("\n")
        return (self.seen[: -len(rest)].rpartition("\n")[2] + rest).strip()

    def _read(self, words: str) -> str:
        """Read until `words` have come; give all up to their end."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while words not in self._unread:
            self._unread += self._receive(deadline, lambda: f"{words!r} was not printed, but: {self._unread!r}")
        end = self._unread.index(words) + len(words)
        read, self._unread = self._unread[:end], self._unread[end:]
        self.seen += read
        return read

    def _receive(self, deadline: float, complaint: Callable[[], str]) -> str:
        readable, _, _ = select.select([self._screen], [], [], max(0.0, deadline - time.monotonic()))
        assert readable, complaint()
        return os.read(self._screen, 65536).decode(errors="replace")


def _show_what_is_printed_only(terminal: int) -> None:
    """No echo of what is typed, and a newline as it is."""
    attributes = termios.tcgetattr(terminal)
    attributes[1] &= ~termios.OPOST
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)


def _whole_lines(text: str) -> list[str]:
    """The commands of a text, each with the lines that continue it."""
    return [f"{command}\n".replace("\0", "\\\n") for command in text.strip().replace("\\\n", "\0").split("\n")]
