"""The only place where things are put together: settings to ports, ports to services, services to applications.

One AsyncExitStack opens all and closes all in reverse order; nothing else in the project makes an adapter.
"""

from aldis.bootstrap.data_folder import DataDirLocked, is_served, migrate, open_admin_store
from aldis.bootstrap.descriptions import describe_rest, describe_socket
from aldis.bootstrap.inspection import ask_broker, ask_database, fetch_issuer_keys, inspect_database
from aldis.bootstrap.serving import ServeFailed, run_gateway, run_worker, serve
from aldis.bootstrap.telling import tell_of_channels

__all__ = [
    "DataDirLocked",
    "ServeFailed",
    "ask_broker",
    "ask_database",
    "describe_rest",
    "describe_socket",
    "fetch_issuer_keys",
    "inspect_database",
    "is_served",
    "migrate",
    "open_admin_store",
    "run_gateway",
    "run_worker",
    "serve",
    "tell_of_channels",
]
