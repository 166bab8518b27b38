"""Edits of other people's YAML as text: ``ensure`` is the door, the other modules are behind it."""

from tasks.core.yamledit.edit import EditRefusedError, Same, YamlValue, ensure

__all__ = ["EditRefusedError", "Same", "YamlValue", "ensure"]
