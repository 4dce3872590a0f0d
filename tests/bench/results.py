"""What is kept of a run: `bench/results.json`, a section for each scenario with what it was measured on."""

import json
import math
import os
import platform
import sqlite3
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.figures import Figure
from bench.peer import peer_version

FOLDER = Path("bench")
PACKAGES = (
    "aldis",
    "httptools",
    "msgspec",
    "picows",
    "pydantic",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "uvloop",
    "websockets",
)

Json = dict[str, object]


def describe_surroundings(servers: Mapping[str, str]) -> Json:
    """Return the versions, those of `servers` among them, and the machine: without them a figure means nothing."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "sqlite": sqlite3.sqlite_version,
        "centrifuge": peer_version(),
        "servers": dict(servers),
        "packages": {name: _version(name) for name in PACKAGES},
        "settings": {name: value for name, value in os.environ.items() if name.startswith("ALDIS_LIMITS")},
    }


def save(
    name: str,
    *,
    is_quick: bool,
    servers: Mapping[str, str],
    figures: Sequence[Figure],
    runs: Sequence[Sequence[Figure]],
) -> Path:
    """Replace a scenario's section of the results and return the file."""
    path = FOLDER / "results.json"
    results: Json = json.loads(path.read_text()) if path.exists() else {}
    results[name] = {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "quick": is_quick,
        "surroundings": describe_surroundings(servers),
        "figures": [_to_json(figure) for figure in figures],
        "runs": [[_to_json(figure) for figure in run] for run in runs],
    }
    path.write_text(json.dumps(results, indent=1) + "\n")
    return path


def _to_json(figure: Figure) -> Json:
    return {
        "name": figure.name,
        "column": figure.column,
        "value": None if math.isnan(figure.value) else round(figure.value, 3),
        "unit": figure.unit,
        "target": str(figure.target) if figure.target else None,
        "met": figure.is_met,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
