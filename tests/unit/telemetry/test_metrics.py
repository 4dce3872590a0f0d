import pytest

from aldis.telemetry.metrics import CONTENT_TYPE, Metrics

ID_LABELS = {"user", "device", "conversation", "message", "node", "id", "key"}


def test_what_was_counted_is_rendered() -> None:
    """Counters, gauges and histograms come out in the Prometheus text format under their public names."""
    metrics = Metrics()
    metrics.messages_accepted.labels(kind="chat", lane="express").inc(3)
    metrics.connections.set(2)
    metrics.commit_group_size.labels(group="send").observe(42)

    text = metrics.render().decode()

    assert 'aldis_messages_accepted_total{kind="chat",lane="express"} 3.0' in text
    assert "aldis_connections 2.0" in text
    assert 'aldis_commit_group_size_bucket{group="send",le="50.0"} 1.0' in text
    assert CONTENT_TYPE.startswith("text/plain")


@pytest.mark.parametrize(
    "name",
    [
        "aldis_messages_accepted", "aldis_messages_duplicate", "aldis_events_delivered", "aldis_events_acked",
        "aldis_gap_reads", "aldis_connections", "aldis_connections_opened", "aldis_connections_closed",
        "aldis_commit_group_size", "aldis_commit_seconds", "aldis_send_seconds", "aldis_delivery_seconds",
        "aldis_rejected", "aldis_http_requests", "aldis_http_seconds", "aldis_slow_readers", "aldis_outbox_rows",
        "aldis_rings", "aldis_event_loop_lag_seconds", "process_resident_memory_bytes", "python_info",
    ],
)  # fmt: skip
def test_every_public_metric_is_there(name: str) -> None:
    """Dashboards and alerts rely on these names."""
    assert name in {family.name for family in Metrics().registry.collect()}


def test_two_processes_worth_of_metrics_share_nothing() -> None:
    """Each `Metrics` has its own registry."""
    one, two = Metrics(), Metrics()

    one.connections_opened.inc()

    assert two.registry.get_sample_value("aldis_connections_opened_total") == 0


def test_no_metric_has_an_id_for_a_label() -> None:
    """A label with as many values as there are users would be the end of the metrics store."""
    labels = {label for family in vars(Metrics()).values() for label in getattr(family, "_labelnames", ())}

    assert labels
    assert not labels & ID_LABELS


def test_dates_of_birth_are_not_rendered() -> None:
    """Counters are told once, without a second series for when they were made."""
    metrics = Metrics()
    metrics.outbox_rows.inc()

    assert b"_created" not in metrics.render()
