"""What a build may load: nothing outside of the repository, however it is named."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.effects.confinement import Confinement
from tasks.effects.kustomize import BuildError, build, patch
from tests.checks.deployed import config_map, listing, write

CANARY = "canary-from-outside"
COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with an app and a base, and beside it what must not be loaded."""
    folder = tmp_path / "repository"
    write(folder, "apps/own.yaml", config_map("own"))
    write(folder, "apps/kustomization.yaml", listing("own.yaml"))
    write(folder, "base/kustomization.yaml", listing("one.yaml"))
    write(folder, "base/one.yaml", config_map("one"))
    write(folder, ".git/config", f"[remote]\nurl={CANARY}\n")
    outside = tmp_path / "outside"
    write(outside, "text", f"a={CANARY}\n")
    write(outside, "object.yaml", config_map(CANARY))
    write(outside, "folder/kustomization.yaml", listing("../object.yaml"))
    write(outside, "component/kustomization.yaml", f"{COMPONENT}resources: [../object.yaml]\n")
    change = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}, "data": {"a": CANARY}}
    write(outside, "merge.yaml", yaml.safe_dump(change))
    write(outside, "change.yaml", yaml.safe_dump([{"op": "add", "path": "/data/new", "value": CANARY}]))
    write(outside, "crd.json", json.dumps({"x": {"Schema": {"description": CANARY}}}))
    write(outside, "schema.json", json.dumps({"definitions": {}}))
    write(outside, "names.yaml", "namePrefix: [{path: data/a}]\n")
    source = {"source": {"kind": "ConfigMap", "fieldPath": "metadata.name"}}
    target = {"select": {"kind": "ConfigMap"}, "fieldPaths": ["data.a"]}
    write(outside, "replacement.yaml", yaml.safe_dump([{**source, "targets": [target]}]))
    write(
        outside,
        "plugin.yaml",
        plugin("PrefixTransformer", prefix="canary-", fieldSpecs=[{"path": "metadata/name"}]),
    )
    return folder


def plugin(kind: str, **more: Any) -> str:
    return yaml.safe_dump({"apiVersion": "builtin", "kind": kind, "metadata": {"name": "plugin"}, **more})


def own(**more: Any) -> str:
    return yaml.safe_dump({"resources": ["own.yaml"], **more}, sort_keys=False)


