"""How a package is added to where the playbook runs: a system's own Python refuses pip (PEP 668)."""

import sys
from pathlib import Path


def install_command(package: str, prefix: str = sys.prefix, base: str = sys.base_prefix) -> str:
    """The command that adds ``package`` to the environment ``prefix``; ``base`` is that of its Python.

    pipx and uv leave a file of their own in the environments that they make; uv's have no pip.
    """
    where = Path(prefix)
    if (where / "pipx_metadata.json").exists():
        return f"pipx inject {where.name} {package}"
    if (where / "uv-receipt.toml").exists():
        return f"uv pip install --python {where}/bin/python {package}"
    if prefix != base:
        return f"{where}/bin/python -m pip install {package}"
    return f"install the playbook with pipx, in an environment of its own, then: pipx inject … {package}"
