"""How the playbook's commits are known again: the last paragraph of each, whatever its template says."""

from typing import Final

SIGNATURE: Final = "-by: parseable-playbook"
MARK: Final = f"Deployed{SIGNATURE}"
ROLLED_BACK: Final = f"Rolled-back{SIGNATURE}"
ARCHIVED: Final = f"Archived{SIGNATURE}"
