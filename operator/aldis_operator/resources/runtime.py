"""What the runtime's processes have in common: variables, secrets as files, ports and probes.

This is what operator and runtime agree on; a test reads the variables with the runtime's own settings.
"""

from collections.abc import Mapping
from typing import Any

from aldis_operator.model.installation import External, Installation, Pods, SecretKey
from aldis_operator.resources import names
from aldis_operator.resources.objects import build_object, hash_of
from aldis_operator.resources.pods import build_container

PREFIX = "ALDIS_"
CLIENT_PORT, ADMIN_PORT = 8080, 9090
SECRETS = "/run/aldis/secrets"
AUTHORITIES = "/etc/aldis/ca"
OWN_SECONDS = 25  # what a process takes besides its drain: requests under way, what is still to be stored, closing
MARGIN_SECONDS = 10  # so that nobody is killed who would have been ready in the next moment
READABLE = 0o440  # by our own group, which the volume is given to

# The files by which the runtime is told where its servers are, and the keys of the Secret that is made for it.
DATABASE_URL, BROKER_URL, CACHE_URL, TOKEN_SECRET = "database_url", "rabbitmq_url", "redis_url", "jwt__secret"
_FIXED = {"HOST": "0.0.0.0", "PORT": CLIENT_PORT, "ADMIN_PORT": ADMIN_PORT, "LOG_JSON": "true", "SECRETS_DIR": SECRETS}  # noqa: S104 - a pod is reached at its address


def build_config(installation: Installation) -> dict[str, Any]:
    """The ConfigMap with the variables of every process."""
    return build_object(
        installation,
        "ConfigMap",
        names.name_of(installation.name, names.CONFIG),
        component=names.CONFIG,
        data=variables(installation),
    )


def variables(installation: Installation) -> dict[str, str]:
    """What every process is told, secrets apart."""
    given = {**_FIXED, **installation.settings}
    return {f"{PREFIX}{name}": str(value) for name, value in given.items()}


def build_process(
    installation: Installation, role: str, pods: Pods, *, settings: Mapping[str, int] | None = None, **more: Any
) -> dict[str, Any]:
    """The container of `aldis ROLE`; `settings` are variables of this role."""
    own = [{"name": f"{PREFIX}{name}", "value": str(value)} for name, value in (settings or {}).items()]
    return build_container(
        role,
        installation.image.reference,
        pods.compute,
        mounts=[{"name": "secrets", "mountPath": SECRETS, "readOnly": True}, *_authority_mounts(installation)],
        imagePullPolicy=installation.image.pull_policy,
        command=["aldis", role],
        envFrom=[{"configMapRef": {"name": names.name_of(installation.name, names.CONFIG)}}],
        **({"env": own} if own else {}),
        **more,
    )


def build_probes() -> dict[str, Any]:
    """Asked on the internal port; slow to restart, quick to send clients elsewhere."""
    return {
        "startupProbe": {"httpGet": _at("/startupz"), "periodSeconds": 1, "failureThreshold": 120},
        "livenessProbe": {"httpGet": _at("/livez"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "readinessProbe": {"httpGet": _at("/readyz"), "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 2},
    }


def _at(path: str) -> dict[str, str]:
    return {"path": path, "port": "admin"}


def build_volumes(installation: Installation) -> list[dict[str, Any]]:
    """One folder of secrets, of ours and of the user's alike, and the authorities of external servers."""
    secrets = {"name": "secrets", "projected": {"defaultMode": READABLE, "sources": _sources(installation)}}
    return [secrets, *_authority_volumes(installation)]


def revision(installation: Installation, secrets: str) -> dict[str, str]:
    """An annotation that changes, and so replaces the pods, when what they are told at their start does."""
    return {"aldis.dev/config": hash_of(variables(installation)), "aldis.dev/secrets": secrets}


def _sources(installation: Installation) -> list[dict[str, Any]]:
    theirs: dict[str, SecretKey | None] = {
        DATABASE_URL: _url(installation.database),
        BROKER_URL: _url(installation.broker),
        CACHE_URL: _url(installation.cache),
        TOKEN_SECRET: installation.token_secret,
    }
    made = [file for file, ref in theirs.items() if ref is None]
    own = (
        [_source(names.name_of(installation.name, names.CONNECTIONS), dict(zip(made, made, strict=True)))]
        if made
        else []
    )
    return [*own, *(_source(ref.name, {ref.key: file}) for file, ref in theirs.items() if ref is not None)]


def _source(secret: str, files: Mapping[str, str]) -> dict[str, Any]:
    return {"secret": {"name": secret, "items": [{"key": key, "path": file} for key, file in files.items()]}}


def _url(part: object) -> SecretKey | None:
    return part.url if isinstance(part, External) else None


def _authorities(installation: Installation) -> dict[str, SecretKey]:
    """Where a server's authority is told, by the folder below `AUTHORITIES`."""
    parts = {"database": installation.database, "broker": installation.broker, "cache": installation.cache}
    return {
        name: part.authority
        for name, part in parts.items()
        if isinstance(part, External) and part.authority is not None
    }


def _authority_mounts(installation: Installation) -> list[dict[str, Any]]:
    return [
        {"name": f"{name}-ca", "mountPath": f"{AUTHORITIES}/{name}", "readOnly": True}
        for name in _authorities(installation)
    ]


def _authority_volumes(installation: Installation) -> list[dict[str, Any]]:
    return [
        {"name": f"{name}-ca", "secret": {"secretName": ref.name, "items": [{"key": ref.key, "path": ref.key}]}}
        for name, ref in _authorities(installation).items()
    ]
