"""What another setting moves, what it leaves behind, and how that goes: said before it is done."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tasks.subjects.former import Former
from tasks.subjects.manifests import deployed_facts, own_files
from tasks.subjects.parseable import retention_days
from tasks.workspace import Workspace
from tasks.yaml.documents import dig, load_documents, mapping


@dataclass(frozen=True)
class Rollout:
    """What tells one rollout from another; None for what is not known. ``days`` are Parseable's retention."""

    bucket: str | None = None
    endpoint: str | None = None
    stream: str | None = None
    namespace: str | None = None
    parseable: str | None = None
    vector: str | None = None
    config_map: str | None = None
    secret: str | None = None
    days: int | None = None


def moves(workspace: Workspace, former: Former) -> list[str]:
    """What the settings move of the rollout that is committed; nothing where none is."""
    paths = [*own_files(workspace), *former.files]
    workspace.repository.load_heads(paths)
    heads = [text for path in paths if (text := workspace.repository.head(path)) is not None]
    return list(said(_committed(heads), _wanted(workspace)))


def _wanted(workspace: Workspace) -> Rollout:
    """The rollout of the settings, but for what the files keep of an edit of their owner."""
    settings = workspace.settings
    planned = [fact.wanted for fact in deployed_facts(workspace)]
    kept = {name: value for name, value in vars(_committed(planned)).items() if value is not None}
    asked = Rollout(
        bucket=settings.s3.bucket,
        endpoint=settings.s3.endpoint,
        stream=settings.parseable.stream,
        namespace=workspace.layout.namespace,
        parseable=settings.parseable.name,
        vector=settings.vector.name,
        config_map=settings.vector.config_map,
        secret=settings.parseable.secret,
        days=retention_days(settings.s3),
    )
    return replace(asked, **kept)


def _committed(texts: Iterable[str]) -> Rollout:
    """The rollout that files of ours say."""
    found: dict[str, str | int | None] = {}
    for text in texts:
        for name, pattern in _PATTERNS.items():
            value = re.search(pattern, text)
            if value is not None:
                found[name] = int(value[1]) if name == "days" else value[1]
        for document in load_documents(text):
            kind, name = dig(document, "kind"), dig(document, "metadata", "name")
            chart = dig(document, "spec", "chart", "spec", "chart")
            if kind == "HelmRelease" and chart in ("parseable", "vector"):
                found[str(chart)] = name
            elif kind == "ConfigMap":
                found["config_map"] = name
            elif kind == "Secret":
                found["secret"] = name
            elif kind == "Kustomization" and "resources" in mapping(document):
                found["namespace"] = dig(document, "namespace")
    return Rollout(**found)  # type: ignore[arg-type]


# A variable is written as an entry of a map, or as an item of a list.
_PATTERNS = {
    "bucket": r'P_S3_BUCKET(?::\s*|\s+value:\s*)"?([^\s"]+)',
    "endpoint": r'P_S3_URL(?::\s*|\s+value:\s*)"?([^\s"]+)',
    "stream": r'X-P-Stream:\s*"?([^\s"]+)',
    "days": r'\\?"duration\\?": \\?"(\d+)d',
}


def said(before: Rollout, after: Rollout) -> Iterator[str]:
    """A sentence or two for everything that is different; nothing for what is not known of either."""

    def is_other(name: str) -> bool:
        return None not in (getattr(before, name), getattr(after, name)) and (
            getattr(before, name) != getattr(after, name)
        )

    if is_other("endpoint") or is_other("bucket"):
        yield (
            f"bucket '{before.bucket}' at {before.endpoint} stays with its logs and lifecycle rules; "
            "Parseable does not find them any more, nor its streams and users"
        )
        yield (
            "to take them along, copy all objects while Parseable is stopped (scale it to 0) and before the "
            f"push: aws s3 sync s3://{before.bucket} s3://{after.bucket}, or rclone between two servers"
        )
        yield (f"to delete them: aws --endpoint-url {before.endpoint} s3 rb --force s3://{before.bucket}")
    elif is_other("stream"):
        yield (
            f"stream '{before.stream}' stays with its logs and gets no new ones: Parseable and the bucket "
            "go on deleting the old ones, by the retention and the rule of that stream"
        )
        yield f"panels, alerts and queries that name '{before.stream}' see no new lines: change them"
        yield (
            "to delete it: curl -u USER -X DELETE http://localhost:8000/api/v1/logstream/"
            f"{before.stream} (through kubectl port-forward)"
        )
    if is_other("namespace"):
        yield (
            f"all is made anew in namespace {after.namespace}, and Flux deletes it in {before.namespace}: "
            "both may run for a while; the volume for staging goes after what is in it was uploaded"
        )
        yield (
            f"what is made by hand must be in {after.namespace} first: the Secret, where others give it, "
            "the key of sops where Kustomizations look for it in their own namespace, s3.ca_config_map; the "
            f"Namespace {before.namespace} stays"
        )
    if is_other("parseable"):
        yield (
            f"release {before.parseable} goes and {after.parseable} comes, on the same bucket: both may run "
            f"for a while, which loses nothing; who names Service {before.parseable} must name the new one"
        )
    if is_other("vector"):
        yield (
            f"release {before.vector} goes and {after.vector} comes: on each node the new agent cannot start "
            "before the old one is gone, whose buffer and checkpoints in /var/lib/vector it takes over"
        )
    if is_other("config_map"):
        yield f"ConfigMap {before.config_map} goes, and the pods of Vector are replaced"
    if is_other("secret"):
        yield (
            f"Secret {before.secret} goes: whoever else reads it (a Grafana in another repository, say) must "
            f"read {after.secret}"
        )
    if is_other("days") and before.days is not None and after.days is not None:
        if after.days < before.days:
            yield f"logs older than {after.days} days are deleted at the next midnight, not {before.days}"
        else:
            yield f"logs are kept {after.days} days, not {before.days}: none that is deleted comes back"
