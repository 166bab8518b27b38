import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.flux.sourceignore import leaves_out, patterns_for, read_patterns

SECRET = "apps/monitoring/app/secret.sops.yaml"


def is_out(path: str, files: Mapping[str, str], ignore: str = "") -> bool:
    own = patterns_for(path, lambda name: files.get(name, ""), read_patterns(ignore))
    return leaves_out(path, own) is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("secret*.yaml", True),
        ("secret*.yml", False),
        ("/secret*.yaml", False),
        ("apps/", True),
        ("apps", True),
        ("app", True),
        ("app/", True),
        ("secret.sops.yaml/", False),
        ("/apps/*/app", True),
        ("apps/app", False),
        ("**/app/*.yaml", True),
        ("apps/**/secret.sops.yaml", True),
        ("apps/**", True),
        ("app/**", False),
        ("secret.[rst]ops.yaml", True),
        ("secret.[^s]ops.yaml", False),
        ("secret.[a-z]ops.yaml", True),
        ("secret.[ops.yaml", False),
        ("secret.[z-a]ops.yaml", False),
        ("secret\\.sops.yaml", True),
        ("secret.sops.yaml\\", False),
        ("secret?sops?yaml", True),
        ("# secret.sops.yaml", False),
        ("secret.sops.yaml   ", True),
        ("secret.sops.yaml\r\n", True),
        ("!secret.sops.yaml", False),
        ("*.yaml\n!secret.sops.yaml", False),
        ("!secret.sops.yaml\n*.yaml", True),
        # Unlike git, a file is taken in again also where its folder is left out.
        ("apps/\n!secret.sops.yaml", False),
        ("/*\n!/apps", False),
        # Unlike git, the first folder that fits counts, and no other.
        ("apps/**/app/secret.sops.yaml", True),
        ("apps/**/*/secret.sops.yaml", False),
    ],
)
def test_patterns(text: str, expected: bool) -> None:
    assert is_out(SECRET, {".sourceignore": text}) is expected
    assert is_out(SECRET, {}, text) is expected
    assert is_out(f"x/{SECRET}", {"x/.sourceignore": text}) is expected


def test_where_patterns_count() -> None:
    assert is_out(SECRET, {"apps/monitoring/.sourceignore": "app/*.sops.yaml"})
    assert not is_out(SECRET, {"apps/default/.sourceignore": "*.yaml"})
    assert not is_out(SECRET, {"apps/.sourceignore": "apps/"})
    # Those below win over those above, and those of the source over all.
    assert not is_out(SECRET, {".sourceignore": "*.yaml", "apps/.sourceignore": "!*.sops.yaml"})
    assert is_out(SECRET, {".sourceignore": "!*.yaml"}, "*.sops.yaml")
    assert not is_out(SECRET, {".sourceignore": "*.yaml"}, "!*.sops.yaml")


def test_what_flux_leaves_out_by_itself() -> None:
    for path in (".github/a.yaml", "a/.sops.yaml", "apps/cloudbuild.yaml", "b/c.png"):
        assert is_out(path, {})
        # Patterns of the repository's own replace those.
        assert not is_out(path, {}, "other")
        assert leaves_out(path, [], has_defaults=False) is None
    assert is_out("a/.gitignore", {}, "other")
    assert not is_out("apps/a.sops.yaml", {})


NAMES = st.sampled_from(["a", "b", "ab", "a.yaml", "b.yaml", "x-y"])
GLOBS = st.sampled_from(["a", "b", "a*", "*b", "*", "?", "*.yaml", "[ab]", "[^a]", "x?y", "a\\b"])
PATTERNS = st.builds(
    lambda start, parts, end: start + "/".join(parts) + end,
    st.sampled_from(["", "/", "**/"]),
    st.lists(GLOBS, min_size=1, max_size=2),
    st.sampled_from(["", "/", " "]),
).filter(lambda text: not (text.startswith("**/") and text.count("/") > 1 + text.endswith("/")))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ignoring")
    subprocess.run(("git", "init", "-q", "."), cwd=root, check=True)
    return root


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    patterns=st.lists(PATTERNS, min_size=1, max_size=3),
    paths=st.lists(
        st.lists(NAMES, min_size=1, max_size=3).map("/".join), min_size=1, max_size=12, unique=True
    ),
)
def test_as_git_reads_them(repository: Path, patterns: list[str], paths: list[str]) -> None:
    text = "\n".join(patterns)
    (repository / ".gitignore").write_text(text)
    asked = subprocess.run(
        ("git", "check-ignore", "--no-index", "--stdin", "-z"),
        cwd=repository,
        input="\0".join(paths),
        capture_output=True,
        text=True,
        check=False,
    )
    ignored = {path for path in asked.stdout.split("\0") if path}
    assert {path for path in paths if is_out(path, {".sourceignore": text})} == ignored, text
