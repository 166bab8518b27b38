"""Rollouts by other hands that work, each with its twin that does not: told by the effect."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.model import judge
from checks.registry import CHECKS
from tasks.core.outcomes import Status
from tasks.core.settings import Settings
from tasks.model import Model
from tasks.subjects.vector import config_checksum
from tests.checks.deployed import APPS, edit, workspace_of
from tests.checks.deployed import deployed as deployed  # noqa: PLC0414 (a fixture)
from tests.checks.deployed import root as root  # noqa: PLC0414 (a fixture)
from tests.checks.test_whole import (
    _programs,  # noqa: F401
    rolled_out,  # noqa: F401
    seen,  # noqa: F401
    settings,  # noqa: F401
    whole,  # noqa: F401
)
from tests.tools import helm_folder  # noqa: F401

P, V = f"{APPS}/parseable/app", f"{APPS}/vector/app"
URL = "http://parseable.monitoring.svc.cluster.local:8000"
# There is no S3 server here, and the Secret of these files was never encrypted for anybody.
ELSEWHERE = {"DoD-001-01", "DoD-001-02", "DoD-001-03", "DoD-003-04"}


def load(root: Path, path: str) -> Any:
    return yaml.safe_load((root / path).read_text())


def save(root: Path, path: str, data: Any) -> None:
    (root / path).write_text(yaml.safe_dump(data, sort_keys=False))


def unlist(root: Path, folder: str, entry: str, **more: Any) -> None:
    """Take an entry out of a kustomization, and put other fields into it."""
    data = load(root, f"{folder}/kustomization.yaml")
    data["resources"].remove(entry)
    save(root, f"{folder}/kustomization.yaml", {**data, **more})


def generated_secret(root: Path, reader: str = "sops_age__list_0__map_recipient=age1x") -> None:
    """Of a dotenv file that sops encrypted, by kustomize."""
    keys = load(root, f"{P}/secret.sops.yaml")["stringData"]
    (root / P / "secret.sops.yaml").unlink()
    lines = [f"{key}=ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]" for key in keys]
    lines += ["sops_version=3.9.0", "sops_mac=ENC[x]", reader]
    (root / P / "secret.sops.env").write_text("\n".join(lines) + "\n")
    generator = {"name": "parseable-s3-secret", "envs": ["./secret.sops.env"]}
    options = {"disableNameSuffixHash": True}
    unlist(root, P, "./secret.sops.yaml", secretGenerator=[generator], generatorOptions=options)


def generated_secret_of_pgp(root: Path) -> None:
    generated_secret(root, "sops_pgp__list_0__map_fp=FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4")


def generated_secret_for_nobody(root: Path) -> None:
    generated_secret(root, "sops_pgp__list_0__map_created_at=2024-01-01T00:00:00Z")


def readable_secret(root: Path) -> None:
    generated_secret(root)
    text = (root / P / "secret.sops.env").read_text()
    (root / P / "secret.sops.env").write_text(text.replace("username=ENC[", "username=admin["))


def unencrypted_secret(root: Path) -> None:
    generated_secret(root)
    lines = (root / P / "secret.sops.env").read_text().splitlines()
    (root / P / "secret.sops.env").write_text("\n".join(one for one in lines if "sops_" not in one) + "\n")


def secret_that_nobody_decrypts(root: Path) -> None:
    generated_secret(root)
    edit(
        root, f"{APPS}/parseable/ks.yaml", "metadata:\n", "metadata:\n  labels: {home/decryption: disabled}\n"
    )


def expressions(root: Path, value: str = "") -> None:
    """A ServiceMonitor in another app's folder that selects by expressions."""
    monitor = load(root, f"{P}/servicemonitor.yaml")
    labels = monitor["spec"]["selector"].pop("matchLabels")
    rules = [{"key": key, "operator": "In", "values": [value or one, "x"]} for key, one in labels.items()]
    monitor["spec"]["selector"]["matchExpressions"] = rules
    save(root, f"{P}/servicemonitor.yaml", monitor)
    stack = f"{APPS}/kube-prometheus-stack/app"
    shutil.move(root / P / "servicemonitor.yaml", root / stack / "parseable.yaml")
    unlist(root, P, "./servicemonitor.yaml")
    edit(root, f"{stack}/kustomization.yaml", "resources:\n", "resources:\n  - ./parseable.yaml\n")


