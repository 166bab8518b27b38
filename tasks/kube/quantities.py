"""Kubernetes quantities as numbers: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/."""

import re

_SUFFIXES = {"m": 1e-3, "": 1.0}
_SUFFIXES |= {letter: 1000.0 ** (power + 1) for power, letter in enumerate("kMGTPE")}
_SUFFIXES |= {f"{letter}i": 1024.0 ** (power + 1) for power, letter in enumerate("KMGTPE")}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(m|k|Ki|[MGTPE]i?)?")


def amount(quantity: object) -> float | None:
    """The number that a quantity stands for ("2Gi" are bytes, "500m" are cores); None if it is none.

    >>> amount("2Gi"), amount("500m"), amount(1000), amount("much")
    (2147483648.0, 0.5, 1000.0, None)
    """
    if isinstance(quantity, int | float) and not isinstance(quantity, bool):
        return float(quantity)
    found = _QUANTITY.fullmatch(quantity.strip()) if isinstance(quantity, str) else None
    return float(found[1]) * _SUFFIXES[found[2] or ""] if found else None
