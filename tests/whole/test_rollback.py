"""The rollout taken back and made again, with everything around it real."""

import json

from tests.playground import APPS, RELEASE, Playground


def without_login(tree: dict[str, bytes]) -> dict[str, list[bytes]]:
    """The lines of all files but the Secret's, and those that name the login."""
    return {
        path: [line for line in text.splitlines() if b"login" not in line and b"checksum" not in line]
        for path, text in tree.items()
        if "sops" not in path
    }


def test_a_rollout_is_taken_back_and_made_again(done: Playground) -> None:
    deployed = done.tree()
    before = done.git("rev-parse", "HEAD~1^{tree}")
    asked = done.on_repository("rollback")
    assert asked.code == 2
    assert "review `invoke --dry rollback`" in asked.err
    shown = done.invoke("--dry", "rollback", "--repo", str(done.root), "--json")
    assert shown.code == 5
    assert done.tree() == deployed
    assert done.head() == done.remote_head()
    files = {one["path"]: one["change"] for one in shown.data["files"]}
    assert files[RELEASE] == "delete"
    assert files[f"{APPS}/kustomization.yaml"] == "edit"

    taken = done.on_repository("rollback", "--yes")
    assert taken.code == 0, taken.err
    assert done.git("rev-parse", "HEAD^{tree}") == before
    assert done.head() == done.remote_head()
    assert done.git("status", "--porcelain") == ""
    assert f"bucket '{done.bucket}' and the logs in it stay" in taken.out
    assert "Flux deletes Kustomization monitoring/parseable and all that it applied" in taken.out
    assert done.s3().facts().exists
    message = done.git("log", "-1", "--format=%B")
    assert message.startswith("revert(monitoring): take back Parseable and Vector\n")
    assert f"This reverts commit {done.git('rev-parse', 'HEAD~1')}." in message
    assert done.git("log", "-1", "--format=%(trailers)") == "Rolled-back-by: parseable-playbook"

    again = done.on_repository("rollback", "--yes")
    assert (again.code, again.out) == (0, "nothing to take back\n")

    assert done.all().code == 0
    # The login is a new one.
    assert without_login(done.tree()) == without_login(deployed)
    assert done.on_repository("rollback", "--yes", "--no-push", "--json").code == 0
    assert done.git("rev-parse", "HEAD^{tree}") == before
    assert done.head() != done.remote_head()
    pushed = done.on_repository("rollback", "--yes", "--json")
    assert json.loads(pushed.out)["changes"] == ["push main to origin/main"]
    assert done.head() == done.remote_head()


def test_the_specification_is_archived(done: Playground) -> None:
    assert done.on_repository("archive").out.startswith("nothing to archive: the repository has no specs/")
    done.write("specs/parseable-deployment/tasks.md", "# Tasks\n")
    done.commit_all("Their specification")
    shown = done.invoke("--dry", "archive", "--repo", str(done.root), "--json")
    assert (shown.code, shown.data["to"]) == (5, "specs/done/parseable-deployment")
    assert done.on_repository("archive").code == 2
    moved = done.on_repository("archive", "--yes")
    assert (moved.code, moved.out) == (
        0, "moved specs/parseable-deployment to specs/done/parseable-deployment\n",
    )  # fmt: skip
    assert "push main to origin/main (with 1 of your own unpushed commits)" in moved.err
    assert done.head() == done.remote_head()
    assert done.read("specs/done/parseable-deployment/tasks.md") == "# Tasks\n"
    # It is no part of the rollout.
    assert done.on_repository("rollback", "--yes").code == 0
    assert done.read("specs/done/parseable-deployment/tasks.md") == "# Tasks\n"
