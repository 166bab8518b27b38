"""What differs, in lines for a person and as data."""

from collections.abc import Iterator, Sequence

from tasks.core.redaction import redacted
from tasks.kube.comparison import Difference, Kind
from tasks.kube.keys import Key

# Of the values of one object; the plan has the diffs.
_MOST = 4


def lines(found: Sequence[Difference]) -> Iterator[str]:
    """One line for each object, and below it what comes of that."""
    for one in found:
        taken = f" → {_short(one.after.key, one.key)}" if one.kind is Kind.REPLACED and one.after else ""
        yield f"{one.kind:<9} {one.key}{taken}"
        yield from (f"    {text}" for text in consequences(one))


def consequences(one: Difference) -> Iterator[str]:
    """What a difference means, the weightiest first."""
    if one.blocks:
        yield f"the API server refuses to change {', '.join(one.immutable)}: it must be deleted first"
    elif one.immutable:
        yield f"Flux deletes it and makes it anew, for {', '.join(one.immutable)} cannot be changed"
    if one.kind is Kind.REMOVED and one.key.kind == "PersistentVolumeClaim":
        yield (
            "it stays in the cluster, and nothing uses it"
            if one.is_kept
            else "it is deleted, with what is on it, unless its StorageClass has reclaimPolicy: Retain"
        )
    elif one.kind is Kind.REMOVED and one.is_kept:
        yield "it stays in the cluster"
    if one.lost_keys:
        yield f"it loses the keys {', '.join(one.lost_keys)}: who reads them does not start any more"
    for storage in one.lost:
        yield f"its pods no longer use {storage}"
    for name, was, is_now in one.images:
        yield redacted(f"image of {name}: {was or 'none'} → {is_now or 'none'}")
    if one.callers:
        yield f"addressed by {_listed(one.callers)}"
    if one.left:
        yield f"still addressed, in vain, by {_listed(one.left)}"
    fields = [path for path in one.fields if not (one.images and path.endswith(".image"))]
    if fields:
        more = f" and {len(fields) - _MOST} more" if len(fields) > _MOST else ""
        yield f"changes: {', '.join(fields[:_MOST])}{more}"
    if one.rolls and one.kind is Kind.CHANGED:
        yield "its pods are replaced"


def data(one: Difference) -> dict[str, object]:
    """A difference as JSON."""
    return {
        "kind": one.kind.value,
        "object": str(one.key),
        "becomes": str(one.after.key) if one.kind is Kind.REPLACED and one.after else None,
        "blocks": one.blocks,
        "immutable": list(one.immutable),
        "images": [
            {"container": name, "before": redacted(was), "after": redacted(is_now)}
            for name, was, is_now in one.images
        ],
        "lost": [str(storage) for storage in one.lost],
        "callers": [str(key) for key in one.callers],
        "still_calling": [str(key) for key in one.left],
        "fields": list(one.fields),
        "consequences": list(consequences(one)),
    }


def _short(key: Key, like: Key) -> str:
    return f"{key.kind} {key.name}" if key.namespace == like.namespace else str(key)


def _listed(keys: Sequence[Key]) -> str:
    return ", ".join(str(key) for key in keys)
