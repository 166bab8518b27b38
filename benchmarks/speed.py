"""Whole-process times of the commands against a local S3 server, beside a bare project and a bare script.

Run from the project's folder, in its virtual environment:  python -m benchmarks.speed [RUNS]
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.core.credentials import ACCESS_KEY, SECRET_KEY, Secret
from tasks.demo.s3_server import Identity, S3Server, running
from tasks.demo.sandbox import make_key, make_repository

ROOT = Path(__file__).resolve().parents[1]
INVOKE = (sys.executable, "-m", "invoke")
KEYS = ("benchmarkaccess", "benchmarksecret")
EMPTY_PROJECT = "from invoke import task\n\n@task\ndef nothing(c):\n    pass\n"


def timed(argv: Sequence[str], cwd: Path, environment: dict[str, str]) -> float:
    """Seconds that one process takes, from its start to its end."""
    started = time.perf_counter()
    done = subprocess.run(argv, cwd=cwd, env={**os.environ, **environment}, capture_output=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)} failed:\n{done.stderr.decode()}")
    return seconds


def median(runs: int, measure: Callable[[], float]) -> float:
    """Median of several measurements, in seconds."""
    return statistics.median(measure() for _ in range(runs))


class Rollout:
    """A fresh repository and bucket for each first run."""

    def __init__(self, folder: Path, server: S3Server) -> None:
        self.folder = folder
        self.endpoint = server.endpoint
        self.recipient = make_key(folder / "age.key")
        self.environment = {
            ACCESS_KEY: KEYS[0],
            SECRET_KEY: KEYS[1],
            "SOPS_AGE_KEY_FILE": str(folder / "age.key"),
            "INVOKE_S3_ENDPOINT": server.endpoint,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        self.count = 0

    def repository(self) -> Path:
        """Make the next repository; its bucket has its number."""
        self.count += 1
        root = self.folder / str(self.count) / "work"
        make_repository(root, root.parent / "remote.git", self.recipient)
        self.environment["INVOKE_S3_BUCKET"] = f"bucket-{self.count}"
        return root

    def run_all(self, root: Path) -> float:
        """Seconds of one `invoke all --yes`."""
        return timed((*INVOKE, "all", "--yes", "--repo", str(root)), ROOT, self.environment)

    def by_hand(self, root: Path, rendered: Path) -> float:
        """Seconds of one run of the shell script."""
        script = str(ROOT / "benchmarks/by_hand.sh")
        url = f"{self.endpoint}/{self.environment['INVOKE_S3_BUCKET']}"
        return timed((script, str(root), str(rendered), url), root, self.environment)


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = folder / "empty"
        empty.mkdir()
        (empty / "tasks.py").write_text(EMPTY_PROJECT)
        show("invoke --list, empty project", median(runs, lambda: timed((*INVOKE, "--list"), empty, {})))
        show("invoke --list", median(runs, lambda: timed((*INVOKE, "--list"), ROOT, {})))
        identity = Identity("benchmark", Secret(KEYS[0]), Secret(KEYS[1]))
        with running(folder / "s3", [identity]) as server:
            rollout = Rollout(folder, server)
            rollout.run_all(rollout.repository())  # reads everything from the disk once
            show("invoke all, first run", median(runs, lambda: rollout.run_all(rollout.repository())))
            done = rollout.repository()
            rollout.run_all(done)
            show("invoke all, nothing to do", median(runs, lambda: rollout.run_all(done)))
            rendered = folder / "rendered"
            shutil.copytree(done / "kubernetes", rendered / "kubernetes")
            (rendered / "kubernetes/apps/monitoring/parseable/app/secret.sops.yaml").unlink()
            show(
                "shell script, first run",
                median(runs, lambda: rollout.by_hand(rollout.repository(), rendered)),
            )
            again = rollout.repository()
            rollout.by_hand(again, rendered)
            show("shell script, nothing to do", median(runs, lambda: rollout.by_hand(again, rendered)))


def show(what: str, seconds: float) -> None:
    """Print one line."""
    print(f"{what:<32}{seconds:6.2f} s")


if __name__ == "__main__":
    main()
