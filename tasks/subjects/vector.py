"""Vector: its files, what its pipeline is made of, what its account must be allowed."""

from typing import Final

from tasks.subjects.apps import APP_FOLDER, CHART_SOURCE, KS, KUSTOMIZATION, RELEASE, App

RBAC: Final = f"{APP_FOLDER}rbac.yaml"
CONFIG_MAP: Final = f"{APP_FOLDER}configmap.yaml"
VECTOR = App(
    "vector",
    (KS, KUSTOMIZATION, CHART_SOURCE, RBAC, CONFIG_MAP, RELEASE),
    settings=lambda settings: settings.vector,
    charts=lambda layout: layout.vector_charts,
)

# The type of the source that reads the logs of pods, and what it watches:
# https://vector.dev/docs/reference/configuration/sources/kubernetes_logs/
LOG_SOURCE: Final = "kubernetes_logs"
WATCHED = ("pods", "namespaces", "nodes")
