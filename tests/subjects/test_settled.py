"""What owners and bots commit into files of ours: kept, told, or a reason to stop."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core.changes import Change, Remark
from tasks.core.errors import PlaybookError, RefusedError, SettingsError
from tasks.core.settings import DOCUMENTED, Settings
from tasks.effects.files import WriteFile
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.steps import STEPS
from tasks.subjects.apps import RELEASE as RELEASE_FILE
from tasks.subjects.manifests import app_facts, plan_files
from tasks.subjects.parseable import PARSEABLE
from tasks.workspace import Permissions, Workspace
from tests import shapes
from tests.checks.deployed import APPS, deployed, edit, workspace_of

__all__ = ["deployed"]

RELEASE = f"{APPS}/parseable/app/helmrelease.yaml"
CONFIG = f"{APPS}/vector/app/configmap.yaml"
VECTOR = f"{APPS}/vector/app/helmrelease.yaml"
REPOSITORY = "kubernetes/flux/meta/repos/parseable.yaml"
MARK = "chore: x\n\nDeployed-by: parseable-playbook\n"
ALL = ("TASK-003", "TASK-008", "TASK-009")


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(("git", *arguments), cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(root: Path, message: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "-q", "--allow-empty", "-m", message)


@pytest.fixture(scope="module")
def committed(deployed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with our files in a commit of the playbook, to be copied."""
    root = tmp_path_factory.mktemp("committed") / "repository"
    shutil.copytree(deployed, root, symlinks=True)
    commit(root, MARK)
    return root


@pytest.fixture
def root(committed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(committed, tmp_path / "repository", symlinks=True))


def owner(root: Path, path: str, old: str, new: str, message: str = "by hand") -> None:
    edit(root, path, old, new)
    commit(root, message)


def settings(**parseable: Any) -> Settings:
    return replace(DOCUMENTED, parseable=replace(DOCUMENTED.parseable, **parseable))


def planned(
    root: Path, wanted: Settings = DOCUMENTED, *overwrite: str, tasks: tuple[str, ...] = ALL[:1]
) -> tuple[list[WriteFile], list[str]]:
    """The files that ``tasks`` would write, and what is told."""
    permissions = Permissions(push=False, overwrite=overwrite)
    workspace = Workspace(wanted, Repository(Git(root)), permissions=permissions)
    items: list[Any] = []
    for task in tasks:
        step = STEPS[task]
        found = list(step.plan(workspace, step.facts(workspace)))
        workspace.lay_over(item for item in found if isinstance(item, Change))
        items += found
    writes = [item for item in items if isinstance(item, WriteFile)]
    return writes, [item.text for item in items if isinstance(item, Remark)]


def run(
    root: Path, wanted: Settings = DOCUMENTED, *overwrite: str, tasks: tuple[str, ...] = ALL[:1]
) -> list[str]:
    """What a run of the playbook leaves behind it: its files, committed. What is told."""
    writes, told = planned(root, wanted, *overwrite, tasks=tasks)
    for change in writes:
        change.apply()
    if writes:
        commit(root, MARK)
    return told


def refusal(root: Path, wanted: Settings = DOCUMENTED, *overwrite: str) -> PlaybookError:
    with pytest.raises(PlaybookError) as caught:
        planned(root, wanted, *overwrite)
    return caught.value


def chart(root: Path) -> str:
    return str(yaml.safe_load((root / RELEASE).read_text())["spec"]["chart"]["spec"]["version"])


def test_a_raised_version_is_kept_and_told(root: Path) -> None:
    owner(root, RELEASE, "version: 1.6.5", "version: 1.6.6", "chore(deps): update helm release parseable")
    before = (root / RELEASE).read_text()
    told = (
        f"kept, differs from the settings: {RELEASE}:spec.chart.spec.version is 1.6.6, not 1.6.5; "
        "to set it: parseable.chart_version: 1.6.6"
    )
    assert planned(root) == ([], [told])
    # A change of the settings elsewhere in the file leaves it, and so does the run after that.
    limit = settings(memory_limit="3Gi")
    for _ in range(2):
        assert "spec.chart.spec.version is 1.6.6, not 1.6.5" in run(root, limit)[0]
    assert (root / RELEASE).read_text() == (
        before.replace("memory: 2Gi", "memory: 3Gi").replace('"1073741824"', '"1610612736"')
    )
    # What it was set to is nothing to be told of any more; what it is set to next is written.
    assert planned(root, settings(memory_limit="3Gi", chart_version="1.6.6")) == ([], [])


