import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.decryption import secrets_are_decrypted
from checks.flux import entries_exist, sources_exist
from tasks.core.outcomes import Status
from tasks.effects import shell
from tests.checks.deployed import (
    APPS,
    CLUSTER,
    KS,
    RELEASE,
    SECRET,
    Run,
    config_map,
    deployed,  # noqa: F401
    edit,
    flux,
    found,
    listing,
    root,  # noqa: F401
    write,
)
from tests.flux.test_cluster import (
    GOTK,
    SOURCE,
    add_app,
    broken_elsewhere,
    by_component,
    from_the_top,
    settings,
    substituting,
    three_levels,
    two_clusters,
    with_windows_line_ends,
    without_kustomization,
)

CHECKS = (entries_exist, sources_exist, secrets_are_decrypted)
FAIL, UNKNOWN, PASS = Status.FAIL, Status.UNKNOWN, Status.PASS
META = "kubernetes/flux/meta"
DECRYPTION = "  decryption:\n    provider: sops\n    secretRef:\n      name: sops-age\n"
Change = Callable[[Path], None]
Check = Run


def changing(*edits: tuple[str, str, str]) -> Change:
    """A change of files: path, what is in it, what to put there."""

    def change(root: Path) -> None:  # noqa: F811
        for path, old, new in edits:
            edit(root, path, old, new)

    return change


def nothing(root: Path) -> None:  # noqa: F811
    pass


def statuses(check: Check, root: Path) -> set[Status]:  # noqa: F811
    return {status for status, _, _ in found(check, root)}


# Nothing is wrong -----------------------------------------------------------------------------------------


def with_sources_in_another_folder(root: Path) -> None:  # noqa: F811
    """The source is defined, in a kustomization that gives it its namespace."""
    write(
        root,
        f"{META}/git/home.yaml",
        SOURCE.format("home-kubernetes", "ssh://git@x/y").replace("  namespace: flux-system\n", ""),
    )
    write(root, f"{META}/git/kustomization.yaml", listing("home.yaml", more="namespace: flux-system\n"))
    write(root, f"{META}/kustomization.yaml", listing("./repos", "./git"))


def with_many_things_beside(root: Path) -> None:  # noqa: F811
    edit(
        root,
        f"{APPS}/grafana/app/kustomization.yaml",
        "resources:",
        "configMapGenerator: [{name: g, literals: [a=b]}]\n"
        'patches:\n  - patch: \'[{"op": "add", "path": "/spec/timeout", "value": "5m"}]\'\n'
        "    target: {kind: HelmRelease}\n"
        "resources:",
    )
    add_app(root, "remote", config_map("a"))
    edit(
        root,
        f"{APPS}/remote/app/kustomization.yaml",
        "resources:",
        "resources:\n  - https://host.test/crds.yaml",
    )


@pytest.mark.parametrize(
    "change",
    [
        three_levels,
        without_kustomization,
        by_component,
        from_the_top,
        broken_elsewhere,
        with_windows_line_ends,
        with_sources_in_another_folder,
        with_many_things_beside,
    ],
)
def test_layouts_that_are_right(change: Change, root: Path) -> None:  # noqa: F811
    change(root)
    if change is three_levels:
        # The patches of a parent reach its children only.
        assert statuses(secrets_are_decrypted, root) == {FAIL}
        with (root / "kubernetes/levels/two/two.yaml").open("a") as stream:
            stream.write(DECRYPTION + PATCHES)
    for check in CHECKS:
        assert statuses(check, root) == {PASS}


