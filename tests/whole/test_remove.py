"""The apps taken out and put back, with everything around it real."""

import json

from tests.playground import APPS, RELEASE, SECRET, Playground


def test_the_apps_are_taken_out_and_put_back(done: Playground) -> None:
    deployed = done.tree()
    before = done.git("rev-parse", "HEAD~1^{tree}")
    asked = done.on_repository("remove")
    assert asked.code == 2
    assert "review `invoke --dry remove`" in asked.err
    shown = done.invoke("--dry", "remove", "--repo", str(done.root), "--json")
    assert shown.code == 5
    assert (done.tree(), done.head()) == (deployed, done.remote_head())
    files = {one["path"]: one["change"] for one in shown.data["files"]}
    assert (files[RELEASE], files[SECRET], files[f"{APPS}/kustomization.yaml"]) == (
        "delete",
        "delete",
        "edit",
    )
    password = done.decrypted()["password"]
    assert password not in shown.out

    taken = done.on_repository("remove", "--yes")
    assert taken.code == 0, taken.err
    assert done.git("rev-parse", "HEAD^{tree}") == before
    assert (done.head(), done.git("status", "--porcelain")) == (done.remote_head(), "")
    assert not (done.root / APPS / "parseable").exists()
    assert "Flux deletes Kustomization monitoring/parseable and all that it applied" in taken.out
    assert f"s3 rb --force s3://{done.bucket}" in taken.out
    assert done.s3().facts().exists
    again = done.on_repository("remove", "--yes")
    assert (again.code, again.out) == (0, "nothing to remove\n")
    # What is not there cannot be taken back.
    assert done.on_repository("rollback", "--yes").out == "nothing to take back\n"

    assert done.all().code == 0
    # All but what follows from the Secret, which is another one.
    assert {path: text for path, text in done.tree().items() if not _follows(path)} == {
        path: text for path, text in deployed.items() if not _follows(path)
    }
    assert done.tree().keys() == deployed.keys()
    assert done.decrypted()["password"] != password

    # Interrupted after some files: the same command goes on.
    (done.root / RELEASE).unlink()
    done.write(f"{APPS}/kustomization.yaml", done.git("show", f"{before}:{APPS}/kustomization.yaml") + "\n")
    assert done.on_repository("remove", "--yes", "--no-push", "--json").code == 0
    assert done.git("rev-parse", "HEAD^{tree}") == before
    assert done.head() != done.remote_head()
    pushed = done.on_repository("remove", "--yes", "--json")
    assert json.loads(pushed.out)["changes"] == ["push main to origin/main"]
    assert done.head() == done.remote_head()


def _follows(path: str) -> bool:
    names = ("secret.sops.yaml", "parseable/app/helmrelease.yaml", "configmap.yaml", "loginservice.yaml")
    return path.endswith((*names, "vector/app/helmrelease.yaml"))
