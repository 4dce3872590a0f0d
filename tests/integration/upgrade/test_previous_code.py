"""Where the code of the version before comes from."""

import subprocess
from pathlib import Path

import pytest

import previous


def test_the_code_is_that_of_the_recorded_commit(tmp_path: Path) -> None:
    """It is taken out of the history once; what was made by an interrupted run is not taken for it."""
    (tmp_path / f".previous-{previous.version().commit}.0000").mkdir()

    root = previous.code(previous.version(), cache=tmp_path)

    assert (root / "runtime/aldis/__main__.py").is_file()
    assert previous.code(previous.version(), cache=tmp_path) == root
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == [root.name]


def test_a_clone_without_the_history_is_told_what_to_do(tmp_path: Path) -> None:
    """A test must not pass because there was nothing to test with."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)

    with pytest.raises(previous.NotInHistory, match="git fetch --unshallow"):
        previous.code(previous.version(), repository=tmp_path, cache=tmp_path / "cache")
