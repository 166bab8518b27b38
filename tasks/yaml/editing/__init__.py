"""Edits of other people's YAML as text: ``ensure`` and ``without`` are the doors, the others behind them."""

from tasks.yaml.editing.edit import EditRefusedError, Same, YamlValue, ensure
from tasks.yaml.editing.remove import Gone, without

__all__ = ["EditRefusedError", "Gone", "Same", "YamlValue", "ensure", "without"]