def test_what_only_the_settings_changed_is_written(root: Path) -> None:
    (change,), told = planned(root, settings(chart_version="1.6.6"))
    assert change.path == RELEASE
    assert not any(text.startswith("kept") for text in told)
    run(root, settings(chart_version="1.6.6"))
    assert chart(root) == "1.6.6"
    run(root)
    assert chart(root) == "1.6.5"


def test_where_both_changed_the_same_it_stops(root: Path) -> None:
    owner(root, RELEASE, "version: 1.6.5", "version: 1.6.6")
    wanted = settings(chart_version="1.7.0")
    error = refusal(root, wanted)
    assert isinstance(error, RefusedError)
    assert error.summary == (
        f"{RELEASE} was changed by a commit of somebody else and by the settings: spec.chart.spec.version is "
        "1.6.6, the settings have 1.7.0, and it was 1.6.5"
    )
    assert error.hint == (
        "to keep what is committed, set parseable.chart_version: 1.6.6; "
        f"to have what the settings say: --overwrite {RELEASE}:spec.chart.spec.version"
    )
    run(root, wanted, f"{RELEASE}:spec.chart.spec.version")
    assert chart(root) == "1.7.0"
    assert planned(root, wanted) == ([], [])
    # From there on it is the playbook's again.
    run(root, settings(chart_version="1.8.0"))
    assert chart(root) == "1.8.0"


PATCH = """\
          - target:
              kind: Service
              name: parseable
            patch: |
              metadata: {labels: {team: logs}}  # ours
"""


@pytest.mark.parametrize("is_first", [True, False])
def test_a_patch_of_the_owner_and_another_login(root: Path, is_first: bool) -> None:
    before = (root / RELEASE).read_text()
    (login,) = re.findall(r"metadata: \{labels: \{parseable-login[^}]*\}\}\n", before)
    anchor = "        patches:\n" if is_first else "  values:\n"
    owner(root, RELEASE, anchor, anchor + PATCH if is_first else PATCH + anchor)
    added = (root / RELEASE).read_text()
    told = f"kept, not of the settings: {RELEASE}: spec.postRenderers[0].kustomize.patches[Service/parseable]"
    assert planned(root) == ([], [told])
    edit(root, f"{APPS}/parseable/app/secret.sops.yaml", "data:x", "data:y")
    # As the task of the Secret does.
    workspace = workspace_of(root)
    facts = app_facts(workspace, PARSEABLE, (RELEASE_FILE,))
    for change in plan_files(workspace, facts):
        assert isinstance(change, WriteFile | Remark)
        if isinstance(change, WriteFile):
            change.apply()
    commit(root, MARK)
    text = (root / RELEASE).read_text()
    (other,) = re.findall(r"metadata: \{labels: \{parseable-login[^}]*\}\}\n", text)
    assert other != login
    assert text == added.replace(login, other)
    assert planned(root) == ([], [told])


def test_the_settings_of_what_is_in_a_patch_are_told(root: Path) -> None:
    """Its place leads through the name of what is patched, which the template leaves open."""
    current = replace(DOCUMENTED.versions, set="current")
    wanted = replace(settings(mode="distributed"), versions=current)
    run(root, wanted)
    owner(root, RELEASE, "value: minio", "value: eu-west-1")
    (told, *_) = planned(root, wanted)[1]
    place = "spec.postRenderers[0].kustomize.patches[StatefulSet/"
    assert told.startswith(f"kept, differs from the settings: {RELEASE}:{place}")
    assert told.endswith("to set it: s3.region: eu-west-1")


