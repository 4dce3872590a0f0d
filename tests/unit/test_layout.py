import operator
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

import aldis

CHECKOUT = Path(__file__).parents[2]


def test_operator_stays_pythons_own() -> None:
    """The folder `operator/` never hides the standard library's module of that name."""
    standard_library = Path(sysconfig.get_path("stdlib")).resolve()

    assert Path(operator.__file__).resolve().parent == standard_library


@pytest.mark.parametrize("folder", ["runtime", "operator", "runtime/clients/python"])
def test_folders_on_the_path_hold_packages_only(folder: str) -> None:
    """A folder that is put on the import path has no module of its own, so it cannot be imported or hide another."""
    assert list((CHECKOUT / folder).glob("*.py")) == []


def test_the_package_knows_its_version() -> None:
    """The version is stated once, in pyproject.toml, and readable from the package."""
    assert aldis.__version__ == metadata.version("aldis")
