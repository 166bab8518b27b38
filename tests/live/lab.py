"""A cluster with the deployed services: API server, kubectl, Parseable, Prometheus, Grafana, as doubles."""

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.core.credentials import Secret
from tasks.effects.kubectl import Kubectl
from tasks.effects.port_forward import Forwards
from tasks.live.asking import Login
from tasks.live.services import Services
from tests import api_double, registry_double
from tests.api_double import Cluster
from tests.kubectl_double import KubectlDouble
from tests.parseable_double import Ingestion
from tests.parseable_server import Server
from tests.services_double import GrafanaDouble, PrometheusDouble

PASSWORD = "never-shown-5311"
ADMIN = "grafana-5311"
LOGIN = Login(Secret("logs"), Secret(PASSWORD), "a test")
FORWARDS = {
    "parseable": "monitoring/service/parseable:8000",
    "prometheus": "monitoring/pod/prometheus-stack-0:9090",
    "grafana": "monitoring/deployment/grafana:3000",
}


def secret(name: str, **values: str) -> dict[str, Any]:
    """A Secret as the API server has it."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return thing("v1", "Secret", name, data=data)


def thing(version: str, kind: str, name: str, namespace: str = "monitoring", **more: Any) -> dict[str, Any]:
    """An object."""
    labels = more.pop("labels", {})
    about = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": about, **more}


def event(namespace: str = "apps", **more: Any) -> dict[str, Any]:
    """An event as the pipeline sends it."""
    return {
        "message": "hello",
        "k8s_namespace": namespace,
        "k8s_pod_name": "web-1",
        "k8s_container_name": "web",
        "k8s_node_name": "node-1",
        "fingerprint": "f1",
        **more,
    }


def grafana(*variables: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The Deployment of Grafana as its chart makes it."""
    container = {
        "name": "grafana",
        "image": "docker.io/grafana/grafana:11.4.0",
        "ports": [{"name": "grafana", "containerPort": 3000}, {"name": "gossip-tcp", "containerPort": 9094}],
        "env": list(variables),
        **more,
    }
    return thing("apps/v1", "Deployment", "grafana", spec={"template": {"spec": {"containers": [container]}}})


def from_secret(variable: str, name: str, key: str) -> dict[str, Any]:
    """A variable that is taken from a Secret."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


@dataclass
class Lab:
    """The doubles, and the doors to them."""

    cluster: Cluster
    parseable: Server
    prometheus: PrometheusDouble
    grafana: GrafanaDouble
    kubectl: KubectlDouble
    kubeconfig: Path
    door: Kubectl
    forwards: Forwards
    requests: dict[str, list[registry_double.Request]] = field(default_factory=dict)
    parseable_url: str = ""

    def services(self, *, may_read_logins: bool = True) -> Services:
        """The services, as a run would ask them."""
        return Services(self.door, self.forwards, may_read_logins=may_read_logins)


@contextmanager
def running(kubectl: KubectlDouble, folder: Path) -> Iterator[Lab]:
    """Have all of it run, healthy, while the block does."""
    parseable = Server(Ingestion("logs", PASSWORD))
    prometheus = PrometheusDouble()
    front = GrafanaDouble(parseable, password=ADMIN, login=LOGIN.header)
    requests: dict[str, list[registry_double.Request]] = {}
    urls: dict[str, str] = {}
    with ExitStack() as stack:
        cluster = stack.enter_context(api_double.serving(Cluster()))
        doubles: dict[str, Callable[[registry_double.Request], registry_double.Reply]]
        doubles = {"parseable": parseable, "prometheus": prometheus, "grafana": front}
        for name, double in doubles.items():
            server = stack.enter_context(registry_double.serving(double))
            kubectl.forward(FORWARDS[name], server.url)
            requests[name], urls[name] = server.requests, server.url
        cluster.put(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}},
            secret("parseable-s3-secret", username="logs", password=PASSWORD),
            secret("grafana-admin", user="admin", password=ADMIN),
            thing("v1", "Service", "parseable", spec={"ports": [{"port": 8000}]}),
            thing("monitoring.coreos.com/v1", "Prometheus", "stack", spec={}),
            grafana(
                from_secret("GF_SECURITY_ADMIN_USER", "grafana-admin", "user"),
                from_secret("GF_SECURITY_ADMIN_PASSWORD", "grafana-admin", "password"),
            ),
        )
        file = api_double.kubeconfig(folder / "kubeconfig", {"lab": cluster.url}, current="lab")
        door = stack.enter_context(Kubectl(kubeconfig=str(file), context=None))
        forwards = Forwards(door.arguments)
        stack.callback(forwards.close)
        doors = (kubectl, file, door, forwards)
        yield Lab(cluster, parseable, prometheus, front, *doors, requests, urls["parseable"])