OUT = "../../outside"
TARGET = {"kind": "ConfigMap"}
EXACT = {**TARGET, "version": "v1", "name": "own"}
PATCHING = plugin("PatchTransformer", path=f"{OUT}/change.yaml", target=TARGET)
MERGING = plugin("PatchStrategicMergeTransformer", paths=[f"{OUT}/merge.yaml"])
ADDING = plugin(
    "ValueAddTransformer",
    targetFilePath=f"{OUT}/text",
    targets=[{"selector": TARGET, "fieldPath": "data/new"}],
)
ALIASED = f"metadata: {{annotations: {{a: &a {OUT}/text}}}}\nconfigMapGenerator: [{{name: g, files: [*a]}}]\n"
GENERATOR = plugin("ConfigMapGenerator", files=[f"{OUT}/text"])
# Every entry that names a file, as kustomize 5.8 has them.
ENTRIES: dict[str, str] = {
    "resource": listing("own.yaml", f"{OUT}/object.yaml"),
    "resource, a folder": listing("own.yaml", f"{OUT}/folder"),
    "resource, folded": listing("own.yaml", "../base/../../outside/object.yaml"),
    "resource, from what is not there": listing("own.yaml", f"nothing/../{OUT}/object.yaml"),
    "resource, escaped": 'resources: [own.yaml, "\\x2e./..\\x2foutside/object.yaml"]\n',
    "base": own(bases=[f"{OUT}/folder"]),
    "component": own(components=[f"{OUT}/component"]),
    "files": own(configMapGenerator=[{"name": "g", "files": [f"{OUT}/text"]}]),
    "files with a key": own(configMapGenerator=[{"name": "g", "files": [f"k={OUT}/text"]}]),
    "envs": own(configMapGenerator=[{"name": "g", "envs": [f"{OUT}/text"]}]),
    "env": own(configMapGenerator=[{"name": "g", "env": f"{OUT}/text"}]),
    "files of a Secret": own(secretGenerator=[{"name": "g", "files": [f"{OUT}/text"]}]),
    "envs of a Secret": own(secretGenerator=[{"name": "g", "envs": [f"{OUT}/text"]}]),
    "patch": own(patches=[{"path": f"{OUT}/change.yaml", "target": TARGET}]),
    "merge patch": own(patchesStrategicMerge=[f"{OUT}/merge.yaml"]),
    "JSON patch": own(patchesJson6902=[{"path": f"{OUT}/change.yaml", "target": EXACT}]),
    "replacement": own(replacements=[{"path": f"{OUT}/replacement.yaml"}]),
    "crds": own(crds=[f"{OUT}/crd.json"]),
    "openapi": own(openapi={"path": f"{OUT}/schema.json"}),
    "configurations": own(configurations=[f"{OUT}/names.yaml"], namePrefix="p-"),
    "generator": own(generators=[f"{OUT}/object.yaml"]),
    "generator in place": own(generators=[GENERATOR]),
    "generator in a file": own(generators=["generator.yaml"]),
    "generator in a folder": own(generators=["../plugins"]),
    "generator that a patch made": own(generators=["../patched"]),
    "transformer": own(transformers=[f"{OUT}/plugin.yaml"]),
    "transformer, a folder": own(transformers=[f"{OUT}/folder"]),
    "transformer that patches": own(transformers=[PATCHING]),
    "transformer that merges": own(transformers=[MERGING]),
    "transformer that replaces": own(
        transformers=[plugin("ReplacementTransformer", replacements=[{"path": f"{OUT}/replacement.yaml"}])]
    ),
    "transformer that adds": own(transformers=[ADDING]),
    "transformer on a line": own(transformers=[json.dumps(yaml.safe_load(PATCHING))]),
    "validator": own(validators=[f"{OUT}/plugin.yaml"]),
    "in other letters": own(ConfigMapGenerator=[{"name": "g", "FILES": [f"{OUT}/text"]}]),
    "twice": f"resources: [own.yaml, {OUT}/object.yaml]\nresources: [own.yaml]\n",
    "through an alias": own() + ALIASED,
    "through a merge key": own() + f"configMapGenerator: [{{<<: {{files: [{OUT}/text]}}, name: g}}]\n",
    "in a base": own(components=["../component"]),
    "a base's base": listing("own.yaml", "../deep"),
    "many lines": own(configMapGenerator=[{"name": "g", "files": [f"k=a\nb/../{OUT}/text"]}]),
}  # fmt: skip


def fill(root: Path) -> None:
    """Write what the entries name inside of the repository."""
    write(root, "apps/generator.yaml", GENERATOR)
    write(root, "plugins/kustomization.yaml", listing("generator.yaml"))
    write(root, "plugins/generator.yaml", GENERATOR)
    replace = [{"op": "replace", "path": "/files/0", "value": f"{OUT}/text"}]
    write(root, "patched/generator.yaml", plugin("ConfigMapGenerator", files=["own.yaml"]))
    change = (
        f"patches: {json.dumps([{'patch': json.dumps(replace), 'target': {'kind': 'ConfigMapGenerator'}}])}\n"
    )
    write(root, "patched/kustomization.yaml", listing("generator.yaml", more=change))
    generator = "configMapGenerator: [{name: g, files: [../../outside/text]}]\n"
    write(root, "component/kustomization.yaml", f"{COMPONENT}{generator}")
    write(root, "deep/kustomization.yaml", listing("../deeper"))
    write(root, "deeper/kustomization.yaml", listing("../../outside/object.yaml"))


