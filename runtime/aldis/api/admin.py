"""Everything under `/v1/admin`: for keys with the scope `admin`, and nobody else."""

from aldis.api import (
    admin_channels,
    admin_connections,
    admin_dead_letters,
    admin_figures,
    admin_keys,
    admin_messages,
    admin_users,
)

ROUTERS = (
    admin_channels.router,
    admin_keys.router,
    admin_connections.router,
    admin_users.router,
    admin_messages.router,
    admin_dead_letters.router,
    admin_figures.router,
)
