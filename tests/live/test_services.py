"""The services are found in the cluster, reached and logged in to, with the real kubectl for all but pods."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.effects.kubectl import ClusterError, ForbiddenError, NotFoundError
from tasks.effects.port_forward import Forwards, Target
from tasks.live.parseable import Parseable
from tasks.live.services import NoLoginError, Services
from tests.kubectl_double import KubectlDouble, kubectl
from tests.live.lab import ADMIN, PASSWORD, Lab, event, from_secret, grafana, running, secret, thing

__all__ = ["kubectl"]

PLUGIN = "parseable-parseable-datasource"


@pytest.fixture
def lab(kubectl: KubectlDouble, tmp_path: Path) -> Iterator[Lab]:
    with running(kubectl, tmp_path) as found:
        yield found


def parseable(services: Services, secret: str = "parseable-s3-secret") -> Parseable:
    url = "http://parseable.monitoring.svc.cluster.local:8000"
    return services.parseable(url, "kubernetes", secret=secret, keys=("username", "password"))


def test_every_service_is_reached(lab: Lab) -> None:
    services = lab.services()
    lab.parseable.take("kubernetes", event())
    assert parseable(services).streams() == ["kubernetes"]
    ((prometheus, about),) = services.prometheuses("monitoring")
    assert (prometheus.samples("up"), about["metadata"]["name"]) == ([], "stack")
    assert services.grafana("monitoring").plugin_version(PLUGIN) == "1.1.0"
    assert len(lab.kubectl.calls) == 3
    lab.forwards.close()
    assert not lab.kubectl.is_running()


def test_no_secret_is_read_unless_that_is_asked_for(lab: Lab) -> None:
    services = lab.services(may_read_logins=False)
    assert parseable(services).is_ready()
    for ask in (parseable(services).streams, lambda: services.grafana("monitoring")):
        with pytest.raises(NoLoginError, match="was not read") as caught:
            ask()
        assert caught.value.hint == "invoke verify --read-logins"
    assert not [one for one in lab.cluster.requests if "/secrets/" in one.path]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"username": "logs"}, "Secret monitoring/other has no key password"),
        ({"username": "logs", "password": "ENC[AES256_GCM,data:x]"}, "is still encrypted by sops"),
    ],
    ids=["no key", "ciphertext"],
)
def test_a_secret_without_a_login(lab: Lab, given: dict[str, str], told: str) -> None:
    lab.cluster.put(secret("other", **given))
    asked = parseable(lab.services(), "other")
    assert asked.is_ready()
    with pytest.raises(ClusterError, match=told) as caught:
        asked.streams()
    assert "ENC[AES" not in str(caught.value)


def test_what_the_reader_may_not(lab: Lab) -> None:
    lab.cluster.rules = {"monitoring": [{"apiGroups": [""], "resources": ["services"], "verbs": ["get"]}]}
    services = lab.services()
    with pytest.raises(ForbiddenError, match='cannot get resource "secrets"'):
        parseable(services).streams()
    with pytest.raises(ForbiddenError, match='cannot list resource "prometheuses"'):
        services.prometheuses("monitoring")


def test_prometheus_in_another_namespace_or_without_its_operator(lab: Lab) -> None:
    lab.cluster.remove("Prometheus", "monitoring", "stack")
    spec = {"routePrefix": "/prometheus"}
    lab.cluster.put(thing("monitoring.coreos.com/v1", "Prometheus", "main", "observability", spec=spec))
    lab.kubectl.forward("observability/pod/prometheus-main-0:9090", says="error: pod not found")
    ((found, about),) = lab.services().prometheuses("monitoring")
    assert (found.service.name, about["spec"]) == ("Prometheus observability/main", spec)
    lab.cluster.remove("Prometheus", "observability", "main")
    assert lab.services().prometheuses("monitoring") == []
    labels = {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "server"}
    lab.cluster.put(thing("v1", "Service", "p-server", "apps", labels=labels, spec={"ports": [{"port": 80}]}))
    ((found, _),) = lab.services().prometheuses("monitoring")
    assert found.service.name == "Prometheus apps/p-server"


@pytest.mark.parametrize(
    ("workload", "is_given"),
    [
        (
            grafana(
                {"name": "GF_SECURITY_ADMIN_USER", "value": "admin"},
                {"name": "GF_SECURITY_ADMIN_PASSWORD", "value": ADMIN},
            ),
            True,
        ),
        (grafana(envFrom=[{"secretRef": {"name": "grafana-env"}}], name="other"), True),
        (grafana(from_secret("GF_SECURITY_ADMIN_PASSWORD", "grafana-admin", "password")), True),
        (grafana(), False),
    ],
    ids=["values", "whole Secret", "default user", "none"],
)
def test_grafanas_login_is_that_of_its_container(lab: Lab, workload: dict[str, Any], is_given: bool) -> None:
    lab.cluster.put(workload, secret("grafana-env", GF_SECURITY_ADMIN_PASSWORD=ADMIN))
    if is_given:
        assert lab.services().grafana("monitoring").plugin_version(PLUGIN) == "1.1.0"
        return
    with pytest.raises(ClusterError, match="gives Grafana no login of an administrator"):
        lab.services().grafana("monitoring")


def test_no_grafana(lab: Lab) -> None:
    lab.cluster.remove("Deployment", "monitoring", "grafana")
    lab.cluster.put(grafana(name="server", image="registry.test/grafana-image-renderer:3"))
    with pytest.raises(NotFoundError, match="nothing in namespace monitoring runs Grafana"):
        lab.services().grafana("monitoring")


def test_the_words_of_the_real_kubectl(lab: Lab) -> None:
    (lab.kubectl.folder / "kubectl").unlink()
    forwards = Forwards(lab.door.arguments)
    with pytest.raises(NotFoundError, match='services "other" not found'):
        forwards.url(Target("monitoring", "service/other", 1))
    lab.cluster.rules = {}
    with pytest.raises(ForbiddenError, match='cannot get resource "services"'):
        forwards.url(Target("monitoring", "service/parseable", 8000))
    forwards.close()


def test_no_password_is_in_any_representation(lab: Lab) -> None:
    services = lab.services()
    shown = repr([parseable(services).service.login, services.grafana("monitoring").service.__dict__])
    assert PASSWORD not in shown
    assert ADMIN not in shown
