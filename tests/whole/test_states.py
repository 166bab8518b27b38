"""States of the machine that a command may meet: streams, disks, folders, locales. Never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.playground import APPS, ROOT, Done, Playground, without_login

# Runs a command after something was done to the process.
PREPARED = """
import os, resource, sys
exec(sys.argv.pop(1))
from invoke.main import program
program.run(["invoke", *sys.argv[1:]])
"""
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def prepared(play: Playground, first: str, *arguments: str, **environment: str) -> Done:
    """Run a command after ``first``, which is Python."""
    done = subprocess.run(
        (sys.executable, "-c", PREPARED, first, *arguments, "--repo", str(play.root)),
        cwd=ROOT, env={**os.environ, **play.environment, **environment}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def shell(play: Playground, command: str, **environment: str) -> Done:
    """Run a command line in which ``$P`` is invoke, and its exit code on stdout as the shell sees it."""
    done = subprocess.run(
        ("bash", "-c", f"set -o pipefail; {command}; echo code $?"),
        cwd=ROOT, env={**os.environ, **play.environment, "P": f"{sys.executable} -m invoke",
                       "R": f"--repo {play.root}", **environment},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr
    shown, _, code = done.stdout.rpartition("code ")
    return Done(int(code), shown, done.stderr)


# --- streams ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["plan $R", "plan --json $R", "status $R", "graph", "--list"])
def test_a_disk_without_space_for_results(play: Playground, command: str) -> None:
    done = shell(play, f"$P {command} >/dev/full")
    assert done.code == 4
    assert done.err == (
        "error: cannot write the result: No space left on device\n  hint: check where stdout goes to\n"
    )


@pytest.mark.parametrize("command", ["plan $R", "plan --json $R", "--list"])
def test_a_reader_that_has_seen_enough(play: Playground, command: str) -> None:
    done = shell(play, f"$P {command} | true")
    assert (done.code, done.err) == (141, "")


@pytest.mark.parametrize("streams", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(play: Playground, streams: str) -> None:
    done = shell(play, f"$P all --yes --offline $R {streams}")
    assert done.code == 0, done.err
    assert play.git("log", "-1", "--format=%s").startswith("feat(monitoring)")
    assert shell(play, f"$P all --json --repo /nowhere {streams}").code == 2
    # Nothing that is meant for people is in a file that took a stream's number.
    assert (play.root / ".git/parseable-playbook.lock").read_text() == ""


def test_a_run_goes_on_when_its_progress_cannot_be_written(play: Playground) -> None:
    done = shell(play, "$P all --yes --offline $R 2>/dev/full")
    assert (done.code, done.out.splitlines()[0]) == (0, "11/11 done, 23 changes")
    assert shell(play, "$P plan --repo /nowhere 2>/dev/full").code == 2


def test_texts_that_the_terminal_cannot_show(play: Playground) -> None:
    play.write("größe/🙂.yaml", "kind: ConfigMap\n")
    shown = shell(play, "$P plan $R", **ASCII)
    assert shown.code == 5, shown.err
    assert shown.out.isascii()
    shown = shell(play, "$P plan --json $R", **ASCII).data
    assert without_login(shown) == without_login(play.on_repository("plan", "--json").data)
    assert shell(play, "$P all --yes --offline $R", **ASCII).code == 0
    assert "Progress 11/11" in shell(play, "$P status $R", **ASCII).out


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": ""}, {"COLUMNS": "0"}, {"COLUMNS": "x"}])
def test_odd_terminals(play: Playground, variables: dict[str, str]) -> None:
    assert "Progress 0/11" in shell(play, "$P status $R", **variables).out


# --- disks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most", "message"),
    [
        (0, "cannot lock the repository: "),
        # Room for the line in the lock, and for no manifest: the planned result is written down first.
        (300, "cannot write a copy of HEAD to "),
    ],
)
def test_a_full_disk(play: Playground, most: int, message: str) -> None:
    # As on a full disk, files can be made and not be filled; Python ignores the signal.
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))"
    done = prepared(play, limit, "all", "--yes", "--offline")
    assert done.code == 4, done.err
    assert message in done.err
    assert "hint: free some space there" in done.err
    assert play.git("status", "--porcelain") == ""
    assert play.all().code == 0


def test_a_full_disk_for_the_demo(play: Playground, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = subprocess.run(
        (sys.executable, "-c", PREPARED, "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))",
         "demo", "--path", str(folder)),
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert "Traceback" not in done.stderr, done.stderr
    assert f"error: cannot use {folder}: File too large" in done.stderr
    (tmp_path / "file").write_text("")
    for path in ("file", "file/demo"):
        refused = play.invoke("demo", "--path", str(tmp_path / path))
        assert refused.code == 4
        assert refused.err.startswith(f"error: cannot use {tmp_path / path}: ")


# --- folders ---------------------------------------------------------------------------------------------


def test_the_current_folder_is_gone(play: Playground) -> None:
    first = f"os.chdir({str(play.folder)!r}); os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')"
    search = ("--search-root", str(ROOT))
    assert prepared(play, first, *search, "status").code == 0
    demo = prepared(play, first + "; sys.argv[-2:] = []", *search, "demo")
    assert demo.code == 4
    assert "cannot use the current folder: No such file or directory" in demo.err


def test_no_home(play: Playground) -> None:
    nobody = "import pwd; os.environ.pop('HOME'); pwd.getpwuid = {}.__getitem__"
    assert prepared(play, nobody, "all", "--yes", "--offline").code == 0
    assert prepared(play, nobody, "verify", "--offline").code == 0
    home = prepared(play, nobody + "; sys.argv[-1] = '~/x'", "status")
    assert home.code == 4
    assert "there is no home folder for ~/x" in home.err


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME", "TMPDIR", "XDG_CONFIG_HOME"])
def test_folders_that_are_not_there(play: Playground, variable: str) -> None:
    # A home below a file ends Invoke itself, which looks for settings there before it looks at us.
    (play.folder / "file").write_text("")
    play.environment[variable] = str(play.folder / ("none" if variable == "HOME" else "file/below"))
    assert play.all().code == 0
    assert play.on_repository("verify").code == 0


def test_parts_of_git_that_cannot_be_read(play: Playground) -> None:
    head = play.root / ".git/HEAD"
    text = head.read_text()
    head.write_text("nonsense\n")
    done = play.on_repository("status")
    assert done.code == 4
    assert f"git cannot read the repository {play.root}" in done.err
    head.write_text(text)
    (play.root / ".git/parseable-playbook.lock").mkdir()
    locked = play.all()
    assert locked.code == 4
    assert "cannot lock the repository: " in locked.err


def test_a_folder_in_the_place_of_a_file(play: Playground) -> None:
    (play.root / APPS / "parseable/ks.yaml").mkdir(parents=True)
    done = play.all()
    assert done.code == 4
    assert "parseable/ks.yaml" in done.err
    assert "Traceback" not in done.err