@pytest.mark.parametrize("name", [RELEASE, f"{RELEASE}:spec", f"{RELEASE}:spec.chart.spec.version"])
def test_overwritten_by_name(root: Path, name: str) -> None:
    owner(root, RELEASE, "version: 1.6.5", "version: 1.6.6")
    owner(root, REPOSITORY, "interval: 1h", "interval: 2h")
    assert [change.path for change in planned(root, DOCUMENTED, name)[0]] == [RELEASE]
    run(root, DOCUMENTED, name)
    assert chart(root) == "1.6.5"
    # A second time there is nothing to overwrite, which is no error.
    assert planned(root, DOCUMENTED, name)[0] == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (f"{APPS}/kustomization.yaml", "is no file that the playbook writes as a whole"),
        (f"{APPS}/parseable/app/secret.sops.yaml", "is no file that the playbook writes as a whole"),
        (f"{RELEASE}:spec.chart.version", "has nothing at spec.chart.version"),
    ],
)
def test_a_name_that_means_nothing_is_an_error(root: Path, name: str, told: str) -> None:
    owner(root, RELEASE, "version: 1.6.5", "version: 1.6.6")
    error = refusal(root, DOCUMENTED, name)
    assert isinstance(error, SettingsError)
    assert told in error.summary


def test_what_was_set_as_it_is_committed_is_the_settings_again(root: Path) -> None:
    owner(root, RELEASE, "version: 1.6.5", "version: 1.6.6")
    file = root / ".parseable-playbook.yaml"
    for version in ("1.6.6", "1.7.0"):
        file.write_text(f"parseable:\n  chart_version: {version}\n")
        commit(root, f"set {version}")
    run(root, settings(chart_version="1.7.0"))
    assert chart(root) == "1.7.0"


def test_set_before_and_raised_since_is_no_agreement(root: Path) -> None:
    file = root / ".parseable-playbook.yaml"
    file.write_text("parseable:\n  chart_version: 1.6.6\n")
    commit(root, "set it")
    run(root, settings(chart_version="1.6.6"))
    file.write_text("")
    run(root)
    owner(root, RELEASE, "version: 1.6.5", "version: 1.6.6")
    assert "somebody else" in refusal(root, settings(chart_version="1.7.0")).summary


def test_additions_comments_and_removals_stay(root: Path) -> None:
    owner(root, RELEASE, "parseable\nspec:\n", "parseable\n  annotations:\n    team: logs  # ours\nspec:\n")
    owner(root, f"{APPS}/parseable/app/kustomization.yaml", "resources:\n", "resources:\n  - ./mine.yaml\n")
    owner(root, f"{APPS}/parseable/app/kustomization.yaml", "  - ./servicemonitor.yaml\n", "")
    writes, told = planned(root)
    assert writes == []
    listing = f"{APPS}/parseable/app/kustomization.yaml"
    assert told == [
        f"kept, differs from the settings: {listing}:resources[./servicemonitor.yaml] is taken out",
        f"kept, not of the settings: {listing}: resources[./mine.yaml]",
        f"kept, not of the settings: {RELEASE}: metadata.annotations",
    ]
    run(root, settings(memory_limit="3Gi"))
    text = (root / RELEASE).read_text()
    assert "    team: logs  # ours\n" in text
    assert "memory: 3Gi" in text


def test_the_checksum_follows_the_pipeline_that_is_kept(root: Path) -> None:
    before = yaml.safe_load((root / VECTOR).read_text())["spec"]["values"]["podAnnotations"]
    owner(root, CONFIG, "when_full: block", "when_full: drop_newest")
    run(root, tasks=ALL)
    annotations = yaml.safe_load((root / VECTOR).read_text())["spec"]["values"]["podAnnotations"]
    assert annotations != before
    told = run(root, replace(DOCUMENTED, vector=replace(DOCUMENTED.vector, batch_seconds=6)), tasks=ALL)
    place = f'{CONFIG}:data["vector.yaml"].sinks.parseable.buffer.when_full'
    assert told == [f"kept, differs from the settings: {place} is drop_newest, not block"]
    text = (root / CONFIG).read_text()
    assert "when_full: drop_newest" in text
    assert "timeout_secs: 6" in text
    again = yaml.safe_load((root / VECTOR).read_text())["spec"]["values"]["podAnnotations"]
    assert again not in (annotations, before)


def test_a_place_in_the_pipeline_knows_its_setting(root: Path) -> None:
    owner(root, CONFIG, "max_size: 1073741824", "max_size: 2147483648")
    assert planned(root, tasks=ALL[1:2])[1][0].endswith("to set it: vector.buffer_bytes: 2147483648")
    owner(root, RELEASE, "memory: 2Gi", "memory: much")
    # What no setting would take is no line for the settings.
    assert planned(root)[1][0].endswith("limits.memory is much, not 2Gi")


