"""How a package is added to where the playbook runs: a system's own Python refuses pip (PEP 668)."""

import sys
from pathlib import PurePath


def install_command(package: str, prefix: str = sys.prefix, base: str = sys.base_prefix) -> str:
    """The command that adds ``package`` to the environment ``prefix``; ``base`` is that of its Python.

    >>> install_command("x", "/home/me/.local/share/pipx/venvs/parseable-playbook", "/usr")
    'pipx inject parseable-playbook x'
    """
    parts = PurePath(prefix).parts
    if "pipx" in parts:
        return f"pipx inject {parts[-1]} {package}"
    if parts[-3:-1] == ("uv", "tools"):
        return f"uv tool install --with {package} {parts[-1]}"
    if prefix != base:
        return f"{prefix}/bin/python -m pip install {package}"
    return f"install the playbook in an environment of its own (pipx install), then: pipx inject … {package}"