def test_two_clusters_of_which_one_gets_ours(root: Path) -> None:  # noqa: F811
    two_clusters(root)
    for name in ("staging", "production"):
        edit(
            root,
            f"clusters/{name}/apps.yaml",
            f"path: ./apps/{name}\n",
            f"path: ./apps/{name}\n  timeout: 5m\n",
        )
    edit(root, "clusters/production/apps.yaml", "  timeout: 5m\n", f"  timeout: 5m\n{DECRYPTION}{PATCHES}")
    for check in CHECKS:
        assert statuses(check, root) == {PASS}, check
    # The other cluster's are no help.
    edit(root, KS, "spec:\n", "spec:\n  dependsOn: [{name: tools, namespace: flux-system}]\n")
    write(root, "clusters/staging/tools.yaml", flux("tools", "./own/base"))
    assert statuses(sources_exist, root) == {FAIL}
    write(root, "clusters/production/tools.yaml", flux("tools", "./own/base"))
    assert statuses(sources_exist, root) == {PASS}


PATCHES = """\
  patches:
    - target: {kind: Kustomization}
      patch: |
        apiVersion: kustomize.toolkit.fluxcd.io/v1
        kind: Kustomization
        metadata: {name: any}
        spec: {decryption: {provider: sops, secretRef: {name: sops-age}}}
"""


# What fails, and what nearly does -------------------------------------------------------------------------


def unlisted(root: Path) -> None:  # noqa: F811
    edit(root, f"{APPS}/kustomization.yaml", "  - ./parseable/ks.yaml\n", "")


def ignored(root: Path) -> None:  # noqa: F811
    write(root, f"{APPS}/parseable/app/more.yaml", config_map("more"))
    edit(
        root,
        f"{APPS}/parseable/app/kustomization.yaml",
        "resources:\n",
        "resources:\n  - ./more.yaml # local\n",
    )
    write(root, ".gitignore", "more.yaml\n")


def not_ignored(root: Path) -> None:  # noqa: F811
    ignored(root)
    write(root, ".gitignore", "less.yaml\n")


def generated(root: Path) -> None:  # noqa: F811
    """Another app whose Kustomization is called like ours and is moved to the same namespace."""
    write(root, f"{APPS}/copy.yaml", flux("parseable", "./x"))
    edit(root, f"{APPS}/kustomization.yaml", "resources:\n", "resources:\n  - ./copy.yaml\n")


def generated_with_another_name(root: Path) -> None:  # noqa: F811
    generated(root)
    edit(root, f"{APPS}/copy.yaml", "name: parseable", "name: other")


def moved_source(root: Path) -> None:  # noqa: F811
    edit(root, KS, "    namespace: flux-system\n", "")


def not_moved(root: Path) -> None:  # noqa: F811
    edit(root, f"{APPS}/kustomization.yaml", f"namespace: monitoring\n{COMPONENT}", "")
    edit(root, KS, "  namespace: monitoring\nspec", "  namespace: flux-system\nspec")
    moved_source(root)


def helm_repository(name: str, namespace: str = "flux-system") -> Change:
    return changing(
        (
            RELEASE,
            "        name: parseable\n        namespace: flux-system",
            f"        name: {name}\n        namespace: {namespace}",
        )
    )


def helm_repository_of_others(root: Path) -> None:  # noqa: F811
    """A source that the repository does not show, and another release uses."""
    helm_repository("charts")(root)
    path = "kubernetes/apps/default/podinfo/app/helmrelease.yaml"
    edit(
        root,
        path,
        "name: podinfo\n        namespace: flux-system",
        "name: charts\n        namespace: flux-system",
    )


def with_unlisted_repository(root: Path) -> None:  # noqa: F811
    text = (root / META / "repos/podinfo.yaml").read_text()
    write(root, f"{META}/repos/extra.yaml", text.replace("name: podinfo", "name: extra"))
    helm_repository("extra")(root)


def with_listed_repository(root: Path) -> None:  # noqa: F811
    with_unlisted_repository(root)
    edit(root, f"{META}/repos/kustomization.yaml", "resources:\n", "resources:\n  - extra.yaml\n")


