import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.effects import kustomize
from tasks.effects.kustomize import BuildError, FetchError
from tasks.flux.cluster import Cluster
from tasks.flux.kustomizations import FluxKustomization
from tasks.flux.substitution import has_variable
from tasks.kube.keys import key_of
from tests.checks.deployed import (
    APPS,
    CLUSTER,
    KS,
    RELEASE,
    clusters_of,
    config_map,
    deployed,  # noqa: F401
    edit,
    flux,
    listing,
    model_of,
    root,  # noqa: F401
    write,
)

GOTK = "clusters/{0}/flux-system/gotk-sync.yaml"
SOURCE = (
    "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata:\n  name: {0}\n"
    "  namespace: flux-system\nspec:\n  interval: 1m\n  url: {1}\n"
)


def the_cluster(root: Path) -> Cluster:  # noqa: F811
    (found,) = clusters_of(root)
    return found


def applied(root: Path) -> dict[str, FluxKustomization]:  # noqa: F811
    """The Kustomizations of the only cluster, by namespace/name."""
    return {"/".join(item.key): item for item in the_cluster(root).kustomizations}


def data_of(item: FluxKustomization, name: str) -> dict[str, str]:
    """The data of the ConfigMap ``name``."""
    (found,) = (one.data for one in item.objects or () if one.data["metadata"]["name"] == name)
    return dict(found["data"])


def add_app(root: Path, name: str, *manifests: str, more: str = "", namespace: str = "flux-system") -> None:  # noqa: F811
    """An app among ours: its Kustomization in ks.yaml, its manifests in app/."""
    folder = f"{APPS}/{name}"
    write(root, f"{folder}/ks.yaml", flux(name, f"./{folder}/app", more, namespace))
    write(root, f"{folder}/app/kustomization.yaml", listing("./manifests.yaml"))
    write(root, f"{folder}/app/manifests.yaml", "".join(manifests))
    edit(
        root,
        f"{APPS}/kustomization.yaml",
        "  - ./grafana/ks.yaml\n",
        f"  - ./grafana/ks.yaml\n  - ./{name}/ks.yaml\n",
    )


def substituting(root: Path, more: str) -> None:  # noqa: F811
    """Give the parent of all apps a postBuild."""
    edit(
        root,
        CLUSTER,
        "  # Children",
        "  postBuild:\n" + "".join(f"    {x}\n" for x in more.splitlines()) + "  # Children",
    )


def settings(root: Path, *manifests: str) -> None:  # noqa: F811
    """Objects that cluster-meta applies."""
    write(root, "kubernetes/flux/meta/settings.yaml", "".join(manifests))
    write(root, "kubernetes/flux/meta/kustomization.yaml", listing("./repos", "./settings.yaml"))


SECRETS = "  - {kind: Secret, name: secrets, optional: true}\n"
FROM = f"substituteFrom:\n  - {{kind: ConfigMap, name: settings}}\n{SECRETS}"


def test_the_sample(root: Path) -> None:  # noqa: F811
    found = applied(root)
    assert list(found)[:2] == ["flux-system/cluster-meta", "flux-system/cluster-apps"]
    ours = found["monitoring/parseable"]
    assert (ours.path, ours.folder) == (KS, f"{APPS}/parseable/app")
    assert ours.data["spec"]["decryption"]["secretRef"] == {"name": "sops-age"}
    assert {one.path for one in ours.objects or ()} == {
        f"{APPS}/parseable/app/{name}.yaml"
        for name in ("helmrelease", "retention", "secret.sops", "servicemonitor")
    }
    labels = [one.data["metadata"]["labels"] for one in ours.objects or ()]
    assert all(one["app.kubernetes.io/name"] == "parseable" for one in labels)
    # Nothing that matters lies below it.
    assert found["default/podinfo"].objects is None
    assert the_cluster(root).gaps == ()


