"""`invoke all`: first run, second run, drift, interruptions, refusals."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from tasks.flux.kustomizations import GROUP
from tasks.yaml.documents import same_documents
from tests import shapes
from tests.playground import APPS, GRAFANA, SECRET, Playground, wait_for
from tests.storage import prefix, rule
from tests.whole.conftest import PlaygroundMaker

ALL_STEPS = [f"TASK-{number:03}" for number in range(1, 12)]


def test_first_and_second_run(play: Playground) -> None:
    start = play.head()
    first = play.all()
    assert first.code == 0, first.err
    assert first.out.splitlines()[:3] == [
        "11/11 done, 23 changes",
        "    commit 16 files: feat(monitoring): deploy Parseable log aggregation with Vector",
        "    push main to origin/main",
    ]
    login = f"""sops decrypt --extract '["stringData"]["password"]' {SECRET}"""
    assert login in first.out
    assert (
        subprocess.run(
            login,
            shell=True,
            cwd=play.root,
            env={**os.environ, **play.environment},
            check=True,
            capture_output=True,
        ).stdout.decode()
        == play.decrypted()["password"]
    )
    assert [line[:8] for line in first.err.splitlines() if line.startswith("TASK")] == ALL_STEPS
    assert play.git("rev-list", "--count", f"{start}..HEAD") == "1"
    assert play.git("status", "--porcelain") == ""
    assert play.head() == play.remote_head()
    before = (play.tree(), play.head(), play.s3().rules())

    second = play.all()
    assert second.code == 0
    assert second.out == "11/11 done, nothing to change\n"
    assert (play.tree(), play.head(), play.s3().rules()) == before
    assert play.on_repository("plan").code == 0


def test_the_commit_is_the_documented_one(play: Playground) -> None:
    assert play.all(INVOKE_GITOPS_ISSUE="42").code == 0
    message = play.git("log", "-1", "--format=%B")
    assert message.splitlines()[0] == "feat(monitoring): deploy Parseable log aggregation with Vector"
    assert message.splitlines()[-2:] == ["Deployed-by: parseable-playbook", "Closes: #42"]
    assert f"- Add Parseable, with bucket {play.bucket} at 127.0.0.1" in message
    # What the document names, and this repository has not.
    assert not any(word in message for word in ("Minio", "specs/", "68cc"))


def test_a_later_commit_says_what_it_changes(done: Playground) -> None:
    changed = done.all(INVOKE_PARSEABLE_MEMORY_LIMIT="4Gi", INVOKE_COMMIT_MESSAGE="logs: ${subject}")
    assert changed.code == 0, changed.err
    assert done.git("log", "-1", "--format=%s").startswith(
        "logs: chore(monitoring): change parseable.resources.limits.memory of HelmRelease … and 1 more"
    )
    assert "next:" not in changed.out


def test_without_an_issue_nothing_is_closed(play: Playground) -> None:
    assert play.all().code == 0
    assert "Closes" not in play.git("log", "-1", "--format=%B")


def test_what_is_written(play: Playground) -> None:
    play.all()
    apps = play.load(f"{APPS}/kustomization.yaml")["resources"]
    assert apps[-2:] == ["./parseable/ks.yaml", "./vector/ks.yaml"]
    repositories = play.load("kubernetes/flux/meta/repos/kustomization.yaml")["resources"]
    assert repositories == sorted(repositories)
    assert set(play.decrypted()) == {"S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "username", "password"}
    assert play.decrypted()["S3_SECRET_ACCESS_KEY"] == play.secret_key
    release = play.load(f"{APPS}/parseable/app/helmrelease.yaml")["spec"]["values"]["parseable"]
    assert release["store"] == "s3-store"
    assert release["env"]["P_S3_URL"] == play.endpoint
    assert release["env"]["P_S3_BUCKET"] == play.bucket


@pytest.mark.parametrize("shape", shapes.GOOD.values(), ids=shapes.GOOD.keys())
def test_every_layout(playground: PlaygroundMaker, shape: shapes.Shape) -> None:
    play = playground(shape)
    before = play.tree()
    first = play.all()
    assert first.code == 0, first.err
    assert play.git("status", "--porcelain") == ""
    assert play.head() == play.remote_head()
    after = play.tree()
    # What was there is still there, line by line.
    for path, content in before.items():
        lines = iter(after[path].splitlines(keepends=True))
        assert all(line in lines for line in content.splitlines(keepends=True)), path
    status = play.on_repository("status", "--json").data
    assert status["progress"] == "Progress 11/11"
    assert play.all().out == "11/11 done, nothing to change\n"
    assert play.tree() == after


def test_layout_details(playground: PlaygroundMaker) -> None:
    play = playground(shapes.other_repositories_folder)
    play.all()
    release = play.load(f"{APPS}/vector/app/helmrelease.yaml")["spec"]["chart"]["spec"]
    assert release["sourceRef"]["name"] == "vectordotdev"
    listed = play.load("kubernetes/flux/repositories/helm/kustomization.yaml")["resources"]
    assert listed.count("./vector.yaml") == 1
    assert "./parseable.yaml" in listed


def test_another_namespace_reaches_every_reference(playground: PlaygroundMaker) -> None:
    play = playground(shapes.observability)
    play.all()
    written = "".join(play.read(path) for path in play.tree() if "/parseable/" in path or "/vector/" in path)
    assert "monitoring." not in written.replace("monitoring.coreos.com", "")
    assert "parseable.observability.svc.cluster.local" in written


def test_a_foreign_app_is_not_touched(playground: PlaygroundMaker) -> None:
    play = playground(shapes.foreign_vector)
    before = play.tree()
    done = play.all()
    assert done.code == 4
    assert f"{APPS}/vector holds an app that the playbook did not write" in done.err
    assert "--adopt" in done.err
    assert play.tree() == before
    assert not play.s3().facts().exists

    assert play.all(INVOKE_VECTOR_NAME="vector-parseable").code == 0
    assert {path: content for path, content in play.tree().items() if "/vector/" in path} == {
        path: content for path, content in before.items() if "/vector/" in path
    }


def test_a_foreign_app_can_be_adopted(playground: PlaygroundMaker) -> None:
    play = playground(shapes.foreign_vector)
    assert play.all("--adopt").code == 0
    assert play.load(f"{APPS}/vector/app/helmrelease.yaml")["spec"]["values"]["role"] == "Agent"
    assert play.all().out == "11/11 done, nothing to change\n"


@pytest.mark.parametrize(("section", "name"), [("VECTOR", "vec"), ("PARSEABLE", "parseable-logs")])
def test_another_name_takes_the_former_one_along(done: Playground, section: str, name: str) -> None:
    renamed = {f"INVOKE_{section}_NAME": name}
    folder = f"{APPS}/{section.lower()}"
    password = done.decrypted()["password"]
    done.write(f"{folder}/app/ingress.yaml", "kind: Ingress\n")
    refused = done.all(**renamed)
    assert refused.code == 4
    assert f"holds what is not the playbook's: {folder}/app/ingress.yaml" in refused.err
    (done.root / folder / "app/ingress.yaml").unlink()
    shown = done.on_repository("plan", "--offline", **renamed)
    assert f"release {section.lower()} goes and {name} comes" in shown.out
    head = done.head()
    assert done.all(**renamed).code == 0
    assert done.git("rev-parse", "HEAD~1") == head
    assert not (done.root / folder).exists()
    listed = done.read(f"{APPS}/kustomization.yaml")
    assert f"./{name}/ks.yaml" in listed
    assert f"./{section.lower()}/ks.yaml" not in listed
    # The login is the same; what waits in the buffers is sent with it.
    secret = f"{APPS}/parseable-logs/app/secret.sops.yaml" if section == "PARSEABLE" else SECRET
    assert done.decrypted(secret)["password"] == password
    assert done.all(**renamed).out == "11/11 done, nothing to change\n"


def grafana_values_elsewhere(root: Path) -> None:
    path = root / GRAFANA
    text = path.read_text()
    path.write_text(
        text[: text.index("  values:\n")]
        + "  valuesFrom:\n    - kind: ConfigMap\n      name: grafana-values\n"
    )


def two_sources_of_ours(root: Path) -> None:
    shapes.edit(root / GRAFANA, "uid: prometheus", "uid: parseable")
    shapes.edit(root / GRAFANA, "name: Alertmanager", "name: Parseable")


def app_behind_a_link(root: Path) -> None:
    (root.parent / "outside").mkdir()
    (root / APPS / "parseable").symlink_to(root.parent / "outside")


def ignored_secrets(root: Path) -> None:
    (root / ".gitignore").write_text("*.sops.yaml\n")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (grafana_values_elsewhere, "has spec.valuesFrom, and no plugins or datasources of its own"),
        (two_sources_of_ours, "has a data source named 'Parseable' and another with uid 'parseable'"),
        (app_behind_a_link, f"{APPS}/parseable is a symbolic link, and links are never followed"),
        (ignored_secrets, f"git ignores {SECRET}"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_would_go_wrong_later_is_refused_at_once(
    playground: PlaygroundMaker, shape: shapes.Shape, message: str
) -> None:
    play = playground(shape)
    before = play.tree()
    done = play.all()
    assert done.code == 4
    assert message in done.err
    assert play.tree() == before
    assert not play.s3().facts().exists


def test_a_hook_that_formats_and_refuses_is_asked_again(play: Playground) -> None:
    hooks = play.root / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-commit").write_text(
        "#!/bin/sh\nchanged=0\n"
        "for f in $(git diff --cached --name-only -- '*.yaml'); do\n"
        "case $f in *.sops.*) continue;; esac\n"
        'head -1 "$f" | grep -q "^---$" && sed -i 1d "$f" && changed=1\ndone\nexit $changed\n'
    )
    (hooks / "pre-commit").chmod(0o755)
    assert play.all().code == 0
    assert not play.git("show", f"HEAD:{APPS}/vector/ks.yaml").startswith("---")
    assert play.git("status", "--porcelain") == ""
    assert play.all().out == "11/11 done, nothing to change\n"


def test_a_comment_that_is_not_committed_stays_its_authors(done: Playground) -> None:
    path = f"{APPS}/vector/ks.yaml"
    done.write(path, done.read(path) + "# half-finished note\n")
    head = done.head()
    assert done.all().out == "11/11 done, nothing to change\n"
    assert done.head() == head
    assert done.git("status", "--porcelain") == f" M {path}"


def test_a_server_that_does_not_take_the_probe_stops_the_run(play: Playground) -> None:
    play.s3().create()
    reader = {"S3_ACCESS_KEY_ID": "access-of-reader", "S3_SECRET_ACCESS_KEY": "secret-of-reader"}
    play.s3().put_rules([rule("parseable-expire-logs", prefix("kubernetes/date="), "30")])
    done = play.all(**reader)
    assert done.code == 1
    assert "DoD-001-02" in done.err
    assert "may not write to bucket" in done.err
    assert play.git("status", "--porcelain") == ""


def test_a_rule_of_somebody_else_for_the_same_prefix_stays(play: Playground) -> None:
    play.s3().create()
    play.s3().put_rules([rule("mine", prefix("kubernetes/date="), "90")])
    assert play.all().code == 0
    assert [(item.id, item.days) for item in play.s3().rules()] == [
        ("mine", 90),
        ("parseable-expire-logs", 30),
    ]


def test_a_repository_that_uses_none_of_it(playground: PlaygroundMaker) -> None:
    play = playground(shapes.none_of_it)
    before = play.tree()
    done = play.all()
    assert done.code == 4
    assert done.err.splitlines()[-2:] == [
        f"error: TASK-002: nothing in this repository is for Flux: it has no Kustomization of {GROUP}",
        "  hint: give the repository that lists the apps of the cluster: --repo PATH",
    ]
    assert play.tree() == before
    assert not play.s3().facts().exists


@pytest.mark.parametrize(
    ("path", "good", "drifted"),
    [
        (f"{APPS}/parseable/ks.yaml", "interval: 30m", "interval: 31m"),
        (f"{APPS}/vector/app/configmap.yaml", "X-P-Stream: kubernetes", "X-P-Stream: other"),
        (f"{APPS}/kustomization.yaml", "  - ./vector/ks.yaml\n", ""),
        ("kubernetes/flux/meta/repos/kustomization.yaml", "  - ./parseable.yaml\n", ""),
        ("kubernetes/flux/meta/repos/parseable.yaml", "charts.parseable.com", "old.example.com"),
        (GRAFANA, "versions/1.1.0/", "versions/0.9.0/"),
        (GRAFANA, "parseable.monitoring.svc.cluster.local:8000", "old.example.com"),
        (GRAFANA, "            editable: false\n", ""),
    ],
)
def test_drift_is_repaired(done: Playground, path: str, good: str, drifted: str) -> None:
    right = done.read(path)
    assert good in right
    done.write(path, right.replace(good, drifted))
    done.commit_all("drift")
    is_own = path.endswith(("ks.yaml", "configmap.yaml", "repos/parseable.yaml"))
    if is_own:
        # In a file of ours a committed change is its owner's: it is kept, until somebody takes it back.
        kept = done.on_repository("plan", "--json")
        # Vector's pods would get the checksum of the other pipeline, with which nothing would arrive.
        assert kept.code == (1 if "configmap" in path else 0)
        told = [remark for task in kept.data["tasks"] for remark in task["remarks"]]
        assert any(remark.startswith(f"kept, differs from the settings: {path}:") for remark in told)
    named = ("--overwrite", path) if is_own else ()
    planned = done.on_repository("plan", "--json", *named)
    assert planned.code == 5
    written = [
        name for task in planned.data["tasks"] for change in task["changes"] for name in change["paths"]
    ]
    assert written == [path]
    assert done.all(*named).code == 0
    assert same_documents(done.read(path), right)
    assert done.git("status", "--porcelain") == ""
    assert done.all().out == "11/11 done, nothing to change\n"


def test_what_a_bot_raises_goes_with_what_the_settings_change(done: Playground) -> None:
    path, vector = f"{APPS}/parseable/app/helmrelease.yaml", f"{APPS}/vector/app/helmrelease.yaml"
    for file, old, new in (
        (path, "memory: 2Gi", "memory: 3Gi"),
        (vector, "version: 0.35.0", "version: 0.35.1"),
    ):
        done.write(file, done.read(file).replace(old, new))
    done.commit_all("chore(deps): update")
    done.git("push", "-q")
    head = done.head()
    kept = done.all()
    assert (kept.code, kept.out) == (0, "11/11 done, nothing to change\n")
    assert (
        f"kept, differs from the settings: {vector}:spec.chart.spec.version is 0.35.1, not 0.35.0" in kept.err
    )
    assert "to set it: parseable.memory_limit: 3Gi" in kept.err
    assert done.head() == head
    unproved = done.all(INVOKE_VECTOR_MEMORY_LIMIT="1Gi")
    assert unproved.code == 1
    assert "chart vector 0.35.1 is not one of those that were tested" in unproved.err
    more = done.all("--unproved", INVOKE_VECTOR_MEMORY_LIMIT="1Gi")
    assert more.code == 0, more.err
    assert done.git("show", "--format=", "--name-only", "HEAD") == vector
    assert "version: 0.35.1" in done.read(vector)
    assert "memory: 1Gi" in done.read(vector)
    status = done.on_repository("status", "--json", INVOKE_VECTOR_MEMORY_LIMIT="1Gi").data
    assert status["progress"] == "Progress 11/11"
    assert "parseable.memory_limit: 3Gi" in " ".join(status["tasks"][2]["remarks"])
    both = done.all(INVOKE_VECTOR_CHART_VERSION="0.36.0")
    assert both.code == 4
    assert f"--overwrite {vector}:spec.chart.spec.version" in both.err


def test_deleted_files_come_back_without_a_commit(play: Playground) -> None:
    play.all()
    head = play.head()
    (play.root / f"{APPS}/vector/app/rbac.yaml").unlink()
    assert play.all().code == 0
    assert play.head() == head
    assert play.git("status", "--porcelain") == ""


def test_formatting_is_no_drift(play: Playground) -> None:
    play.all()
    path = f"{APPS}/vector/ks.yaml"
    play.write(path, yaml.safe_dump(play.load(path)))
    play.commit_all("reformatted")
    assert play.all().out == "11/11 done, nothing to change\n"


def test_uncommitted_edits_are_not_overwritten(play: Playground) -> None:
    play.all()
    path = f"{APPS}/vector/app/helmrelease.yaml"
    edited = play.read(path).replace("memory: 512Mi", "memory: 1Gi")
    play.write(path, edited)
    done = play.all()
    assert done.code == 4
    assert f"{path} has uncommitted changes that this run would overwrite" in done.err
    assert "--force" in done.err
    assert play.read(path) == edited
    assert play.all("--force").code == 0
    assert "memory: 512Mi" in play.read(path)


def test_foreign_work_stays_as_it_is(play: Playground) -> None:
    play.write("staged.txt", "staged")
    play.git("add", "staged.txt")
    play.write("README.md", "edited")
    play.write("new.txt", "new")
    assert play.all().code == 0
    assert play.git("status", "--porcelain").splitlines() == [" M README.md", "A  staged.txt", "?? new.txt"]
    assert "README.md" not in play.git("show", "--name-only", "--format=", "HEAD")


def test_foreign_edits_in_a_shared_file_are_not_taken_along(play: Playground) -> None:
    path = f"{APPS}/kustomization.yaml"
    play.write(path, play.read(path) + "  - ./loki/ks.yaml\n")
    before = play.tree()
    done = play.all()
    assert done.code == 4
    assert f"{path} has changes of yours that are not committed" in done.err
    assert play.tree() == before
    play.git("stash")
    assert play.all().code == 0
    # Once ours is committed, work on the same file is nobody's obstacle, and is not committed.
    play.write(path, play.read(path) + "  - ./loki/ks.yaml\n")
    head = play.head()
    assert play.all().code == 0
    assert play.head() == head


KUSTOMIZATION = f"{APPS}/kustomization.yaml"


@pytest.mark.parametrize("staged", [False, True], ids=["loose", "staged"])
@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (KUSTOMIZATION, "resources:\n", "resources:  # a note of mine\n"),
        (GRAFANA, "uid: prometheus", 'uid: "prometheus"'),
        (f"{APPS}/vector/app/rbac.yaml", "kind: ClusterRole\n", "kind: ClusterRole # mine\n"),
        ("kubernetes/flux/meta/repos/vector.yaml", "kind: HelmRepository", "kind: 'HelmRepository'"),
    ],
    ids=["comment", "quotes", "own", "own source"],
)
def test_an_edit_that_says_nothing_new_is_not_committed_unseen(
    play: Playground, path: str, old: str, new: str, staged: bool
) -> None:
    # Everything is written, nothing is committed, and then somebody edits a file.
    hooks = play.root / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    assert play.all().code == 4
    (hooks / "pre-commit").unlink()
    assert old in play.read(path)
    play.write(path, play.read(path).replace(old, new, 1))
    if staged:
        play.git("add", path)
    before, head, index = play.tree(), play.head(), play.git("diff", "--cached")
    done = play.all()
    assert done.code == 4, done.out
    assert path in done.err
    assert "with --force" in done.err
    assert (play.tree(), play.head(), play.git("diff", "--cached")) == (before, head, index)
    assert play.all("--force").code == 0
    assert new in play.git("show", f"HEAD:{path}")


def test_what_is_staged_and_not_in_the_file_is_not_lost(play: Playground) -> None:
    text = play.read(KUSTOMIZATION)
    play.write(KUSTOMIZATION, text + "# staged\n")
    play.git("add", KUSTOMIZATION)
    play.write(KUSTOMIZATION, text)
    before = play.git("diff", "--cached")
    done = play.all()
    assert done.code == 4
    assert f"something else is staged for {KUSTOMIZATION}" in done.err
    assert play.git("diff", "--cached") == before


def test_windows_line_ends_in_the_work_tree(play: Playground) -> None:
    play.git("config", "core.autocrlf", "true")
    for path in (KUSTOMIZATION, GRAFANA, "kubernetes/flux/meta/repos/kustomization.yaml"):
        (play.root / path).unlink()
        play.git("checkout", "--", path)
    assert "\r\n" in (play.root / KUSTOMIZATION).read_bytes().decode()
    assert play.all().code == 0
    assert "\r" not in play.git("show", f"HEAD:{KUSTOMIZATION}")
    assert play.all().out == "11/11 done, nothing to change\n"


def test_an_app_folder_that_is_a_link_in_head(playground: PlaygroundMaker) -> None:
    play = playground(app_behind_a_link)
    (play.root / APPS / "parseable").unlink()
    done = play.all()
    assert done.code == 4
    assert f"{APPS}/parseable is a file or a symbolic link in HEAD" in done.err
    play.commit_all("no link")
    assert play.all().code == 0
    assert not list((play.root.parent / "outside").iterdir())


def test_from_a_hook_of_another_repository(play: Playground, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Playground.make(tmp_path / "other", play.endpoint, (play.access_key, play.secret_key))
    for one in (play, other):
        one.write(".gitignore", "private.key\n")
        one.commit_all("ignore the key")
        one.git("push", "-q")
        one.write("private.key", "canary of an ignored key")
    git_directory = other.root / ".git"

    def inside() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(other.root.rglob("*")) if path.is_file()}

    before = inside()
    done = play.all(
        GIT_DIR=str(git_directory),
        GIT_WORK_TREE=str(other.root),
        GIT_INDEX_FILE=str(git_directory / "index"),
        GIT_OBJECT_DIRECTORY=str(git_directory / "objects"),
    )
    assert done.code == 0, done.err
    assert inside() == before
    for one in (play, other):
        stored = subprocess.run(
            ("git", "cat-file", "--batch-all-objects", "--batch"),
            cwd=one.root,
            check=True,
            capture_output=True,
        )
        assert b"canary of an ignored key" not in stored.stdout
    assert play.head() == play.remote_head()


def test_what_a_killed_run_left_behind_is_deleted_by_the_next(play: Playground, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    play.environment["TMPDIR"] = str(temporary)
    with play.started("all", "--yes", "--offline") as process:
        wait_for(lambda: any(temporary.glob("parseable-playbook-*/head-*/*")))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert any(temporary.glob("parseable-playbook-*/head-*"))
    assert play.all().code == 0
    assert not any(temporary.glob("parseable-playbook-*/*"))


def test_a_new_branch_counts_what_is_nowhere_on_the_remote(play: Playground) -> None:
    play.git("checkout", "-q", "-b", "new")
    (planned,) = [
        change["summary"]
        for task in play.on_repository("plan", "--json").data["tasks"]
        for change in task["changes"]
        if change["summary"].startswith("push")
    ]
    assert planned == "push new to origin/new"
    play.write("mine.txt", "x")
    play.commit_all("mine")
    assert "push new to origin/new (with 1 of your own unpushed commits)" in play.on_repository("plan").out


def test_a_protected_branch(play: Playground) -> None:
    hooks = play.folder / "remote.git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "update").write_text('#!/bin/sh\n[ "$1" = refs/heads/main ] || exit 0\necho GH006 >&2\nexit 1\n')
    (hooks / "update").chmod(0o755)
    done = play.all()
    assert done.code == 4
    assert "origin refused the push to main; the commit stays on your local branch main" in done.err
    assert "git push origin HEAD:refs/heads/parseable" in done.err
    play.git("push", "-q", "origin", "HEAD:refs/heads/parseable")
    assert play.git("ls-remote", "origin", "refs/heads/parseable").split()[0] == play.head()


def test_without_a_terminal_yes_is_needed(play: Playground) -> None:
    done = play.on_repository("all", "--offline")
    assert done.code == 2
    assert "--yes" in done.err
    assert play.git("status", "--porcelain") == ""


def test_no_push_then_push(play: Playground) -> None:
    start = play.remote_head()
    assert play.all("--no-push").code == 0
    assert play.head() != start == play.remote_head()
    head = play.head()
    again = play.all("--no-push")
    assert again.out == "11/11 done, nothing to change\n"
    pushed = play.all()
    assert pushed.out == "11/11 done, 1 change\n    push main to origin/main\n"
    assert play.remote_head() == head == play.head()


def test_json_is_all_there_is_on_stdout(play: Playground) -> None:
    first = play.all("--json").data
    assert first["progress"] == "Progress 11/11"
    assert [task["state"] for task in first["tasks"]] == ["done"] * 11
    assert sum(len(task["changes"]) for task in first["tasks"]) == 23
    assert sum(len(task["checks"]) for task in first["tasks"]) == 32


def test_two_runs_do_not_interleave(play: Playground) -> None:
    hooks = play.root / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-commit").write_text(
        "#!/bin/sh\ntouch .git/waiting\nwhile [ ! -e .git/go ]; do sleep 0.05; done\n"
    )
    (hooks / "pre-commit").chmod(0o755)
    with play.started("all", "--yes", "--offline") as first:
        wait_for((play.root / ".git/waiting").exists)
        second = play.all()
        assert second.code == 4
        assert "another run works on this repository: 'invoke all' by" in second.err
        assert f"process {first.pid}" in second.err
        (play.root / ".git/go").touch()
        assert first.wait(60) == 0


def test_interrupted_anywhere_the_next_run_continues(play: Playground) -> None:
    hooks = play.root / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-commit").write_text("#!/bin/sh\ntouch .git/waiting\nexec sleep 60\n")
    (hooks / "pre-commit").chmod(0o755)
    start = play.head()
    with play.started("all", "--yes", "--offline") as process:
        wait_for((play.root / ".git/waiting").exists)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert "interrupted" in err
        assert "Traceback" not in err
    assert play.head() == start
    assert not list(play.root.rglob("*.tmp"))
    (hooks / "pre-commit").unlink()
    assert play.all().code == 0
    assert play.git("status", "--porcelain") == ""


def test_killed_anywhere_the_next_run_continues(play: Playground) -> None:
    with play.started("all", "--yes", "--offline") as process:
        wait_for((play.root / SECRET).exists)
        os.killpg(process.pid, signal.SIGKILL)
    assert play.all().code == 0
    assert play.all().out == "11/11 done, nothing to change\n"
    assert play.git("status", "--porcelain") == ""


def test_a_failing_check_stops_before_anything_is_changed(play: Playground) -> None:
    # A hand-made rule that would delete Parseable's own metadata.
    play.s3().create()
    play.s3().put_rules([rule("all", prefix(""), "30")])
    head = play.head()
    done = play.all()
    assert done.code == 1
    assert "the planned result would fail check DoD-001-03: " in done.err
    assert [one.id for one in play.s3().facts().rules] == ["all"]
    assert play.head() == head
    assert play.git("status", "--porcelain") == ""


def test_a_hook_that_refuses(play: Playground) -> None:
    hooks = play.root / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-commit").write_text("#!/bin/sh\necho 'yamllint: too long' >&2\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    done = play.all()
    assert done.code == 4
    assert "pre-commit hook, refused" in done.err
    assert "yamllint: too long" in done.err
    (hooks / "pre-commit").unlink()
    assert play.all().code == 0
    assert play.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (["checkout", "-q", "--detach"], "HEAD is detached"),
        (["remote", "remove", "origin"], "no remote to push to"),
        (["config", "--unset", "user.name"], "git has no author identity"),
    ],
)
def test_git_is_not_ready(play: Playground, prepare: list[str], message: str) -> None:
    play.git(*prepare)
    before = play.tree()
    done = play.all()
    assert done.code == 4
    assert message in done.err
    assert play.tree() == before


def test_no_repository(play: Playground, tmp_path: Path) -> None:
    assert play.invoke("all", "--yes", "--offline").code == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    done = play.invoke("all", "--yes", "--offline", "--repo", str(empty))
    assert done.code == 4
    assert "is not a git repository" in done.err