def chart_ref(name: str) -> Change:
    def change(root: Path) -> None:  # noqa: F811
        text = (root / RELEASE).read_text()
        start, end = (
            text.index("  chart:\n"),
            text.index("  install:\n") if "  install:\n" in text else text.index("  values:\n"),
        )
        write(root, RELEASE, f"{text[:start]}  chartRef: {{kind: OCIRepository, name: {name}}}\n{text[end:]}")
        write(
            root,
            f"{APPS}/parseable/app/source.yaml",
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\n"
            "metadata: {name: chart}\nspec: {url: oci://x/y}\n",
        )
        edit(
            root,
            f"{APPS}/parseable/app/kustomization.yaml",
            "resources:\n",
            "resources:\n  - ./source.yaml\n",
        )

    return change


def without_patches(root: Path) -> None:  # noqa: F811
    text = (root / CLUSTER).read_text()
    write(root, CLUSTER, text[: text.index("  # Children decrypt")])


def with_patches_for(target: str) -> Change:
    def change(root: Path) -> None:  # noqa: F811
        without_patches(root)
        text = (root / CLUSTER).read_text()
        write(root, CLUSTER, text + PATCHES.replace("target: {kind: Kustomization}", f"target: {target}"))

    return change


def with_own_decryption(root: Path) -> None:  # noqa: F811
    without_patches(root)
    for path in (KS, f"{APPS}/grafana/ks.yaml"):
        edit(root, path, "  prune:", f"{DECRYPTION}  prune:")


def left_encrypted(root: Path) -> None:  # noqa: F811
    without_patches(root)
    more = "  annotations: {kustomize.toolkit.fluxcd.io/decrypt: disabled}\n"
    edit(root, f"{APPS}/parseable/app/secret.sops.yaml", "metadata:\n", f"metadata:\n{more}")


KEY = "apiVersion: v1\nkind: Secret\nmetadata: {name: sops-age, namespace: flux-system}\n"
COMPONENT = "components:\n  - ../../components/sops\n"


def without_key(root: Path) -> None:  # noqa: F811
    edit(root, f"{APPS}/kustomization.yaml", COMPONENT, "")
    shutil.rmtree(root / "kubernetes/components")
    edit(root, "kubernetes/apps/default/kustomization.yaml", COMPONENT, "")


def key_in_another_namespace(root: Path) -> None:  # noqa: F811
    """Nobody else in the namespace of ours names the key."""
    without_key(root)
    without_patches(root)
    edit(root, KS, "  prune:", f"{DECRYPTION}  prune:")
    settings(root, KEY)


def key_in_both_namespaces(root: Path) -> None:  # noqa: F811
    key_in_another_namespace(root)
    settings(root, KEY.replace("flux-system", "monitoring"))


def key_beside_another_user(root: Path) -> None:  # noqa: F811
    """Another app in the namespace of ours is decrypted with the same key."""
    key_in_another_namespace(root)
    edit(root, f"{APPS}/grafana/ks.yaml", "  prune:", f"{DECRYPTION}  prune:")
    write(root, f"{APPS}/grafana/app/admin.sops.yaml", SECRET.replace("parseable-env", "grafana"))
    edit(
        root, f"{APPS}/grafana/app/kustomization.yaml", "resources:\n", "resources:\n  - ./admin.sops.yaml\n"
    )


def key_left_encrypted(root: Path) -> None:  # noqa: F811
    """Who applies the key is not told to decrypt it."""
    edit(root, CLUSTER, "  # Made by hand", "  timeout: 5m\n  # Made by hand")
    edit(root, CLUSTER, "  decryption:\n    provider: sops\n    secretRef:\n      name: sops-age\n", "")


def key_of_the_app_itself(root: Path) -> None:  # noqa: F811
    without_key(root)
    write(root, f"{APPS}/parseable/app/key.sops.yaml", SECRET.replace("parseable-env-secret", "sops-age"))
    edit(
        root, f"{APPS}/parseable/app/kustomization.yaml", "resources:\n", "resources:\n  - ./key.sops.yaml\n"
    )


