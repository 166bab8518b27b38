"""Secrets that kustomize makes of files (secretGenerator): Flux decrypts those files before it builds.

https://fluxcd.io/flux/components/kustomize/kustomizations/#kustomize-secretgenerator
"""

import base64
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from checks.model import Model, Outcome, failed, passed
from checks.pipeline import is_named
from tasks.kube.resources import Resource
from tasks.yaml.documents import dig, items, mapping

# How sops marks what it encrypted: a map in YAML and JSON, lines in dotenv, a section in INI.
_MARKS = re.compile(r"(?m)^\s*\"?sops\"?:|^sops_mac=|^\[sops\]")
# A key that it is encrypted for, whatever its kind: age, PGP, AWS, GCP, Huawei, Azure, Vault.
_READER = re.compile(
    r"(?:^|[\s\"{,-]|__map_)(recipient|fp|arn|resource_id|key_id|vault_url|key_name)\"?\s*[:=]\s*\"?"
    r"(?!ENC\[)([^\s\",}]+)",
    re.MULTILINE,
)
# A line of dotenv that sops left readable.
_PLAIN_LINE = re.compile(r"(?m)^(?!sops_|#)([\w.]+)=(?!ENC\[|\s*$)")


def holds_ciphertext(data: Mapping[str, Any]) -> bool:
    """Whether a Secret was made of files that sops encrypted, so that it is nothing as it stands."""
    values = mapping(data, "data")
    return "sops_mac" in values or any(_MARKS.search(_decoded(value)) for value in values.values())


def _decoded(value: object) -> str:
    try:
        return base64.b64decode(str(value)).decode()
    except ValueError:
        return ""


def encryption(model: Model, found: Resource) -> Outcome | None:
    """What is to be said of the encryption of a Secret that is made of files; None if it is not."""
    folder = posixpath.dirname(found.path)
    if found.path not in model.tree.kustomizations.values():
        return None
    for generator in items(model.tree.kustomization(folder), "secretGenerator"):
        if is_named(found.key.name, str(dig(generator, "name"))):
            return _judged(model, found, folder, generator)
    return None


def _judged(model: Model, found: Resource, folder: str, generator: Any) -> Outcome:
    plain = [f"literal {str(one).partition('=')[0]}" for one in items(generator, "literals")]
    readers: set[tuple[str, str]] = set()
    for path in _files(folder, generator):
        text = _read(model, path)
        if not _MARKS.search(text):
            plain.append(path)
        plain += [f"{line[1]} of {path}" for line in _PLAIN_LINE.finditer(text) if "sops_mac=" in text]
        readers |= set(_READER.findall(text))
    if plain:
        return failed(
            f"{found.key} is made from what is not encrypted: {', '.join(plain)}",
            "everyone with the repository could read it",
            "rotate the values if they were pushed; encrypt the files with sops",
            model.place_in(found.path, "secretGenerator"),
        )
    if not readers:
        return failed(
            f"the files that {found.key} is made from are encrypted for no key",
            "Flux could not decrypt them",
            "name keys in .sops.yaml, then encrypt the files again",
            model.place_in(found.path, "secretGenerator"),
        )
    count = len(readers)
    return passed(
        f"every file that {found.key} is made from is encrypted, for {count} key{'s' if count != 1 else ''}"
    )


def _files(folder: str, generator: Any) -> Iterator[str]:
    """The files of a generator, as paths in the repository."""
    single = dig(generator, "env")
    named = [*items(generator, "files"), *items(generator, "envs"), *([single] if single else [])]
    for name in named:
        yield posixpath.normpath(posixpath.join(folder, str(name).rpartition("=")[2]))


def _read(model: Model, path: str) -> str:
    return model.workspace.repository.read(path) or ""
