"""Texts that set an anchor again: YAML 1.2 and kustomize take it for a new one, PyYAML refuses it."""

from collections.abc import Callable, Iterator
from typing import Any

import yaml

Read = Callable[..., Iterator[Any]]


class _ReusingLoader(yaml.SafeLoader):
    """Forgets an anchor where it is set again."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        anchor = None if self.check_event(yaml.AliasEvent) else self.peek_event().anchor  # type: ignore[no-untyped-call]
        self.anchors.pop(anchor, None)
        return super().compose_node(parent, index)


def read_all(read: Read, text: str, loader: Any) -> list[Any]:
    """What ``read`` (yaml.load_all, yaml.compose_all) gives with ``loader``, which is a safe one.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    try:
        return list(read(text, Loader=loader))
    except yaml.composer.ComposerError as error:
        if error.problem != "second occurrence":
            raise
    return list(read(text, Loader=_like(loader)))


def _like(loader: Any) -> type[_ReusingLoader]:
    """A loader that takes scalars for what ``loader`` takes them for."""
    resolvers = {"yaml_implicit_resolvers": loader.yaml_implicit_resolvers}
    return type("Reusing", (_ReusingLoader,), resolvers)
