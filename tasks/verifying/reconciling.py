"""`verify --reconcile`: asks Flux to look for the pushed commit now, and not when its interval is over."""

from datetime import UTC, datetime

from tasks.core.console import Console
from tasks.effects.kubectl_change import change
from tasks.live.judgement import short
from tasks.live.kustomizations import source_of
from tasks.live.live import Live
from tasks.live.reading import PLURALS
from tasks.verifying.asking import confirm

# https://fluxcd.io/flux/components/source/gitrepositories/#triggering-a-reconcile
_REQUESTED = "reconcile.fluxcd.io/requestedAt"


def reconcile(live: Live, *, yes: bool, is_dry: bool) -> None:
    """Annotate the sources that do not have the commit, after asking; Flux itself tells what follows them.

    Raises:
        SettingsError: it has to be confirmed, and there is no terminal.
        StepFailedError: it was not approved.
        ClusterError: the cluster refused.
    """
    sources = _behind(live)
    if not sources:
        Console().note(f"Flux has {short(live.wanted.commit)} already")
        return
    for kind, namespace, name in sources:
        step = f"annotate {kind} {name}, so that Flux fetches {short(live.wanted.commit)} now"
        confirm(live.kubectl, namespace, [step], yes=yes, is_dry=is_dry)
        if is_dry:
            continue
        group, plural = PLURALS[kind]
        time = datetime.now(UTC).isoformat()
        change(
            live.kubectl,
            *("annotate", "--overwrite", "-n", namespace, f"{plural}.{group}/{name}"),
            f"{_REQUESTED}={time}",
        )


def _behind(live: Live) -> list[tuple[str, str, str]]:
    """Kind, namespace and name of the sources that do not have the commit."""
    found = dict.fromkeys(
        source_of(data, key)
        for key in live.wanted.kustomizations
        if (data := live.objects.find("Kustomization", *key)) is not None
    )
    there = []
    for source in found:
        data = live.objects.find(*source)
        artifact = (data or {}).get("status", {}).get("artifact", {})
        if data is not None and not live.wanted.has(str(artifact.get("revision") or "")):
            there.append(source)
    return there
