"""The settings file of a repository: what is found there and why, and what only its owner can say."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any

import yaml

from tasks.core.errors import RefusedError, SettingsError
from tasks.core.settings import Layer, kinds_of, load
from tasks.effects.files import read_text, write_text
from tasks.flux.kustomizations import FluxKustomization, is_flux_kustomization
from tasks.flux.layout import Layout, discover
from tasks.flux.roots import OtherRepositories
from tasks.flux.sources import most_used
from tasks.setup.evidence import Finding, as_data, look
from tasks.workspace import Workspace

# Given what was found, and what was considered; the answer, or an empty text.
Ask = Callable[[Finding], str]
_GIVEN = "given by you"
# Without these there is no plan, whatever the repository looks like.
_NEEDED = ("s3.endpoint",)
_WIDTH = 80
_SECTIONS = ("gitops", "flux", "s3", "grafana")


@dataclass(frozen=True)
class Draft:
    """A settings file before it is written: ``findings`` with the answers of the user in them."""

    findings: tuple[Finding, ...]
    text: str

    @property
    def missing(self) -> tuple[Finding, ...]:
        """What is still not known."""
        return tuple(item for item in self.findings if item.value is None)

    def lines(self) -> Iterator[str]:
        """What was found, and what was not and why, for people."""
        for item in self.findings:
            if item.value is not None:
                yield f"{item.key}: {item.value}"
                yield f"    {_said(item)}"
        for item in self.missing:
            yield f"{item.key}: not found: {item.why}"
            yield from (f"    considered {other.value}: {other.why_not}" for other in item.candidates)
            if item.hint:
                yield f"    hint: {item.hint}"

    def data(self, path: str) -> dict[str, Any]:
        """For --json."""
        return {
            "file": path,
            "findings": [as_data(item) for item in self.findings],
            "missing": [item.key for item in self.missing],
        }


def draft(workspace: Workspace, given: Mapping[str, str], ask: Ask | None) -> Draft:
    """Look at the repository; take what is ``given`` by key, and ask for what was not found.

    Raises:
        SettingsError: something given is no setting or has the wrong form; or what is needed was neither
            found nor given, and there is nobody to ask.
    """
    answers = dict(given)
    for key, value in given.items():
        _checked(key, value)
    left_open: set[str] = set()
    while True:
        # What is known of one thing may show another.
        findings = look(_with(workspace, answers))
        wrong = [item for item in findings if item.value is None and item.key in answers]
        if wrong and ask is None:
            raise SettingsError(f"{wrong[0].key}: {wrong[0].why}", wrong[0].hint)
        pending = [item for item in findings if item.value is None and item.key not in left_open]
        if ask is None or not pending:
            break
        answer = _asked(pending[0], ask)
        if answer is None:
            answers.pop(pending[0].key, None)
            left_open.add(pending[0].key)
        else:
            answers[pending[0].key] = answer
    known = {item.key for item in findings}
    findings = [
        replace(item, value=answers[item.key], why=_GIVEN) if item.key in answers else item
        for item in findings
    ]
    findings += [Finding(key, value, _GIVEN) for key, value in answers.items() if key not in known]
    lacking = [item for item in findings if item.value is None and item.key in _NEEDED]
    if lacking:
        raise SettingsError(
            "; ".join(f"{item.key} is not known: {item.why}" for item in lacking),
            "give it: " + " ".join(f"--set {item.key}=…" for item in lacking),
        )
    return Draft(tuple(findings), _text(workspace, findings))


def _with(workspace: Workspace, answers: Mapping[str, str]) -> Workspace:
    """The same repository, seen with ``answers`` as settings."""
    settings = workspace.settings
    for section, values in _nested(answers).items():
        settings = replace(settings, **{section: replace(getattr(settings, section), **values)})
    settings = replace(settings, given=settings.given | answers.keys())
    other = Workspace(settings, workspace.repository, network=workspace.network)
    other.__dict__["tree"] = workspace.tree
    return other


def write(workspace: Workspace, name: str, text: str) -> None:
    """Write the file ``name`` at the top of the repository.

    Raises:
        RefusedError: the disk refuses; or Flux takes every file at the top for a manifest.
    """
    _check_flux_leaves_it(workspace, name)
    write_text(workspace.repository.root, name, text)


def _asked(item: Finding, ask: Ask) -> str | None:
    """The answer of the user, asked for again until it has the right form; None if it is left open."""
    while answer := ask(item).strip():
        try:
            _checked(item.key, answer)
        except SettingsError as error:
            item = Finding(item.key, None, error.summary, item.candidates, error.hint)
            continue
        return answer
    return None


def parsed(pairs: Iterable[str]) -> dict[str, str]:
    """The settings that ``KEY=VALUE`` texts give.

    Raises:
        SettingsError: one has no key or no value.
    """
    found = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not value or "." not in key:
            raise SettingsError(
                f"--set {pair} names no setting", "as in --set s3.endpoint=https://s3.example.com"
            )
        found[key.strip()] = value.strip()
    return found


def _checked(key: str, value: str) -> None:
    """Check one answer as a settings file would be.

    Raises:
        SettingsError: there is no such setting, or the value does not fit.
    """
    load([Layer("the answer", _nested({key: value}))])


def _nested(values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        kinds = kinds_of(section).get(name, ())
        answer: str | int | None = value
        if value == "null" and NoneType in kinds:
            answer = None
        elif int in kinds and value.isdecimal():
            answer = int(value)
        found.setdefault(section, {})[name] = answer
    return found


def _text(workspace: Workspace, findings: Sequence[Finding]) -> str:
    """The file. What was found is written out as far as that changes nothing of what is found."""
    pinned = _same_layout(workspace, findings)
    lines = [
        "# Settings of parseable-playbook for this repository; `settings-schema` has all.",
        '# "found" is what the repository showed; a line that is deleted is looked for',
        "# again each time.",
    ]
    sections = (*_SECTIONS, *sorted({item.key.split(".")[0] for item in findings} - set(_SECTIONS)))
    for section in sections:
        members = [item for item in findings if item.key.startswith(f"{section}.")]
        values = [item for item in members if item.value is not None]
        mark = "" if any(pinned or _is_answer(item) for item in values) else "# "
        if values:
            lines += ["", f"{mark}{section}:"]
        for item in values:
            lines += _line(item, "" if pinned or _is_answer(item) else "# ")
        for item in members:
            if item.value is None:
                lines += _open_question(item)
    return "\n".join([*lines, ""])


def _is_answer(item: Finding) -> bool:
    """Whether the layout has nothing to do with it, or the user said so: it counts as it is."""
    return item.key.startswith("s3.") or item.why == _GIVEN


def _same_layout(workspace: Workspace, findings: Sequence[Finding]) -> bool:
    """Whether the repository looks the same to us once all that was found is set."""
    found = {item.key: item.value for item in findings if item.value is not None}
    answers = {item.key: item.value for item in findings if item.value is not None and _is_answer(item)}
    pinned, free = (load([Layer("init", _nested(values))]) for values in (found, answers))
    tree, root = workspace.tree, workspace.repository.root
    return _shape(discover(pinned, tree, root)) == _shape(discover(free, tree, root))


def _shape(layout: Layout) -> dict[str, str]:
    return {name: repr(value) for name, value in vars(layout).items()}


def _scalar(item: Finding) -> str:
    value = next(iter(_nested({item.key: str(item.value)}).values())).popitem()[1]
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")


def _said(item: Finding) -> str:
    return item.why if item.why == _GIVEN or item.key in ("s3.bucket", "s3.region") else f"found: {item.why}"


def _line(item: Finding, off: str) -> list[str]:
    """A setting with its evidence: behind it, or above it where that would be too long."""
    setting = f"{off}  {item.key.split('.')[1]}: {_scalar(item)}"
    line = f"{setting}  # {_said(item)}"
    return [line] if len(line) <= _WIDTH else [*_comment("  # ", _said(item)), setting]


def _open_question(item: Finding) -> list[str]:
    lines = ["", *_comment("# ", f"not found: {item.key}: {item.why}")]
    for other in item.candidates:
        lines += _comment("#   ", f"considered {other.value}: {other.why_not}")
    return [*lines, *_comment("#   ", item.hint)]


def _comment(sign: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=sign,
        subsequent_indent=sign,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _check_flux_leaves_it(workspace: Workspace, name: str) -> None:
    """Check that no Kustomization would apply the file as a manifest.

    Without a kustomization.yaml Flux takes every YAML file below the path (its documentation, "Generating a
    kustomization.yaml file"), but for those in .sourceignore.

    Raises:
        RefusedError: one would.
    """
    tree = workspace.tree
    others = OtherRepositories(tree, most_used(tree.of_kind("Kustomization")), is_strict=False)
    at_top = [
        item
        for one in tree.of_kind("Kustomization")
        if is_flux_kustomization(one.data) and one.spec.get("sourceRef")
        for item in [FluxKustomization.read(one.data, one.path, tree)]
        if item.folder == "." and not others.has(item)
    ]
    ignored = read_text(workspace.repository.root, ".sourceignore") or ""
    if at_top and "" not in tree.kustomizations and name not in ignored:
        raise RefusedError(
            f"Flux would take {name} for a manifest: Kustomization {at_top[0].key[1]} ({at_top[0].path}) "
            "applies every YAML file below the top",
            f"add a line /{name} to .sourceignore first, or keep the settings elsewhere (-f)",
        )
