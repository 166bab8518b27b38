"""The documents name commands, flags and files that exist."""

import copy
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tasks import collection
from tasks.core.settings import FILE, Layer, load

# Invoke takes the help out of the commands that it reads the flags of.
ns = copy.deepcopy(collection.ns)
ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_CALL = re.compile(r"(?:^|[\s`$/])(?:invoke|parseable-playbook)((?: [^\n`|;&)#(]+)?)")
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
# Of Invoke itself; the first has a value.
_CORE = {"-f", "--version", "--print-completion-script", "--help", "--dry", "--list", "--stop"}


def calls(text: str) -> Iterator[list[str]]:
    for found in _CALL.finditer(text):
        words = shlex.split(found[1].replace("…", ""), posix=False)
        while words and words[0] == "-f":
            words = words[2:]
        if words:
            yield words


def blocks(path: Path, *languages: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(path.read_text(encoding="utf-8")) if name in languages]


def unknown(words: list[str]) -> list[str]:
    """What there is not of a command and its flags."""
    command, *rest = words
    if command in _CORE:
        return []
    if command not in ns.task_names:
        return [command]
    known = {f"--{argument.name.replace('_', '-')}" for argument in ns[command].get_arguments()}
    flags = {word.partition("=")[0] for word in rest if word.startswith("--")}
    return sorted(flags - known - _CORE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_flags_exist(path: Path) -> None:
    for text in blocks(path, "sh", "console", "yaml"):
        lines = [
            line for line in text.splitlines() if not line.lstrip().startswith(("running ", "- run: pipx"))
        ]
        for words in calls("\n".join(lines)):
            assert unknown(words) == [], " ".join(words)


def test_what_does_not_exist_is_seen() -> None:
    assert list(calls("$ invoke -f my.yaml plan --repo x\n.venv/bin/invoke demo --stop")) == [
        ["plan", "--repo", "x"], ["demo", "--stop"],
    ]  # fmt: skip
    assert unknown(["plan", "--jsn", "--json"]) == ["--jsn"]
    assert unknown(["plna"]) == ["plna"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_linked_exist(path: Path) -> None:
    missing = [
        link for link in _LINK.findall(path.read_text(encoding="utf-8")) if not (path.parent / link).exists()
    ]
    assert missing == []


def test_settings_of_the_readme_are_settings() -> None:
    found = [yaml.safe_load(text) for text in blocks(ROOT / "README.md", "yaml")]
    assert len(found) >= 3
    for data in found:
        load([Layer("the README", data)])


def test_workflows_are_workflows() -> None:
    found = [yaml.safe_load(text) for text in blocks(ROOT / "docs/workflows.md", "yaml")]
    steps = [step for data in found for job in data["jobs"].values() for step in job["steps"]]
    assert len(found) == 2
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert any("verify --format github" in step.get("run", "") for step in steps)


def test_renovate_finds_the_versions_in_the_settings() -> None:
    path = ROOT / "docs/renovate.md"
    (example,) = (text for text in blocks(path, "yaml") if "renovate:" in text)
    (manager,) = (
        found for text in blocks(path, "json") for found in json.loads(text).get("customManagers", [])
    )
    (pattern,) = manager["matchStrings"]
    # Named groups are written in another way in JavaScript.
    found = [match.groupdict() for match in re.finditer(pattern.replace("(?<", "(?P<"), example)]
    settings = load([Layer("example", yaml.safe_load(example))])
    versions = [settings.parseable.chart_version, settings.parseable.image_tag, settings.vector.chart_version]
    assert [one["currentValue"] for one in found] == versions
    assert [one["registryUrl"] for one in found] == [
        settings.parseable.chart_repository,
        None,
        settings.vector.chart_repository,
    ]
    (files,) = manager["managerFilePatterns"]
    assert re.search(files.strip("/"), FILE)
    assert not re.search(files.strip("/"), f"{FILE}.orig")
