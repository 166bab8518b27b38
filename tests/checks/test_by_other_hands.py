"""Deployments that work, made by other hands: nothing fails whose consequence would not be true."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core.outcomes import Status
from tests.checks.test_links import (
    Place,
    _programs,  # noqa: F401
    answers,  # noqa: F401
    chart_cache,  # noqa: F401
    finished,  # noqa: F401
    mirror,  # noqa: F401
    place,  # noqa: F401
)
from tests.checks.test_stages import contradictions
from tests.tools import helm_folder  # noqa: F401

APPS = "kubernetes/apps/monitoring"
PARSEABLE = f"{APPS}/parseable/app"
VECTOR = f"{APPS}/vector/app"
GRAFANA = f"{APPS}/grafana/app"


def edit(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text()
    assert old in text, f"{path} does not hold {old!r}"
    (root / path).write_text(text.replace(old, new))


def load(root: Path, path: str) -> Any:
    return yaml.safe_load((root / path).read_text())


def save(root: Path, path: str, *documents: Any) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(yaml.safe_dump_all(documents, sort_keys=False))


def pipeline(root: Path) -> str:
    return str(load(root, f"{VECTOR}/configmap.yaml")["data"]["vector.yaml"])


def kustomize(root: Path, folder: str, old: str, *new: str, more: Mapping[str, Any] | None = None) -> None:
    """Put ``new`` entries in the place of one of a kustomization."""
    path = f"{folder}/kustomization.yaml"
    data = load(root, path)
    data["resources"] = [one for one in data["resources"] if one != old] + list(new)
    save(root, path, {**data, **(more or {})})


def _without_variables(release: dict[str, Any]) -> None:
    """Leave only what is not about the Secret in the patch of the release."""
    (patch,) = release["spec"]["postRenderers"][0]["kustomize"]["patches"]
    data = yaml.safe_load(patch["patch"])
    del data["spec"]["template"]["spec"]["containers"][0]["env"]
    patch["patch"] = yaml.safe_dump(data)


def secret_of_the_chart(root: Path, name: str = "parseable-s3-secret", *more: str) -> None:
    """The Secret has the chart's own key names, and the chart makes the variables of them."""
    keys = ["s3.access.key", "s3.secret.key", "username", "password", *more]
    path = f"{PARSEABLE}/secret.sops.yaml"
    secret = load(root, path)
    secret["metadata"]["name"] = name
    secret["stringData"] = dict.fromkeys(keys, secret["stringData"]["username"])
    save(root, path, secret)
    release = load(root, f"{PARSEABLE}/helmrelease.yaml")
    _without_variables(release)
    values = release["spec"]["values"]["parseable"]
    values["s3ModeSecret"] = {"enabled": True, "secrets": [{"name": name, "prefix": "P_", "keys": keys}]}
    for key in more:
        values["env"].pop("P_" + key.upper().replace(".", "_"))
    save(root, f"{PARSEABLE}/helmrelease.yaml", release)


def everything_in_the_secret(root: Path) -> None:
    """The address of S3 too, in a Secret of the chart's own name, which Vector and Grafana use as well."""
    secret_of_the_chart(root, "parseable-env-secret", "addr", "s3.url", "s3.bucket", "s3.region")
    for path in (
        f"{PARSEABLE}/servicemonitor.yaml",
        f"{PARSEABLE}/retention.yaml",
        f"{VECTOR}/helmrelease.yaml",
        f"{GRAFANA}/helmrelease.yaml",
    ):
        edit(root, path, "parseable-s3-secret", "parseable-env-secret")


def variables_of_the_whole_secret(root: Path) -> None:
    """The container takes all keys of a Secret for its variables, by a patch."""
    path = f"{PARSEABLE}/secret.sops.yaml"
    secret = load(root, path)
    named = ["P_S3_ACCESS_KEY", "P_S3_SECRET_KEY", "P_USERNAME", "P_PASSWORD", "username", "password"]
    secret["stringData"] = dict.fromkeys(named, secret["stringData"]["username"])
    save(root, path, secret)
    release = load(root, f"{PARSEABLE}/helmrelease.yaml")
    value = "[{secretRef: {name: parseable-s3-secret}}]"
    patch = f"- {{op: add, path: /spec/template/spec/containers/0/envFrom, value: {value}}}"
    target = {"kind": "Deployment", "name": "parseable"}
    _without_variables(release)
    release["spec"]["postRenderers"].append({"kustomize": {"patches": [{"target": target, "patch": patch}]}})
    save(root, f"{PARSEABLE}/helmrelease.yaml", release)


