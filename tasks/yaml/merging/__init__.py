"""Three-way merges of YAML: ``merge_texts`` is the door, the other modules are behind it."""

from tasks.yaml.merging.documents import Base, MergedText, merge_documents, merge_texts
from tasks.yaml.merging.paths import MISSING, leaves
from tasks.yaml.merging.values import Difference

__all__ = [
    "MISSING",
    "Base",
    "Difference",
    "MergedText",
    "leaves",
    "merge_documents",
    "merge_texts",
]
