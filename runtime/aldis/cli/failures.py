"""The edge of the command line: what went wrong becomes one line on standard error and an exit code.

0 done, 1 refused or failed, 2 wrong usage (Typer's own). Only a bug shows a traceback.
"""

from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from aldis.cli.terminal import say
from aldis.domain.errors import CODES, AldisError


class Failed(Exception):
    """The command cannot do what it was asked; the message says why and what to do."""


class Answering(TyperGroup):
    """The group of all commands, which answers for what they raise."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # whoever read the output has gone; Typer ends in silence
        except Failed as error:
            _end(str(error))
        except AldisError as error:
            _end(describe(error))
        except OSError as error:
            _end(describe_system(error))


def _end(line: str) -> NoReturn:
    say(f"aldis: {line}")
    raise typer.Exit(1)


def describe(error: AldisError) -> str:
    """What an error of the domain says, with what can be done about it."""
    code = getattr(error, "code", None)
    return f"{error}. {CODES[code].remedy}" if code in CODES else str(error)


def describe_system(error: OSError) -> str:
    """What the system refused, and where it can be looked at."""
    words = f"{error.filename}: {error.strerror}" if error.filename is not None else str(error)
    return f"{words}. `aldis doctor` looks at the data folder and its disk."