@pytest.mark.parametrize("name", ENTRIES)
def test_nothing_outside_is_loaded(root: Path, name: str) -> None:
    fill(root)
    write(root, "apps/kustomization.yaml", ENTRIES[name])
    with pytest.raises(BuildError, match=r"^[\w/.]+:\d+: .* is outside of the repository") as caught:
        build(root, "apps", {})
    assert CANARY not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "name",
    ["/etc/hostname", "k=/etc/hostname", "{root}/apps/own.yaml", "file:///etc/hostname/../../../../../x"],
)
def test_absolute_paths(root: Path, name: str) -> None:
    generator = [{"name": "g", "files": [name.format(root=root)]}]
    write(root, "apps/kustomization.yaml", own(configMapGenerator=generator))
    with pytest.raises(BuildError, match=r"^apps/kustomization\.yaml:\d+: .* is outside of the repository"):
        build(root, "apps", {})


LINKS = {
    "a file": ("apps/link", "outside/text", own(configMapGenerator=[{"name": "g", "files": ["link"]}])),
    "a manifest": ("apps/link.yaml", "outside/object.yaml", listing("own.yaml", "link.yaml")),
    "a folder": ("base/link", "outside", listing("own.yaml", "../base/link/folder")),
    "a file in a folder": ("base/link", "outside", listing("own.yaml", "../base/link/object.yaml")),
    "a kustomization": ("deep/kustomization.yaml", "outside/folder/kustomization.yaml", listing("../deep")),
    "the way back": ("apps/link", "outside", listing("own.yaml", "link/../outside/object.yaml")),
}


@pytest.mark.parametrize("name", LINKS)
def test_links_that_lead_out(root: Path, name: str) -> None:
    place, target, text = LINKS[name]
    write(root, "apps/kustomization.yaml", text)
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).symlink_to(root.parent / target)
    # A link in a path that goes back again is no part of it: so kustomize reads paths.
    said = "missing|no such file" if name == "the way back" else "leads out of the repository through a link"
    with pytest.raises(BuildError, match=said):
        build(root, "apps", {})


def test_the_own_kustomization_as_a_link(root: Path) -> None:
    (root / "apps/kustomization.yaml").unlink()
    (root / "apps/kustomization.yaml").symlink_to(root.parent / "outside/folder/kustomization.yaml")
    with pytest.raises(
        BuildError, match=r"apps/kustomization\.yaml.* leads out of the repository through a link"
    ):
        build(root, "apps", {})


def test_a_listed_file_as_a_link(root: Path) -> None:
    (root / "apps/kustomization.yaml").unlink()
    (root / "apps/link.yaml").symlink_to(root.parent / "outside/object.yaml")
    with pytest.raises(BuildError, match=r"apps/link\.yaml leads out"):
        build(root, "apps", {}, ["apps/own.yaml", "apps/link.yaml"])


@pytest.mark.parametrize("path", ["../.git/config", "../base/../.git/config"])
def test_git_is_no_part_of_the_source(root: Path, path: str) -> None:
    write(
        root,
        "base/kustomization.yaml",
        yaml.safe_dump({"configMapGenerator": [{"name": "g", "files": [path]}]}),
    )
    write(root, "apps/kustomization.yaml", listing("own.yaml", "../base"))
    with pytest.raises(BuildError, match=r"base/kustomization\.yaml:\d+: .* is in \.git"):
        build(root, "apps", {})


def test_components_of_flux(root: Path) -> None:
    out = f"{OUT}/component"
    with pytest.raises(BuildError, match=r"^spec\.components: .* is outside of the repository"):
        build(root, "apps", {"components": [out]})
    # For Flux it does not exist.
    found = build(root, "apps", {"components": [out], "ignoreMissingComponents": True})
    assert [one.data["metadata"]["name"] for one in found] == ["own"]


def test_patches_of_flux_are_in_place(root: Path) -> None:
    change = {
        "patch": "- {op: add, path: /data/new, value: x}",
        "path": f"{OUT}/change.yaml",
        "target": TARGET,
    }
    (found,) = build(root, "apps", {"patches": [change]})
    assert found.data["data"]["new"] == "x"