def test_secrets_of_the_owner_are_not_told(root: Path) -> None:
    owner(
        root,
        RELEASE,
        "        P_ADDR: 0.0.0.0:8000\n",
        "        P_ADDR: 0.0.0.0:8000\n        P_PASSWORD: hunter2\n",
    )
    owner(
        root, RELEASE, "name: P_PASSWORD\n", "name: P_PASSWORD\n                            value: hunter2\n"
    )
    told = planned(root)[1]
    assert told
    assert "hunter2" not in " ".join(told)
    edit(root, RELEASE, "P_PASSWORD: hunter2", "P_PASSWORD: hunter3")
    commit(root, MARK)
    owner(root, RELEASE, "P_PASSWORD: hunter3", "P_PASSWORD: hunter4")
    assert "hunter" not in str(refusal(root).message)
    assert "(not shown)" in refusal(root).summary


# Where the base comes from ---------------------------------------------------------------------------------


def squashed(root: Path) -> None:
    """A pull request of the playbook's, squashed by its host: the messages are lines of one."""
    git(root, "reset", "-q", "--soft", "HEAD~1")
    commit(root, "Logs (#3)\n\n* chore: x\n\n  Deployed-by: parseable-playbook\n\n* fix typo\n")


def squashed_without_a_word(root: Path) -> None:
    git(root, "reset", "-q", "--soft", "HEAD~1")
    commit(root, "Logs (#3)")


def merged(root: Path) -> None:
    git(root, "branch", "-q", "logs")
    git(root, "reset", "-q", "--hard", "HEAD~1")
    (root / "other.txt").write_text("x")
    commit(root, "something else")
    git(root, "merge", "-q", "--no-ff", "-m", "Merge pull request #3", "logs")


def moved(root: Path) -> None:
    git(root, "mv", f"{APPS}/parseable/ks.yaml", f"{APPS}/parseable/was.yaml")
    commit(root, "away")
    git(root, "mv", f"{APPS}/parseable/was.yaml", f"{APPS}/parseable/ks.yaml")
    commit(root, "and back")


def reverted(root: Path) -> None:
    git(root, "revert", "--no-edit", "HEAD")
    git(root, "checkout", "-q", "HEAD~1", "--", ".")
    commit(root, MARK)


HISTORIES = [squashed, squashed_without_a_word, merged, moved, reverted]


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__)
def test_whatever_became_of_the_commit(root: Path, history: Callable[[Path], None]) -> None:
    history(root)
    assert planned(root) == ([], [])
    owner(root, RELEASE, "version: 1.6.5", "version: 1.6.6")
    assert [text[:20] for text in planned(root)[1]] == ["kept, differs from t"]
    assert run(root, settings(memory_limit="3Gi"))
    assert chart(root) == "1.6.6"


def test_two_branches_that_meet(root: Path) -> None:
    """A bot's branch, and a run of the playbook beside it: each value is who changed it."""
    git(root, "checkout", "-q", "-b", "renovate")
    owner(root, RELEASE, "version: 1.6.5", "version: 1.6.6")
    git(root, "checkout", "-q", "main")
    run(root, settings(memory_limit="3Gi", cpu_request="400m"))
    git(root, "merge", "-q", "--no-edit", "renovate")
    writes, told = planned(root)
    assert len(told) == 1
    assert "spec.chart.spec.version is 1.6.6" in told[0]
    for change in writes:
        change.apply()
    assert "memory: 2Gi" in (root / RELEASE).read_text()
    assert "cpu: 500m" in (root / RELEASE).read_text()