def key_in_the_namespace_of_the_kustomizations(root: Path) -> None:  # noqa: F811
    """No namespace is given to what the folder lists, so that Flux's own stay where they are."""
    without_key(root)
    edit(root, f"{APPS}/kustomization.yaml", "namespace: monitoring\n", "")
    edit(root, KS, "  namespace: monitoring\nspec", "  namespace: flux-system\nspec")
    settings(root, KEY)


def with_a_key_of_the_controller(root: Path) -> None:  # noqa: F811
    without_patches(root)
    edit(root, KS, "  prune:", "  decryption: {provider: sops}\n  prune:")
    write(
        root,
        "kubernetes/flux/instance.yaml",
        "kind: Deployment\nmetadata: {name: kustomize-controller}\nargs: [--sops-age-secret=sops-age]\n",
    )


def with_a_key_service(root: Path) -> None:  # noqa: F811
    without_patches(root)
    edit(root, KS, "  prune:", "  decryption: {provider: sops}\n  prune:")
    edit(
        root, f"{APPS}/parseable/app/secret.sops.yaml", "sops:\n", "sops:\n  kms: [{arn: 'arn:aws:kms:x'}]\n"
    )


def depending(on: str) -> Change:
    return changing((KS, "spec:\n", f"spec:\n  dependsOn:\n    - {on}\n"))


