"""What an installation stands on: a database, a broker and a cache, each made by the operator or brought along."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from aldis_operator.model.shape import CertificateRef, ImageName, ObjectName, Placed, Shape, Size, UrlRef, rule, rules


class Storage(Shape):
    """A volume."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(oldSelf.size) || (has(self.size) && quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0)",
                "storage.size cannot shrink, as volumes cannot: put the earlier size back",
            ),
            rule(
                "has(self.storageClassName) == has(oldSelf.storageClassName) && "
                "(!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
                "storage.storageClassName cannot change, as volumes do not move: put the earlier one back",
            ),
        )
    )

    size: Size | None = None
    """How much it holds; it can grow, if its class lets it. The profile's unless given."""

    storage_class_name: ObjectName | None = None
    """The StorageClass; the cluster's own choice unless given."""


class ManagedPart(Placed):
    """A server that the operator runs."""

    image: ImageName | None = None
    """Its image: the official one of the version that we test unless given. It needs the programs in `PATH`, no
    more."""


class ManagedDatabase(ManagedPart):
    """One PostgreSQL 15 or newer. Its messages outlive the pod, not the volume: take backups."""

    storage: Storage | None = None
    """Where the messages lie."""


class ManagedBroker(ManagedPart):
    """RabbitMQ 4.0 or newer."""

    replicas: (
        Annotated[
            Literal[1, 3],
            Field(
                json_schema_extra=rules(
                    rule(
                        "self >= oldSelf",
                        "broker.managed.replicas cannot go from 3 to 1, as queues would be lost: leave it at 3",
                    )
                )
            ),
        ]
        | None
    ) = None
    """One node, or three of which one may be away; the profile's unless given."""

    storage: Storage | None = None
    """Where each node keeps its queues."""


class ManagedCache(ManagedPart):
    """One Redis that keeps nothing on a disk. All of it may be lost at any moment, and no message with it."""


class External(Shape):
    """A server that is there already."""

    secret_ref: UrlRef
    """The Secret with the URL that leads to it, password included."""

    ca_secret_ref: CertificateRef | None = None
    """The Secret with the authority that its certificate is from, if the system does not know it."""


def _either(part: str) -> dict[str, str]:
    return rule(
        "!(has(self.managed) && has(self.external))",
        f"{part} is either managed or external: take one of the two away",
    )


class Database(Shape):
    """The database: what is accepted is here. Managed unless `external` is given."""

    model_config = ConfigDict(json_schema_extra=rules(_either("database")))

    managed: ManagedDatabase | None = None
    """The operator runs it."""

    external: External | None = None
    """A PostgreSQL of yours: `postgresql://…` as libpq writes it. `caSecretRef` is mounted at
    `/etc/aldis/ca/database/`; name it in the URL, as `sslrootcert=/etc/aldis/ca/database/ca.crt`."""


class Broker(Shape):
    """The broker: due work and events go through it. Managed unless `external` is given."""

    model_config = ConfigDict(json_schema_extra=rules(_either("broker")))

    managed: ManagedBroker | None = None
    """The operator runs it."""

    external: External | None = None
    """A RabbitMQ of yours: `amqps://…`, with all its nodes. `caSecretRef` is mounted at `/etc/aldis/ca/broker/`; name
    it in the URL, as `cafile=/etc/aldis/ca/broker/ca.crt`."""


class Cache(Shape):
    """The cache: gateways ring each other through it. Managed unless `external` is given."""

    model_config = ConfigDict(json_schema_extra=rules(_either("cache")))

    managed: ManagedCache | None = None
    """The operator runs it."""

    external: External | None = None
    """A Redis of yours: `rediss://…`, `rediss+sentinel://…` or `rediss+cluster://…`. `caSecretRef` is mounted at
    `/etc/aldis/ca/cache/`; name it in the URL, as `ca=/etc/aldis/ca/cache/ca.crt`."""