def test_a_post_renderer_loads_nothing(root: Path) -> None:
    more = {
        "configMapGenerator": [{"name": "g", "files": [str(root.parent / "outside/text")]}],
        "resources": [str(root.parent / "outside/object.yaml")],
        "patches": [
            {"patch": "- {op: add, path: /data/new, value: x}", "path": "/etc/hostname", "target": TARGET}
        ],
    }
    text = patch(config_map("own"), more)
    assert CANARY not in text
    (found,) = yaml.safe_load_all(text)
    assert found["data"]["new"] == "x"


def test_what_is_inside_may_be_anywhere(root: Path) -> None:
    write(root, "files/text", "a=inside\n")
    write(root, "files/change.yaml", "- {op: add, path: /data/patched, value: x}\n")
    write(
        root, "apps/transformer.yaml", plugin("PatchTransformer", path="../files/change.yaml", target=TARGET)
    )
    write(root, "plugins/kustomization.yaml", listing("generator.yaml"))
    write(root, "plugins/generator.yaml", plugin("ConfigMapGenerator", files=["../files/text"]))
    (root / "apps/link").symlink_to("../files")
    text = own(
        resources=["own.yaml", "../base/../base"],
        configMapGenerator=[
            {
                "name": "g",
                "files": ["../files/text", "k=link/text"],
                "envs": ["../files/text"],
                "literals": ["l=/etc/hostname"],
            }
        ],
        transformers=[
            "transformer.yaml",
            plugin(
                "AnnotationsTransformer",
                annotations={"b": "/etc"},
                fieldSpecs=[{"path": "metadata/annotations", "create": True}],
            ),
        ],
        generators=["../plugins"],
        commonAnnotations={"path": "/etc", "up": "../../../.."},
        generatorOptions={"annotations": {"c": "/etc"}, "disableNameSuffixHash": True},
        patches=[{"patch": "- {op: add, path: /etc, value: x}", "target": {"name": "nothing"}}],
        replacements=[
            {
                "source": {**EXACT, "fieldPath": "data.a", "options": {"delimiter": "/"}},
                "targets": [
                    {"select": {"name": "one"}, "fieldPaths": ["data.a"], "options": {"delimiter": "/"}}
                ],
            }
        ],
    )
    write(root, "apps/kustomization.yaml", text)
    found = {one.data["metadata"]["name"]: one.data for one in build(root, "apps", {})}
    generated = next(name for name in found if name.startswith("plugin-"))
    assert set(found) == {"own", "one", "g", generated}
    assert all(one["data"]["patched"] == "x" for one in found.values())
    assert {key: value.strip() for key, value in found["g"]["data"].items()} == {
        "text": "a=inside", "k": "a=inside", "a": "inside", "l": "/etc/hostname", "patched": "x",
    }  # fmt: skip
    assert found["own"]["metadata"]["annotations"] == {"path": "/etc", "up": "../../../..", "b": "/etc"}


def test_an_entry_that_kustomize_may_learn(root: Path) -> None:
    write(root, "apps/kustomization.yaml", "resources: []\nfuture: {deep: [{er: ['../../outside/text']}]}\n")
    with pytest.raises(BuildError, match="is outside of the repository"):
        Confinement(root, lambda folder: "").check(root / "apps", ".", "apps")


def test_what_cannot_be_read_is_not_known(root: Path) -> None:
    write(root, "base/kustomization.yaml", f"resources: [one.yaml]\nfuture: {'[' * 120}{']' * 120}\n")
    write(root, "apps/kustomization.yaml", listing("../base"))
    confinement = Confinement(root, lambda folder: "")
    confinement.check(root / "apps", ".", "apps")
    assert confinement.unread == {"base/kustomization.yaml": "2:108: nested too deeply"}


def test_a_long_way_down_takes_little_time(root: Path) -> None:
    for number in range(2000):
        write(root, f"chain/{number}/kustomization.yaml", listing(f"../{number + 1}"))
    write(root, "chain/2000/kustomization.yaml", own(transformers=["x" * 5000, "\0", "[" * 5000]))
    confinement = Confinement(root, lambda folder: "")
    confinement.check(root / "chain/0", ".", "chain/0")
    assert set(confinement.unread) == {f"chain/2000/kustomization.yaml:{line}" for line in (5, 6)}
