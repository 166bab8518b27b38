"""Which faults the tests do not see.

Run from the project's folder, in its virtual environment (see docs/mutation.md):

    python -m benchmarks.mutation --sample 60 --seed 1 [FILE_OR_FOLDER …]

Every fault is put into a copy of the project, never into the work tree.
"""

import argparse
import difflib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benchmarks.mutation.mutants import Mutant, of_python, of_yaml
from tasks.demo import s3_server

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("manifests", "tasks/core", "tasks/effects", "checks")
EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
# Tests that meet everything.
WHOLE = "tests/whole"
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".demo", ".hypothesis", "*_cache", "__pycache__", "*.egg-info"
)
_GRACE = 20.0


@dataclass
class Tally:
    """What became of the faults of one file."""

    counts: Counter[str] = field(default_factory=Counter)
    survivors: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        """One line of the report."""
        killed, asked = self.counts["killed"] + self.counts["timeout"], self.asked
        share = f"{100 * killed / asked:.0f} %" if asked else "-"
        told = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
        return f"{share:>6}  {name}: {told or 'no faults'}"

    @property
    def asked(self) -> int:
        """How many faults the tests could have seen."""
        return self.counts.total() - self.counts["equivalent"]


def stages(path: str, *, whole: bool) -> list[list[str]]:
    """The tests to ask about ``path``, one group after the other until one sees the fault.

    ``tasks/core/x.py`` is met by tests/core/test_x.py, then by what names the module in tests/core; where
    there is neither, by all of tests/core and by tests/whole. With ``whole`` come the rest of that folder,
    what names the module elsewhere, and tests/whole. Only names count, so that what is moved finds its tests.
    """
    if path.startswith("manifests/"):
        return [["tests/test_manifests.py"], *([[WHOLE]] if whole else [])]
    room, stem = Path(path).parent, Path(path).stem
    tests = {file.relative_to(ROOT).as_posix(): file for file in sorted((ROOT / "tests").rglob("test_*.py"))}
    mirror = Path("tests", *room.parts[1 if room.parts[0] == "tasks" else 0 :])
    folder = next(one for one in (mirror, *mirror.parents) if (ROOT / one).is_dir())
    area = [one for one in tests if Path(one).parent == folder and one != "tests/test_house.py"]
    dotted, package = f"{room}/{stem}".replace("/", "."), str(room).replace("/", ".")
    named = re.compile(rf"{re.escape(dotted)}\b|from {re.escape(package)} import [^\n]*\b{stem}\b")
    naming = [one for one, file in tests.items() if named.search(file.read_text(encoding="utf-8"))]
    own = [one for one in area if Path(one).name == f"test_{stem}.py"]
    near = [one for one in naming if one in area and one not in own]
    if not own and not near:
        # Something in between: what it does is seen from outside.
        return [area, *([[one] for one in naming if one not in area] if whole else []), [WHOLE]]
    groups = [own, near]
    if whole:
        asked = {one for group in groups for one in group}
        groups += [[one for one in area if one not in asked]]
        groups += [[one for one in naming if one not in area and not one.startswith(f"{WHOLE}/")], [WHOLE]]
    return [group for group in groups if group]


