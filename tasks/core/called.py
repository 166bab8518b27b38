"""What the user has to type: our texts name commands as ``invoke COMMAND``; a wheel has another program."""

import re

_CLOSING = "rollback|archive|remove|upgrade"
_COMMANDS = f"all|plan|status|verify|{_CLOSING}|graph|init|doctor|demo|settings-schema|task-[0-9]+"
_COMMAND = re.compile(rf"\binvoke (?=-f\b|--|(?:{_COMMANDS})\b)")


class _Program:
    name = "invoke"


def call(name: str) -> None:
    """Say commands as those of the program ``name`` from now on."""
    _Program.name = name


def as_called(text: str) -> str:
    """``text`` with its commands as the user calls them.

    >>> as_called("run: invoke task-001")
    'run: invoke task-001'
    """
    return _COMMAND.sub(f"{_Program.name} ", text) if _Program.name != "invoke" else text