def test_it_is_built_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    built: list[str] = []
    build = kustomize.build

    def counted(root: Path, folder: str, *rest: object) -> object:
        built.append(folder)
        return build(root, folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(kustomize, "build", counted)
    model = model_of(root)
    assert model.cluster is model.clusters[0]
    assert sorted(built) == sorted(set(built))
    assert len(built) == 5


@pytest.mark.parametrize(
    ("path", "folder"),
    [("./apps", "apps"), ("apps/", "apps"), ("/apps", "apps"), ("./", "."), (None, "."), ("../apps", "apps")],
)
def test_paths_of_any_form(path: str | None, folder: str) -> None:
    assert FluxKustomization({"spec": {"path": path}}, "ks.yaml").folder == folder


def test_identities() -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a"}}
    assert str(key_of(role, "x")) == "ClusterRole a"
    assert key_of({**role, "kind": "Role"}, "x") == ("rbac.authorization.k8s.io", "Role", "x", "a")


# Where things start ---------------------------------------------------------------------------------------


def test_a_cluster_that_flux_bootstrapped(root: Path) -> None:  # noqa: F811
    # The Kustomization of Flux applies itself, and comes out as the kustomization beside it changes it.
    sync = flux("flux-system", "./clusters/home").replace("home-kubernetes", "flux-system")
    write(
        root, "clusters/home/flux-system/gotk-sync.yaml", SOURCE.format("flux-system", "ssh://git@x/y") + sync
    )
    change = "- {op: add, path: /spec/postBuild, value: {substitute: {where: home}}}"
    change = f"patches:\n  - target: {{kind: Kustomization}}\n    patch: '{change}'\n"
    write(root, "clusters/home/flux-system/kustomization.yaml", listing("gotk-sync.yaml", more=change))
    (root / CLUSTER).rename(root / "clusters/home/apps.yaml")
    write(root, "clusters/home/extra.yaml", config_map("extra", "default", where="${where}"))
    found = applied(root)
    assert next(iter(found)) == "flux-system/flux-system"
    flux_system = found["flux-system/flux-system"]
    assert flux_system.data["spec"]["postBuild"] == {"substitute": {"where": "home"}}
    assert data_of(flux_system, "extra") == {"where": "home"}
    assert found["monitoring/parseable"].objects
    assert ("GitRepository", "flux-system", "flux-system") in the_cluster(root).sources()


INSTANCE = (
    "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata:\n  name: flux\n"
    "  namespace: flux-system\nspec:\n  sync:\n"
    "    kind: GitRepository\n    url: https://x/y.git\n    path: kubernetes\n"
)
VALUES = "instance:\n  sync:\n    kind: GitRepository\n    url: https://x/y\n    path: ./kubernetes\n"


@pytest.mark.parametrize(
    "text", [INSTANCE, VALUES, "spec:\n  values:\n    " + VALUES.replace("\n", "\n    ")]
)
def test_a_cluster_that_the_operator_runs(root: Path, text: str) -> None:  # noqa: F811
    # Without any other Kustomization above the apps, their namespace comes from the operator's own.
    (root / CLUSTER).unlink()
    write(root, "kubernetes/kustomization.yaml", listing("./apps", "./flux/meta"))
    write(root, f"{APPS}/grafana/instance.yaml", text)
    found = applied(root)
    assert found["flux-system/flux-system"].folder == "kubernetes"
    assert found["monitoring/parseable"].objects
    assert ("GitRepository", "flux-system", "flux-system") in the_cluster(root).sources()


def test_a_cluster_that_was_given_a_kustomization(root: Path) -> None:  # noqa: F811
    # As `kubectl apply -k kubernetes` would.
    (root / CLUSTER).unlink()
    write(root, "kubernetes/kustomization.yaml", listing("./apps", "./flux/meta"))
    found = applied(root)
    assert found["monitoring/parseable"].objects
    assert found["/kubernetes"].path == "kubernetes/kustomization.yaml"


def test_orphans_are_not_mistaken_for_the_cluster(root: Path) -> None:  # noqa: F811
    write(root, "archive/ks.yaml", flux("parseable", f"./{APPS}/parseable/app", namespace="monitoring"))
    found = clusters_of(root)[0]
    assert [item.path for item in found.kustomizations if item.key[1] == "parseable"] == [KS]


def two_clusters(root: Path) -> None:  # noqa: F811
    """Both have apps of the same names, ours are in production only."""
    (root / CLUSTER).unlink()
    for name, entries in (("staging", ["../base"]), ("production", ["../base", "../../kubernetes/apps"])):
        source = SOURCE.format("home-kubernetes", "https://x/y") + flux("flux-system", f"./clusters/{name}")
        write(root, GOTK.format(name), source)
        write(
            root,
            f"clusters/{name}/apps.yaml",
            flux("apps", f"./apps/{name}") + flux("meta", "./kubernetes/flux/meta"),
        )
        write(root, f"apps/{name}/kustomization.yaml", listing(*entries, f"./{name}.yaml"))
        write(root, f"apps/{name}/{name}.yaml", flux("own", f"./own/{name}"))
        write(root, f"own/{name}/map.yaml", config_map("own", where=name))
    write(root, "apps/base/kustomization.yaml", listing("./ks.yaml"))
    write(root, "apps/base/ks.yaml", flux("base", "./own/base"))
    write(root, "own/base/map.yaml", config_map("base"))


def test_the_cluster_that_gets_our_files(root: Path) -> None:  # noqa: F811
    two_clusters(root)
    # Both list the HelmRepository files, and only one of them the apps.
    found = next(one for one in clusters_of(root) if any(item.path == KS for item in one.kustomizations))
    names = {item.key[1]: item.folder for item in found.kustomizations}
    assert names["apps"] == "apps/production"
    assert names["own"] == "own/production"
    assert "parseable" in names
    write(root, "clusters/staging/apps.yaml", flux("apps", "./apps/staging"))
    assert {item.key[1]: item.folder for item in the_cluster(root).kustomizations} == names


def test_another_repository_with_a_folder_of_the_same_name(root: Path) -> None:  # noqa: F811
    write(
        root,
        "kubernetes/flux/cluster/other.yaml",
        SOURCE.format("home-kubernetes", "ssh://git@host.test/me/home.git"),
    )
    foreign = flux("tenant", "./kubernetes/apps").replace("name: home-kubernetes", "name: tenant")
    write(
        root,
        "kubernetes/flux/cluster/tenant.yaml",
        SOURCE.format("tenant", "https://host.test/tenant/apps") + foreign,
    )
    found = applied(root)
    assert found["flux-system/tenant"].objects is None
    assert found["monitoring/parseable"].objects
    assert the_cluster(root).gaps
    # The same repository, named and reached in another way.
    for url in (
        "https://host.test/me/home",
        "ssh://git@host.test:22/Me/home.git/",
        "http://me:x@host.test/me/home",
    ):
        text = SOURCE.format("tenant", url) + foreign
        write(root, "kubernetes/flux/cluster/tenant.yaml", text)
        assert applied(root)["flux-system/tenant"].objects, url


# What is built --------------------------------------------------------------------------------------------


def three_levels(root: Path) -> None:  # noqa: F811
    edit(root, CLUSTER, "path: ./kubernetes/apps\n", "path: ./kubernetes/levels\n")
    write(root, "kubernetes/levels/kustomization.yaml", listing("./one.yaml"))
    write(root, "kubernetes/levels/one.yaml", flux("one", "./kubernetes/levels/two/"))
    write(root, "kubernetes/levels/two/two.yaml", flux("two", "kubernetes/apps"))


def without_kustomization(root: Path) -> None:  # noqa: F811
    (root / "kubernetes/apps/kustomization.yaml").unlink()
    write(root, "kubernetes/apps/values.yaml", "a: b\n")
    write(root, "kubernetes/apps/chart/template.yaml", "{{ if }}\n")
    write(root, "kubernetes/apps/no-object.yaml", "# apiVersion: v1\n")


def by_component(root: Path) -> None:  # noqa: F811
    edit(
        root,
        CLUSTER,
        "  path: ./kubernetes/apps\n",
        "  path: ./kubernetes/flux/meta/repos\n  components: [../../../../component]\n",
    )
    write(
        root,
        "component/kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [../kubernetes/apps]\n",
    )


def from_the_top(root: Path) -> None:  # noqa: F811
    edit(root, CLUSTER, "  path: ./kubernetes/apps\n", "")
    write(root, "kustomization.yaml", listing("kubernetes/apps"))


def with_windows_line_ends(root: Path) -> None:  # noqa: F811
    for path in root.rglob("*.yaml"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def by_link(root: Path) -> None:  # noqa: F811
    (root / "linked").symlink_to("kubernetes/apps")
    (root / "kubernetes/apps/link").symlink_to("monitoring")
    edit(root, "kubernetes/apps/kustomization.yaml", "./monitoring", "./link")
    edit(root, CLUSTER, "  path: ./kubernetes/apps\n", "  path: ./linked\n")


def broken_elsewhere(root: Path) -> None:  # noqa: F811
    write(root, "talos/broken.yaml", "apiVersion: v1\nkind: [\n")
    write(root, "kubernetes/apps/default/podinfo/app/broken.yaml", "apiVersion: v1\nkind: [\n")
    edit(
        root,
        "kubernetes/apps/default/podinfo/app/kustomization.yaml",
        "resources:",
        "resources:\n  - broken.yaml",
    )


@pytest.mark.parametrize(
    "change",
    [
        three_levels,
        without_kustomization,
        by_component,
        from_the_top,
        with_windows_line_ends,
        by_link,
        broken_elsewhere,
    ],
)
def test_ours_are_found_however_they_are_reached(change: Callable[[Path], None], root: Path) -> None:  # noqa: F811
    change(root)
    found = applied(root)
    assert len(found["monitoring/parseable"].objects or ()) == 4
    assert all(item.error is None for item in found.values())


def test_a_folder_that_fails(root: Path) -> None:  # noqa: F811
    edit(root, f"{APPS}/parseable/app/kustomization.yaml", "./helmrelease.yaml", "./helm.yaml")
    ours = applied(root)["monitoring/parseable"]
    assert isinstance(ours.error, BuildError)
    assert "helm.yaml" in ours.error.summary
    assert ours.objects is None
    assert the_cluster(root).gaps


@pytest.mark.parametrize(
    "entry", ["https://host.test/crds.yaml", "github.com/owner/name?ref=v1", "git@host.test:owner/name"]
)
def test_what_would_be_fetched_is_left_out(root: Path, entry: str) -> None:  # noqa: F811
    edit(root, "kubernetes/apps/default/kustomization.yaml", "resources:", f"resources:\n  - {entry}")
    found = applied(root)["flux-system/cluster-apps"]
    assert found.error is None
    assert found.remote == (("kubernetes/apps/default", entry),)
    assert {KS, "kubernetes/apps/default/podinfo/ks.yaml"} <= {one.path for one in found.objects or ()}
    (gap,) = the_cluster(root).gaps
    assert gap.may_hold("CustomResourceDefinition", "", "any")
    assert gap.may_hold("Secret", "monitoring", "any") is not entry.endswith("crds.yaml")


def test_what_would_be_fetched_and_is_no_entry(root: Path) -> None:  # noqa: F811
    patches = "patches: [{path: 'https://host.test/p.yaml', target: {kind: A}}]\n"
    edit(root, f"{APPS}/parseable/app/kustomization.yaml", "resources:", f"{patches}resources:")
    assert isinstance(applied(root)["monitoring/parseable"].error, FetchError)


# Variables ------------------------------------------------------------------------------------------------


def test_variables_given_in_place(root: Path) -> None:  # noqa: F811
    add_app(
        root,
        "mine",
        config_map("a", x="${word}", y="${N}", z="$${word}", q='"${N}"'),
        config_map("b", x="${word}").replace(
            "name: b", "name: b, annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}"
        ),
        more="postBuild: {substitute: {word: hello, N: '5'}}\ncommonMetadata: {labels: {team: a}}",
    )
    # Whoever holds something that others need is built.
    add_app(
        root,
        "other",
        config_map("c"),
        more="postBuild: {substituteFrom: [{kind: ConfigMap, name: a}]}",
        namespace="monitoring",
    )
    substituting(root, FROM)
    edit(root, CLUSTER, "name: settings", "name: a")
    write(
        root,
        f"{APPS}/mine/app/kustomization.yaml",
        listing("./manifests.yaml", more="namespace: flux-system\n"),
    )
    found = applied(root)["monitoring/mine"]
    # Quotes are lost in the build, so that texts become numbers: so they do in Flux.
    assert data_of(found, "a") == {"x": "hello", "y": 5, "z": "${word}", "q": 5}
    assert data_of(found, "b") == {"x": "${word}"}
    assert all(one.data["metadata"]["labels"] == {"team": "a"} for one in found.objects or ())
    assert all(
        "annotations" not in one.data["metadata"] or one.data["metadata"]["name"] == "b"
        for one in found.objects or ()
    )


def test_a_parent_gives_its_children_paths_and_names(root: Path) -> None:  # noqa: F811
    edit(root, KS, f"path: ./{APPS}/parseable/app", "path: ./${base}/parseable/app")
    settings(root, config_map("settings", "flux-system", base=APPS))
    # Without a postBuild, that is what the cluster gets.
    assert has_variable(applied(root)["monitoring/parseable"].folder)
    assert the_cluster(root).gaps
    substituting(root, FROM)
    # The Secret is not there; it may hold another value.
    assert has_variable(applied(root)["monitoring/parseable"].folder)
    edit(root, CLUSTER, SECRETS, "")
    found = applied(root)["monitoring/parseable"]
    assert found.folder == f"{APPS}/parseable/app"
    assert len(found.objects or ()) == 4


def test_variables_of_a_build_that_waits_for_others(root: Path) -> None:  # noqa: F811
    # The settings come from an app that nothing else needs, and are filled in by its Kustomization.
    add_app(
        root,
        "config",
        config_map("settings", "flux-system", word="${which}"),
        more="postBuild: {substitute: {which: late}}",
    )
    write(root, "kubernetes/flux/cluster/more.yaml", flux("more", "./more", FROM_LATE))
    write(root, "more/map.yaml", config_map("more", x="${word}") + flux("child", f"./{APPS}/grafana/app"))
    found = applied(root)
    assert data_of(found["flux-system/more"], "more") == {"x": "late"}
    assert "flux-system/child" in found


FROM_LATE = "postBuild: {substituteFrom: [{kind: ConfigMap, name: settings}]}"


def test_variables_that_a_kustomization_holds_itself(root: Path) -> None:  # noqa: F811
    # Whoever set the cluster up applied them by hand first.
    write(root, "more/settings.yaml", config_map("settings", "flux-system", word="own"))
    write(root, "more/map.yaml", config_map("more", x="${word}") + flux("child", f"./{APPS}/grafana/app"))
    write(root, "kubernetes/flux/cluster/more.yaml", flux("more", "./more", FROM_LATE))
    assert data_of(applied(root)["flux-system/more"], "more") == {"x": "own"}


def test_variables_in_secrets(root: Path) -> None:  # noqa: F811
    token = base64.b64encode(b"t0p").decode()
    plain = (
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: secrets, namespace: flux-system}\n"
        f"data: {{token: {token}}}\n"
    )
    write(root, f"{APPS}/grafana/app/map.yaml", config_map("a", x="${token}", y="${nothing:-d}"))
    edit(root, f"{APPS}/grafana/app/kustomization.yaml", "resources:", "resources:\n  - map.yaml")
    edit(
        root,
        f"{APPS}/grafana/ks.yaml",
        "  prune:",
        "  postBuild: {substituteFrom: [{kind: Secret, name: secrets}]}\n  prune:",
    )
    edit(
        root,
        f"{APPS}/kustomization.yaml",
        "namespace: monitoring\ncomponents:\n  - ../../components/sops\n",
        "",
    )

    def found() -> dict[str, str]:
        return data_of(applied(root)["flux-system/grafana"], "a")

    assert found() == {"x": "${token}", "y": "${nothing:-d}"}
    settings(root, plain)
    assert found() == {"x": "t0p", "y": "d"}
    settings(root, plain + "sops: {mac: x}\n")
    assert found() == {"x": "${token}", "y": "d"}
    settings(root, plain.replace("namespace: flux-system", "namespace: monitoring"))
    assert found() == {"x": "${token}", "y": "${nothing:-d}"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${array[@]}", "cannot be substituted in ConfigMap a: no closing brace in '${array[@]}'"),
        ("${word}: x", "ConfigMap a is not YAML any more"),
        ("${word-d}", "no closing brace"),
    ],
)
def test_texts_that_flux_cannot_substitute(root: Path, text: str, said: str) -> None:  # noqa: F811
    map_ = config_map("a", x="| \n    " + text if ":" not in text else '"${broken}"')
    write(root, f"{APPS}/vector/app/map.yaml", map_)
    edit(root, f"{APPS}/vector/app/kustomization.yaml", "resources:", "resources:\n  - map.yaml")
    assert applied(root)["monitoring/vector"].error is None
    more = "  postBuild: {substitute: {word: x, broken: 'a: b'}}\n"
    edit(root, f"{APPS}/vector/ks.yaml", "  prune:", f"{more}  prune:")
    error = applied(root)["monitoring/vector"].error
    assert isinstance(error, BuildError)
    assert said in error.summary


def test_variables_with_names_that_flux_refuses(root: Path) -> None:  # noqa: F811
    edit(root, KS, "  prune:", "  postBuild: {substitute: {a-b: x}}\n  prune:")
    error = applied(root)["monitoring/parseable"].error
    assert isinstance(error, BuildError)
    assert "'a-b' is invalid" in error.summary


def test_more_than_the_repository_shows(root: Path) -> None:  # noqa: F811
    assert the_cluster(root).gaps == ()
    settings(
        root, "apiVersion: fluxcd.controlplane.io/v1\nkind: ResourceSet\nmetadata: {name: a, namespace: b}\n"
    )
    assert the_cluster(root).gaps
    assert model_of(root).cluster.defining(KS)
    assert RELEASE in {one.path for one in the_cluster(root).objects_of("HelmRelease")}
