"""The deployed services as one run asks them: found in the cluster, reached by forwarded ports, logged in."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from tasks.core.errors import UnavailableError
from tasks.effects.kubectl import ClusterError, Kubectl, NotFoundError, NotInstalledError
from tasks.effects.port_forward import Forwards, Target
from tasks.live.asking import Login, Service
from tasks.live.grafana import Grafana
from tasks.live.logins import login_in, login_of
from tasks.live.parseable import Parseable
from tasks.live.prometheus import Prometheus
from tasks.yaml.documents import dig, items, mapping

# Where the operator has every Prometheus listen, unless it is given a name for its port only.
_PROMETHEUS_PORT = 9090
_GRAFANA_PORT = 3000
_GRAFANA_PORTS = ("grafana", "grafana-http", "http", "service")
# https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/#security
_ADMIN = ("GF_SECURITY_ADMIN_USER", "GF_SECURITY_ADMIN_PASSWORD")
FLAG = "--read-logins"
_MOST = 3  # of what may be the right Prometheus


class NoLoginError(ClusterError):
    """A login is needed, and nobody asked for Secrets to be read."""


class Services:
    """Finds each service in the cluster; ``may_read_logins`` says that Secrets with logins may be read."""

    def __init__(self, kubectl: Kubectl, forwards: Forwards, *, may_read_logins: bool) -> None:
        self._kubectl = kubectl
        self._forwards = forwards
        self._may_read_logins = may_read_logins
        self._secrets: dict[tuple[str, str], Mapping[str, Any]] = {}

    def parseable(self, url: str, stream: str, *, secret: str, keys: tuple[str, str]) -> Parseable:
        """Parseable behind its URL inside the cluster, with the login under ``keys`` of a Secret beside it.

        Where there is no login, its readiness can still be asked.
        """
        parts = urlsplit(url)
        name, namespace = str(parts.hostname).split(".")[:2]
        target = Target(namespace, f"service/{name}", parts.port or 80)
        try:
            login: Login | UnavailableError = self._login(namespace, secret, keys)
        except UnavailableError as error:
            login = error
        hint = "see the check of it: invoke verify --only login"
        return Parseable(self._service("Parseable", target, login, hint), stream)

    def _login(self, namespace: str, secret: str, keys: tuple[str, str]) -> Login:
        self._check_permission("Parseable")
        return login_in(self.secret(namespace, secret), *keys)

    def _check_permission(self, name: str) -> None:
        if not self._may_read_logins:
            raise NoLoginError(f"the login of {name} was not read", f"invoke verify {FLAG}")

    def prometheuses(self, namespace: str) -> list[tuple[Prometheus, Mapping[str, Any]]]:
        """The Prometheus servers of the cluster, those of ``namespace`` first, each with its object.

        That is what the operator runs (monitoring.coreos.com), else Services that are labelled so.

        Raises:
            ClusterError: the cluster does not say.
        """
        found = list(self._of_operator(namespace)) or list(self._labelled())
        return sorted(found, key=lambda pair: dig(pair[1], "metadata", "namespace") != namespace)[:_MOST]

    def _of_operator(self, namespace: str) -> Iterator[tuple[Prometheus, Mapping[str, Any]]]:
        try:
            listed = self._kubectl.path("monitoring.coreos.com", "prometheuses", namespace)
            everywhere = self._kubectl.path("monitoring.coreos.com", "prometheuses")
        except NotInstalledError:
            return
        for one in self._kubectl.items(listed) or self._kubectl.items(everywhere):
            name, where = str(dig(one, "metadata", "name")), str(dig(one, "metadata", "namespace"))
            target = Target(where, f"pod/prometheus-{name}-0", _PROMETHEUS_PORT)
            prefix = str(dig(one, "spec", "routePrefix") or "")
            yield Prometheus(self._service(f"Prometheus {where}/{name}", target), prefix), one

    def _labelled(self) -> Iterator[tuple[Prometheus, Mapping[str, Any]]]:
        for one in self._kubectl.items("/api/v1/services", labels="app.kubernetes.io/name=prometheus"):
            ports = items(one, "spec", "ports")
            if ports and dig(one, "metadata", "labels", "app.kubernetes.io/component") in (None, "server"):
                name, where = str(dig(one, "metadata", "name")), str(dig(one, "metadata", "namespace"))
                target = Target(where, f"service/{name}", int(dig(ports, 0, "port")))
                yield Prometheus(self._service(f"Prometheus {where}/{name}", target)), one

    def grafana(self, namespace: str) -> Grafana:
        """The Grafana that runs in ``namespace``, with the login that its container is given.

        Raises:
            NoLoginError: logins may not be read.
            NotFoundError: nothing there runs Grafana.
            ClusterError: the login cannot be read, or its container is given none.
        """
        self._check_permission("Grafana")
        for plural in ("deployments", "statefulsets"):
            for one in self._kubectl.items(self._kubectl.path("apps", plural, namespace)):
                container = _runs_grafana(one)
                if container is None:
                    continue
                login = login_of(one, *_ADMIN, self.secret)
                name = str(dig(one, "metadata", "name"))
                if login is None:
                    raise ClusterError(
                        f"{namespace}/{name} gives Grafana no login of an administrator",
                        f"set {_ADMIN[1]} from a Secret",
                    )
                target = Target(namespace, f"{plural.removesuffix('s')}/{name}", _port_of(container))
                hint = f"it was changed in Grafana itself: set it there to what {login.origin} has"
                return Grafana(self._service("Grafana", target, login, hint))
        raise NotFoundError(
            f"nothing in namespace {namespace} runs Grafana", f"kubectl get pods -n {namespace}"
        )

    def secret(self, namespace: str, name: str) -> Mapping[str, Any]:
        """A Secret, which is read once.

        Raises:
            ClusterError: it cannot be read, or is not there.
        """
        key = namespace, name
        if key not in self._secrets:
            self._secrets[key] = self._kubectl.get(self._kubectl.path("", "secrets", namespace, name))
        return self._secrets[key]

    def _service(
        self, name: str, target: Target, login: Login | UnavailableError | None = None, login_hint: str = ""
    ) -> Service:
        return Service(name, lambda: self._forwards.url(target), login, login_hint)


def _runs_grafana(workload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The container of a workload that runs Grafana; None if there is none."""
    for container in items(workload, "spec", "template", "spec", "containers"):
        image = str(dig(container, "image")).partition("@")[0].rpartition(":")[0] or str(
            dig(container, "image")
        )
        if dig(container, "name") == "grafana" or image.rpartition("/")[2] in ("grafana", "grafana-oss"):
            return mapping(container)
    return None


def _port_of(container: Mapping[str, Any]) -> int:
    """Where Grafana listens in its container."""
    named = {dig(one, "name"): dig(one, "containerPort") for one in items(container, "ports")}
    ports = [named[name] for name in _GRAFANA_PORTS if isinstance(named.get(name), int)]
    return int(ports[0]) if ports else _GRAFANA_PORT
