"""`aldis doctor` on RabbitMQ: one node must take us, and be new enough."""

import pytest

from aldis.cli.checks.broker import Node, check_broker
from aldis.domain.amqp_address import parse_amqp_address
from aldis.domain.errors import Unavailable

ADDRESS = parse_amqp_address("amqp://me:s3cr3t@one,two:5673/")


def found(*answers: str | OSError) -> list[tuple[str, str]]:
    """Outcomes and details, for a node each."""
    by_node = dict(zip(ADDRESS.nodes, answers, strict=True))

    def ask(node: Node) -> str:
        answer = by_node[node]
        if isinstance(answer, OSError):
            raise Unavailable("s3cr3t") from answer
        return answer

    return [(finding.outcome.value, finding.detail) for finding in check_broker(ADDRESS, ask=ask)]


def test_nodes_that_answer_are_told_with_their_version() -> None:
    """Nothing is wrong."""
    assert found("3.10.8", "4.3.0") == [("ok", "one:5672 is RabbitMQ 3.10.8"), ("ok", "two:5673 is RabbitMQ 4.3.0")]


def test_a_node_that_is_away_is_a_failure_where_no_other_serves() -> None:
    """Beside one that serves it is something to look at; its reason is told by name only."""
    away = ConnectionRefusedError("s3cr3t")

    assert found(away, "4.3.0")[0] == ("warn", "one:5672 cannot be used (ConnectionRefusedError)")
    assert [outcome for outcome, _ in found(away, away)] == ["fail", "fail"]


@pytest.mark.parametrize("version", ["3.9.29", "2.8", "", "unknown"])
def test_a_node_that_is_too_old_is_a_failure(version: str) -> None:
    """It would lose what it should set aside."""
    assert found(version, "4.3.0")[0] == ("fail", f"one:5672 is RabbitMQ {version}")
