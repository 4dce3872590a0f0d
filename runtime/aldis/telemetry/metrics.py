"""The metrics: every name, label and bucket, in one place.

One `Metrics` a process, made by bootstrap and passed to whoever counts; it has its own registry, so that tests and
several roles never share numbers by accident. Labels have few values and never an id. On a hot path keep the child
(`metrics.rings.labels(outcome="taken")`) instead of looking it up for each event.
"""

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
GROUP_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 400, 500)  # a group of sends is closed at 400, one of moves at 500
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
DELIVERY_SECONDS = (*SECONDS, 30, 60, 300)  # a device that was away reads what was written minutes ago


class Metrics:
    """What this process counts and measures."""

    def __init__(self) -> None:
        # Else each counter and histogram is told twice, the second time as its date of birth.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it without annotations
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._make_message_metrics()
        self._make_connection_metrics()
        self._make_process_metrics()
        self._make_door_metrics()
        self._make_broker_metrics()

    def render(self) -> bytes:
        """All of them in the Prometheus text format; serve it as `CONTENT_TYPE`."""
        return generate_latest(self.registry)

    def _make_message_metrics(self) -> None:
        self.messages_accepted = self._counter("messages_accepted", "Messages stored.", "kind", "lane")
        self.messages_duplicate = self._counter("messages_duplicate", "Sends answered with an earlier message.")
        self.messages_revised = self._counter(
            "messages_revised", "Messages edited or deleted by their senders.", "type"
        )
        self.events_delivered = self._counter("events_delivered", "Entries written to sockets.", "source")
        self.events_acked = self._counter("events_acked", "Entries acknowledged by devices.", "source")
        self.gap_reads = self._counter("gap_reads", "Reads of the store on behalf of a connection.", "reason")
        self.commit_group_size = self._histogram(
            "commit_group_size", "Requests in one transaction.", GROUP_SIZES, "group"
        )
        self.commit_seconds = self._histogram("commit_seconds", "Time of one group's transaction.", SECONDS, "group")
        self.send_seconds = self._histogram("send_seconds", "From a send's arrival to its answer.", SECONDS)
        self.delivery_seconds = self._histogram(
            "delivery_seconds", "From a message's creation to a live socket.", DELIVERY_SECONDS
        )
        self.outbox_rows = self._counter("outbox_rows", "Rows written to the outbox.")
        self.scheduled = self._counter("scheduled", "Scheduled sends, by what became of them.", "outcome")
        self.scheduled_waiting = self._gauge("scheduled_waiting", "Sends that wait for their time, at the last count.")
        self.scheduled_lateness_seconds = self._histogram(
            "scheduled_lateness_seconds", "From a scheduled send's time until it was stored.", DELIVERY_SECONDS
        )
        self.rings = self._counter("rings", "Rings on the backplane.", "outcome")
        self.redis_calls = self._counter("redis_calls", "Round trips to Redis.", "outcome")
        self.attempts = self._counter("attempts", "Rings made for what was not acknowledged.", "outcome")
        self.dead_letters = self._counter("dead_letters", "Messages that have failed for a recipient.", "reason")
        self.dead_letters_open = self._gauge("dead_letters_open", "Dead letters that wait, counted up to 100,000.")
        self.announcements = self._counter("announcements", "Events handed to bindings of the broker.", "outcome")

    def _make_connection_metrics(self) -> None:
        self.connections = self._gauge("connections", "Connections that are open.")
        self.connections_opened = self._counter("connections_opened", "Connections that were opened.")
        self.connections_closed = self._counter("connections_closed", "Connections that were closed.", "code")
        self.ephemeral = self._counter("ephemeral", "Typing and presence for a connection.", "type", "outcome")
        self.slow_readers = self._gauge("slow_readers", "Connections whose standard sources are paused.")

    def _make_process_metrics(self) -> None:
        self.rejected = self._counter("rejected", "Requests refused by the caller's fault.", "code")
        self.http_requests = self._counter("http_requests", "HTTP requests answered.", "method", "route", "status")
        self.http_seconds = self._histogram("http_seconds", "Time of an HTTP request.", SECONDS, "route")
        self.event_loop_lag_seconds = self._gauge("event_loop_lag_seconds", "How late the event loop last woke.")

    def _make_door_metrics(self) -> None:
        self.jwks_fetches = self._counter("jwks_fetches", "Fetches of the issuer's public keys.", "outcome")
        self.jwks_keys = self._gauge("jwks_keys", "Public keys of the issuer that are known.")
        self.jwks_fetched = self._gauge("jwks_fetched_timestamp_seconds", "When the issuer's keys were last fetched.")
        self.address_limited = self._counter("address_limited", "Refusals by a client's address.", "limit")

    def _make_broker_metrics(self) -> None:
        self.broker_published = self._counter("broker_published", "Items given to the broker.", "target", "outcome")
        self.broker_items = self._counter("broker_items", "Items taken from the broker.", "queue", "outcome")
        self.broker_connections = self._gauge("broker_connections", "Connections to the broker.", "connection")
        self.broker_connects = self._counter(
            "broker_connects", "What came of connections to the broker.", "connection", "outcome"
        )
        self.outbox_age_seconds = self._gauge("outbox_age_seconds", "Age of the oldest events that were to leave.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"aldis_{name}_total", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"aldis_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"aldis_{name}", text, labels, buckets=buckets, registry=self.registry)


def total_of(counter: Counter) -> int:
    """What a counter has counted, over all of its labels."""
    samples = (sample for family in counter.collect() for sample in family.samples)
    return int(sum(sample.value for sample in samples if sample.name.endswith("_total")))
