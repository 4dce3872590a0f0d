"""`MessagingCluster`: an installation of Aldis."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from aldis_operator.model.parts import Broker, Cache, Database
from aldis_operator.model.shape import LocalRef, Metadata, Placed, SecretRef, Shape, Word, listed_by, rule, rules
from aldis_operator.model.status import ClusterStatus

MAX_NAME = 40  # with what the operator appends, the names of pods still fit into a label
PROFILES = Literal["dev", "production"]

Version = Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.-]*$", max_length=64)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
Network = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$", min_length=2, max_length=49)]
Rate = Annotated[float, Field(ge=0.01, le=1_000_000)]
Many = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Image(Shape):
    """Where the runtime's image comes from."""

    repository: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.:/_-]*$", max_length=255)] | None = None
    """Without tag or digest; the operator's own setting unless given."""

    digest: Digest | None = None
    """Exactly this image; the tag is `version` unless given."""

    pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When it is pulled: `IfNotPresent` unless given."""

    pull_secrets: Annotated[list[LocalRef], Field(max_length=8, json_schema_extra=listed_by("name"))] | None = None
    """Secrets with the registry's credentials, for the managed parts' images, too."""


class Drain(Shape):
    """How a gateway leaves: first it still takes clients, then it sends its sockets away, one after the other."""

    pre_stop_seconds: Annotated[int, Field(ge=0, le=300)] | None = None
    """How long it takes clients after its readiness has failed, until load balancers know: 10 unless given (dev: 0)."""

    period_seconds: Annotated[int, Field(ge=0, le=3600)] | None = None
    """Over how long its sockets are sent away: 60 unless given (dev: 2)."""


class Gateway(Placed):
    """What clients talk to."""

    replicas: Annotated[int, Field(ge=1, le=100, json_schema_extra={"format": "int32"})] | None = None
    """How many: the profile's unless given. `kubectl scale` writes it."""

    drain: Drain | None = None
    """How one leaves."""

    trusted_proxies: Annotated[list[Network], Field(max_length=32)] | None = None
    """Networks whose `X-Forwarded-For` or `Forwarded` is believed: those of your ingress. Without it all clients behind
    it count as one address."""


class Worker(Placed):
    """Processes that ring again, send what is scheduled, announce events and tidy up."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=15)]
    """A name for this group of them."""

    replicas: Annotated[int, Field(ge=1, le=50, json_schema_extra={"format": "int32"})] | None = None
    """How many: the profile's unless given."""


class Jwt(Shape):
    """How users' tokens are checked."""

    secret_ref: SecretRef | None = None
    """The Secret that tokens are signed with (HS256), at least 32 characters; one is made unless given."""

    jwks_url: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=1024),
            Field(
                json_schema_extra=rules(
                    rule(
                        "self.matches('^https://[^/@#]+(/[^#]*)?$') || "
                        "self.matches('^http://[A-Za-z0-9.-]+[.]svc([.]cluster[.]local)?(:[0-9]+)?(/[^#]*)?$')",
                        "auth.jwt.jwksURL must be https://…; http:// is for names ending in .svc or .svc.cluster.local",
                    )
                )
            ),
        ]
        | None
    ) = Field(default=None, alias="jwksURL")
    """Where an identity provider publishes its public keys; give `issuer` and `audience` as well."""

    issuer: Word | None = None
    """The `iss` that tokens must have."""

    audience: Word | None = None
    """The `aud` that tokens must have."""


class Auth(Shape):
    """Who is let in."""

    jwt: Jwt | None = None
    """How users' tokens are checked."""


