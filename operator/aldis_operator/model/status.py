"""What our resources tell of themselves: conditions as kstatus reads them, so that `kubectl wait` can be believed."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, WithJsonSchema

from aldis_operator.model.shape import Shape, Word, listed_by

Time = Annotated[str, StringConstraints(max_length=40), WithJsonSchema({"type": "string", "format": "date-time"})]
Generation = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
Count = Annotated[int, Field(ge=0, json_schema_extra={"format": "int32"})]


class Condition(Shape):
    """One thing that holds, does not, or is not known."""

    type: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z]*$", max_length=64)]
    """What it is about."""

    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""

    observed_generation: Generation = 0
    """The generation of the resource that this is said of."""

    last_transition_time: Time
    """When `status` last changed."""

    reason: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9_]*$", min_length=1, max_length=256)]
    """Why, as a word for programs."""

    message: Annotated[str, StringConstraints(max_length=4096)]
    """Why, and what to do, for people."""


Conditions = Annotated[list[Condition], Field(max_length=32, json_schema_extra=listed_by("type"))]


class Versions(Shape):
    """What runs."""

    current: Word | None = None
    """The version that the gateways report."""

    target: Word | None = None
    """The version that is being rolled out."""

    revision: Word | None = None
    """The revision of the database's schema."""


class Endpoints(Shape):
    """Where clients find the gateways, within the cluster."""

    http: Annotated[str, StringConstraints(max_length=512)] | None = None
    """REST."""

    websocket: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Sockets."""


class GatewayStatus(Shape):
    """The gateways."""

    replicas: Count = 0
    """How many there are."""

    ready: Count = 0
    """How many take clients."""

    selector: Annotated[str, StringConstraints(max_length=1024)] = ""
    """Their labels, as scalers want them."""


class Component(Shape):
    """A part of the installation."""

    name: Word
    """Which: `gateway`, `database` …"""

    mode: Literal["Managed", "External"]
    """Who runs it."""

    ready: bool
    """Whether it does its work."""

    reason: Annotated[str, StringConstraints(max_length=256)] | None = None
    """Why not."""


class ClusterStatus(Shape):
    """What the operator has seen. It is written when something changes, and holds nothing that always does."""

    observed_generation: Generation | None = None
    """The generation of the resource that was last looked at."""

    phase: Literal["Pending", "Progressing", "Ready", "Degraded", "Stalled"] | None = None
    """The conditions in a word."""

    version: Versions | None = None
    """What runs."""

    endpoints: Endpoints | None = None
    """Where clients find the gateways."""

    gateway: GatewayStatus | None = None
    """The gateways."""

    components: Annotated[list[Component], Field(max_length=32, json_schema_extra=listed_by("name"))] | None = None
    """Each part."""

    conditions: Conditions | None = None
    """`Ready`: all is as this generation wants it. `Available`: clients are served. `Reconciling`, `Stalled`: it is
    being worked on; it needs you. `DatabaseReady`, `BrokerReady`, `CacheReady`, `GatewayReady`, `WorkersReady`: each
    part."""


class ChannelStatus(Shape):
    """What the operator has done about the channel."""

    observed_generation: Generation | None = None
    """The generation of the resource that was last looked at."""

    conditions: Conditions | None = None
    """`Ready`: the channel is as this generation wants it. `ResolvedRefs`: what it refers to is there. `Synced`: a
    gateway has taken it. `Reconciling`, `Stalled`: it is being worked on; it needs you."""
