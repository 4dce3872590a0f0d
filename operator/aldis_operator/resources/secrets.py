"""The Secrets that are made: the root, what the managed servers take, and where the runtime finds them."""

import base64
from collections.abc import Mapping
from typing import Any

from aldis_operator.model.installation import Installation, Managed
from aldis_operator.resources import names, runtime
from aldis_operator.resources.derived import Root
from aldis_operator.resources.objects import build_object

ROOT_KEY = "root"
USER = "aldis"  # on every managed server, and the database's and virtual host's name


def build_root(installation: Installation, root: Root) -> dict[str, Any]:
    """The root. Where data are kept it stays with them: without it nobody is let in any more."""
    return build_object(
        installation,
        "Secret",
        names.name_of(installation.name, names.ROOT),
        component=names.ROOT,
        is_owned=not installation.keeps_data,
        type="Opaque",
        data={ROOT_KEY: base64.b64encode(root.secret).decode()},
    )


def build_connections(installation: Installation, root: Root) -> dict[str, Any] | None:
    """What the runtime reads of what is ours; None when all is the user's own."""
    own = {
        runtime.DATABASE_URL: _database_url(installation, root),
        runtime.BROKER_URL: _broker_url(installation, root),
        runtime.CACHE_URL: _cache_url(installation, root),
        runtime.TOKEN_SECRET: root.derive(runtime.TOKEN_SECRET) if installation.token_secret is None else None,
    }
    texts = {name: text for name, text in own.items() if text is not None}
    return build_secret(installation, names.name_of(installation.name, names.CONNECTIONS), texts) if texts else None


def build_secret(
    installation: Installation, name: str, texts: Mapping[str, str], *, component: str = names.CONNECTIONS
) -> dict[str, Any]:
    """A Secret that can be derived again, so the installation owns it."""
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return build_object(installation, "Secret", name, component=component, type="Opaque", data=data)


def _database_url(installation: Installation, root: Root) -> str | None:
    if not isinstance(installation.database, Managed):
        return None
    host = names.host_of(installation.name, installation.namespace, names.POSTGRES)
    return f"postgresql://{USER}:{root.derive(names.POSTGRES)}@{host}:5432/{USER}?sslmode=disable"


def _broker_url(installation: Installation, root: Root) -> str | None:
    if not isinstance(installation.broker, Managed):
        return None
    where = installation.name, installation.namespace, names.RABBITMQ
    nodes = (f"{names.host_of(*where, node=node)}:5672" for node in range(installation.broker.pods.replicas))
    return f"amqp://{USER}:{root.derive(names.RABBITMQ)}@{','.join(nodes)}/{USER}"


def _cache_url(installation: Installation, root: Root) -> str | None:
    if not isinstance(installation.cache, Managed):
        return None
    host = names.host_of(installation.name, installation.namespace, names.REDIS)
    return f"redis://:{root.derive(names.REDIS)}@{host}:6379/0"
