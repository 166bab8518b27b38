import contextlib
import errno
import json
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import yaml

from tasks.core.errors import RefusedError
from tasks.effects import kustomize, shell
from tasks.effects.kustomize import BuildError, Built, FetchError, build, is_remote, parse, patch
from tests.checks.deployed import config_map, listing, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with an app, a base beside it, and a component."""
    folder = tmp_path / "repository"
    write(folder, "apps/kustomization.yaml", listing("./own.yaml", "../base", more="namespace: apps\n"))
    write(folder, "apps/own.yaml", config_map("own"))
    write(folder, "base/kustomization.yaml", listing("one.yaml"))
    write(folder, "base/one.yaml", config_map("one"))
    write(
        folder,
        "component/kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [more.yaml]\n",
    )
    write(folder, "component/more.yaml", config_map("more"))
    return folder


def snapshot(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def named(built: list[Built]) -> dict[str, Any]:
    return {one.data["metadata"]["name"]: one.data for one in built}


def built(root: Path, folder: str = "apps", **spec: Any) -> dict[str, Any]:
    return named(build(root, folder, spec))


def namespaces(root: Path, folder: str = "apps", **spec: Any) -> dict[str, str | None]:
    return {name: one["metadata"].get("namespace") for name, one in built(root, folder, **spec).items()}


def test_objects_keep_their_files_and_the_repository_stays_as_it_is(root: Path) -> None:
    before = snapshot(root)
    found = build(root, "apps", {})
    assert {one.data["metadata"]["name"]: one.path for one in found} == {
        "own": "apps/own.yaml",
        "one": "base/one.yaml",
    }
    assert all("annotations" not in one.data["metadata"] for one in found)
    assert snapshot(root) == before
    assert namespaces(root) == {"own": "apps", "one": "apps"}


def test_generated_objects_are_of_their_kustomization(root: Path) -> None:
    write(root, "base/values.txt", "x")
    edit = (
        root / "base/kustomization.yaml"
    ).read_text() + "configMapGenerator: [{name: g, files: [values.txt]}]\n"
    write(root, "base/kustomization.yaml", edit)
    (found,) = (one for one in build(root, "apps", {}) if one.data["metadata"]["name"].startswith("g-"))
    assert (found.path, found.data["data"]) == ("base/kustomization.yaml", {"values.txt": "x"})


@pytest.mark.parametrize("folder", ["apps", ".", "apps/deeper/down"])
def test_any_folder_can_be_built(root: Path, folder: str) -> None:
    beside = os.path.relpath("base", folder)
    write(root, f"{folder}/kustomization.yaml", listing(beside))
    assert [one.path for one in build(root, folder, {})] == ["base/one.yaml"]


def test_a_folder_without_a_kustomization_is_what_it_is_given(root: Path) -> None:
    (root / "base/kustomization.yaml").unlink()
    write(root, "apps/kustomization.yaml", listing("./own.yaml"))
    found = build(root, "base", {"targetNamespace": "x"}, ["base/one.yaml", "apps"])
    assert {one.path for one in found} == {"base/one.yaml", "apps/own.yaml"}
    assert {one.data["metadata"]["namespace"] for one in found} == {"x"}
    assert build(root, "base", {}, []) == []


def test_two_objects_that_become_one(root: Path) -> None:
    write(root, "apps/own.yaml", config_map("one", "other"))
    with pytest.raises(BuildError, match="ID conflict") as caught:
        build(root, "apps", {"targetNamespace": "x"})
    assert len(caught.value.summary) < 400


def test_what_flux_changes_comes_where_flux_puts_it(root: Path) -> None:
    # A component gets the namespace of the folder, which an overlay on top of it would not give.
    assert namespaces(root, components=["../component"]) == {"own": "apps", "one": "apps", "more": "apps"}
    assert set(namespaces(root, targetNamespace="target").values()) == {"target"}
    missing: dict[str, Any] = {"components": ["../component", "../missing"]}
    assert set(built(root, **missing, ignoreMissingComponents=True)) == {"own", "one", "more"}
    with pytest.raises(BuildError, match="missing"):
        built(root, **missing)
    # A prefix takes the place of the folder's own.
    write(root, "apps/kustomization.yaml", listing("own.yaml", more="namePrefix: own-\n"))
    assert set(built(root)) == {"own-own"}
    assert set(built(root, namePrefix="new-", nameSuffix="-end")) == {"new-own-end"}
    # A patch comes before the folder's labels, so a selector for them finds nothing.
    labels = "labels: [{pairs: {team: a}}]\n"
    write(root, "apps/kustomization.yaml", listing("own.yaml", more=labels))
    change = [{"op": "add", "path": "/data/new", "value": "x"}]
    late = {"patch": yaml.safe_dump(change), "target": {"labelSelector": "team=a"}}
    early = {"patch": yaml.safe_dump(change), "target": {"kind": "ConfigMap"}}
    assert "new" not in built(root, patches=[late])["own"]["data"]
    assert built(root, patches=[early])["own"]["data"]["new"] == "x"


def test_patches_of_both_kinds(root: Path) -> None:
    merge = {"patch": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\ndata: {a: null, c: d}\n"}
    write(
        root,
        "apps/kustomization.yaml",
        listing("own.yaml", more="patches: [{path: p.yaml, target: {kind: ConfigMap}}]\n"),
    )
    write(root, "apps/p.yaml", "- {op: add, path: /data/e, value: f}\n")
    assert built(root, patches=[merge])["own"]["data"] == {"c": "d", "e": "f"}


@pytest.mark.parametrize(
    ("own", "flux", "wanted"),
    [
        ([], {"newTag": "2"}, "app:2"),
        ([{"name": "app", "newTag": "1"}], {"newName": "other"}, "other:1"),
        ([{"name": "app", "newTag": "1"}], {"newTag": "2"}, "app:2"),
        ([{"name": "app", "digest": "sha256:1"}], {"newTag": "2"}, "app:2"),
        ([{"name": "x", "newTag": "1"}], {"newTag": "2"}, "app:2"),
    ],
)
def test_images_are_merged_by_name(root: Path, own: Any, flux: dict[str, str], wanted: str) -> None:
    write(
        root,
        "apps/own.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: own}\nspec: {containers: [{name: a, image: app}]}\n",
    )
    write(root, "apps/kustomization.yaml", listing("own.yaml", more=f"images: {json.dumps(own)}\n"))
    found = built(root, images=[{"name": "app", **flux}])
    assert found["own"]["spec"]["containers"][0]["image"] == wanted


@pytest.mark.parametrize(
    "text", ["resources: []\n", "{}\n", "", "---\n", listing("./own.yaml").replace("\n", "\r\n")]
)
def test_kustomizations_of_any_form(root: Path, text: str) -> None:
    (root / "apps/kustomization.yaml").write_bytes(text.encode())
    assert set(built(root)) == ({"own"} if "own" in text else set())


@pytest.mark.parametrize("name", ["kustomization.yml", "Kustomization"])
def test_other_names_of_a_kustomization(root: Path, name: str) -> None:
    (root / "apps/kustomization.yaml").rename(root / "apps" / name)
    assert set(built(root)) == {"own", "one"}


def test_what_is_asked_of_the_build_stays_asked(root: Path) -> None:
    write(root, "apps/kustomization.yaml", listing("own.yaml", more="buildMetadata: [managedByLabel]\n"))
    assert "app.kubernetes.io/managed-by" in built(root)["own"]["metadata"]["labels"]


REFUSED = [
    (listing("missing.yaml"), "missing.yaml"),
    (listing("own.yaml", "own.yaml"), "already registered"),
    (listing("own.yaml", "../base", "../base/one.yaml"), "already registered"),
    (listing("own.yaml", more="recources: [x]\n"), 'unknown field "recources"'),
    ("resources: [\n", "invalid Kustomization: yaml: line 1"),
    ("a: b: c\n", "invalid Kustomization: yaml: "),
    ("- own.yaml\n", "cannot unmarshal array"),
    ("resources: own.yaml\n", "resources"),
    (listing("own.yaml", more="patches: [{path: missing.yaml}]\n"), "missing.yaml"),
    (listing("own.yaml", more="components: [../base]\n"), "base"),
    (
        listing("own.yaml", more="helmCharts: [{name: a, repo: 'https://charts.example.test'}]\n"),
        "enable-helm",
    ),
    (listing("own.yaml", ".."), "cycle"),
    (listing("broken.yaml"), "broken.yaml"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_kustomize_refuses(root: Path, text: str, said: str) -> None:
    write(root, "apps/broken.yaml", "a: [\n")
    write(root, "kustomization.yaml", listing("apps"))
    before = snapshot(root)
    write(root, "apps/kustomization.yaml", text)
    with pytest.raises(BuildError) as caught:
        build(root, "apps", {})
    assert said in caught.value.summary
    assert str(root.parent) not in caught.value.summary
    assert "parseable-playbook-" not in caught.value.summary
    assert len(caught.value.summary) < 400
    assert set(snapshot(root)) == set(before)


def test_patches_of_flux_that_do_not_apply(root: Path) -> None:
    gone = {"patch": "- {op: remove, path: /data/z}", "target": {"kind": "ConfigMap"}}
    with pytest.raises(BuildError, match="remove"):
        built(root, patches=[gone])


def test_a_reason_is_told_without_the_log_that_it_stands_in(root: Path) -> None:
    write(root, "apps/empty/kustomization.yaml", "")
    write(root, "apps/kustomization.yaml", listing("empty"))
    with pytest.raises(BuildError) as caught:
        built(root)
    assert str(caught.value.summary) == "in apps/empty: kustomization.yaml is empty"


def test_links_are_followed_as_far_as_the_repository_goes(root: Path) -> None:
    (root / "linked").symlink_to("apps")
    (root / "deep").mkdir()
    (root / "deep/apps").symlink_to("../apps")
    assert namespaces(root, "linked") == namespaces(root, "deep/apps") == namespaces(root)
    (root / "base/link.yaml").symlink_to("../component/more.yaml")
    write(root, "base/kustomization.yaml", listing("link.yaml"))
    assert set(built(root)) == {"own", "more"}
    (root / "outside").symlink_to(root.parent)
    with pytest.raises(BuildError, match="leads out"):
        build(root, "outside", {})


@pytest.mark.parametrize(
    ("entry", "remote"),
    [
        ("https://github.com/owner/name//folder?ref=main", True),
        ("https://example.test/crds.yaml", True),
        ("http://example.test/crds.yaml", True),
        ("github.com/owner/name", True),
        ("git@github.com:owner/name.git", True),
        ("git::https://example.test/name", True),
        ("ssh://git@example.test/name", True),
        ("gitlab.com/owner/name?ref=v1", True),
        ("host.test/owner/name.git", True),
        ("host.test/owner/name//folder", True),
        ("./apps", False),
        ("../../base/app.yaml", False),
        ("github.com.yaml", False),
        ("a.gitops/b", False),
    ],
)
def test_what_would_be_fetched(entry: str, remote: bool) -> None:
    assert is_remote(entry) is remote


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server that is not loopback's name, as far as a proxy is concerned, and what it was asked."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        do_CONNECT = do_GET  # noqa: N815  # the base's name

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.02))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", paths
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "text",
    [
        listing("https://example.test/crds.yaml"),
        listing("own.yaml", more="patches: [{path: 'https://example.test/p.yaml', target: {kind: A}}]\n"),
        listing("git@example.test:owner/name.git"),
    ],
)
def test_nothing_is_fetched(
    root: Path, text: str, asked: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, paths = asked
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, url)
    write(root, "apps/kustomization.yaml", text)
    with pytest.raises(FetchError, match="would fetch"):
        build(root, "apps", {})
    assert paths == []


def test_without_kustomize(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "find", lambda tool: None)
    with pytest.raises(RefusedError, match="kubectl is not installed") as caught:
        build(root, "apps", {})
    assert not isinstance(caught.value, BuildError)
    assert caught.value.hint == "install kubectl or kustomize"


def test_kustomize_is_taken_where_it_is(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin/kustomize"
    program.parent.mkdir()
    kubectl = shell.find("kubectl")
    # It has no PATH: nothing but the shell's own words.
    program.write_text(
        f'#!/bin/sh\n[ "$1" = build ] && echo used > "{tmp_path}/used"\n'
        f'shift; exec "{kubectl}" kustomize "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    assert set(built(root)) == {"own", "one"}
    assert (tmp_path / "used").exists()


def test_preferences_of_the_user_for_kubectl_play_no_part(root: Path) -> None:
    folder = Path(os.environ["HOME"]) / ".kube"
    folder.mkdir()
    (folder / "kuberc").write_text(
        "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\ndefaults:\n"
        "  - {command: kustomize, options: [{name: enable-helm, default: 'true'}]}\n"
    )
    write(root, "apps/kustomization.yaml", listing("own.yaml", more="helmCharts: [{name: a}]\n"))
    with pytest.raises(BuildError, match="enable-helm"):
        build(root, "apps", {})


def test_a_post_renderer(tmp_path: Path) -> None:
    manifests = config_map("a") + config_map("b")
    change = {"patch": "- {op: add, path: /data/c, value: d}", "target": {"name": "b"}}
    found = {
        one["metadata"]["name"]: one["data"]
        for one in yaml.safe_load_all(patch(manifests, {"patches": [change]}))
    }
    assert found == {"a": {"a": "b"}, "b": {"a": "b", "c": "d"}}
    with pytest.raises(BuildError):
        patch("a: [", {})


def test_text_that_was_changed_is_read_again(root: Path) -> None:
    (one, *_) = build(root, "apps", {})
    again = parse(one.text.replace("a: b", "a: 5"), one.path)
    assert again is not None
    assert (again.data, again.path) == ({**one.data, "data": {"a": 5}}, one.path)
    assert parse("a: [", None) is parse("- a\n", None) is parse("a: b\n---\na: b\n", None) is None
    assert kustomize.NAMES[0] == "kustomization.yaml"


@pytest.mark.parametrize(
    "body", ["exit 1", "exit 127", "kill -9 $$", "echo 'error: unknown flag: --x' >&2; exit 1"]
)
def test_a_program_that_fails_itself_says_nothing(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin/kustomize"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    with pytest.raises(kustomize.FetchError, match="kustomize itself failed"):
        kustomize.patch("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", {})


ODD = [
    {"components": 5},
    {"components": "../component"},
    {"components": [5], "ignoreMissingComponents": True},
    {"components": ["\0"], "ignoreMissingComponents": True},
    {"patches": "x"},
    {"patches": [5]},
    {"images": 5},
    {"images": [5, {"name": ["a"], "newTag": "x"}, {"newTag": 5}]},
    {"targetNamespace": 5, "namePrefix": ["x"]},
]


@pytest.mark.parametrize("spec", ODD, ids=str)
def test_an_odd_kustomization_of_flux_is_no_error_of_ours(root: Path, spec: dict[str, Any]) -> None:
    with contextlib.suppress(RefusedError):
        build(root, "apps", spec)


def test_an_odd_list_of_images_is_no_error_of_ours(root: Path) -> None:
    odd: list[list[Any]] = [[5], [{"name": {"a": "b"}}], [[]]]
    for images in odd:
        write(root, "apps/kustomization.yaml", listing("own.yaml", more=f"images: {json.dumps(images)}\n"))
        with contextlib.suppress(RefusedError):
            build(root, "apps", {"images": [{"name": "a", "newTag": "b"}]})


def test_a_kustomization_that_is_a_folder(root: Path) -> None:
    (root / "apps/kustomization.yaml").unlink()
    (root / "apps/kustomization.yaml").mkdir()
    with pytest.raises(BuildError, match="apps has no kustomization that can be read"):
        build(root, "apps", {})


def test_a_disk_without_space(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "symlink_to", full)
    with pytest.raises(RefusedError, match="No space left on device"):
        build(root, "apps", {})


@pytest.mark.parametrize("metadata", ["5", "[a]", "{annotations: 5}", "{annotations: [a]}"])
def test_metadata_that_substitution_made_something_else(metadata: str) -> None:
    found = parse(f"kind: A\nmetadata: {metadata}\n", None)
    assert found is not None
    assert found.faults


@pytest.mark.parametrize(
    "piece", ["x", "couldn't make target for path '", "recursed accumulation of path 'a", "': "]
)
def test_no_words_of_kustomize_take_ages(root: Path, piece: str) -> None:
    long = (
        "resources: [own.yaml]\nnamePrefix: '" + (piece * (500_000 // len(piece))).replace("'", "''") + "'\n"
    )
    write(root, "apps/kustomization.yaml", long + "nothing: x\n")
    start = monotonic()
    with pytest.raises(BuildError):
        build(root, "apps", {})
    write(root, "apps/kustomization.yaml", listing(piece * (500_000 // len(piece))))
    with pytest.raises((BuildError, FetchError)):
        build(root, "apps", {})
    assert monotonic() - start < 40