def test_a_shallow_clone_does_not_guess(root: Path, tmp_path: Path) -> None:
    def clone(name: str, depth: int) -> Path:
        git(tmp_path, "clone", "-q", f"--depth={depth}", f"file://{root}", name)
        return tmp_path / name

    # Nothing differs: nothing to tell apart.
    assert planned(clone("one", 1)) == ([], [])
    owner(root, RELEASE, "version: 1.6.5", "version: 1.6.6")
    for name, depth in (("two", 1), ("three", 2)):
        error = refusal(clone(name, depth))
        assert "too shallow to tell who changed it" in error.summary
        assert "git fetch --unshallow" in error.hint
    deep = clone("four", 3)
    assert "is 1.6.6" in planned(deep)[1][0]
    # Its first commit is a run that kept a value: whose that is, is not to be seen.
    run(root, settings(memory_limit="3Gi"))
    assert "too shallow" in refusal(clone("five", 1), settings(memory_limit="3Gi")).summary
    git(tmp_path / "five", "fetch", "-q", "--unshallow")
    assert "is 1.6.6" in planned(tmp_path / "five", settings(memory_limit="3Gi"))[1][0]


def test_a_file_that_was_deleted_is_written_again(root: Path) -> None:
    (root / RELEASE).unlink()
    commit(root, "gone")
    (change,), _ = planned(root)
    assert (change.path, change.before) == (RELEASE, None)
    run(root)
    # As a new file: what was kept before is forgotten.
    assert planned(root) == ([], [])
    owner(root, RELEASE, "version: 1.6.5", "version: 1.6.6")
    assert "is 1.6.6" in planned(root)[1][0]


def test_a_file_of_somebody_else_in_our_place(root: Path) -> None:
    path = f"{APPS}/parseable/app/retention.yaml"
    (root / path).unlink()
    commit(root, MARK)
    (root / path).write_text("kind: Mine\n")
    commit(root, "mine")
    # The playbook wrote there before, and took it away itself: it is nothing that it knows.
    error = refusal(root)
    assert "was not written by it" in error.summary
    assert planned(root, DOCUMENTED, path)[0][0].path == path


@pytest.mark.parametrize("text", ["a: [\n", "# nothing\n", "a: 1\n a: 2\n"])
def test_a_broken_file_is_not_guessed_at(root: Path, text: str) -> None:
    (root / RELEASE).write_text(text)
    commit(root, "broken")
    error = refusal(root)
    assert "the file was committed like that" in error.summary
    assert f"--overwrite {RELEASE}" in (error.hint or "")
    assert planned(root, DOCUMENTED, RELEASE)[0][0].path == RELEASE


def test_a_formatter_is_no_owner(root: Path) -> None:
    path = root / RELEASE
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text())))
    commit(root, "format")
    assert planned(root) == ([], [])
    run(root, settings(memory_limit="3Gi"))
    text = path.read_text()
    # In the formatter's form: its lines are the owner's.
    assert text == yaml.safe_dump(yaml.safe_load(text))
    assert yaml.safe_load(text)["spec"]["values"]["parseable"]["resources"]["limits"]["memory"] == "3Gi"


def test_what_is_in_the_work_tree_is_measured_by_what_is_settled(root: Path) -> None:
    owner(root, RELEASE, "version: 1.6.5", "version: 1.6.6")
    edit(root, RELEASE, "memory: 2Gi", "memory: 5Gi")
    assert "has uncommitted changes" in refusal(root).summary
    forced = Workspace(DOCUMENTED, Repository(Git(root)), permissions=Permissions(force=True, push=False))
    step = STEPS["TASK-003"]
    for change in step.plan(forced, step.facts(forced)):
        if isinstance(change, WriteFile):
            change.apply()
    # The edit that is not committed goes, the commit of the bot stays.
    assert chart(root) == "1.6.6"
    assert "memory: 2Gi" in (root / RELEASE).read_text()
    assert git(root, "status", "--porcelain") == ""
    assert workspace_of(root).repository.read(RELEASE) == (root / RELEASE).read_text()


def test_a_folder_that_its_owner_moved(root: Path) -> None:
    owner(root, RELEASE, "version: 1.6.5", "version: 1.6.6")
    run(root, settings(memory_limit="3Gi"))
    shapes.observability(root)
    commit(root, "another name for the folder")
    writes, told = planned(root, settings(memory_limit="4Gi"))
    path = RELEASE.replace("monitoring", "observability")
    assert f"{path}:spec.chart.spec.version is 1.6.6, not 1.6.5" in told[0]
    (change,) = (change for change in writes if change.path == path)
    assert "version: 1.6.6" in change.after
    assert "memory: 4Gi" in change.after
