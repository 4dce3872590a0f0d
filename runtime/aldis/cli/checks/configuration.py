"""The settings: every mistake in them, and names that look like a setting and are none."""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from aldis.cli.checks.finding import Finding, fail, ok, warn
from aldis.settings import PREFIX, InvalidSettings, Settings, load_settings

REMEDY = "Correct it; docs/operations.md lists every setting."
OF_THE_COMMAND_LINE = ("KEY", "SECRETS_DIR")  # read by others than the settings themselves
ENDING = "_FILE"


def check_settings(data_dir: Path | None) -> tuple[Settings | None, list[Finding]]:
    """The settings, when they can be read, and what is wrong with them."""
    try:
        settings = load_settings(data_dir=data_dir)
    except InvalidSettings as error:
        return None, [fail("settings", str(mistake), REMEDY) for mistake in error.args]
    strange = list(_strange_names(os.environ))
    return settings, strange or [ok("settings", f"{len(own_names(os.environ))} set by variables, none wrong")]


def own_names(variables: Iterable[str]) -> list[str]:
    """The variables that are meant for Aldis."""
    return sorted(name for name in variables if name.upper().startswith(PREFIX))


def _strange_names(variables: Mapping[str, str]) -> Iterator[Finding]:
    """Names that nobody reads: a misspelt setting would have no effect, and nobody would tell."""
    known = {*leaf_names(Settings), *(f"{PREFIX}{name}" for name in OF_THE_COMMAND_LINE)}
    for name in own_names(variables):
        if name.upper().removesuffix(ENDING) not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            remedy = f"Did you mean {near[0]}?" if near else "Remove it, or see docs/operations.md for the names."
            yield warn("settings", f"{name} is not a setting and has no effect", remedy)


def leaf_names(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[str]:
    """Each variable of a settings model."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaf_names(field.annotation, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}"
