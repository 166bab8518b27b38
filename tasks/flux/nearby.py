"""The Flux repository that a folder lies in."""

from pathlib import Path

from tasks.core.errors import SettingsError
from tasks.effects.git import Git
from tasks.effects.repository import Repository

_HERE = Path(__file__).resolve().parents[2]
_SIGN = "toolkit.fluxcd.io/"
_HINT = "give it with --repo PATH, or run this inside of it"


def repository_around(folder: Path) -> Path:
    """The top of the git repository around ``folder``, if Flux objects are in it.

    Raises:
        SettingsError: there is no repository, or none that Flux has to do with.
        RefusedError: git is missing, or cannot read it.
    """
    top = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)
    if top is None:
        raise SettingsError(f"which GitOps repository? {folder} is in none", _HINT)
    # The checkout of the playbook has manifests in it, too: templates, and the sample of the demo.
    if top == _HERE:
        raise SettingsError("which GitOps repository? this folder is the playbook's own", _HINT)
    repository = Repository(Git(top))
    if not any(_SIGN in repository.text(path) for path in repository.yaml_files):
        raise SettingsError(f"which GitOps repository? there is no Flux object in {top}", _HINT)
    return top
