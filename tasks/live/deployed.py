"""What one run asks of the deployed services: each question once, with its answer or why there is none."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from tasks.core.errors import UnavailableError
from tasks.effects.api_errors import ClusterError, UnauthorizedError, UnreachableError
from tasks.live import arrivals
from tasks.live.arrivals import Arrivals, Repeated
from tasks.live.grafana import Grafana
from tasks.live.parseable import Parseable, moment
from tasks.live.prometheus import Prometheus
from tasks.live.services import Services
from tasks.subjects.parseable import LOGIN, query_url
from tasks.workspace import Workspace
from tasks.yaml.documents import dig, items, mapping

T = TypeVar("T")

WINDOW = 15  # minutes of logs that are looked at
_RECENT = 5  # minutes in which lines are counted one by one
_MOST_PODS = 2000  # in one part of a list
_LOOKED_AT = 2  # pods whose logs are read, of Vector and of each silent namespace
_SILENT = 8  # namespaces that are looked at
# A line may take so long to arrive: a new pod's first one, and a minute that is being uploaded.
_ON_ITS_WAY = timedelta(seconds=90)
_EXCLUDED = "vector.dev/exclude"
# What Vector's sink says of an answer that it does not like (src/sinks/util/http.rs, HttpRetryLogic).
_STATUS = re.compile(r"(?:\bstatus: |reason=\")(\d{3})\b")
_COMPLAINT = re.compile(r"\b(?:WARN|ERROR)\b")


@dataclass(frozen=True)
class Silent:
    """A namespace of which nothing arrived, although a pod wrote a line at ``at``."""

    namespace: str
    pod: str
    at: datetime


class Deployed:
    """The services of one workspace's cluster.

    Every method raises ``UnavailableError`` where it has no answer. That is not asked for again: a port that
    does not get ready takes its time.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._settings = workspace.settings
        self._kubectl = workspace.kubectl
        self.services = Services(
            workspace.kubectl, workspace.forwards, may_read_logins=workspace.may_read_logins
        )
        self._known: dict[str, Any] = {}

    def _once(self, question: str, ask: Callable[[], T]) -> T:
        if question not in self._known:
            try:
                self._known[question] = ask()
            except UnavailableError as error:
                self._known[question] = error
        found = self._known[question]
        if isinstance(found, UnavailableError):
            raise found
        return found  # type: ignore[no-any-return]

    # Parseable --------------------------------------------------------------------------------------------

    @property
    def parseable(self) -> Parseable:
        """Its server that answers queries."""
        parseable = self._settings.parseable
        return self._once(
            "parseable",
            lambda: self.services.parseable(
                query_url(self._workspace), parseable.stream, secret=parseable.secret, keys=LOGIN
            ),
        )

    def _of_parseable(self, question: str, ask: Callable[[], T]) -> T:
        # Where there is no way to it, each question would try to open one.
        self._once("way to Parseable", self.parseable.service.reach)
        return self._once(question, ask)

    def is_ready(self) -> bool:
        """Whether Parseable is ready, which it is only if S3 answers it."""
        return self._of_parseable("ready", self.parseable.is_ready)

    def streams(self) -> list[str]:
        """The streams that it has."""
        return self._of_parseable("streams", self.parseable.streams)

    def retention_days(self) -> int | None:
        """The days after which it deletes; None if it never does."""
        return self._of_parseable("retention", self.parseable.retention_days)

    def arrivals(self) -> Arrivals:
        """What came in the last minutes, by namespace."""
        return self._of_parseable("arrivals", lambda: arrivals.by_namespace(self.parseable, WINDOW))

    def repeated(self) -> Repeated:
        """How often lines came in the last minutes."""
        return self._of_parseable("repeated", lambda: arrivals.repeated(self.parseable, _RECENT))

    def rate(self) -> float:
        """Events a second that came in the busiest of the last minutes."""
        return self._of_parseable("rate", lambda: arrivals.busiest(self.parseable, WINDOW))

    # Grafana and Prometheus -------------------------------------------------------------------------------

    def grafana(self, namespace: str) -> Grafana:
        """The Grafana that runs in ``namespace``."""
        return self._once("grafana", lambda: self.services.grafana(namespace))

    def prometheuses(self) -> list[tuple[Prometheus, Mapping[str, Any]]]:
        """The Prometheus servers, each with its object."""
        namespace = self._workspace.layout.namespace
        return self._once("prometheuses", lambda: self.services.prometheuses(namespace))

    # Pods and their logs ----------------------------------------------------------------------------------

    def running_pods(self) -> Mapping[str, list[Mapping[str, Any]]]:
        """The pods that run and whose logs are to be collected, by namespace."""

        def listed() -> dict[str, list[Mapping[str, Any]]]:
            found: dict[str, list[Mapping[str, Any]]] = {}
            running = self._kubectl.items("/api/v1/pods", fields="status.phase=Running", limit=_MOST_PODS)
            for pod in running:
                if str(mapping(pod, "metadata", "labels").get(_EXCLUDED)) != "true":
                    found.setdefault(str(dig(pod, "metadata", "namespace")), []).append(pod)
            return found

        return self._once("pods", listed)

    def silent(self, arrived: Mapping[str, object]) -> tuple[list[Silent], list[str]]:
        """The namespaces that are not among those that ``arrived``, although a pod there wrote something.

        Beside them those of which that is not known: too many, or their logs may not be read.
        """

        def looked_at() -> tuple[list[Silent], list[str]]:
            missing = sorted(set(self.running_pods()) - set(arrived))
            found, unseen = [], missing[_SILENT:]
            for name in missing[:_SILENT]:
                try:
                    last = self._last_line(name, self.running_pods()[name])
                except (UnreachableError, UnauthorizedError):
                    raise
                except ClusterError:  # forbidden, gone by now, or not started yet
                    unseen.append(name)
                    continue
                found += [] if last is None else [last]
            return found, sorted(unseen)

        return self._once(f"silent {sorted(arrived)}", looked_at)

    def _last_line(self, namespace: str, pods: list[Mapping[str, Any]]) -> Silent | None:
        """A line of one of ``pods`` that should have arrived by now; None if there is none."""
        now = datetime.now(UTC)
        for pod in pods[:_LOOKED_AT]:
            name = str(dig(pod, "metadata", "name"))
            for container in items(pod, "spec", "containers")[:1]:
                query = f"timestamps=true&tailLines=20&sinceSeconds={(WINDOW - 5) * 60}"
                log = self._log(namespace, name, f"container={quote(str(dig(container, 'name')))}&{query}")
                times = [moment(line.partition(" ")[0]) for line in log.splitlines()]
                due = [at for at in times if at is not None and now - at > _ON_ITS_WAY]
                if due:
                    return Silent(namespace, name, max(due))
        return None

    def refusals(self) -> Counter[int]:
        """The HTTP statuses that Vector's pods complain of, with how often; empty where they do not."""

        def counted() -> Counter[int]:
            namespace = self._workspace.layout.namespace
            path = self._kubectl.path("", "pods", namespace)
            found: Counter[int] = Counter()
            for pod in self._kubectl.items(path, labels="app.kubernetes.io/name=vector")[:_LOOKED_AT]:
                log = self._log(
                    namespace, str(dig(pod, "metadata", "name")), f"tailLines=200&sinceSeconds={WINDOW * 60}"
                )
                for line in log.splitlines():
                    if _COMPLAINT.search(line):
                        found.update(int(one) for one in _STATUS.findall(line))
            return found

        return self._once("refusals", counted)

    def _log(self, namespace: str, pod: str, query: str) -> str:
        return self._kubectl.text(f"{self._kubectl.path('', 'pods', namespace, pod)}/log?{query}")
