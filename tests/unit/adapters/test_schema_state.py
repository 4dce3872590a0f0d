"""What a program makes of a database that says its revision and its floor."""

import pytest

from aldis.adapters.sql.schema_state import SchemaState, Standing, known_revisions, newest_floor

KNOWN = ("0005", "0004", "0003")


@pytest.mark.parametrize(
    ("revision", "floor", "standing"),
    [
        (None, None, Standing.EMPTY),
        ("0005", "0003", Standing.CURRENT),
        ("0005", None, Standing.CURRENT),
        ("0004", "0003", Standing.BEHIND),
        ("0003", "0003", Standing.BEHIND),
        ("0009", "0005", Standing.AHEAD),
        ("0009", "0003", Standing.AHEAD),
        ("0009", "0006", Standing.UNKNOWN),
        ("0009", None, Standing.UNKNOWN),
        ("0005", "0006", Standing.UNKNOWN),
        ("ffff", "ffff", Standing.UNKNOWN),
    ],
)
def test_a_program_looks_for_the_floor_among_what_it_knows(
    revision: str | None, floor: str | None, standing: Standing
) -> None:
    """Its own revision and older ones as well as newer ones, unless they need more than it knows."""
    assert SchemaState(revision, floor).standing(KNOWN) is standing


def test_the_version_before_can_use_the_newest_schema() -> None:
    """0.1.0 knows the revisions up to 0003. A floor above that is for a time when 0.1.0 is not the version before."""
    assert newest_floor() == "0003"
    assert newest_floor() in known_revisions()