class Copy:
    """A copy of the project, in which one file at a time is wrong."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self.root = scratch / "project"
        shutil.copytree(ROOT, self.root, ignore=_LEFT_OUT)
        self._usual: dict[tuple[str, ...], float] = {}

    def outcome(self, path: str, mutant: Mutant, asked: Sequence[Sequence[str]]) -> str:
        """``killed``, ``timeout`` or ``survived``."""
        file = self.root / path
        source = file.read_text(encoding="utf-8")
        for tests in asked:
            self._usual_seconds(tests)
        try:
            self._write(file, mutant.applied(source))
            for tests in asked:
                code = self._run(tests, 10 + 4 * self._usual_seconds(tests))
                if code != 0:
                    return "timeout" if code is None else "killed"
        finally:
            self._write(file, source)
        return "survived"

    def _usual_seconds(self, tests: Sequence[str]) -> float:
        """How long the tests take when nothing is wrong.

        Raises:
            SystemExit: something is.
        """
        key = tuple(tests)
        if key not in self._usual:
            start = time.monotonic()
            if self._run(tests, 3600) != 0:
                raise SystemExit(f"these fail without any fault: {' '.join(tests)}")
            self._usual[key] = time.monotonic() - start
        return self._usual[key]

    @staticmethod
    def _write(file: Path, text: str) -> None:
        file.write_text(text, encoding="utf-8")
        # Python knows compiled code by the second and the size of its source, which a fault may keep.
        for compiled in file.parent.glob(f"__pycache__/{file.stem}.*"):
            compiled.unlink()

    def _run(self, tests: Sequence[str], seconds: float) -> int | None:
        """The exit code of pytest; None if it did not end in time."""
        base = self._scratch / "tests"
        options = (
            "-q",
            "-x",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            "--hypothesis-seed=0",
            f"--basetemp={base}",
        )
        process = subprocess.Popen(
            (sys.executable, "-m", "pytest", *options, *tests),
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process, base)


def _end(process: subprocess.Popen[bytes], base: Path) -> None:
    """End pytest and what its tests started: politely, so that fixtures end, then by force."""
    for number, grace in ((signal.SIGINT, _GRACE), (signal.SIGKILL, None)):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for state in base.rglob("server.json"):
        s3_server.stop(state.parent, grace=0)


def difference(path: str, source: str, mutant: Mutant) -> list[str]:
    """The lines that a fault takes away and puts in."""
    before, after = source.splitlines(), mutant.applied(source).splitlines()
    lines = list(difflib.unified_diff(before, after, path, path, lineterm="", n=0))[2:]
    return [*(f"@@ {path}:{line.split()[1].strip('-').split(',')[0]}" for line in lines[:1]), *lines[1:]]


def equivalent() -> dict[tuple[str, str], str]:
    """Faults that change nothing that anybody could see: file and difference, and why."""
    listed = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")) or []
    return {(item["file"], told(item["change"].splitlines())): item["why"] for item in listed}


def told(lines: Iterable[str]) -> str:
    """A difference without its indentation."""
    return "\n".join(f"{line[:1]}{line[1:].strip()}" for line in lines)


def files(asked: Sequence[str]) -> Iterator[str]:
    """The files to put faults into."""
    for name in asked or ROOMS:
        place = ROOT / name
        found = [place] if place.is_file() else [*place.rglob("*.py"), *place.rglob("*.yaml")]
        yield from sorted(
            file.relative_to(ROOT).as_posix() for file in found if "__pycache__" not in file.parts
        )


def examine(copy: Copy, path: str, options: argparse.Namespace) -> Tally:
    """Try the faults of one file, or a sample of them."""
    source = (copy.root / path).read_text(encoding="utf-8")
    mutants = of_yaml(source) if path.endswith(".yaml") else of_python(source)
    # Each file has a choice of its own, whatever else is examined.
    chosen = random.Random(f"{options.seed}:{path}")
    taken = mutants if options.sample is None else chosen.sample(mutants, min(options.sample, len(mutants)))
    asked, known, tally = stages(path, whole=options.whole), equivalent(), Tally()
    for mutant in sorted(taken):
        lines = difference(path, source, mutant)
        if (path, told(lines[1:])) in known:
            tally.counts["equivalent"] += 1
            continue
        outcome = copy.outcome(path, mutant, asked)
        tally.counts[outcome] += 1
        if outcome == "survived":
            tally.survivors.append("\n".join(lines))
            print(tally.survivors[-1], flush=True)
    print(tally.line(path), flush=True)
    return tally


def main() -> None:
    """Examine the files that were asked for, and tell the sum."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation")
    parser.add_argument("paths", nargs="*", metavar="FILE_OR_FOLDER", help=f"default: {' '.join(ROOMS)}")
    parser.add_argument("--sample", type=int, metavar="N", help="no more than N faults of each file")
    parser.add_argument("--seed", type=int, default=1, help="which N (default: 1)")
    parser.add_argument(
        "--whole", action="store_true", help="ask all tests that may see it, and not only the nearest"
    )
    options = parser.parse_args()
    total = Tally()
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        copy = Copy(Path(scratch))
        for path in files(options.paths):
            total.counts += examine(copy, path, options).counts
    print(total.line("all"))


if __name__ == "__main__":
    main()
