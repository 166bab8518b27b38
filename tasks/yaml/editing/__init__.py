"""Edits of other people's YAML as text: ``ensure`` is the door, the other modules are behind it."""

from tasks.yaml.editing.edit import EditRefusedError, Same, YamlValue, ensure

__all__ = ["EditRefusedError", "Same", "YamlValue", "ensure"]
