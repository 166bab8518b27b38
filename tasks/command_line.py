"""Invoke's program with our commands, and what is said of a command line that it does not understand."""

import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from invoke.exceptions import ParseError
from invoke.parser.argument import Argument
from invoke.program import Program

from tasks.collection import ns
from tasks.core.console import Console, error_data
from tasks.core.errors import SettingsError
from tasks.core.version import NAME, version

# Of Invoke's own flags those that change something here.
_OFFERED = ("complete", "config", "dry", "help", "list", "print-completion-script", "version")
_UNKNOWN = re.compile(r"No idea what '(.*)' is!", re.DOTALL)
_WANTS_VALUE = re.compile(r"Flag <Argument: ([\w-]+).* needed value", re.DOTALL)


class Playbook(Program):
    """The command ``parseable-playbook``."""

    def __init__(self) -> None:
        super().__init__(namespace=ns, name=NAME, binary=NAME, binary_names=[NAME])

    def core_args(self) -> list[Argument]:
        """The flags of Invoke that do something for us."""
        return [argument for argument in super().core_args() if argument.name in _OFFERED]

    def parse_core_args(self) -> None:
        """Take Invoke's own flags out of the command line; those that are not offered keep their defaults."""
        with _explained(self):
            super().parse_core_args()
        for argument in super().core_args():
            if argument.name not in _OFFERED:
                self.core[0].add_arg(argument)

    def parse_collection(self) -> None:
        # Invoke has turned Python's cache of compiled modules off.
        sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
        super().parse_collection()

    def print_version(self) -> None:
        print(f"{NAME} {version()}")  # noqa: T201


def explain_errors() -> None:
    """Have Invoke's program, whichever runs, say what is wrong with a command line as all our errors do.

    Invoke's own answer has no hint and exit code 1; it parses our commands after it has loaded them.
    """
    parse_tasks, parse_cleanup = Program.parse_tasks, Program.parse_cleanup

    def parse(program: Program) -> None:
        with _explained(program):
            parse_tasks(program)

    def clean_up(program: Program) -> None:
        with _explained(program):
            parse_cleanup(program)

    Program.parse_tasks = parse  # type: ignore[method-assign,assignment]
    Program.parse_cleanup = clean_up  # type: ignore[method-assign,assignment]


@contextmanager
def _explained(program: Program) -> Iterator[None]:
    """Turn what the parser says into an error of ours.

    Raises:
        SettingsError: something in the command line is unknown or missing, with the nearest that exists.
    """
    try:
        yield
    except ParseError as error:
        refused = _explanation(error, program)
        console = Console()
        if "--json" in program.argv:
            console.write_json({"error": error_data(refused)})
        console.fit(refused)
        raise refused from None


def _explanation(error: ParseError, program: Program) -> SettingsError:
    said = " ".join(str(error).split())
    command = error.context.name if error.context is not None else None
    see = f"see --help {command}" if command else "see --help"
    if found := _UNKNOWN.fullmatch(str(error)):
        given = found[1]
        if not given.startswith("-"):
            nearest = _nearest(given, ns.task_names, "invoke --list shows all")
            return SettingsError(f"there is no command '{given}'", nearest)
        flags = {name for name in program.initial_context.flags if name.startswith("--")}
        if error.context is None or command is None:
            return SettingsError(f"there is no flag {given}", _nearest(given, flags, see))
        known = {name for name in error.context.flags if name.startswith("--")} | flags
        return SettingsError(f"{command} has no flag {given}", _nearest(given, known, see))
    if found := _WANTS_VALUE.match(str(error)):
        where = f" of {command}" if command else ""
        return SettingsError(f"the flag --{found[1]}{where} needs a value", see)
    return SettingsError(said[:1].lower() + said[1:])


def _nearest(given: str, known: Iterable[str], otherwise: str) -> str:
    close = difflib.get_close_matches(given, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else otherwise
