"""What a cluster's database holds, held against what was promised."""

from clustered import Cluster, Servers
from integration.promise.ledger import ENTRIES, MESSAGES, Ledger, check_rows


def check_database(servers: Servers, cluster: Cluster, ledger: Ledger) -> None:
    """Fail unless it holds each send once, as it was answered, and both kinds of number without a gap."""
    database = cluster.variables["ALDIS_DATABASE_URL"].rpartition("/")[2]
    messages = [line.split("|") for line in servers.postgres.execute(MESSAGES, database).splitlines()]
    entries = [line.split("|") for line in servers.postgres.execute(ENTRIES, database).splitlines()]
    check_rows(
        [(client_id, id_, conversation, int(seq)) for client_id, id_, conversation, seq in messages],
        [(user, lane, int(seq), message_id) for user, lane, seq, message_id in entries],
        ledger,
    )
