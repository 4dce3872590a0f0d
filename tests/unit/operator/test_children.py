"""What holds for every child object, of every kind of installation."""

import json
import re
from typing import Any

import pytest

from aldis_operator.model.cluster import MAX_NAME
from aldis_operator.resources.children import replicas
from aldis_operator.resources.objects import INTENT, hash_of, intent_of
from unit.operator.built import SPECS, built, containers, installed, templates, the

Child = dict[str, Any]
EVERY = pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
ALLOWED_VOLUMES = {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"}
LONGEST = "n" * MAX_NAME


@EVERY
def test_building_twice_gives_the_same(spec: Child) -> None:
    """Nothing depends on time, chance, or the order of a set; so what has not changed is not applied again."""
    assert json.dumps(built(**spec)) == json.dumps(built(**spec))


@EVERY
def test_each_child_is_named_once(spec: Child) -> None:
    """No two children write the same object; each has a name that fits wherever Kubernetes repeats it."""
    found = [(child["apiVersion"], child["kind"], child["metadata"]["name"]) for child in built(LONGEST, **spec)]

    assert len(set(found)) == len(found)
    for _, kind, name in found:
        assert LABEL.fullmatch(name)
        assert len(name) <= (52 if kind == "StatefulSet" else 63)  # its pods carry its name and a hash as a label


@EVERY
def test_each_child_is_labelled_and_owned(spec: Child) -> None:
    """By the labels that Kubernetes recommends, and by the resource; only the root may outlive it."""
    owner = {
        "apiVersion": "aldis.dev/v1alpha1", "kind": "MessagingCluster", "name": "prod", "uid": "u-1",
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip

    for child in built(**spec):
        metadata = child["metadata"]
        stays = metadata["name"] == "prod-root" and spec.get("deletionPolicy") != "Delete"
        assert metadata["namespace"] == "chat"
        assert metadata.get("ownerReferences", []) == ([] if stays else [owner])
        assert {key: value for key, value in metadata["labels"].items() if not key.endswith("/component")} == {
            "app.kubernetes.io/name": "aldis",
            "app.kubernetes.io/instance": "prod",
            "app.kubernetes.io/part-of": "aldis",
            "app.kubernetes.io/managed-by": "aldis-operator",
            **(
                {"aldis.dev/workers": metadata["labels"]["aldis.dev/workers"]} if "-worker-" in metadata["name"] else {}
            ),
        }


@EVERY
def test_each_child_tells_what_was_intended(spec: Child) -> None:
    """By a hash of all but the hash, so that drift is seen by comparing two words."""
    for child in built(**spec):
        metadata = {key: value for key, value in child["metadata"].items() if key != "annotations"}
        assert child["metadata"]["annotations"] == {INTENT: hash_of({**child, "metadata": metadata})}
        assert intent_of(child) == child["metadata"]["annotations"][INTENT]
    assert intent_of({"metadata": {}}) is None


@EVERY
def test_every_pod_passes_restricted(spec: Child) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, and a root folder that nobody writes to."""
    for name, template in templates(built(**spec)):
        pod = template["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all(set(volume) - {"name"} <= ALLOWED_VOLUMES for volume in pod["volumes"])
        assert pod["automountServiceAccountToken"] is False
        for container in containers(template):
            context = container["securityContext"]
            assert context == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert not any("hostPort" in port for port in container.get("ports", ()))


@EVERY
def test_every_mount_has_its_volume(spec: Child) -> None:
    """And every volume is mounted somewhere; none twice at the same place."""
    for child in built(**spec):
        template = child.get("spec", {}).get("template")
        if template is None:
            continue
        claims = [claim["metadata"]["name"] for claim in child["spec"].get("volumeClaimTemplates", ())]
        volumes = [*claims, *(volume["name"] for volume in template["spec"]["volumes"])]
        mounts = [[mount["name"] for mount in each["volumeMounts"]] for each in containers(template)]
        paths = [[mount["mountPath"] for mount in each["volumeMounts"]] for each in containers(template)]
        assert len(set(volumes)) == len(volumes)
        assert {name for names in mounts for name in names} == set(volumes)
        assert all(len(set(each)) == len(each) for each in paths)


@EVERY
def test_what_pods_refer_to_is_made(spec: Child) -> None:
    """Every ConfigMap and Secret that is not the user's own, with the keys that are asked for."""
    found = built(**spec)
    made = {(child["kind"], child["metadata"]["name"]): child.get("data", {}) for child in found}
    theirs = {"mine", "authority", "tokens"}

    for _, template in templates(found):
        for volume in template["spec"]["volumes"]:
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in made
            for secret in secrets_of(volume):
                name = secret.get("name") or secret["secretName"]
                keys = {item["key"] for item in secret.get("items", ())}
                assert name in theirs or keys <= set(made["Secret", name])
        for container in containers(template):
            for source in container.get("envFrom", ()):
                assert ("ConfigMap", source["configMapRef"]["name"]) in made


def secrets_of(volume: Child) -> list[Child]:
    if "secret" in volume:
        return [volume["secret"]]
    return [source["secret"] for source in volume.get("projected", {}).get("sources", ())]


@EVERY
def test_selectors_select_their_own_pods_alone(spec: Child) -> None:
    """A selector fits the labels of one template, but for that of all groups of workers; it never changes."""
    found = built(**spec)
    for child in found:
        chosen = child.get("spec", {}).get("selector", {})
        chosen = chosen.get("matchLabels", chosen)
        hits = [
            name
            for name, template in templates(found)
            if chosen and chosen.items() <= template["metadata"]["labels"].items()
        ]
        assert not chosen or len(hits) == 1, child["metadata"]["name"]
        assert "app.kubernetes.io/version" not in chosen


@EVERY
def test_deployments_leave_their_number_to_others(spec: Child) -> None:
    """What is applied again and again says no replicas, or a scaler's would be undone; each has one to begin with."""
    deployments = {child["metadata"]["name"]: child for child in built(**spec) if child["kind"] == "Deployment"}

    assert all("replicas" not in child["spec"] for child in deployments.values())
    assert set(replicas(installed(**spec))) == set(deployments)
    assert all(number >= 1 for number in replicas(installed(**spec)).values())


@EVERY
def test_pods_spread_and_never_wait_for_it(spec: Child) -> None:
    """Over zones and nodes; a cluster of one node is no reason not to start."""
    for _, template in templates(built(**spec)):
        constraints = template["spec"]["topologySpreadConstraints"]
        assert {each["topologyKey"] for each in constraints} == {
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        }
        for each in constraints:
            assert each["whenUnsatisfiable"] == "ScheduleAnyway"
            assert each["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_the_order_is_that_in_which_they_are_needed() -> None:
    """Secrets before what reads them, policies before pods, servers before the Job, the Job before the processes."""
    kinds = [(child["kind"], child["metadata"]["name"]) for child in built()]
    places = {
        part: next(place for place, (kind, name) in enumerate(kinds) if kind == part[0] and name.startswith(part[1]))
        for part in [
            ("Secret", "prod-root"), ("Secret", "prod-connections"), ("NetworkPolicy", "prod-gateway"),
            ("StatefulSet", "prod-postgres"), ("StatefulSet", "prod-redis"), ("Job", "prod-migrate"),
            ("Deployment", "prod-gateway"), ("Deployment", "prod-worker"),
        ]
    }  # fmt: skip

    assert list(places.values()) == sorted(places.values())


def test_what_is_external_is_not_made() -> None:
    """Neither server, nor passwords, nor a policy for it; without anything of ours, no connections either."""
    found = {(child["kind"], child["metadata"]["name"]) for child in built(**SPECS["external"])}

    assert not {name for _, name in found if re.search("postgres|rabbitmq|redis|connections", name)}
    assert not {kind for kind, _ in found} & {"StatefulSet"}


def test_a_single_pod_has_no_budget() -> None:
    """It would keep its node from ever being emptied; of several, one may be away."""
    assert [child for child in built(profile="dev") if child["kind"] == "PodDisruptionBudget"] == []

    budgets = [child for child in built() if child["kind"] == "PodDisruptionBudget"]
    assert [child["metadata"]["name"] for child in budgets] == ["prod-gateway", "prod-worker-default", "prod-rabbitmq"]
    assert budgets[0]["spec"] == {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {
            "matchLabels": {
                "app.kubernetes.io/name": "aldis",
                "app.kubernetes.io/instance": "prod",
                "app.kubernetes.io/component": "gateway",
            }
        },
    }


@pytest.mark.parametrize(
    "change",
    [
        {"limits": {"burst": 7}},
        {"logLevel": "debug"},
        {"secrets": "another"},
        {"broker": {"managed": {"replicas": 1}}},
        {"image": {"repository": "elsewhere"}},
    ],
    ids=str,
)
def test_a_change_of_what_pods_are_told_replaces_them(change: Child) -> None:
    """Also one that is in a ConfigMap or a Secret, which a running process does not read again."""
    for name in ("prod-gateway", "prod-worker-default"):
        before, after = (the(found, "Deployment", name) for found in (built(), built(**change)))
        assert before["spec"]["template"] != after["spec"]["template"]


def test_a_change_of_numbers_replaces_nobody() -> None:
    """More gateways are more gateways; those that are there stay, and so does the database."""
    before, after = built(), built(gateway={"replicas": 7}, workers=[{"name": "default", "replicas": 9}])

    assert dict(templates(before)) == dict(templates(after))
