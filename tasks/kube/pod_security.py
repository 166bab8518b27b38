"""What Pod Security admission refuses of a pod, by the level that its namespace enforces.

The levels are those of https://kubernetes.io/docs/concepts/security/pod-security-standards/.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.yaml.documents import dig, items, mapping

ENFORCE = "pod-security.kubernetes.io/enforce"
LEVELS = ("privileged", "baseline", "restricted")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_CAPABILITIES = {
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
}
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
}
_SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def refusals(pod: Mapping[str, Any], level: str) -> list[str]:
    """What ``level`` refuses of the pods of a pod ``spec``; empty if it takes them."""
    if level not in LEVELS[1:]:
        return []
    found = [*_of_pod(pod), *_of_containers(pod)]
    if level == LEVELS[2]:
        found += _restricted(pod)
    return list(dict.fromkeys(found))


def _of_pod(pod: Mapping[str, Any]) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name) is True:
            yield f"{name} is true"
    names = [str(dig(volume, "name")) for volume in items(pod, "volumes") if "hostPath" in volume]
    if names:
        yield f"it mounts folders of the host (hostPath: {', '.join(names)})"
    for one in items(pod, "securityContext", "sysctls"):
        if dig(one, "name") not in _SYSCTLS:
            yield f"sysctl {dig(one, 'name')} is set"
    yield from _of_context("the pod", mapping(pod, "securityContext"))


def _containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for part in _CONTAINERS:
        yield from (one for one in items(pod, part) if isinstance(one, dict))


def _of_containers(pod: Mapping[str, Any]) -> Iterator[str]:
    for container in _containers(pod):
        what = f"container {container.get('name')}"
        context = mapping(container, "securityContext")
        if context.get("privileged") is True:
            yield f"{what} is privileged"
        added = [str(name) for name in items(context, "capabilities", "add")]
        if more := sorted(set(added) - _CAPABILITIES):
            yield f"{what} adds the capabilities {', '.join(more)}"
        if ports := [str(dig(one, "hostPort")) for one in items(container, "ports") if dig(one, "hostPort")]:
            yield f"{what} takes the ports {', '.join(ports)} of the host"
        if context.get("procMount") not in (None, "Default"):
            yield f"{what} has procMount {context['procMount']}"
        yield from _of_context(what, context)


def _of_context(what: str, context: Mapping[str, Any]) -> Iterator[str]:
    if dig(context, "windowsOptions", "hostProcess") is True:
        yield f"{what} is a process of the host"
    for name in ("seccompProfile", "appArmorProfile"):
        if dig(context, name, "type") == "Unconfined":
            yield f"{what} has {name} Unconfined"
    options = mapping(context, "seLinuxOptions")
    if str(options.get("type") or "") not in _SELINUX or options.get("user") or options.get("role"):
        yield f"{what} has seLinuxOptions of its own"


def _restricted(pod: Mapping[str, Any]) -> Iterator[str]:
    for volume in items(pod, "volumes"):
        if kinds := sorted(set(volume) - _VOLUMES - {"name", "hostPath"}):
            yield f"volume {dig(volume, 'name')} is of kind {', '.join(kinds)}"
    around = mapping(pod, "securityContext")
    if around.get("runAsUser") == 0:
        yield "the pod has runAsUser 0"
    for container in _containers(pod):
        what = f"container {container.get('name')}"
        context = mapping(container, "securityContext")
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{what} lacks allowPrivilegeEscalation: false"
        if context.get("runAsNonRoot", around.get("runAsNonRoot")) is not True:
            yield f"{what} lacks runAsNonRoot: true"
        if context.get("runAsUser") == 0:
            yield f"{what} has runAsUser 0"
        profile = dig(context, "seccompProfile", "type") or dig(around, "seccompProfile", "type")
        if profile not in ("RuntimeDefault", "Localhost"):
            yield f"{what} lacks seccompProfile RuntimeDefault"
        if "ALL" not in items(context, "capabilities", "drop"):
            yield f"{what} does not drop ALL capabilities"
        if set(map(str, items(context, "capabilities", "add"))) - {"NET_BIND_SERVICE"}:
            yield f"{what} adds capabilities"
