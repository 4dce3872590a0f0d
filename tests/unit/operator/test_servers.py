"""The managed PostgreSQL, RabbitMQ and Redis. That their scripts work is shown on real servers."""

import base64
import subprocess
from typing import Any

import pytest

from unit.operator.built import built, templates, the

Child = dict[str, Any]
SERVERS = ["prod-postgres", "prod-rabbitmq", "prod-redis"]


def spec_of(name: str, **spec: Any) -> Child:
    found: Child = the(built(**spec), "StatefulSet", name)["spec"]
    return found


def file_of(server: str, file: str, **spec: Any) -> str:
    text: str = the(built(**spec), "ConfigMap", server)["data"][file]
    return text


def lines_of(text: str) -> set[str]:
    return set(text.splitlines())


@pytest.mark.parametrize("name", SERVERS)
def test_nothing_of_the_image_is_relied_on_but_its_programs(name: str) -> None:
    """Each container says its command, so an entrypoint never runs; each has one account and its own folders."""
    pod = spec_of(name)["template"]["spec"]

    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    for container in [*pod.get("initContainers", ()), *pod["containers"]]:
        assert container["command"]
        assert "args" not in container


@pytest.mark.parametrize(
    ("name", "profile", "number"),
    [
        ("prod-postgres", "production", 1), ("prod-rabbitmq", "production", 3), ("prod-redis", "production", 1),
        ("prod-postgres", "dev", 1), ("prod-rabbitmq", "dev", 1), ("prod-redis", "dev", 1),
    ],
)  # fmt: skip
def test_so_many_of_each(name: str, profile: str, number: int) -> None:
    """A second PostgreSQL or Redis would be another one, not the same twice."""
    assert spec_of(name, profile=profile)["replicas"] == number


@pytest.mark.parametrize(("policy", "leaves"), [("Retain", "Retain"), ("Delete", "Delete")])
def test_volumes_stay_unless_they_are_to_go(policy: str, leaves: str) -> None:
    """With the resource; scaling down never takes one."""
    for name in ("prod-postgres", "prod-rabbitmq"):
        assert spec_of(name, deletionPolicy=policy)["persistentVolumeClaimRetentionPolicy"] == {
            "whenDeleted": leaves,
            "whenScaled": "Retain",
        }


def test_a_volume_is_as_large_and_of_the_class_that_is_said() -> None:
    """Without a class, the cluster's own choice: an empty one would mean none."""
    storage = {"size": "50Gi", "storageClassName": "fast"}
    chosen = spec_of("prod-postgres", database={"managed": {"storage": storage}})["volumeClaimTemplates"]
    plain = spec_of("prod-postgres")["volumeClaimTemplates"]

    assert chosen[0]["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "50Gi"}},
    }
    assert "storageClassName" not in plain[0]["spec"]
    assert "volumeClaimTemplates" not in spec_of("prod-redis")


def test_postgres_never_says_that_it_stored_what_it_did_not() -> None:
    """What an accepted message relies on is on, whatever the defaults of a version are."""
    lines = lines_of(file_of("prod-postgres", "postgresql.conf"))

    assert {"fsync = on", "synchronous_commit = on", "full_page_writes = on"} <= lines
    assert {"max_connections = 400", "shared_buffers = 512MB", "effective_cache_size = 1536MB"} <= lines
    assert file_of("prod-postgres", "pg_hba.conf").count("scram-sha-256") == 2
    assert "trust" not in file_of("prod-postgres", "pg_hba.conf")


def test_postgres_is_stopped_in_good_order() -> None:
    """Within its time: SIGTERM alone would wait for every client."""
    pod = spec_of("prod-postgres")["template"]["spec"]

    assert pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"] == ["/bin/sh", "/etc/aldis/server/stop.sh"]
    assert "-m fast -w -t 60 stop" in file_of("prod-postgres", "stop.sh")
    assert pod["terminationGracePeriodSeconds"] == 90


