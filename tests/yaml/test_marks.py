import pytest

from tasks.yaml.marks import line_of

TEXT = """\
# a comment
---
kind: Service
metadata:
  name: &name one
---
kind: Deployment
metadata: {name: one}
spec:
  containers:
    - name: a
    -
      name: b
      env: [{name: A}]
---
kind: Deployment
metadata:
  name: two
"""


@pytest.mark.parametrize(
    ("kind", "name", "path", "line"),
    [
        ("Service", "one", (), 3),
        ("Deployment", "one", (), 7),
        ("Deployment", "one", ("spec", "containers", 0), 11),
        ("Deployment", "one", ("spec", "containers", 1, "env", 0, "name"), 14),
        # As far as there is something.
        ("Deployment", "one", ("spec", "containers", 2), 10),
        ("Deployment", "one", ("spec", "replicas", "x"), 9),
        ("Deployment", "two", ("metadata", "name"), 18),
        # Under another name, where there is only one that it can be.
        ("Service", "prefix-one", ("metadata",), 4),
        ("Deployment", "prefix-one", (), 1),
        ("Secret", "one", (), 1),
    ],
)
def test_lines(kind: str, name: str, path: tuple[str | int, ...], line: int) -> None:
    assert line_of(TEXT, kind, name, *path) == line
    assert line_of(TEXT.replace("\n", "\r\n"), kind, name, *path) == line


@pytest.mark.parametrize("text", ["", "a: [", "- a\n", "\x00", "kind:\nmetadata: a\n", "kind: Service\n"])
def test_texts_without_it(text: str) -> None:
    assert line_of(text, "Service", "one", "spec") == 1
