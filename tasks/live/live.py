"""The running cluster as the checks of one run see it: read once, when it is first asked about."""

from dataclasses import replace
from functools import cached_property

from tasks.core.errors import PlaybookError
from tasks.effects.kubectl import Kubectl
from tasks.live.judgement import Judgement, State, name_of
from tasks.live.objects import Object, Objects
from tasks.live.reading import read
from tasks.live.rollout import judge_flux, judge_pods
from tasks.live.wanted import Wanted
from tasks.live.workloads import judge_started, workloads_of


class Live:
    """What ``kubectl`` tells of what is ``wanted``."""

    def __init__(self, kubectl: Kubectl, wanted: Wanted) -> None:
        self.kubectl = kubectl
        self.wanted = wanted
        self._seen: dict[str, str] = {}

    @property
    def objects(self) -> Objects:
        """All objects on the way of the commit.

        Raises:
            ClusterError: the cluster cannot be asked.
        """
        if isinstance(self._objects, PlaybookError):
            raise self._objects
        return self._objects

    @cached_property
    def _objects(self) -> Objects | PlaybookError:
        """The objects, or why there are none: who does not answer is not asked again by each check."""
        try:
            return read(self.kubectl, self.wanted)
        except PlaybookError as error:
            return error

    def look_again(self) -> Objects:
        """Read everything anew; what was wrong with pods is remembered.

        A rollback puts healthy pods in the place of sick ones, and the release then only says that its time
        was over.

        Raises:
            ClusterError: the cluster cannot be asked.
        """
        for read_before in ("_objects", "flux", "pods"):
            self.__dict__.pop(read_before, None)
        releases = {
            name_of(one): f"HelmRelease {release.key[0]}/{release.key[1]}"
            for release in self.wanted.releases
            for one in workloads_of(self.objects, release.key, release.namespace)
        }
        for one in self.pods:
            if one.about in releases and (one.state is State.FAIL or " restart" in one.evidence):
                self._seen[releases[one.about]] = one.line
        return self.objects

    @cached_property
    def flux(self) -> list[Judgement]:
        """What is known of each source, Kustomization and HelmRelease."""
        return [self._with_memory(one) for one in judge_flux(self.objects, self.wanted)]

    def _with_memory(self, judged: Judgement) -> Judgement:
        seen = self._seen.get(judged.about)
        if seen is None or judged.state is not State.FAIL or "deadline exceeded" not in judged.evidence:
            return judged
        return replace(judged, evidence=f"{judged.evidence}; seen before: {seen}")

    @cached_property
    def pods(self) -> list[Judgement]:
        """What is known of the pods of each release."""
        return judge_pods(self.objects, self.wanted)

    @cached_property
    def nodes(self) -> list[Object]:
        """The nodes of the cluster.

        Raises:
            ClusterError: they may not be listed.
        """
        return list(self.kubectl.items(self.kubectl.path("", "nodes")))

    @property
    def started(self) -> list[Judgement]:
        """Whether pods were started with what they read."""
        return [found for _, one in self.workloads for found in judge_started(self.objects, one)]

    @property
    def workloads(self) -> list[tuple[str, Object]]:
        """The workloads of each release, with the task that writes it."""
        return [
            (release.task, one)
            for release in self.wanted.releases
            for one in workloads_of(self.objects, release.key, release.namespace)
        ]
