"""The ExternalArtifacts that ArtifactGenerators make of a repository: what of it lies where in them."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.yaml.documents import dig, items

# The API group of ArtifactGenerator: https://fluxcd.io/flux/components/source/artifactgenerators/
GROUP = "source.extensions.fluxcd.io"
_EVERYTHING = "/**"


@dataclass(frozen=True)
class Artifact:
    """One artifact: ``name`` and ``namespace`` of its ExternalArtifact, and where its folders come from.

    ``source`` is kind and name of what it is copied from; ``folders`` maps folders of the artifact to those
    of the repository ("." is the top of each). ``is_whole`` says that all that is copied is such a folder;
    where it is not, only the generator knows what lies where.
    """

    name: str
    namespace: str
    source: tuple[str, str]
    folders: Mapping[str, str]
    is_whole: bool

    def origin(self, path: str) -> str | None:
        """The folder of the repository that lies at ``path`` in the artifact; None if none is known to."""
        return _mapped(path, self.folders)

    def place(self, folder: str) -> str | None:
        """Where a ``folder`` of the repository lies in the artifact; None if it is not copied."""
        return _mapped(folder, {origin: place for place, origin in self.folders.items()})


def _mapped(path: str, folders: Mapping[str, str]) -> str | None:
    path = posixpath.normpath(path)
    # The deepest folder that it lies in says where it comes from.
    for start in sorted(folders, key=len, reverse=True):
        if start in (".", path) or path.startswith(f"{start}/"):
            rest = path if start == "." else posixpath.relpath(path, start)
            return posixpath.normpath(posixpath.join(folders[start], rest))
    return None


def artifacts_of(data: Mapping[str, Any], namespace: str) -> list[Artifact]:
    """The artifacts that one ArtifactGenerator in ``namespace`` makes.

    Only copies of whole folders ("@alias/apps/**" to "@artifact/") of one source are understood.
    """
    sources = {str(dig(one, "alias")): (str(dig(one, "kind")), str(dig(one, "name")))
               for one in items(data, "spec", "sources")}  # fmt: skip
    found = []
    for artifact in items(data, "spec", "artifacts"):
        folders: dict[str, str] = {}
        used = set()
        is_whole = True
        for copy in items(artifact, "copy"):
            alias, _, origin = str(dig(copy, "from") or "").removeprefix("@").partition("/")
            target = str(dig(copy, "to") or "")
            plain = origin.removesuffix("**").rstrip("/")
            is_folder = (
                f"/{origin}".endswith(_EVERYTHING)
                and "*" not in plain
                and target.startswith("@artifact/")
                and target.endswith("/")
                and not dig(copy, "exclude")
            )
            if is_folder:
                place = posixpath.normpath(target.removeprefix("@artifact/") or ".")
                folders[place] = posixpath.normpath(plain or ".")
            used.add(sources.get(alias))
            is_whole = is_whole and is_folder
        if len(used) == 1 and (source := used.pop()) is not None:
            found.append(Artifact(str(dig(artifact, "name")), namespace, source, folders, is_whole))
    return found
