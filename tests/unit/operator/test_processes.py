"""Gateways, workers and the migration: what the runtime is told, and how it is let go."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from aldis.domain.amqp_address import parse_amqp_address
from aldis.settings import PREFIX, LimitSettings, Settings, check_cluster, load_settings
from aldis_operator.model.cluster import Limits
from unit.operator.built import SPECS, URL, built, templates, the

Child = dict[str, Any]
ANYWHERE = "0.0.0.0"  # noqa: S104 - a pod is reached at its address
SNAPSHOT = Path(__file__).with_name("gateway.yaml")
EVERYTHING: Child = {
    "auth": {"jwt": {"jwksURL": "https://id.example.com/keys", "issuer": "https://id.example.com", "audience": "chat"}},
    "gateway": {"trustedProxies": ["10.0.0.0/8", "fd00::/8"]},
    "limits": {
        "messagesPerSecond": 0.5, "burst": 2, "keyMessagesPerSecond": 3, "keyBurst": 4, "connectionsPerUser": 5,
        "devicesPerUser": 6, "contentBytes": 7, "recipients": 8, "connections": 9, "connectionsPerAddress": 10,
        "addressHandshakesPerSecond": 11, "addressHandshakeBurst": 12, "addressRequestsPerSecond": 1000000,
        "addressRequestBurst": 14, "addressFailuresPerSecond": 15.25, "addressFailureBurst": 16,
    },
    "streamRetention": "168h",
    "logLevel": "warning",
}  # fmt: skip


def told(found: list[Child], name: str) -> dict[str, str]:
    """The variables of a pod, with its secrets in the place of their files."""
    pod = dict(templates(found))[name]["spec"]
    [container] = pod["containers"]
    variables: dict[str, str] = the(found, "ConfigMap", "prod-config")["data"]
    own = {each["name"]: each["value"] for each in container.get("env", ())}
    return {**variables, **own, **secrets_of(found, pod)}


def secrets_of(found: list[Child], pod: Child) -> dict[str, str]:
    """What lies in the folder of secrets, by the variable that a file stands for."""
    texts: dict[str, str] = {}
    [volume] = [each["projected"] for each in pod["volumes"] if each["name"] == "secrets"]
    for source in (each["secret"] for each in volume["sources"]):
        data = next((each["data"] for each in found if each["metadata"]["name"] == source["name"]), None)
        for item in source["items"]:
            text = base64.b64decode(data[item["key"]]).decode() if data is not None else "postgresql://theirs"
            texts[f"{PREFIX}{item['path'].upper()}"] = text
    return texts


def settings_of(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Settings:
    """As the runtime reads them."""
    for name, value in variables.items():
        if name != f"{PREFIX}SECRETS_DIR":
            monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize("name", ["prod-gateway", "prod-worker-default"])
def test_the_runtime_takes_what_it_is_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """All that several processes have to share is there, and each URL is one."""
    settings = settings_of(monkeypatch, told(built(), name))

    check_cluster(settings)
    assert settings.rabbitmq_url is not None
    assert parse_amqp_address(settings.rabbitmq_url.get_secret_value()).nodes == tuple(
        (f"prod-rabbitmq-{node}.prod-rabbitmq.chat.svc", 5672) for node in range(3)
    )
    assert settings.database_url.endswith("@prod-postgres.chat.svc:5432/aldis?sslmode=disable")
    assert settings.host == ANYWHERE
    assert (settings.port, settings.admin_port, settings.log_json) == (8080, 9090, True)


def test_every_field_reaches_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the value that the resource has."""
    variables = told(built(**EVERYTHING), "prod-gateway")
    settings = settings_of(monkeypatch, variables)

    assert set(variables) <= {f"{PREFIX}{name.upper()}" for name in known(Settings)} | {f"{PREFIX}SECRETS_DIR"}
    assert settings.jwt.jwks_url == "https://id.example.com/keys"
    assert (settings.jwt.issuer, settings.jwt.audience) == ("https://id.example.com", "chat")
    assert [str(each) for each in settings.trusted_proxies or ()] == ["10.0.0.0/8", "fd00::/8"]
    assert (settings.stream_retention_days, settings.log_level) == (7, "warning")
    limits = settings.limits.model_dump(exclude={"exempt_loopback"})
    assert list(limits.values()) == list(EVERYTHING["limits"].values())


def known(model: type) -> list[str]:
    """The names of a settings model, groups with two underscores."""
    names: list[str] = []
    for name, field in model.model_fields.items():  # type: ignore[attr-defined]  # of pydantic's classes
        inner = getattr(field.annotation, "model_fields", None)
        names += [f"{name}__{each}" for each in inner] if inner is not None else [name]
    return names


def test_the_limits_are_the_runtimes() -> None:
    """All of them but the one for tests, under the same names."""
    assert list(Limits.model_fields) == [name for name in LimitSettings.model_fields if name != "exempt_loopback"]


