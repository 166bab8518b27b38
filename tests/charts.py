"""Small charts with the value contracts of the real ones: what a key does, and what it cannot be."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

# In all of them: the name and the labels of everything in a release. A release called like the chart, or
# like "logs-parseable", gives its own name; any other one gets the chart's name behind it.
HELPERS = """\
{{- define "own.name" -}}
{{- contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) -}}
{{- end }}
{{- define "own.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "own.meta" -}}
name: {{ include "own.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "own.selector" . | nindent 2 }}
  app.kubernetes.io/managed-by: Helm
{{- end }}
"""

_PARSEABLE_VALUES = """\
parseable:
  image: {repository: containers.parseable.com/parseable/parseable, tag: v1.6.3, pullPolicy: Always}
  store: local-store
  highAvailability: {enabled: false}
  env: {RUST_LOG: warn}
  persistence:
    staging: {enabled: false, storageClass: "", accessMode: ReadWriteOnce, size: 1Gi}
    data: {enabled: false, storageClass: "", accessMode: ReadWriteOnce, size: 1Gi}
  localModeSecret:
    enabled: false
    secrets: [{name: parseable-env-secret, prefix: P_, keys: [addr, username, password, fs.dir]}]
  s3ModeSecret:
    enabled: false
    secrets: [{name: parseable-env-secret, prefix: P_, keys: [addr, username, password, s3.url, s3.bucket]}]
  serviceAccount: {create: true, name: parseable, annotations: {}}
  service: {type: ClusterIP, port: 80}
  readinessProbe: {httpGet: {path: /api/v1/readiness, port: 8000}}
  resources:
    limits: {cpu: 500m, memory: 4Gi}
    requests: {cpu: 250m, memory: 1Gi}
  podLabels: {app: parseable, component: query}
  nodeSelector: {}
  tolerations: []
"""

# `tpl` takes text only, so a number in env does not render; `eq` takes text only, nor does a map as store.
_PARSEABLE_DEPLOYMENT = """\
{{- if not $.Values.parseable.highAvailability.enabled }}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "own.meta" . | nindent 2 }}
spec:
  replicas: 1
  selector:
    matchLabels: {{- include "own.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "own.selector" . | nindent 8 }}
        {{- toYaml $.Values.parseable.podLabels | nindent 8 }}
    spec:
      serviceAccountName: {{ $.Values.parseable.serviceAccount.name }}
      nodeSelector: {{- toYaml $.Values.parseable.nodeSelector | nindent 8 }}
      tolerations: {{- toYaml $.Values.parseable.tolerations | nindent 8 }}
      containers:
        - name: parseable
          image: {{ printf "%s:%s" $.Values.parseable.image.repository $.Values.parseable.image.tag }}
          imagePullPolicy: {{ $.Values.parseable.image.pullPolicy }}
          args:
            - /usr/bin/parseable
            - {{ eq .Values.parseable.store "s3-store" | ternary "s3-store" $.Values.parseable.store }}
          env:
            - {name: HOSTNAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
          {{- range $variable, $text := $.Values.parseable.env }}
            - {name: {{ $variable }}, value: {{ tpl $text $ | quote }}}
          {{- end }}
          {{- range $mode := list $.Values.parseable.localModeSecret $.Values.parseable.s3ModeSecret }}
          {{- if $mode.enabled }}
          {{- range $secret := $mode.secrets }}
          {{- range $key := $secret.keys }}
            - name: {{ printf "%s%s" (default "" $secret.prefix) (regexReplaceAll "[.-]" $key "_") | upper }}
              valueFrom: {secretKeyRef: {name: {{ $secret.name }}, key: {{ $key }}}}
          {{- end }}
          {{- end }}
          {{- end }}
          {{- end }}
          ports: [{containerPort: 8000}]
          {{- with .Values.readinessProbe }}
          readinessProbe: {{- toYaml . | nindent 12 }}
          {{- end }}
          resources: {{- toYaml $.Values.parseable.resources | nindent 12 }}
          volumeMounts:
            - {name: data-volume, mountPath: /parseable/data}
            - {name: stage-volume, mountPath: /parseable/staging}
      volumes:
        {{- $data := $.Values.parseable.persistence.data }}
        {{- range $volume, $kept := dict "data" $data "stage" $.Values.parseable.persistence.staging }}
        - name: {{ $volume }}-volume
          {{- if $kept.enabled }}
          persistentVolumeClaim:
            claimName: {{ include "own.name" $ }}-{{ eq $volume "data" | ternary "data" "staging" }}-pvc
          {{- else }}
          emptyDir: {}
          {{- end }}
        {{- end }}
{{- end }}
"""

_PARSEABLE_REST = """\
apiVersion: v1
kind: Service
metadata: {{- include "own.meta" . | nindent 2 }}
spec:
  type: {{ .Values.parseable.service.type }}
  selector: {{- include "own.selector" . | nindent 4 }}
  ports:
    - {port: {{ .Values.parseable.service.port }}, targetPort: 8000, protocol: TCP}
{{- if .Values.parseable.serviceAccount.create }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .Values.parseable.serviceAccount.name }}
  namespace: {{ .Release.Namespace }}
{{- end }}
{{- range $part, $kept := .Values.parseable.persistence }}
{{- if $kept.enabled }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: {{ include "own.name" $ }}-{{ $part }}-pvc, namespace: {{ $.Release.Namespace }}}
spec:
  accessModes: [{{ $kept.accessMode }}]
  {{- with $kept.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources: {requests: {storage: {{ $kept.size }}}}
{{- end }}
{{- end }}
"""

_VECTOR_VALUES = """\
role: Aggregator
image: {repository: timberio/vector, tag: "", pullPolicy: IfNotPresent}
rbac: {create: true}
serviceAccount: {create: true, name: "", annotations: {}}
env: []
args: [--config-dir, /etc/vector/]
logLevel: info
resources: {}
tolerations: []
nodeSelector: {}
containerPorts: []
service: {enabled: true, type: ClusterIP, ports: []}
serviceHeadless: {enabled: true}
existingConfigMaps: []
rollWorkload: true
updateStrategy: {}
podAnnotations: {}
dataDir: ""
customConfig: {}
livenessProbe: {}
readinessProbe: {}
extraVolumes: []
extraVolumeMounts: []
persistence: {hostPath: {enabled: true, path: /var/lib/vector}}
"""

_VECTOR_HELPERS = """\
{{- define "own.account" -}}
{{- $default := .Values.serviceAccount.create | ternary (include "own.name" .) "default" }}
{{- .Values.serviceAccount.name | default $default }}
{{- end }}
{{- define "own.listeners" -}}
{{- $found := list }}
{{- range $kind := list "sources" "sinks" }}
{{- range $id, $part := get $.Values.customConfig $kind | default dict }}
{{- if hasKey $part "address" }}
{{- $protocol := $part.mode | default "tcp" | upper }}
{{- $port := regexFind "[0-9]+$" $part.address | int }}
{{- $found = append $found (dict "name" (kebabcase $id) "port" $port "protocol" $protocol) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.customConfig.api }}
{{- if .enabled }}
{{- $port := regexFind "[0-9]+$" .address | int }}
{{- $found = append $found (dict "name" "api" "port" $port "protocol" "TCP") }}
{{- end }}
{{- end }}
{{- toJson $found }}
{{- end }}
"""

_VECTOR_WORKLOAD = """\
{{- $data := .Values.customConfig.data_dir | default "/vector-data-dir" }}
{{- if .Values.existingConfigMaps }}
{{- $data = .Values.dataDir | required "existingConfigMaps need dataDir" }}
{{- end }}
{{- $agent := eq .Values.role "Agent" }}
apiVersion: apps/v1
kind: {{ $agent | ternary "DaemonSet" "StatefulSet" }}
metadata: {{- include "own.meta" . | nindent 2 }}
spec:
  {{- if not $agent }}
  serviceName: {{ include "own.name" . }}-headless
  {{- end }}
  selector:
    matchLabels:
      {{- include "own.selector" . | nindent 6 }}
      app.kubernetes.io/component: {{ .Values.role }}
  {{- with .Values.updateStrategy }}
  updateStrategy: {{- toYaml . | nindent 4 }}
  {{- end }}
  template:
    metadata:
      labels:
        {{- include "own.selector" . | nindent 8 }}
        app.kubernetes.io/component: {{ .Values.role }}
        vector.dev/exclude: "true"
      annotations:
        {{- if and .Values.rollWorkload (not .Values.existingConfigMaps) }}
        checksum/config: {{ toYaml .Values.customConfig | sha256sum }}
        {{- end }}
        {{- with .Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "own.account" . }}
      nodeSelector: {{- toYaml .Values.nodeSelector | nindent 8 }}
      tolerations: {{- toYaml .Values.tolerations | nindent 8 }}
      containers:
        - name: vector
          image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
          args: {{- toYaml .Values.args | nindent 12 }}
          env:
            - {name: VECTOR_LOG, value: {{ .Values.logLevel | quote }}}
            {{- with .Values.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
            {{- if $agent }}
            - {name: VECTOR_SELF_NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
            {{- end }}
          {{- with .Values.livenessProbe }}
          livenessProbe: {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with .Values.readinessProbe }}
          readinessProbe: {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- if or .Values.containerPorts .Values.existingConfigMaps }}
          ports: {{- toYaml .Values.containerPorts | nindent 12 }}
          {{- else }}
          ports:
            {{- range include "own.listeners" . | fromJsonArray }}
            - {name: {{ .name | trunc 15 }}, containerPort: {{ .port }}, protocol: {{ .protocol }}}
            {{- end }}
          {{- end }}
          resources: {{- toYaml .Values.resources | nindent 12 }}
          volumeMounts:
            - {name: data, mountPath: {{ $data | quote }}}
            - {name: config, mountPath: /etc/vector/, readOnly: true}
            {{- if $agent }}
            - {name: var-log, mountPath: /var/log/, readOnly: true}
            - {name: var-lib, mountPath: /var/lib, readOnly: true}
            {{- end }}
            {{- with .Values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: config
          projected:
            sources:
              {{- range .Values.existingConfigMaps | default (list (include "own.name" .)) }}
              - {configMap: {name: {{ . }}}}
              {{- end }}
        {{- if and $agent .Values.persistence.hostPath.enabled }}
        - {name: data, hostPath: {path: {{ .Values.persistence.hostPath.path }}}}
        {{- else }}
        - {name: data, emptyDir: {}}
        {{- end }}
        {{- if $agent }}
        - {name: var-log, hostPath: {path: /var/log/}}
        - {name: var-lib, hostPath: {path: /var/lib/}}
        {{- end }}
        {{- with .Values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
"""

# Vector's own {{ field }} in customConfig goes through `tpl` too, and has to be escaped by whoever writes it.
_VECTOR_REST = """\
{{- if not .Values.existingConfigMaps }}
apiVersion: v1
kind: ConfigMap
metadata: {{- include "own.meta" . | nindent 2 }}
data:
  vector.yaml: {{- tpl (toYaml .Values.customConfig) . | toYaml | nindent 4 }}
---
{{- end }}
{{- if .Values.serviceAccount.create }}
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{ include "own.account" . }}, namespace: {{ .Release.Namespace }}}
---
{{- end }}
{{- range $suffix := list "" "-headless" }}
{{- if ternary $.Values.serviceHeadless.enabled $.Values.service.enabled (eq $suffix "-headless") }}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "own.name" $ }}{{ $suffix }}
  namespace: {{ $.Release.Namespace }}
  labels: {{- include "own.selector" $ | nindent 4 }}
spec:
  type: {{ $suffix | empty | ternary $.Values.service.type "ClusterIP" }}
  {{- if $suffix }}
  clusterIP: None
  {{- end }}
  selector: {{- include "own.selector" $ | nindent 4 }}
  {{- if or $.Values.service.ports $.Values.existingConfigMaps }}
  ports: {{- toYaml $.Values.service.ports | nindent 4 }}
  {{- else }}
  ports:
    {{- range include "own.listeners" $ | fromJsonArray }}
    - {name: {{ .name }}, port: {{ .port }}, targetPort: {{ .port }}, protocol: {{ .protocol }}}
    {{- end }}
  {{- end }}
---
{{- end }}
{{- end }}
{{- if and .Values.rbac.create (eq .Values.role "Agent") }}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: {{ include "own.name" . }}}
rules:
  - {apiGroups: [""], resources: [namespaces, nodes, pods], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: {{ include "own.name" . }}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ include "own.name" . }}}
subjects:
  - {kind: ServiceAccount, name: {{ include "own.account" . }}, namespace: {{ .Release.Namespace }}}
{{- end }}
"""

_GRAFANA_VALUES = """\
replicas: 1
image: {repository: docker.io/grafana/grafana, tag: ""}
service: {enabled: true, type: ClusterIP, port: 80, targetPort: 3000, portName: service}
testFramework: {enabled: true}
admin: {existingSecret: "", userKey: admin-user, passwordKey: admin-password}
plugins: []
env: {}
envValueFrom: {}
datasources: {}
grafana.ini:
  paths: {data: /var/lib/grafana/, plugins: /var/lib/grafana/plugins, provisioning: /etc/grafana/provisioning}
"""

_GRAFANA_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "own.meta" . | nindent 2 }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {{- include "own.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "own.selector" . | nindent 8 }}
    spec:
      containers:
        - name: grafana
          image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
          ports: [{name: grafana, containerPort: 3000, protocol: TCP}]
          readinessProbe: {httpGet: {path: /api/health, port: 3000}}
          env:
            {{- $admin := .Values.admin.existingSecret | default (include "own.name" .) }}
            - name: GF_SECURITY_ADMIN_USER
              valueFrom: {secretKeyRef: {name: {{ $admin }}, key: {{ .Values.admin.userKey }}}}
            - name: GF_SECURITY_ADMIN_PASSWORD
              valueFrom: {secretKeyRef: {name: {{ $admin }}, key: {{ .Values.admin.passwordKey }}}}
            {{- with .Values.plugins }}
            - {name: GF_INSTALL_PLUGINS, value: {{ join "," . | quote }}}
            {{- end }}
            {{- range $variable, $source := .Values.envValueFrom }}
            - name: {{ $variable }}
              valueFrom: {{- tpl (toYaml $source) $ | nindent 16 }}
            {{- end }}
            {{- range $variable, $text := .Values.env }}
            - {name: {{ $variable }}, value: {{ $text | quote }}}
            {{- end }}
          volumeMounts:
            - {name: config, mountPath: /etc/grafana/grafana.ini, subPath: grafana.ini}
            {{- range $file, $_ := .Values.datasources }}
            - name: config
              mountPath: /etc/grafana/provisioning/datasources/{{ $file }}
              subPath: {{ $file }}
            {{- end }}
      volumes:
        - {name: config, configMap: {name: {{ include "own.name" . }}}}
"""

_GRAFANA_REST = """\
apiVersion: v1
kind: ConfigMap
metadata: {{- include "own.meta" . | nindent 2 }}
data:
  grafana.ini: |
    {{- range $section, $keys := index .Values "grafana.ini" }}
    [{{ $section }}]
    {{- range $key, $value := $keys }}
    {{ $key }} = {{ tpl (toString $value) $ }}
    {{- end }}
    {{- end }}
  {{- range $file, $content := .Values.datasources }}
  {{ $file }}: {{- tpl (toYaml $content) $ | toYaml | nindent 4 }}
  {{- end }}
{{- if not .Values.admin.existingSecret }}
---
apiVersion: v1
kind: Secret
metadata: {{- include "own.meta" . | nindent 2 }}
stringData: {admin-user: admin, admin-password: {{ randAlphaNum 40 | quote }}}
{{- end }}
{{- with .Values.service }}
{{- if .enabled }}
---
apiVersion: v1
kind: Service
metadata: {{- include "own.meta" $ | nindent 2 }}
spec:
  type: {{ .type }}
  selector: {{- include "own.selector" $ | nindent 4 }}
  ports:
    - {name: {{ .portName }}, port: {{ .port }}, targetPort: {{ .targetPort }}, protocol: TCP}
{{- end }}
{{- end }}
{{- if .Values.testFramework.enabled }}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "own.name" . }}-test
  annotations: {helm.sh/hook: test}
spec: {restartPolicy: Never, containers: [{name: test, image: docker.io/bats/bats:v1.4.1}]}
{{- end }}
"""

VECTOR_FILES = {
    "values.yaml": _VECTOR_VALUES,
    "templates/_vector.tpl": _VECTOR_HELPERS,
    "templates/workload.yaml": _VECTOR_WORKLOAD,
    "templates/rest.yaml": _VECTOR_REST,
}

# Name, version and version of the application of each chart, then its files.
_CHARTS: tuple[tuple[str, str, str, Mapping[str, str]], ...] = (
    (
        "parseable",
        "1.6.5",
        "v1.6.3",
        {
            "values.yaml": _PARSEABLE_VALUES,
            "templates/standalone-deployment.yaml": _PARSEABLE_DEPLOYMENT,
            "templates/rest.yaml": _PARSEABLE_REST,
        },
    ),
    (
        "vector",
        "0.35.0",
        "0.40.0-distroless-libc",
        VECTOR_FILES,
    ),
    (
        "grafana",
        "8.8.2",
        "11.4.0",
        {
            "values.yaml": _GRAFANA_VALUES,
            "templates/deployment.yaml": _GRAFANA_DEPLOYMENT,
            "templates/rest.yaml": _GRAFANA_REST,
        },
    ),
)


def write_charts(folder: Path) -> None:
    """Write the archives ``parseable-1.6.5.tgz``, ``vector-0.35.0.tgz`` and ``grafana-8.8.2.tgz``."""
    for name, version, application, files in _CHARTS:
        write_chart(folder, name, version, {"templates/_own.tpl": HELPERS, **files}, application)


def write_version(folder: Path, name: str, version: str, edits: Mapping[str, tuple[str, str]]) -> None:
    """Write the archive of one of the charts in another ``version``, with ``edits`` by file: old and new.

    An old text that is empty stands for the end of the file, which need not be there before.
    """
    (application, own) = next((chart[2], chart[3]) for chart in _CHARTS if chart[0] == name)
    files = {"templates/_own.tpl": HELPERS, **own}
    for path, (old, new) in edits.items():
        text = files.get(path, "")
        assert old in text
        files[path] = text.replace(old, new) if old else text + new
    write_chart(folder, name, version, files, application)


def write_chart(
    folder: Path, name: str, version: str, files: Mapping[str, str], application: str = "1.0.0"
) -> None:
    """Write the archive of a chart with these ``files``, of an ``application`` in that version."""
    about = f'apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: "{application}"\n'
    with tarfile.open(folder / f"{name}-{version}.tgz", "w:gz") as archive:
        for path, text in {"Chart.yaml": about, **files}.items():
            content = text.encode()
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
