"""What differs between two collections of objects, and what that costs."""

from typing import Any

import pytest
import yaml

from tasks.kube.comparison import Difference, Kind, compare
from tasks.kube.keys import Key, key_of
from tasks.kube.resources import Resource, Resources

RELEASE = Key("helm.toolkit.fluxcd.io", "HelmRelease", "monitoring", "parseable")

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: parseable, labels: {helm.sh/chart: parseable-1.6.5}}
spec:
  selector: {matchLabels: {app: parseable}}
  template:
    metadata: {labels: {app: parseable}}
    spec:
      containers:
        - name: parseable
          image: parseable/parseable:v1.7.3
          env: [{name: P_ADDR, value: 0.0.0.0}]
          volumeMounts:
            - {name: staging, mountPath: /parseable/staging}
            - {name: config, mountPath: /config}
      volumes:
        - {name: staging, persistentVolumeClaim: {claimName: parseable-staging-pvc}}
        - {name: config, configMap: {name: config}}
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: parseable-staging-pvc}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 5Gi}}}
"""
STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: parseable-standalone}
spec:
  serviceName: parseable-standalone-headless
  selector: {matchLabels: {app: parseable}}
  template:
    metadata: {labels: {app: parseable}}
    spec:
      containers:
        - name: server
          image: quay.io/parseablehq/parseable:v3.1.0
          volumeMounts: [{name: staging, mountPath: /parseable/staging}]
  volumeClaimTemplates: [{metadata: {name: staging}, spec: {accessModes: [ReadWriteOnce]}}]
"""
SERVICE = "{apiVersion: v1, kind: Service, metadata: {name: parseable}, spec: {ports: [{port: 8000}]}}"
OTHER_SERVICE = SERVICE.replace("name: parseable", "name: parseable-standalone-service")
HEADLESS = (
    "{apiVersion: v1, kind: Service, metadata: {name: parseable-standalone}, "
    "spec: {clusterIP: None, ports: [{port: 80}]}}"
)
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: vector-config}
data: {vector.yaml: "uri: http://parseable.monitoring.svc.cluster.local:8000/api/v1/ingest"}
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: parseable-retention, annotations: {kustomize.toolkit.fluxcd.io/force: enabled}}
spec: {template: {spec: {containers: [{name: a, image: curl:1}]}}}
"""
DAEMON_SET = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: vector}
spec:
  selector: {matchLabels: {app: vector}}
  template:
    spec:
      containers:
        - {name: vector, image: "timberio/vector:0.40", volumeMounts: [{name: data, mountPath: /data}]}
      volumes: [{name: data, hostPath: {path: /var/lib/vector}}]
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: parseable-s3-secret}
stringData: {username: "ENC[AES256_GCM,data:a]", password: "ENC[AES256_GCM,data:b]"}
sops: {mac: "ENC[AES256_GCM,data:c]"}
"""


def resources(*texts: str) -> Resources:
    """The objects of ``texts``, all made by one release in the namespace monitoring."""
    documents: list[dict[str, Any]] = [yaml.safe_load(text) for text in texts]
    return Resources(
        Resource(key_of(one, "monitoring"), one, "app/helmrelease.yaml", helm_release=RELEASE)
        for one in documents
    )


def differences(before: tuple[str, ...], after: tuple[str, ...]) -> list[Difference]:
    return compare(resources(*before), resources(*after))


def only(before: tuple[str, ...], after: tuple[str, ...]) -> Difference:
    (found,) = differences(before, after)
    return found


def test_the_same_objects_do_not_differ() -> None:
    both = (DEPLOYMENT, CLAIM, SERVICE, CONFIG, JOB, DAEMON_SET, SECRET)
    assert differences(both, both[::-1]) == []


def test_added_and_removed() -> None:
    assert only((), (SERVICE,)).kind is Kind.ADDED
    found = only((CLAIM,), ())
    assert (found.kind, str(found.key), found.is_kept) == (
        Kind.REMOVED, "PersistentVolumeClaim monitoring/parseable-staging-pvc", False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "annotation", ["helm.sh/resource-policy: keep", "kustomize.toolkit.fluxcd.io/prune: disabled"]
)
def test_an_object_may_be_told_to_stay(annotation: str) -> None:
    text = CLAIM.replace("name: parseable-staging-pvc}", f"name: a, annotations: {{{annotation}}}}}")
    assert only((text,), ()).is_kept
    assert not only((text.replace("keep", "no").replace("disabled", "enabled"),), ()).is_kept