def test_nothing_is_said_that_nobody_said() -> None:
    """The runtime's defaults stay the runtime's, and change with its version."""
    assert the(built(), "ConfigMap", "prod-config")["data"] == {
        "ALDIS_HOST": ANYWHERE,
        "ALDIS_PORT": "8080",
        "ALDIS_ADMIN_PORT": "9090",
        "ALDIS_LOG_JSON": "true",
        "ALDIS_SECRETS_DIR": "/run/aldis/secrets",
    }


def test_no_secret_is_in_plain_sight() -> None:
    """Passwords are in Secrets alone: in no variable, no argument, no ConfigMap."""
    found = built()
    passwords = [
        base64.b64decode(text).decode()
        for child in found if child["kind"] == "Secret" and child["metadata"]["name"] == "prod-postgres-account"
        for text in child["data"].values()
    ]  # fmt: skip
    plain = str([child for child in found if child["kind"] != "Secret"])

    assert passwords
    assert not any(password in plain for password in passwords)


def test_users_secrets_are_read_where_they_are() -> None:
    """Beside ours and in the same folder, whatever their keys are called; an authority where the page says."""
    spec = {**SPECS["external"], "cache": {"managed": {}}}
    pod = dict(templates(built(**spec)))["prod-gateway"]["spec"]
    volumes = {each["name"]: each for each in pod["volumes"]}
    mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}

    def source(name: str, key: str, file: str) -> Child:
        return {"secret": {"name": name, "items": [{"key": key, "path": file}]}}

    assert volumes["secrets"]["projected"]["sources"] == [
        source("prod-connections", "redis_url", "redis_url"),
        source("mine", "url", "database_url"),
        source("mine", "url", "rabbitmq_url"),
        source("tokens", "secret", "jwt__secret"),
    ]
    assert volumes["database-ca"]["secret"]["secretName"] == "authority"
    assert mounts["database-ca"] == "/etc/aldis/ca/database"


@pytest.mark.parametrize(
    ("drain", "seconds"), [({}, 105), ({"preStopSeconds": 0, "periodSeconds": 0}, 35), ({"preStopSeconds": 300}, 395)]
)
def test_a_gateway_has_the_time_that_it_needs_to_leave(drain: dict[str, int], seconds: int) -> None:
    """What it takes clients for, what it sends them away over, its own 25 seconds, and ten more."""
    pod = dict(templates(built(gateway={"drain": drain})))["prod-gateway"]["spec"]
    variables = {each["name"]: int(each["value"]) for each in pod["containers"][0]["env"]}

    assert pod["terminationGracePeriodSeconds"] == seconds
    assert sum(variables.values()) + 25 + 10 == seconds
    assert set(variables) == {"ALDIS_PRE_STOP_SECONDS", "ALDIS_DRAIN_SECONDS"}
    assert "lifecycle" not in pod["containers"][0]  # a hook would take its time before the process hears of it


@pytest.mark.parametrize("name", ["prod-gateway", "prod-worker-default"])
def test_probes_ask_the_internal_port(name: str) -> None:
    """Which is a port that the container names, and not the one that clients use."""
    [container] = dict(templates(built()))[name]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    asked = {each: container[each]["httpGet"] for each in ("startupProbe", "livenessProbe", "readinessProbe")}

    assert asked == {
        "startupProbe": {"path": "/startupz", "port": "admin"},
        "livenessProbe": {"path": "/livez", "port": "admin"},
        "readinessProbe": {"path": "/readyz", "port": "admin"},
    }
    assert ports["admin"] == 9090


def test_the_migration_is_named_by_what_it_is_for() -> None:
    """A Job cannot change: another image or another database is another Job, and the same is the same."""
    names = [
        next(child["metadata"]["name"] for child in found if child["kind"] == "Job")
        for found in (
            built(), built(gateway={"replicas": 9}), built(version="0.2.0"), built(secrets="changed"),
            built(database={"external": URL}),
        )
    ]  # fmt: skip

    assert names[0] == names[1]
    assert len(set(names)) == 4


def test_the_migration_ends() -> None:
    """It runs `aldis migrate`, is tried again for some minutes, and then fails for all to see."""
    [job] = [child["spec"] for child in built() if child["kind"] == "Job"]

    assert job["template"]["spec"]["containers"][0]["command"] == ["aldis", "migrate"]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert job["backoffLimit"] == 6
    assert job["activeDeadlineSeconds"] == 3600


def test_a_gateway_looks_like_this() -> None:
    """The whole of it, for people to read; after a change on purpose, write it anew as the failure shows it."""
    found = built(gateway={"tolerations": [{"key": "sockets", "operator": "Exists"}], "nodeSelector": {"pool": "edge"}})
    shown = [
        the(found, "Service", "prod-gateway"),
        the(found, "Service", "prod-admin"),
        the(found, "Deployment", "prod-gateway"),
    ]

    assert shown == list(yaml.safe_load_all(SNAPSHOT.read_text(encoding="utf-8")))
