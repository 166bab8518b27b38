"""Small charts with the value contracts of the later real ones: Parseable 3.2.1 and Vector 0.56.0."""

from pathlib import Path

from tests.charts import HELPERS, VECTOR_FILES, write_chart

# Each kind of node has a section of its own; what it does not say is not taken from another.
_VALUES = """\
parseable:
  nameOverride: ""
  deploymentMode: standalone
  image: {repository: quay.io/parseablehq/parseable, tag: "", pullPolicy: IfNotPresent}
  store: {type: local-store, secretName: parseable-env-secret}
  serviceAccount: {create: true, name: parseable, annotations: {}}
  podSecurityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000}
  securityContext: {allowPrivilegeEscalation: false}
  standalone:
    unified: &node
      env: {RUST_LOG: warn, P_CHECK_UPDATE: "false"}
      resources:
        limits: {cpu: 500m, memory: 4Gi}
        requests: {cpu: 250m, memory: 1Gi}
      service: {type: ClusterIP, port: 80}
      persistence:
        staging: {enabled: true, storageClass: "", accessMode: ReadWriteOnce, size: 5Gi}
      podLabels: {app: parseable}
      affinity: {}
      terminationGracePeriodSeconds: 30
      readinessProbe: {httpGet: {path: /api/v1/readiness, port: 8000}}
  distributed:
    ingestor: {<<: *node, replicas: 3}
    querier: {<<: *node, replicas: 1, persistence: {hotTier: {enabled: true, storageClass: "", size: 50Gi}}}
"""

# What a server is told of S3, and its login, is under fixed keys of one Secret; only the keys of S3 may lack.
_NODE = """\
{{- define "own.labels" -}}
{{ include "own.selector" .root }}
app.parseable.com/type: {{ .kind }}
{{- end }}
{{- define "own.node" }}
{{- $p := .root.Values.parseable }}
{{- $name := printf "%s-%s" (include "own.name" .root) .kind }}
{{- $secret := $p.store.secretName }}
{{- $staging := .node.persistence.staging | default dict }}
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}-headless
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "own.labels" . | nindent 4 }}
spec:
  clusterIP: None
  selector: {{- include "own.labels" . | nindent 4 }}
  ports: [{name: parseable-port, port: 8000}]
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}-service
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "own.selector" .root | nindent 4 }}
spec:
  type: {{ .node.service.type }}
  selector: {{- include "own.labels" . | nindent 4 }}
  ports: [{name: http, port: {{ .node.service.port }}, targetPort: 8000, protocol: TCP}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "own.labels" . | nindent 4 }}
spec:
  serviceName: {{ $name }}-headless
  replicas: {{ .node.replicas | default 1 }}
  selector:
    matchLabels: {{- include "own.labels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- toYaml .node.podLabels | nindent 8 }}
        {{- include "own.labels" . | nindent 8 }}
    spec:
      serviceAccountName: {{ $p.serviceAccount.name }}
      terminationGracePeriodSeconds: {{ .node.terminationGracePeriodSeconds }}
      securityContext: {{- toYaml $p.podSecurityContext | nindent 8 }}
      {{- with .node.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if eq .kind "ingestor" }}
      initContainers:
        - name: wait-for-querier
          image: docker.io/curlimages/curl:latest
          command:
            - /bin/sh
            - -c
            - |
              {{- $querier := printf "%s-querier-service" (include "own.name" .root) }}
              until curl -sf http://{{ $querier }}.{{ .root.Release.Namespace }}/api/v1/readiness; do
                sleep 2
              done
      {{- end }}
      containers:
        - name: {{ .root.Chart.Name }}
          image: {{ $p.image.repository }}:{{ $p.image.tag | default .root.Chart.AppVersion }}
          imagePullPolicy: {{ $p.image.pullPolicy }}
          securityContext: {{- toYaml $p.securityContext | nindent 12 }}
          args: [/usr/bin/parseable, {{ $p.store.type | quote }}]
          env:
            - {name: HOSTNAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: P_MODE, value: {{ .mode }}}
            - {name: P_STAGING_DIR, value: /parseable/staging}
            {{- range $variable, $value := .node.env }}
            - {name: {{ $variable }}, value: {{ tpl (toString $value) $.root | quote }}}
            {{- end }}
            {{- range $key := list "addr" "username" "password" }}
            - name: P_{{ $key | upper }}
              valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $key }}}}
            {{- end }}
            {{- if eq $p.store.type "s3-store" }}
            {{- range $key := list "s3.url" "s3.bucket" "s3.region" }}
            - name: P_{{ $key | upper | replace "." "_" }}
              valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $key }}}}
            {{- end }}
            {{- range $key := list "s3.access.key" "s3.secret.key" }}
            - name: P_{{ $key | upper | replace "." "_" }}
              valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $key }}, optional: true}}
            {{- end }}
            {{- end }}
          ports: [{containerPort: 8000}]
          {{- with .node.readinessProbe }}
          readinessProbe: {{- toYaml . | nindent 12 }}
          {{- end }}
          resources: {{- toYaml .node.resources | nindent 12 }}
          volumeMounts: [{name: stage-volume, mountPath: /parseable/staging}]
      {{- if not $staging.enabled }}
      volumes: [{name: stage-volume, emptyDir: {}}]
      {{- end }}
  {{- if $staging.enabled }}
  volumeClaimTemplates:
    - metadata: {name: stage-volume}
      spec:
        accessModes: [{{ $staging.accessMode }}]
        storageClassName: {{ $staging.storageClass | quote }}
        resources: {requests: {storage: {{ $staging.size }}}}
  {{- end }}
---
{{- end }}
"""

_NODES = """\
{{- $p := .Values.parseable }}
{{- if eq $p.deploymentMode "distributed" }}
{{- if eq $p.store.type "local-store" }}
{{- fail "a distributed deployment has no local-store" }}
{{- end }}
{{- include "own.node" (dict "root" . "node" $p.distributed.ingestor "kind" "ingestor" "mode" "ingest") }}
{{- include "own.node" (dict "root" . "node" $p.distributed.querier "kind" "querier" "mode" "query") }}
{{- else }}
{{- include "own.node" (dict "root" . "node" $p.standalone.unified "kind" "standalone" "mode" "all") }}
{{- end }}
{{- if $p.serviceAccount.create }}
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{ $p.serviceAccount.name }}, namespace: {{ .Release.Namespace }}}
{{- end }}
"""

# The contract of Vector's chart did not change in what is set of it.
_CHARTS = (
    (
        "parseable",
        "3.2.1",
        "v3.1.0",
        {"values.yaml": _VALUES, "templates/_node.tpl": _NODE, "templates/nodes.yaml": _NODES},
    ),
    ("vector", "0.56.0", "0.56.0-distroless-libc", VECTOR_FILES),
)


def write_later_charts(folder: Path) -> None:
    """Write the archives ``parseable-3.2.1.tgz`` and ``vector-0.56.0.tgz``."""
    for name, version, application, files in _CHARTS:
        write_chart(folder, name, version, {"templates/_own.tpl": HELPERS, **files}, application)