CASES: list[tuple[str, Check, Change, str, str, Change]] = [
    (
        "an entry without a file",
        entries_exist,
        changing((f"{APPS}/kustomization.yaml", "./vector/ks.yaml", "./vektor/ks.yaml")),
        "entry ./vektor/ks.yaml does not exist",
        f"{APPS}/kustomization.yaml:14",
        changing((f"{APPS}/kustomization.yaml", "./vector/ks.yaml", "vector/ks.yaml")),
    ),
    (
        "an entry that git ignores",
        entries_exist,
        ignored,
        "entry ./more.yaml is ignored by git",
        f"{APPS}/parseable/app/kustomization.yaml:",
        not_ignored,
    ),
    (
        "an app that is not listed",
        entries_exist,
        unlisted,
        f"no Kustomization that the cluster applies leads to {KS}",
        f"{KS}:1",
        nothing,
    ),
    (
        "a HelmRepository that is not listed",
        entries_exist,
        changing((f"{META}/repos/kustomization.yaml", "  - ./vector.yaml\n", "")),
        f"leads to {META}/repos/vector.yaml",
        f"{META}/repos/vector.yaml:1",
        changing((f"{META}/repos/kustomization.yaml", "./vector.yaml", "../repos/vector.yaml")),
    ),
    (
        "a file that is not listed",
        entries_exist,
        changing((f"{APPS}/vector/app/kustomization.yaml", "  - ./rbac.yaml\n", "")),
        f"{APPS}/vector/app/rbac.yaml is not applied",
        f"{APPS}/vector/app/rbac.yaml:1",
        nothing,
    ),
    (
        "a path that is not there",
        entries_exist,
        changing((KS, "parseable/app\n", "parseable/apps\n")),
        f"{RELEASE} is not applied",
        f"{RELEASE}:1",
        changing((KS, "parseable/app\n", "parseable/app/\n")),
    ),
    (
        "a build that fails",
        entries_exist,
        changing((f"{APPS}/vector/app/kustomization.yaml", "resources:\n", "namePrefx: a\nresources:\n")),
        f'kustomize cannot build {APPS}/vector/app: invalid Kustomization: json: unknown field "namePrefx"',
        f"{APPS}/vector/ks.yaml:",
        changing((f"{APPS}/vector/app/kustomization.yaml", "resources:\n", "nameSuffix: ''\nresources:\n")),
    ),
    (
        "a parent's build that fails",
        entries_exist,
        generated,
        "namespace transformation produces ID conflict",
        f"{CLUSTER}:",
        generated_with_another_name,
    ),
    (
        "a chart in a kustomization",
        entries_exist,
        changing(
            (f"{APPS}/vector/app/kustomization.yaml", "resources:\n", "helmCharts: [{name: a}]\nresources:\n")
        ),
        "enable-helm",
        f"{APPS}/vector/ks.yaml:",
        nothing,
    ),
    (
        "a script with bash's own variables",
        entries_exist,
        changing(
            (KS, "  prune:", "  postBuild: {substitute: {a: b}}\n  prune:"),
            (RELEASE, "  values:\n", "  values:\n    x: ${a[@]}\n"),
        ),
        "no closing brace in '${a[@]}'",
        f"{KS}:",
        changing((RELEASE, "  values:\n", "  values:\n    x: ${a[@]}\n")),
    ),
    (
        "a source in the namespace of the app",
        sources_exist,
        moved_source,
        "monitoring, where the build puts this Kustomization (there are: GitRepository flux-system/home-kub",
        f"{KS}:",
        not_moved,
    ),
    (
        "a source of another name",
        sources_exist,
        changing((KS, "name: home-kubernetes", "name: home")),
        "sourceRef GitRepository flux-system/home does not exist (there are: ",
        f"{KS}:",
        nothing,
    ),
    (
        "a chart of a source of another name",
        sources_exist,
        helm_repository("parsable"),
        "names HelmRepository flux-system/parsable, which is not defined (there are: flux-system/grafana, ",
        f"{RELEASE}:",
        helm_repository_of_others,
    ),
    (
        "a chart of a source in another namespace",
        sources_exist,
        helm_repository("parseable", "monitoring"),
        "HelmRepository monitoring/parseable",
        f"{RELEASE}:",
        nothing,
    ),
    (
        "a chart of a source that is left out",
        sources_exist,
        with_unlisted_repository,
        "HelmRepository flux-system/extra, which is not defined",
        f"{RELEASE}:",
        with_listed_repository,
    ),
    (
        "a chart by reference",
        sources_exist,
        chart_ref("charts"),
        "chartRef names OCIRepository monitoring/charts, which is not defined (there are: monitoring/chart)",
        f"{RELEASE}:",
        chart_ref("chart"),
    ),
    (
        "a dependency in another namespace",
        sources_exist,
        depending("name: cluster-meta"),
        "monitoring/cluster-meta is no Kustomization of this cluster (there is: flux-system/cluster-meta)",
        f"{KS}:",
        depending("{name: cluster-meta, namespace: flux-system}"),
    ),
    (
        "a dependency that is not there",
        sources_exist,
        depending("name: grafna"),
        "dependsOn monitoring/grafna is no Kustomization of this cluster",
        f"{KS}:",
        depending("name: grafana"),
    ),
    (
        "no decryption",
        secrets_are_decrypted,
        without_patches,
        "parseable has no spec.decryption, its own or from a parent, and applies parseable-env-secret",
        f"{KS}:",
        with_own_decryption,
    ),
    (
        "decryption for others only",
        secrets_are_decrypted,
        with_patches_for("{kind: Kustomization, name: grafana}"),
        "has no spec.decryption",
        f"{KS}:",
        with_patches_for("{group: kustomize.toolkit.fluxcd.io, kind: Kustomization}"),
    ),
    (
        "decryption by label",
        secrets_are_decrypted,
        with_patches_for("{kind: Kustomization, labelSelector: a=b}"),
        "has no spec.decryption",
        f"{KS}:",
        left_encrypted,
    ),
    (
        "a key in another namespace",
        secrets_are_decrypted,
        key_in_another_namespace,
        "Secret monitoring/sops-age with the private key is not: it is in kubernetes/flux/meta/settings.yaml",
        f"{KS}:",
        key_in_both_namespaces,
    ),
    (
        "a key that nobody in the namespace uses",
        secrets_are_decrypted,
        key_in_another_namespace,
        "Secret monitoring/sops-age with the private key is not",
        f"{KS}:",
        key_beside_another_user,
    ),
    (
        "Kustomizations that are moved away from the key",
        secrets_are_decrypted,
        key_in_another_namespace,
        "Secret monitoring/sops-age with the private key is not",
        f"{KS}:",
        key_in_the_namespace_of_the_kustomizations,
    ),
    (
        "a key that arrives as ciphertext",
        secrets_are_decrypted,
        key_left_encrypted,
        "is encrypted, and Kustomization cluster-apps, which applies it, has no spec.decryption",
        f"{CLUSTER}:",
        with_a_key_of_the_controller,
    ),
    (
        "a key that would have to open itself",
        secrets_are_decrypted,
        key_of_the_app_itself,
        "is encrypted, and applied by the Kustomization that needs it",
        f"{APPS}/parseable/app/key.sops.yaml:",
        with_a_key_service,
    ),
]


