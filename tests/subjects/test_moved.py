"""What each setting moves and leaves behind, a row for each; and that it is read from what is committed."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.settings import DOCUMENTED, S3, Settings, VersionsSettings
from tasks.subjects.former import Former
from tasks.subjects.moved import Rollout, moves, said
from tasks.subjects.signature import MARK
from tests.checks.deployed import APPS, deployed, edit, root, workspace_of

__all__ = ["deployed", "root"]
BEFORE = Rollout(
    bucket="logs",
    endpoint="https://s3.example.com",
    stream="kubernetes",
    namespace="monitoring",
    parseable="parseable",
    vector="vector",
    config_map="vector-config",
    secret="login",
    days=28,
)
# The field, its other value, and what is said of it: words of each sentence, in order.
ROWS: list[tuple[str, str | int, list[str]]] = [
    (
        "bucket",
        "other",
        [
            "bucket 'logs' at https://s3.example.com stays with its logs and lifecycle rules",
            "aws s3 sync s3://logs s3://other",
            "aws --endpoint-url https://s3.example.com s3 rb --force s3://logs",
        ],
    ),
    (
        "endpoint",
        "https://other.example.com",
        [
            "bucket 'logs' at https://s3.example.com stays",
            "rclone between two servers",
            "--endpoint-url https://s3.example.com s3 rb",
        ],
    ),
    (
        "stream",
        "cluster",
        [
            "stream 'kubernetes' stays with its logs and gets no new ones",
            "queries that name 'kubernetes' see no new lines",
            "-X DELETE http://localhost:8000/api/v1/logstream/kubernetes",
        ],
    ),
    (
        "namespace",
        "logging",
        [
            "all is made anew in namespace logging, and Flux deletes it in monitoring",
            "what is made by hand must be in logging first",
        ],
    ),
    ("parseable", "logs", ["release parseable goes and logs comes, on the same bucket"]),
    ("vector", "agent", ["release vector goes and agent comes: on each node"]),
    ("config_map", "other", ["ConfigMap vector-config goes"]),
    ("secret", "other", ["Secret login goes: whoever else reads it"]),
    ("days", 5, ["logs older than 5 days are deleted at the next midnight, not 28"]),
    ("days", 58, ["logs are kept 58 days, not 28"]),
]


@pytest.mark.parametrize(("field", "value", "expected"), ROWS, ids=lambda one: str(one)[:20])
def test_what_is_said_of_a_setting(field: str, value: str | int, expected: list[str]) -> None:
    told = list(said(BEFORE, replace(BEFORE, **{field: value})))  # type: ignore[arg-type]
    assert len(told) == len(expected)
    assert all(words in sentence for words, sentence in zip(expected, told, strict=True)), told


def test_nothing_is_said_of_what_is_the_same_or_not_known() -> None:
    assert list(said(BEFORE, BEFORE)) == []
    assert list(said(Rollout(), BEFORE)) == []
    # A stream in another bucket is another one anyway.
    other = replace(BEFORE, bucket="other", stream="cluster")
    assert not any("stays with its logs and gets no new ones" in one for one in said(BEFORE, other))


def commit(root: Path) -> None:
    edit(root, f"{APPS}/parseable/app/secret.sops.yaml", "parseable-env-secret", DOCUMENTED.parseable.secret)
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for arguments in (("add", "--all"), (*author, "commit", "-qm", f"done\n\n{MARK}")):
        subprocess.run(("git", *arguments), cwd=root, check=True)


def told(root: Path, settings: Settings = DOCUMENTED) -> list[str]:
    return moves(workspace_of(root, settings), Former())


def test_it_is_read_from_what_is_committed(root: Path) -> None:
    other = replace(
        DOCUMENTED,
        s3=replace(DOCUMENTED.s3, bucket="other", retention_days=9),
        vector=replace(DOCUMENTED.vector, config_map="own"),
    )
    # Of what was never committed nothing is left behind.
    assert told(root, other) == []
    commit(root)
    assert told(root) == []
    sentences = told(root, other)
    assert sentences[0].startswith(f"bucket '{S3().bucket}' at {S3().endpoint} stays")
    assert sentences[-2:] == [
        "ConfigMap vector-config goes, and the pods of Vector are replaced",
        "logs older than 7 days are deleted at the next midnight, not 28",
    ]


def test_another_set_of_versions_moves_nothing_of_it(root: Path) -> None:
    commit(root)
    assert told(root, replace(DOCUMENTED, versions=VersionsSettings("current"))) == []


def test_what_its_owner_moved_and_is_kept_moves_no_further(root: Path) -> None:
    commit(root)
    edit(
        root, f"{APPS}/parseable/app/helmrelease.yaml", "P_S3_BUCKET: parseable-logs", "P_S3_BUCKET: own-logs"
    )
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    subprocess.run(("git", *author, "commit", "-qam", "use our bucket"), cwd=root, check=True)
    assert told(root) == []