def secret_in_another_file(root: Path) -> None:
    shutil.move(root / PARSEABLE / "secret.sops.yaml", root / PARSEABLE / "login.yaml")
    kustomize(root, PARSEABLE, "./secret.sops.yaml", "./login.yaml")


def secret_of_another_app(root: Path) -> None:
    """Grafana's Kustomization applies it, into the same namespace."""
    shutil.move(root / PARSEABLE / "secret.sops.yaml", root / GRAFANA / "parseable.sops.yaml")
    kustomize(root, PARSEABLE, "./secret.sops.yaml")
    kustomize(root, GRAFANA, "", "./parseable.sops.yaml")


def generated_pipeline(root: Path) -> None:
    (root / VECTOR / "pipeline.yaml").write_text(pipeline(root))
    (root / VECTOR / "configmap.yaml").unlink()
    options = {
        "disableNameSuffixHash": True,
        "annotations": {"kustomize.toolkit.fluxcd.io/substitute": "disabled"},
    }
    generator = {"name": "vector-config", "files": ["vector.yaml=./pipeline.yaml"], "options": options}
    kustomize(root, VECTOR, "./configmap.yaml", more={"configMapGenerator": [generator]})


def generated_pipeline_with_a_hash(root: Path) -> None:
    """Kustomize is told where the values name it."""
    (root / VECTOR / "vector.yaml").write_text(pipeline(root))
    (root / VECTOR / "configmap.yaml").unlink()
    where = {"path": "spec/values/existingConfigMaps", "kind": "HelmRelease"}
    names = {"nameReference": [{"kind": "ConfigMap", "version": "v1", "fieldSpecs": [where]}]}
    save(root, f"{VECTOR}/kustomizeconfig.yaml", names)
    more = {
        "configurations": ["./kustomizeconfig.yaml"],
        "configMapGenerator": [{"name": "vector-config", "files": ["./vector.yaml"]}],
        "generatorOptions": {"annotations": {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}},
    }
    kustomize(root, VECTOR, "./configmap.yaml", more=more)


def releases_in_other_files(root: Path) -> None:
    for folder in (PARSEABLE, VECTOR):
        shutil.move(root / folder / "helmrelease.yaml", root / folder / "release.yaml")
        kustomize(root, folder, "./helmrelease.yaml", "./release.yaml")


def everything_in_one_file(root: Path) -> None:
    names = ("rbac.yaml", "configmap.yaml", "helmrelease.yaml")
    documents = [one for name in names for one in yaml.safe_load_all((root / VECTOR / name).read_text())]
    save(root, f"{VECTOR}/all.yaml", *documents)
    for name in names:
        (root / VECTOR / name).unlink()
    data = load(root, f"{VECTOR}/kustomization.yaml")
    save(root, f"{VECTOR}/kustomization.yaml", {**data, "resources": ["./all.yaml"]})


def deeper(root: Path) -> None:
    shutil.move(root / VECTOR, root / f"{APPS}/vector/agent")
    shutil.move(root / f"{APPS}/vector/agent", root / VECTOR / "agent")
    save(root, f"{VECTOR}/kustomization.yaml", {"resources": ["./agent"]})


def _aggregator(root: Path, config: Mapping[str, Any]) -> None:
    release = load(root, f"{VECTOR}/helmrelease.yaml")
    values = release["spec"]["values"]
    release["metadata"]["name"] = "vector-aggregator"
    release["spec"]["values"] = {
        "role": "Aggregator",
        "customConfig": config,
        "env": values["env"],
        "podAnnotations": {"parseable-login": values["podAnnotations"]["parseable-login"]},
        "serviceHeadless": {"enabled": False},
    }
    save(root, f"{VECTOR}/aggregator.yaml", release)
    kustomize(root, VECTOR, "", "./aggregator.yaml")


def agent_and_aggregator(root: Path) -> None:
    """The aggregator takes what comes from elsewhere."""
    syslog = {"type": "syslog", "mode": "tcp", "address": "0.0.0.0:5140"}
    console = {"type": "console", "inputs": ["syslog"], "encoding": {"codec": "json"}}
    _aggregator(root, {"sources": {"syslog": syslog}, "sinks": {"out": console}})