@pytest.mark.parametrize(
    ("name", "check", "bad", "evidence", "where", "good"), CASES, ids=[case[0] for case in CASES]
)
def test_one_change_fails_and_one_nearly_the_same_does_not(
    name: str,
    check: Check,
    bad: Change,
    evidence: str,
    where: str,
    good: Change,
    deployed: Path,  # noqa: F811
    root: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    bad(root)
    answers = found(check, root)
    failures = [(text, place) for status, text, place in answers if status is FAIL]
    matching = [place for text, place in failures if evidence in text]
    assert matching, answers
    assert matching[0].startswith(where)
    path, _, line = matching[0].partition(":")
    assert 1 <= int(line) <= len((root / path).read_text().splitlines())
    nearly = shutil.copytree(deployed, tmp_path / "nearly", symlinks=True)
    good(nearly)
    assert statuses(check, nearly) == {PASS}


def test_places_are_lines(root: Path) -> None:  # noqa: F811
    moved_source(root)
    ((_, _, place),) = found(sources_exist, root)
    path, _, line = place.partition(":")
    assert (root / path).read_text().splitlines()[int(line) - 1] == "  sourceRef:"


def test_one_cause_is_told_once(root: Path) -> None:  # noqa: F811
    edit(root, f"{META}/repos/kustomization.yaml", "  - ./vector.yaml\n", "")
    assert statuses(entries_exist, root) == {FAIL}
    assert statuses(sources_exist, root) == {PASS}
    edit(root, f"{META}/repos/kustomization.yaml", "resources:\n", "resources:\n  - ./vector.yaml\n")
    edit(root, f"{APPS}/parseable/app/kustomization.yaml", "./helmrelease.yaml", "./helm.yaml")
    assert [text for status, text, _ in found(entries_exist, root) if status is FAIL] == [
        "entry ./helm.yaml does not exist"
    ]


# What cannot be known -------------------------------------------------------------------------------------


def fetched_above(root: Path) -> None:  # noqa: F811
    edit(root, f"{APPS}/kustomization.yaml", "resources:\n", "resources:\n  - https://host.test/crds.yaml\n")


def hidden_path(root: Path) -> None:  # noqa: F811
    edit(root, CLUSTER, "path: ./kubernetes/apps\n", "path: ./kubernetes/${where}\n")


def source_of_another_kind(root: Path) -> None:  # noqa: F811
    edit(root, KS, "kind: GitRepository", "kind: OCIRepository")


def hidden_names(root: Path) -> None:  # noqa: F811
    edit(root, KS, "name: home-kubernetes", "name: ${source}")
    edit(root, RELEASE, "        name: parseable\n", "        name: ${charts}\n")
    depending("name: ${needed}")(root)
    substituting(root, "substituteFrom: [{kind: Secret, name: secrets}]")


def dependency_of_another_repository(root: Path) -> None:  # noqa: F811
    settings(root, SOURCE.format("home-kubernetes", "https://x/y"), SOURCE.format("tenant", "https://x/z"))
    foreign = flux("tenant", "./kubernetes/apps").replace("name: home-kubernetes", "name: tenant")
    write(root, "kubernetes/flux/cluster/tenant.yaml", foreign)
    depending("name: operator")(root)


def key_that_others_need_too(root: Path) -> None:  # noqa: F811
    without_key(root)
    settings(root, KEY)


def key_that_is_copied(root: Path) -> None:  # noqa: F811
    key_in_another_namespace(root)
    annotations = "annotations: {reflector.v1.k8s.emberstack.com/reflection-auto-enabled: 'true'}"
    edit(root, f"{META}/settings.yaml", "namespace: flux-system}", f"namespace: flux-system, {annotations}}}")


def key_of_the_controller(root: Path) -> None:  # noqa: F811
    without_patches(root)
    edit(root, KS, "  prune:", "  decryption: {provider: sops}\n  prune:")


@pytest.mark.parametrize(
    ("check", "change", "evidence"),
    [
        (entries_exist, fetched_above, ["https://host.test/crds.yaml would have to be fetched"]),
        (entries_exist, hidden_path, ["applies kubernetes/${where}, which may lead to it"] * 2),
        (sources_exist, source_of_another_kind, ["the repository shows no source of this kind"]),
        (
            sources_exist,
            hidden_names,
            [
                "sourceRef GitRepository flux-system/${source} holds",
                "dependsOn monitoring/${needed} holds",
                "HelmRepository flux-system/${charts}, which holds",
            ],
        ),
        (
            sources_exist,
            dependency_of_another_repository,
            ["dependsOn monitoring/operator is not seen; Kustomization tenant, which may hold it"],
        ),
        (
            secrets_are_decrypted,
            without_key,
            ["the repository shows none, and nothing else that is decrypted with it"],
        ),
        (
            secrets_are_decrypted,
            key_that_others_need_too,
            ["with it (there is: kubernetes/flux/meta/settings.yaml (namespace flux-system))"],
        ),
        (
            secrets_are_decrypted,
            key_that_is_copied,
            ["with it (there is: kubernetes/flux/meta/settings.yaml (namespace flux-system))"],
        ),
        (secrets_are_decrypted, key_of_the_controller, ["decrypts without a secretRef"]),
    ],
)
def test_what_is_not_provable(check: Check, change: Change, evidence: list[str], root: Path) -> None:  # noqa: F811
    change(root)
    answers = found(check, root)
    assert [status for status, _, _ in answers] == [UNKNOWN] * len(evidence), answers
    assert all(part in text for part, (_, text, _) in zip(evidence, answers, strict=True)), answers


def test_a_chart_source_that_holds_a_variable(root: Path) -> None:  # noqa: F811
    helm_repository("${charts}")(root)
    ((status, text, _),) = found(sources_exist, root)
    assert (status, "holds a variable" in text) == (UNKNOWN, True)


@pytest.mark.parametrize("check", CHECKS)
def test_without_kustomize(check: Check, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    find = shell.find
    monkeypatch.setattr(shell, "find", lambda tool: None if tool.startswith("k") else find(tool))
    assert found(check, root) == [(UNKNOWN, "kubectl is not installed", "")]


# Where the source comes from ------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["bootstrap", "operator", "siblings"])
def test_a_source_that_flux_brings_along(root: Path, by: str) -> None:  # noqa: F811
    for path in (KS, f"{APPS}/vector/ks.yaml"):
        edit(root, path, "name: home-kubernetes", "name: flux-system")
    assert statuses(sources_exist, root) == {FAIL}
    if by == "bootstrap":
        write(
            root,
            GOTK.format("home"),
            SOURCE.format("flux-system", "https://x/y") + flux("flux-system", "./clusters/home"),
        )
    elif by == "operator":
        write(
            root,
            "clusters/home/instance.yaml",
            "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\n"
            "metadata: {name: flux, namespace: flux-system}\n"
            "spec: {sync: {kind: GitRepository, url: 'https://x/y', path: kubernetes/flux/cluster}}\n",
        )
    else:
        edit(root, f"{APPS}/grafana/ks.yaml", "name: home-kubernetes", "name: flux-system")
    assert statuses(sources_exist, root) == {PASS}
