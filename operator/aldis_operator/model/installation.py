"""An installation with everything decided: what a resource says, what its profile says, and nothing left open.

Builders see only this. It is never written back, so a profile of tomorrow changes what nobody has said.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """What a container asks for and may use: `cpu`, `memory`."""

    requests: Mapping[str, str]
    limits: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """So many pods, and where they go."""

    replicas: int
    compute: Compute
    node_selector: Mapping[str, str]
    tolerations: tuple[Mapping[str, str | int], ...]
    priority_class: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateways:
    """What clients talk to."""

    pods: Pods
    pre_stop_seconds: int
    drain_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """A group of workers."""

    name: str
    pods: Pods


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What a pod keeps; `class_name` None is the cluster's own choice."""

    size: str
    class_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Managed:
    """A server that the operator runs; without `volume` it keeps nothing."""

    image: str
    pods: Pods
    volume: Volume | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKey:
    """A key of a Secret of the user's."""

    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """A server that is there already: the Secret with its URL, and the one with its authority."""

    url: SecretKey
    authority: SecretKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The runtime's image."""

    reference: str
    pull_policy: str
    pull_secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Who may talk to whom."""

    has_policies: bool
    monitoring_namespaces: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """All of it. `settings` are variables of the runtime that every process has, without the prefix `ALDIS_`."""

    name: str
    namespace: str
    uid: str
    version: str
    image: Image
    keeps_data: bool
    gateways: Gateways
    workers: tuple[Workers, ...]
    database: Managed | External
    database_connections: int
    broker: Managed | External
    cache: Managed | External
    token_secret: SecretKey | None
    network: Network
    settings: Mapping[str, str]