@pytest.mark.parametrize(
    ("text", "old", "new", "fields", "immutable"),
    [
        (DEPLOYMENT, "value: 0.0.0.0", "value: 1.1.1.1",
         ["spec.template.spec.containers[parseable].env[P_ADDR].value"], []),
        (DEPLOYMENT, "selector: {matchLabels: {app: parseable}}", "selector: {matchLabels: {app: b}}",
         ["spec.selector.matchLabels.app"], ["spec.selector"]),
        (CLAIM, "5Gi", "10Gi", ["spec.resources.requests.storage"], []),
        (CLAIM, "5Gi", "1Gi", ["spec.resources.requests.storage"], ["spec.resources.requests.storage"]),
        (SERVICE, "{port: 8000}", "{port: 80}", ["spec.ports"], []),
        (SECRET, "username: \"ENC[AES256_GCM,data:a]\", ", "", ["stringData.username"], []),
    ],
)  # fmt: skip
def test_what_changes(text: str, old: str, new: str, fields: list[str], immutable: list[str]) -> None:
    assert old in text
    found = only((text,), (text.replace(old, new),))
    assert found.kind is Kind.CHANGED
    assert (list(found.fields), list(found.immutable)) == (fields, immutable)
    assert found.blocks == bool(immutable)
    assert found.lost_keys == (["username"] if text == SECRET else [])


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (DEPLOYMENT, "parseable-1.6.5", "parseable-1.6.6"),
        # sops encrypts the same anew each time.
        (SECRET, "data:a", "data:other"),
        (SECRET, "data:c", "data:other"),
    ],
)
def test_what_has_no_effect_is_no_difference(text: str, old: str, new: str) -> None:
    assert old in text
    assert differences((text,), (text.replace(old, new),)) == []


def test_a_secret_that_gains_a_key_or_holds_it_elsewhere_loses_none() -> None:
    more = SECRET.replace("{username", '{s3.access.key: "ENC[AES256_GCM,data:d]", username')
    found = only((SECRET,), (more,))
    assert (found.fields, found.lost_keys) == (("stringData.s3.access.key",), [])
    assert only((SECRET,), (SECRET.replace("stringData", "data"),)).lost_keys == []


def test_what_flux_makes_anew_does_not_block() -> None:
    found = only((JOB,), (JOB.replace("curl:1", "curl:2"),))
    assert found.immutable == ("spec.template",)
    assert found.images == (("a", "curl:1", "curl:2"),)
    assert not found.blocks
    plain = JOB.replace("enabled", "disabled")
    assert only((plain,), (plain.replace("curl:1", "curl:2"),)).blocks


def test_a_workload_of_another_kind_and_name_takes_the_place_of_the_old_one() -> None:
    before = (DEPLOYMENT, CLAIM, SERVICE, CONFIG)
    left = CONFIG.replace("vector-config", "forgotten")
    moved = CONFIG.replace("//parseable.", "//parseable-standalone-service.").replace("8000", "80")
    found = {
        str(one.key): one
        for one in differences((*before, left), (STATEFUL_SET, HEADLESS, OTHER_SERVICE, moved, left))
    }
    pods = found.pop("Deployment monitoring/parseable")
    assert pods.kind is Kind.REPLACED
    assert pods.after is not None
    assert str(pods.after.key) == "StatefulSet monitoring/parseable-standalone"
    image = ("parseable", "parseable/parseable:v1.7.3", "quay.io/parseablehq/parseable:v3.1.0")
    assert pods.images == (image,)
    assert [str(one) for one in pods.lost] == ["the claim parseable-staging-pvc"]
    assert found.pop("PersistentVolumeClaim monitoring/parseable-staging-pvc").kind is Kind.REMOVED
    service = found.pop("Service monitoring/parseable")
    assert service.after is not None
    assert service.after.key.name == "parseable-standalone-service"
    assert [one.name for one in service.callers] == ["vector-config", "forgotten"]
    assert [one.name for one in service.left] == ["forgotten"]
    assert found.pop("Service monitoring/parseable-standalone").kind is Kind.ADDED
    assert found.pop("ConfigMap monitoring/vector-config").fields == ("data.vector.yaml",)
    assert not found


def test_a_service_of_the_same_name_is_not_looked_for_elsewhere() -> None:
    (found,) = differences((SERVICE, CONFIG), (SERVICE.replace("8000", "80"), CONFIG))
    assert (found.kind, found.callers) == (Kind.CHANGED, ())


def test_of_two_releases_none_takes_the_place_of_the_other() -> None:
    other = yaml.safe_load(STATEFUL_SET)
    after = Resources([Resource(key_of(other, "monitoring"), other, "app.yaml", helm_release=None)])
    assert [one.kind for one in compare(resources(DEPLOYMENT), after)] == [Kind.REMOVED, Kind.ADDED]


@pytest.mark.parametrize(
    ("text", "old", "new", "lost"),
    [
        (DAEMON_SET, "path: /var/lib/vector", "path: /var/lib/logs",
         ["the folder /var/lib/vector of the node"]),
        (DAEMON_SET, "hostPath: {path: /var/lib/vector}", "emptyDir: {}",
         ["the folder /var/lib/vector of the node"]),
        (DAEMON_SET, "vector:0.40", "vector:0.56", []),
        (STATEFUL_SET, "metadata: {name: staging}", "metadata: {name: other}",
         ["the claims staging-parseable-standalone-0, …"]),
        # What nobody may write to holds nothing.
        (DAEMON_SET.replace("/data}", "/data, readOnly: true}"), "hostPath: {path: /var/lib/vector}",
         "emptyDir: {}", []),
    ],
)  # fmt: skip
def test_storage_that_is_no_longer_used(text: str, old: str, new: str, lost: list[str]) -> None:
    assert old in text
    found = only((text,), (text.replace(old, new),))
    assert [str(one) for one in found.lost] == lost
    assert found.rolls == ("volumeClaimTemplates" not in "".join(found.fields))