class Limits(Shape):
    """What one user, one key, one message or one address may use; the runtime's own unless given."""

    messages_per_second: Rate | None = None
    """Of a user."""

    burst: Many | None = None
    """Messages of a user at once, after a rest."""

    key_messages_per_second: Rate | None = None
    """Of a backend, one for each recipient."""

    key_burst: Many | None = None
    """Messages of a backend at once."""

    connections_per_user: Many | None = None
    """Sockets of a user."""

    devices_per_user: Many | None = None
    """Device ids a user may ever connect with."""

    content_bytes: Many | None = None
    """Of a content as JSON."""

    recipients: Many | None = None
    """Of one call."""

    connections: Many | None = None
    """Sockets of one gateway."""

    connections_per_address: Many | None = None
    """Sockets from one address to one gateway, as all that follow."""

    address_handshakes_per_second: Rate | None = None
    """Sockets opened from one address."""

    address_handshake_burst: Many | None = None
    """Sockets opened from one address at once."""

    address_requests_per_second: Rate | None = None
    """HTTP requests from one address."""

    address_request_burst: Many | None = None
    """HTTP requests from one address at once."""

    address_failures_per_second: Rate | None = None
    """Requests with a wrong credential, or none, from one address."""

    address_failure_burst: Many | None = None
    """The same at once."""


class NetworkPolicies(Shape):
    """Who may talk to whom."""

    enabled: bool | None = None
    """Whether NetworkPolicies are made: yes unless given."""

    monitoring_namespaces: (
        Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=63)]], Field(max_length=8)] | None
    ) = None
    """Namespaces whose pods may read `/metrics`; the port also has `/v1/admin`, which asks for a key."""


_WAS_EXTERNAL = "(has({self}.database) && has({self}.database.external))"


class ClusterSpec(Shape):
    """What is wanted."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"{_WAS_EXTERNAL.format(self='self')} == {_WAS_EXTERNAL.format(self='oldSelf')}",
                "spec.database cannot change between managed and external, as the messages would stay behind: make a "
                "new cluster and move them",
            )
        )
    )

    version: Version
    """The version of Aldis that should run."""

    image: Image | None = None
    """Where its image comes from."""

    profile: PROFILES | None = None
    """What is not said elsewhere: `production` unless given. `dev` is small enough for a laptop, and keeps nothing
    running for the case that something fails."""

    deletion_policy: Literal["Retain", "Delete"] | None = None
    """What becomes of the volumes and of the Secrets that were made when this resource is deleted: `Retain` unless
    given."""

    gateway: Gateway | None = None
    """What clients talk to."""

    workers: Annotated[list[Worker], Field(min_length=1, max_length=8, json_schema_extra=listed_by("name"))] | None = (
        None
    )
    """What works behind; one group called `default` unless given."""

    database: Database | None = None
    """Where messages are."""

    broker: Broker | None = None
    """What due work and events go through."""

    cache: Cache | None = None
    """What gateways ring each other through."""

    auth: Auth | None = None
    """Who is let in."""

    limits: Limits | None = None
    """What one of them may use."""

    stream_retention: (
        Annotated[
            str,
            StringConstraints(pattern=r"^[1-9][0-9]{0,4}h$", max_length=6),
            Field(
                json_schema_extra=rules(
                    rule(
                        "int(self.substring(0, self.size() - 1)) % 24 == 0",
                        "spec.streamRetention must be whole days in hours: 720h for 30 days",
                    )
                )
            ),
        ]
        | None
    ) = None
    """How long a device may stay away and resume, in whole days: `720h` unless given."""

    log_level: Literal["debug", "info", "warning", "error"] | None = None
    """How much is logged: `info` unless given."""

    network_policy: NetworkPolicies | None = None
    """Who may talk to whom."""


class MessagingCluster(Shape):
    """An installation of Aldis: gateways, workers, and what they stand on."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"self.metadata.name.size() <= {MAX_NAME} && "
                "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                f"metadata.name must be at most {MAX_NAME} of a-z, 0-9 and -, beginning with a letter: choose another",
            )
        )
    )

    metadata: Metadata
    spec: ClusterSpec
    """What is wanted."""

    status: ClusterStatus | None = None
    """What there is."""