def agent_behind_an_aggregator(root: Path) -> None:
    """The agents hand all over to the aggregator, which sends it to Parseable."""
    config = yaml.safe_load(pipeline(root))
    sink = {**config["sinks"]["parseable"], "inputs": ["agents"]}
    # What stands in braces is Helm's there.
    agents = {"type": "vector", "address": "0.0.0.0:6000"}
    _aggregator(
        root,
        {"data_dir": "/vector-data-dir", "sources": {"agents": agents}, "sinks": {"parseable": sink}},
    )
    out = {"type": "vector", "inputs": ["add_k8s_metadata"], "address": "vector-aggregator:6000"}
    data = load(root, f"{VECTOR}/configmap.yaml")
    data["data"]["vector.yaml"] = yaml.safe_dump({**config, "sinks": {"aggregator": out}})
    save(root, f"{VECTOR}/configmap.yaml", data)


def other_ending(root: Path) -> None:
    for folder in (PARSEABLE, VECTOR):
        shutil.move(root / folder / "kustomization.yaml", root / folder / "kustomization.yml")


def _with_host(host: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        edit(
            root,
            f"{VECTOR}/configmap.yaml",
            "http://parseable.monitoring.svc.cluster.local:8000",
            f"http://{host}",
        )
        edit(
            root,
            f"{GRAFANA}/helmrelease.yaml",
            "http://parseable.monitoring.svc.cluster.local:8000",
            f"http://{host}",
        )

    change.__name__ = host
    return change


def monitor_in_another_file(root: Path) -> None:
    stack = f"{APPS}/kube-prometheus-stack/app"
    shutil.move(root / PARSEABLE / "servicemonitor.yaml", root / stack / "parseable.yaml")
    kustomize(root, PARSEABLE, "./servicemonitor.yaml")
    kustomize(root, stack, "", "./parseable.yaml")


def toml(root: Path) -> None:
    config = yaml.safe_load(pipeline(root))
    # What JSON and TOML write alike, line by line.
    lines = [f"data_dir = {json.dumps(config['data_dir'])}"]
    for section in ("sources", "transforms", "sinks"):
        for name, component in config[section].items():
            lines += ["", f"[{section}.{name}]"]
            lines += [f"{key} = {inline(value)}" for key, value in component.items()]
    data = load(root, f"{VECTOR}/configmap.yaml")
    data["data"] = {"vector.toml": "\n".join(lines) + "\n"}
    save(root, f"{VECTOR}/configmap.yaml", data)


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {inline(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


def json_in_parts(root: Path) -> None:
    config = yaml.safe_load(pipeline(root))
    data = load(root, f"{VECTOR}/configmap.yaml")
    parts = {"sources": "a.json", "transforms": "b.yml", "sinks": "c.json", "data_dir": "d.toml"}
    data["data"] = {name: json.dumps({key: config[key]}) for key, name in parts.items() if key != "data_dir"}
    data["data"]["d.toml"] = f"data_dir = {json.dumps(config['data_dir'])}\n"
    save(root, f"{VECTOR}/configmap.yaml", data)


@pytest.mark.parametrize(
    "change",
    [
        secret_of_the_chart,
        everything_in_the_secret,
        variables_of_the_whole_secret,
        secret_in_another_file,
        secret_of_another_app,
        generated_pipeline,
        generated_pipeline_with_a_hash,
        releases_in_other_files,
        everything_in_one_file,
        deeper,
        agent_and_aggregator,
        agent_behind_an_aggregator,
        other_ending,
        _with_host("parseable:8000"),
        _with_host("parseable.monitoring:8000"),
        _with_host("parseable.monitoring.svc:8000"),
        monitor_in_another_file,
        toml,
        json_in_parts,
    ],
    ids=lambda change: change.__name__,
)
def test_nothing_untrue_is_said(change: Callable[[Path], None], place: Place) -> None:  # noqa: F811
    before = {one.id for one in place.link() if one.outcome.status is Status.PASS}
    change(place.root)
    place.stamp()
    verdicts = place.link()
    wrong = [one for one in verdicts if one.outcome.stops_push or one.outcome.status is Status.NOTE]
    assert not wrong, "\n".join(f"{one.id} {one.outcome.place}: {one.outcome.evidence}" for one in wrong)
    assert contradictions(place) == []
    now = {one.id for one in verdicts if one.outcome.status is Status.PASS}
    # What values stand in the Secret is not to be seen.
    assert before - now <= ({"DoD-003-02"} if change is everything_in_the_secret else set())


def test_a_generated_pipeline_whose_name_nobody_follows(place: Place) -> None:  # noqa: F811
    generated_pipeline_with_a_hash(place.root)
    edit(place.root, f"{VECTOR}/kustomizeconfig.yaml", "existingConfigMaps", "noConfigMaps")
    failing = {one.id: one.outcome.evidence for one in place.link() if one.outcome.status is Status.FAIL}
    assert re.match(r"ConfigMap monitoring/vector-config for .* is nowhere", failing["references"])
    assert "pods" not in failing
