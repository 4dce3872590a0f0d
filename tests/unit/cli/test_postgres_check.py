"""`aldis doctor` on PostgreSQL: what it says of itself, put into findings."""

from dataclasses import replace
from typing import Any

import pytest

from aldis.adapters.sql.inspection import Inspection
from aldis.adapters.sql.postgres_inspection import PostgresInspection
from aldis.adapters.sql.schema_state import SchemaState
from aldis.cli.checks.postgres import check_postgres
from aldis.domain.errors import Unavailable
from aldis.domain.ids import new_id

NOW = 1_800_000_000_000
WELL = PostgresInspection(
    version="15.18",
    number=150_018,
    is_read_only=False,
    may_create=True,
    connected=20,
    most=97,
    unsafe=(),
    rows=Inspection(tables=30, schema=SchemaState("0002", None), newest_message=new_id(NOW)),
)


def found(inspection: PostgresInspection = WELL) -> dict[str, str]:
    """Outcomes by name, after seeing that whatever is not well has a remedy."""
    findings = list(check_postgres(ask=lambda: inspection, revisions=("0002", "0001"), now_ms=NOW))
    assert all((finding.remedy is None) == (finding.outcome.value == "ok") for finding in findings)
    return {finding.name: finding.outcome.value for finding in findings}


def test_a_database_that_is_well_has_nothing_to_be_looked_at() -> None:
    """Each check is made."""
    assert found() == dict.fromkeys(("database", "schema", "durability", "connections", "messages"), "ok")


@pytest.mark.parametrize(
    ("change", "name", "outcome"),
    [
        ({"number": 140_012}, "database", "fail"),
        ({"is_read_only": True}, "database", "fail"),
        ({"may_create": False}, "database", "fail"),
        ({"rows": Inspection(tables=0, schema=SchemaState(None, None))}, "schema", "warn"),
        ({"rows": Inspection(tables=9, schema=SchemaState("0009", None))}, "schema", "fail"),
        ({"unsafe": ("fsync",)}, "durability", "fail"),
        ({"connected": 90}, "connections", "warn"),
        (
            {"rows": Inspection(tables=9, schema=SchemaState("0002", None), newest_message=new_id(NOW * 2))},
            "messages",
            "warn",
        ),
    ],
)
def test_what_is_not_well_is_told(change: dict[str, Any], name: str, outcome: str) -> None:
    """One finding, with what to do."""
    differing = {key: value for key, value in found(replace(WELL, **change)).items() if value != "ok"}

    assert differing == {name: outcome}


def test_a_server_that_does_not_answer_is_the_one_finding() -> None:
    """Nothing else can be looked at."""

    def ask() -> PostgresInspection:
        raise Unavailable("Connect call failed")

    (finding,) = check_postgres(ask=ask, revisions=("0002",), now_ms=NOW)

    assert (finding.name, finding.outcome.value) == ("database", "fail")
    assert "Connect call failed" in finding.detail
