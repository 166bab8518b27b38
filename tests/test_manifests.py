"""What the manifests say, word for word: `tests/cases/rendered` holds all that is written, read by a person.

Whoever changes a manifest on purpose runs ``python -m tests.test_manifests`` and reads the difference.
"""

import difflib
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.settings import (
    DOCUMENTED,
    Flux,
    Grafana,
    Parseable,
    SecretSettings,
    Settings,
    Vector,
    VersionsSettings,
)
from tests import shapes
from tests.checks.deployed import deploy

RENDERED = Path(__file__).parent / "cases/rendered"

# A value of its own for all that a manifest can be given.
OTHER = Settings(
    flux=Flux(interval="31m", retry_interval="2m", timeout="6m", repository_interval="2h", retries=4),
    s3=replace(
        DOCUMENTED.s3,
        endpoint="https://s3.example.com",
        admin_endpoint="http://127.0.0.1:9000",
        region="eu-west-1",
        bucket="other-logs",
        retention_days=8,
        ca_config_map="own-authority",
    ),
    secret=SecretSettings(rotation="guarded"),
    parseable=Parseable(
        name="own-parseable",
        chart_repository="https://parseable.example.com",
        chart_version="1.10",
        image="registry.example.com/parseable",
        image_tag="v1.7.4",
        port=8001,
        stream="cluster",
        secret="own-secret",
        cpu_request="501m",
        cpu_limit="3",
        memory_request="1025Mi",
        memory_limit="2049Mi",
        retention_image="registry.example.com/curl:8",
        staging_class="fast",
        staging_size="6Gi",
        scrape_interval="31s",
    ),
    vector=Vector(
        name="own-vector",
        chart_repository="https://vector.example.com",
        chart_version="0.36.0",
        config_map="own-config",
        batch_seconds=6,
        batch_bytes=1048577,
        buffer_bytes=1073741825,
        retry_seconds=31,
        label_columns="app,team.example.com/name",
        json_columns="level,@msg",
        first_lines=r"^\S.*$",
        cpu_request="101m",
        memory_request="257Mi",
        memory_limit="513Mi",
    ),
    grafana=Grafana(
        plugin_url="https://plugin.example.com/plugin.zip",
        plugin_version="1.1.1",
        datasource_name="Logs",
        datasource_uid="logs",
        datasource_type="own-parseable-datasource",
        datasource_timeout=31,
    ),
)


def nobody_decrypts(root: Path) -> None:
    """Neither a parent nor a sibling says how Secrets are decrypted."""
    path = root / "kubernetes/flux/cluster/ks.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("  # Children decrypt")])


def written(
    folder: Path, shape: shapes.Shape = shapes.documented, settings: Settings = DOCUMENTED
) -> dict[str, str]:
    """Every file that the playbook writes or edits, with its text; but for the Secret."""
    root = folder / "repository"
    deploy(root, shape, settings)
    command = ("git", "ls-files", "--modified", "--others", "-z")
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    names = sorted(name for name in listed.split("\0") if name and not name.endswith("secret.sops.yaml"))
    return {name: (root / name).read_text() for name in names}


def documented() -> dict[str, str]:
    """The texts with the documented settings, as the cases have them."""
    folder = RENDERED / "documented"
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*.yaml"))}


def difference(files: dict[str, str], before: dict[str, str]) -> str:
    """What is different from the documented texts, line by line and without what is around it."""
    # An app of another name is compared with the one that it is.
    own = {name.replace("/own-", "/"): text.splitlines() for name, text in files.items()}
    lines: list[str] = []
    for name in sorted(own.keys() | before.keys()):
        one = before.get(name, "").splitlines()
        lines += difflib.unified_diff(one, own.get(name, []), name, name, lineterm="", n=0)
    return "".join(f"{line}\n" for line in lines if not line.startswith(("+++", "@@")))


CASES: dict[str, tuple[shapes.Shape, Settings]] = {
    "other-settings": (shapes.documented, OTHER),
    "nobody-decrypts": (nobody_decrypts, DOCUMENTED),
    "decryption-by-siblings": (shapes.decryption_by_siblings, DOCUMENTED),
    "current-versions": (
        shapes.documented,
        replace(DOCUMENTED, versions=VersionsSettings("current")),
    ),
    "distributed": (
        shapes.documented,
        replace(
            DOCUMENTED,
            versions=VersionsSettings("current"),
            parseable=replace(DOCUMENTED.parseable, mode="distributed", staging_class="fast", ingestors=4),
        ),
    ),
    "existing-secret": (nobody_decrypts, replace(DOCUMENTED, secret=SecretSettings("existing"))),
}


def test_with_the_documented_settings(tmp_path: Path) -> None:
    assert written(tmp_path) == documented()


@pytest.mark.parametrize("name", CASES)
def test_what_another_case_changes(name: str, tmp_path: Path) -> None:
    found = difference(written(tmp_path, *CASES[name]), documented())
    assert found == (RENDERED / f"{name}.diff").read_text()


def _renew(folder: Path) -> None:
    before = written(folder / "documented")
    texts = {f"documented/{name}": text for name, text in before.items()}
    texts |= {
        f"{name}.diff": difference(written(folder / name, *case), before) for name, case in CASES.items()
    }
    shutil.rmtree(RENDERED, ignore_errors=True)
    for name, text in texts.items():
        (RENDERED / name).parent.mkdir(parents=True, exist_ok=True)
        (RENDERED / name).write_text(text)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        _renew(Path(made))