def test_postgres_is_not_restarted_for_more_gateways() -> None:
    """Its connections are counted for as many as its profile may have."""
    before, after = spec_of("prod-postgres"), spec_of("prod-postgres", gateway={"replicas": 20})

    assert before == after


def test_the_nodes_of_rabbitmq_know_each_other() -> None:
    """By names that stay, before they are ready; all start at once, as those that were together wait for each other."""
    lines = lines_of(file_of("prod-rabbitmq", "node.conf"))
    service = the(built(), "Service", "prod-rabbitmq")["spec"]
    pod = spec_of("prod-rabbitmq")["template"]["spec"]
    variables = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}

    assert {
        f"cluster_formation.classic_config.nodes.{node + 1} = rabbit@prod-rabbitmq-{node}.prod-rabbitmq.chat.svc"
        for node in range(3)
    } <= lines
    assert variables["RABBITMQ_NODENAME"] == "rabbit@$(POD_NAME).prod-rabbitmq.chat.svc"
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert spec_of("prod-rabbitmq")["podManagementPolicy"] == "Parallel"
    assert "quorum_queue.continuous_membership_reconciliation.target_group_size = 3" in lines


def test_a_node_leaves_when_the_others_are_enough() -> None:
    """Of three; a single one has nobody to wait for."""
    three, one = (spec_of("prod-rabbitmq", profile=profile)["template"]["spec"] for profile in ("production", "dev"))

    assert three["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1] == "/etc/aldis/server/stop.sh"
    assert three["terminationGracePeriodSeconds"] > 60
    assert "lifecycle" not in one["containers"][0]


@pytest.mark.parametrize(
    ("limits", "rabbitmq", "redis"),
    [({"memory": "1Gi"}, "614MiB", "768mb"), ({"memory": "1000M"}, "572MiB", "715mb"), ({}, "307MiB", "384mb")],
)
def test_a_server_stops_taking_before_it_is_killed(limits: dict[str, str], rabbitmq: str, redis: str) -> None:
    """By the memory of its container, not by that of the node."""
    part = {"managed": {"resources": {"limits": limits}}}
    spec = {"broker": part, "cache": part}

    assert f"vm_memory_high_watermark.absolute = {rabbitmq}" in file_of("prod-rabbitmq", "node.conf", **spec)
    assert f"maxmemory {redis}\n" in file_of("prod-redis", "redis.conf", **spec)


def test_redis_keeps_nothing_and_evicts_nothing() -> None:
    """As the runtime wants it: all may be lost, but what is there is there."""
    lines = lines_of(file_of("prod-redis", "redis.conf"))

    assert {'save ""', "appendonly no", "maxmemory-policy noeviction"} <= lines


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_takes_the_password_that_the_runtime_has(name: str) -> None:
    """Both are derived from the root."""
    found = built()
    account = [base64.b64decode(text).decode() for text in the(found, "Secret", f"{name}-account")["data"].values()]
    urls = [base64.b64decode(text).decode() for text in the(found, "Secret", "prod-connections")["data"].values()]
    [url] = [each for each in urls if name in each]
    password = url.partition("://")[2].partition("@")[0].rpartition(":")[2]

    assert any(password in text for text in account)


@pytest.mark.parametrize("name", SERVERS)
def test_a_change_of_a_servers_files_replaces_its_pods(name: str) -> None:
    """It reads them at its start."""
    part = {"managed": {"resources": {"limits": {"memory": "3Gi"}}}}
    before, after = built(), built(database=part, broker=part, cache=part)
    hashes = [dict(templates(found))[name]["metadata"]["annotations"]["aldis.dev/config"] for found in (before, after)]

    assert hashes[0] != hashes[1]


@pytest.mark.parametrize("name", SERVERS)
def test_scripts_are_right_in_their_grammar(name: str) -> None:
    """For a plain shell."""
    for file, text in the(built(), "ConfigMap", name)["data"].items():
        if file.endswith(".sh"):
            subprocess.run(["sh", "-n"], input=text, check=True, text=True)
