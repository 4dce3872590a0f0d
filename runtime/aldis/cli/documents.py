"""Documents in a file: YAML with several of them, or JSON, one or a list."""

import json
import sys
from pathlib import Path

import yaml

from aldis.cli.failures import Failed

STANDARD_INPUT = "-"


def read_text(file: str) -> str:
    """The content of a file, or of standard input. Raises `Failed`."""
    try:
        raw = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise Failed(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Failed(f"{'standard input' if file == STANDARD_INPUT else file} is not UTF-8") from error


def parse_documents(text: str) -> list[object]:
    """The documents of a text, empty ones left out. Raises `ValueError` with the place of a mistake."""
    try:
        found = _parse_json(text) if text.lstrip()[:1] in {"{", "["} else list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return [document for document in found if document is not None]


def _parse_json(text: str) -> list[object]:
    """JSON is read as such, for YAML has no tabs; what only begins like it is YAML after all."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = list(yaml.safe_load_all(text))
        return found[0] if len(found) == 1 and isinstance(found[0], list) else found
    return found if isinstance(found, list) else [found]
