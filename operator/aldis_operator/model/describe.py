"""From a `MessagingCluster` to the installation that it describes."""

from collections.abc import Mapping

from aldis_operator.model import parts
from aldis_operator.model.cluster import Auth, ClusterSpec, Gateway, Jwt, Limits, MessagingCluster, NetworkPolicies
from aldis_operator.model.cluster import Image as ImageSpec
from aldis_operator.model.installation import (
    Compute,
    External,
    Gateways,
    Image,
    Installation,
    Managed,
    Network,
    Pods,
    SecretKey,
    Volume,
    Workers,
)
from aldis_operator.model.profiles import POSTGRES, PROFILES, RABBITMQ, REDIS, Part, Profile
from aldis_operator.model.shape import Amounts, CertificateRef, Placed, Resources, SecretRef, UrlRef

DEFAULT_WORKERS = "default"
HOURS_A_DAY = 24


def describe(cluster: MessagingCluster, *, repository: str) -> Installation:
    """Decide everything; `repository` is where the runtime's image is unless the resource says so."""
    spec = cluster.spec
    profile = PROFILES[spec.profile or "production"]
    jwt = (spec.auth or Auth()).jwt or Jwt()
    database, broker, cache = (
        spec.database or parts.Database(),
        spec.broker or parts.Broker(),
        spec.cache or parts.Cache(),
    )
    return Installation(
        name=cluster.metadata.name,
        namespace=cluster.metadata.namespace,
        uid=cluster.metadata.uid,
        version=spec.version,
        image=_image(spec.image or ImageSpec(), spec.version, repository),
        keeps_data=spec.deletion_policy != "Delete",
        gateways=_gateways(spec.gateway or Gateway(), profile),
        workers=_workers(spec, profile),
        database=_external(database.external) or _managed(database.managed, profile.database, POSTGRES),
        database_connections=profile.database_connections,
        broker=_external(broker.external) or _managed(broker.managed, profile.broker, RABBITMQ),
        cache=_external(cache.external) or _managed(cache.managed, profile.cache, REDIS),
        token_secret=_key(jwt.secret_ref) if jwt.secret_ref is not None else None,
        network=_network(spec.network_policy or NetworkPolicies()),
        settings=_settings(spec, jwt),
    )


def _image(spec: ImageSpec, version: str, repository: str) -> Image:
    where = spec.repository or repository
    return Image(
        reference=f"{where}@{spec.digest}" if spec.digest is not None else f"{where}:{version}",
        pull_policy=spec.pull_policy or "IfNotPresent",
        pull_secrets=tuple(each.name for each in spec.pull_secrets or ()),
    )


def _gateways(spec: Gateway, profile: Profile) -> Gateways:
    drain = spec.drain
    before = drain.pre_stop_seconds if drain is not None else None
    period = drain.period_seconds if drain is not None else None
    return Gateways(
        pods=_pods(spec, profile.gateway, spec.replicas),
        pre_stop_seconds=before if before is not None else profile.pre_stop_seconds,
        drain_seconds=period if period is not None else profile.drain_seconds,
    )


def _workers(spec: ClusterSpec, profile: Profile) -> tuple[Workers, ...]:
    if spec.workers is None:
        return (Workers(name=DEFAULT_WORKERS, pods=_pods(Placed(), profile.worker, None)),)
    return tuple(Workers(name=each.name, pods=_pods(each, profile.worker, each.replicas)) for each in spec.workers)


def _managed(spec: parts.ManagedPart | None, part: Part, image: str) -> Managed:
    given = spec or parts.ManagedPart()
    replicas = given.replicas if isinstance(given, parts.ManagedBroker) else None
    return Managed(
        image=given.image or image,
        pods=_pods(given, part, replicas),
        volume=_volume(given, part) if part.size else None,
    )


def _volume(spec: parts.ManagedPart, part: Part) -> Volume:
    given = spec.storage if isinstance(spec, parts.ManagedDatabase | parts.ManagedBroker) else None
    storage = given or parts.Storage()
    return Volume(size=storage.size or part.size, class_name=storage.storage_class_name)


def _external(spec: parts.External | None) -> External | None:
    if spec is None:
        return None
    authority = _key(spec.ca_secret_ref) if spec.ca_secret_ref is not None else None
    return External(url=_key(spec.secret_ref), authority=authority)


def _key(ref: SecretRef | UrlRef | CertificateRef) -> SecretKey:
    return SecretKey(name=ref.name, key=ref.key)


def _pods(spec: Placed, part: Part, replicas: int | None) -> Pods:
    return Pods(
        replicas=replicas if replicas is not None else part.replicas,
        compute=_compute(spec.resources) if spec.resources is not None else part.compute,
        node_selector=spec.node_selector or {},
        tolerations=tuple(each.model_dump(by_alias=True, exclude_none=True) for each in spec.tolerations or ()),
        priority_class=spec.priority_class_name,
    )


def _compute(resources: Resources) -> Compute:
    return Compute(requests=_amounts(resources.requests), limits=_amounts(resources.limits))


def _amounts(amounts: Amounts | None) -> Mapping[str, str]:
    found: Mapping[str, str] = (amounts or Amounts()).model_dump(exclude_none=True)
    return found


def _network(spec: NetworkPolicies) -> Network:
    return Network(
        has_policies=spec.enabled is not False, monitoring_namespaces=tuple(spec.monitoring_namespaces or ())
    )


def _settings(spec: ClusterSpec, jwt: Jwt) -> Mapping[str, str]:
    """What the runtime is told of the resource: only what it says, as the runtime has defaults of its own."""
    proxies = (spec.gateway or Gateway()).trusted_proxies
    days = int(spec.stream_retention.removesuffix("h")) // HOURS_A_DAY if spec.stream_retention is not None else None
    given: dict[str, object] = {
        "JWT__JWKS_URL": jwt.jwks_url,
        "JWT__ISSUER": jwt.issuer,
        "JWT__AUDIENCE": jwt.audience,
        "LOG_LEVEL": spec.log_level,
        "STREAM_RETENTION_DAYS": days,
        "TRUSTED_PROXIES": ",".join(proxies) if proxies else None,
        **{f"LIMITS__{name.upper()}": value for name, value in (spec.limits or Limits()).model_dump().items()},
    }
    return {name: str(value) for name, value in given.items() if value is not None}
