import copy
from typing import Any

import pytest

from tasks.kube.pod_security import refusals

# What the level restricted asks for.
GOOD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "a",
            "ports": [{"containerPort": 80}],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            },
        }
    ],
    "volumes": [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "x"}}],
}


def changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    pod = copy.deepcopy(GOOD)
    place: Any = pod
    for key in path[:-1]:
        place = place[key] if isinstance(key, int) else place.setdefault(key, {})
    place[path[-1]] = value
    return pod


CONTEXT = ("containers", 0, "securityContext")


@pytest.mark.parametrize(
    ("path", "value", "by"),
    [
        (("hostNetwork",), True, "baseline"),
        (("hostNetwork",), False, ""),
        (("hostPID",), True, "baseline"),
        (("hostIPC",), True, "baseline"),
        (("volumes", 0), {"name": "v", "hostPath": {"path": "/x"}}, "baseline"),
        (("volumes", 0), {"name": "v", "nfs": {"server": "x"}}, "restricted"),
        (("volumes", 0), {"name": "v", "persistentVolumeClaim": {"claimName": "x"}}, ""),
        ((*CONTEXT, "privileged"), True, "baseline"),
        ((*CONTEXT, "privileged"), False, ""),
        ((*CONTEXT, "capabilities"), {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "baseline"),
        ((*CONTEXT, "capabilities"), {"drop": ["ALL"], "add": ["CHOWN"]}, "restricted"),
        ((*CONTEXT, "capabilities"), {"drop": ["CHOWN"]}, "restricted"),
        (("containers", 0, "ports"), [{"containerPort": 80, "hostPort": 80}], "baseline"),
        (("containers", 0, "ports"), [{"containerPort": 80, "hostPort": 0}], ""),
        ((*CONTEXT, "procMount"), "Unmasked", "baseline"),
        ((*CONTEXT, "seccompProfile"), {"type": "Unconfined"}, "baseline"),
        ((*CONTEXT, "seccompProfile"), {"type": "Localhost"}, ""),
        (("securityContext", "seccompProfile"), {}, "restricted"),
        (("securityContext", "appArmorProfile"), {"type": "Unconfined"}, "baseline"),
        (("securityContext", "sysctls"), [{"name": "kernel.msgmax", "value": "1"}], "baseline"),
        (("securityContext", "sysctls"), [{"name": "net.ipv4.tcp_rmem", "value": "1"}], ""),
        (("securityContext", "seLinuxOptions"), {"type": "spc_t"}, "baseline"),
        (("securityContext", "seLinuxOptions"), {"type": "container_t"}, ""),
        (("securityContext", "windowsOptions"), {"hostProcess": True}, "baseline"),
        ((*CONTEXT, "allowPrivilegeEscalation"), True, "restricted"),
        (("securityContext", "runAsNonRoot"), False, "restricted"),
        ((*CONTEXT, "runAsNonRoot"), False, "restricted"),
        ((*CONTEXT, "runAsUser"), 0, "restricted"),
        ((*CONTEXT, "runAsUser"), 1000, ""),
        (("securityContext", "runAsUser"), 0, "restricted"),
        (("initContainers",), [{"name": "i", "securityContext": {"privileged": True}}], "baseline"),
    ],
)
def test_levels(path: tuple[str | int, ...], value: Any, by: str) -> None:
    pod = changed(path, value)
    assert bool(refusals(pod, "baseline")) is (by == "baseline")
    assert bool(refusals(pod, "restricted")) is bool(by)
    assert refusals(pod, "privileged") == []