def expressions_for_another(root: Path) -> None:
    expressions(root, "another")


def named_without_ending(root: Path) -> None:
    for folder in (P, V):
        shutil.move(root / folder / "kustomization.yaml", root / folder / "Kustomization")


def ks_of_another_ending(root: Path) -> None:
    for app in ("parseable", "vector"):
        shutil.move(root / APPS / app / "ks.yaml", root / APPS / app / "ks.yml")
        edit(root, f"{APPS}/kustomization.yaml", f"{app}/ks.yaml", f"{app}/ks.yml")


def url_in_a_variable(root: Path, url: str = "http://parseable.monitoring:8000") -> None:
    edit(root, f"{V}/configmap.yaml", URL, "${PARSEABLE_URL}")
    edit(root, f"{V}/configmap.yaml", "max_size: 1073741824", "max_size: ${SIZE:-1073741824}")
    release = load(root, f"{V}/helmrelease.yaml")
    release["spec"]["values"]["env"].append({"name": "PARSEABLE_URL", "value": url})
    save(root, f"{V}/helmrelease.yaml", release)

    stamp(root)


def stamp(root: Path) -> None:
    """Give the pods the checksum of the pipeline, as whoever changes it does."""
    checksum = config_checksum((root / V / "configmap.yaml").read_text())
    text = (root / V / "helmrelease.yaml").read_text()
    (root / V / "helmrelease.yaml").write_text(
        re.sub(r"checksum/vector-config: \w+", f"checksum/vector-config: {checksum}", text)
    )


def wrong_url_in_a_variable(root: Path) -> None:
    url_in_a_variable(root, "http://parseable.monitoring:80")


def failing(root: Path, settings: Settings) -> dict[str, str]:  # noqa: F811
    """What fails, or stops a push in another way."""
    chosen = [check for name, check in CHECKS.items() if name not in ELSEWHERE]
    verdicts = judge(chosen, Model(workspace_of(root, settings)))
    wrong = [one for one in verdicts if one.outcome.stops_push or one.outcome.status is Status.NOTE]
    return {one.id: one.outcome.evidence for one in wrong}


@pytest.mark.parametrize(
    "change",
    [
        generated_secret,
        generated_secret_of_pgp,
        expressions,
        named_without_ending,
        ks_of_another_ending,
        url_in_a_variable,
    ],
    ids=lambda change: change.__name__,
)
def test_what_works_does_not_fail(
    change: Callable[[Path], None],
    whole: Path,  # noqa: F811
    settings: Settings,  # noqa: F811
) -> None:
    change(whole)
    found = failing(whole, settings)
    # The Secret of these files names no reader.
    is_generated = change in (generated_secret, generated_secret_of_pgp)
    assert set(found) <= (set() if is_generated else {"DoD-004-02"}), found


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            readable_secret,
            {"DoD-004-02": f"is made from what is not encrypted: username of {P}/secret.sops.env"},
        ),
        (generated_secret_for_nobody, {"DoD-004-02": "is made from are encrypted for no key"}),
        (unencrypted_secret, {"DoD-004-02": f"is made from what is not encrypted: {P}/secret.sops.env"}),
        (secret_that_nobody_decrypts, {"decryption": "Kustomization parseable has no spec.decryption"}),
        (expressions_for_another, {"DoD-005-01": "there is no ServiceMonitor for Parseable"}),
        (wrong_url_in_a_variable, {"DoD-009-03": "no http sink posts to", "urls": "leads to port 80"}),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_its_twin_fails(
    change: Callable[[Path], None],
    expected: dict[str, str],
    whole: Path,  # noqa: F811
    settings: Settings,  # noqa: F811
) -> None:
    change(whole)
    found = failing(whole, settings)
    for name, text in expected.items():
        assert text in found.get(name, ""), found
