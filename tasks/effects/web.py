"""Questions to the network whose answers do not change with the repository: each is asked once in a run."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from tasks.effects import http, images
from tasks.effects.helm import Chart, Helm

T = TypeVar("T")


class Web:
    """Registries, chart repositories and URLs; what was answered is kept, a missing answer is not."""

    def __init__(self, helm: Helm) -> None:
        self._helm = helm
        self._answers: dict[object, Any] = {}
        self._lock = Lock()

    def has_image(self, image: images.Image) -> bool:
        """Whether the registry of ``image`` has it.

        Raises:
            OfflineError: it did not answer.
        """
        return self._once(("image", image), lambda: images.exists(image))

    def fetch(self, chart: Chart) -> Path:
        """The archive of ``chart``, as its repository has it now.

        Raises:
            ChartError: the repository does not list it.
            OfflineError: it did not answer.
        """
        return self._once(("chart", chart), lambda: self._helm.fetch(chart, fresh=True))

    def status_of(self, url: str) -> int:
        """The HTTP status that ``url`` answers with, redirects followed.

        Raises:
            OfflineError: it did not answer.
        """
        return self._once(("url", url), lambda: http.ask(url).status)

    def _once(self, key: object, ask: Callable[[], T]) -> T:
        with self._lock:
            if key in self._answers:
                found: T = self._answers[key]
                return found
        answer = ask()
        with self._lock:
            self._answers[key] = answer
        return answer
