{{/* The pod-security profile "restricted", and more: no token, no service variables, a root file system nobody writes. */}}
{{- define "lifecycle.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .Values.pod.runAsUser }}
  runAsGroup: {{ .Values.pod.runAsGroup }}
  fsGroup: {{ .Values.pod.fsGroup }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.pod.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pod.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "lifecycle.container" -}}
image: {{ include "lifecycle.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
resources: {{- toYaml .Values.resources | nindent 2 }}
env:
  # So that `kubectl exec … -- lifecycle status` finds the deployment.
  - {name: LIFECYCLE_DIR, value: /etc/lifecycle}
  - {name: CREDENTIALS_DIRECTORY, value: /run/lifecycle/credentials}
  - {name: HOME, value: /tmp}
  - {name: PYTHONDONTWRITEBYTECODE, value: "1"}
{{- end -}}

{{- define "lifecycle.mounts" -}}
- {name: documents, mountPath: /etc/lifecycle, readOnly: true}
- {name: secrets, mountPath: /run/lifecycle, readOnly: true}
- {name: checkpoint, mountPath: /var/lib/lifecycle/checkpoint}
{{- if eq .Values.state.kind "sqlite" }}
- {name: state, mountPath: /var/lib/lifecycle/state}
{{- end }}
{{- if and (eq .Values.mode "cronjob") .Values.cronjob.metrics.existingClaim }}
- {name: metrics, mountPath: /var/lib/lifecycle/metrics}
{{- end }}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* Secrets stand one folder down on purpose: the kubelet links only the first level of a volume, and a key or an
     address is never read through a link. 288 is 0440 (YAML 1.1 and 1.2 disagree about 0440): the kubelet owns the
     files, and the pod reads them by its fsGroup. */}}
{{- define "lifecycle.secretsVolume" -}}
name: secrets
projected:
  defaultMode: 288
  sources:
    {{- if .keys }}
    - secret:
        name: {{ .root.Values.keys.existingSecret }}
        items:
          {{- range list "log.pem" "certificate.pem" "sealing.key" "commitment.key" "alias.key" }}
          - {key: {{ . }}, path: keys/{{ . }}, mode: 288}
          {{- end }}
    {{- end }}
    {{- with .root.Values.addresses.names }}
    - secret:
        name: {{ $.root.Values.addresses.existingSecret }}
        items:
          {{- range . }}
          - {key: {{ . }}, path: credentials/{{ . }}, mode: 288}
          {{- end }}
    {{- end }}
{{- end -}}

{{- define "lifecycle.documentsVolume" -}}
name: documents
projected:
  defaultMode: 292
  sources:
    - configMap: {name: {{ .settings }}}
    - configMap:
        name: {{ default .documents .root.Values.documents.existingConfigMap }}
        items: {{- include "lifecycle.documentItems" .root | nindent 10 }}
    {{- with .root.Values.tenants }}
    {{- if .existingSecret }}
    - secret:
        name: {{ .existingSecret }}
        items:
          - {key: {{ .key }}, path: tenants.yaml, mode: 288}
    {{- end }}
    {{- end }}
{{- end -}}

{{- define "lifecycle.tmpVolume" -}}
name: tmp
emptyDir: {sizeLimit: 256Mi}
{{- end -}}

{{/* Everything of a pod that runs or takes its turn; `containers` comes from the caller. */}}
{{- define "lifecycle.podCommon" -}}
serviceAccountName: {{ include "lifecycle.serviceAccount" . }}
{{ include "lifecycle.podSecurity" . }}
{{- if and .Values.migration.enabled (eq .Values.state.kind "sqlite") }}
initContainers:
  # The file is on this pod's volume alone: no hook could reach it, and no older replica is running.
  - name: migrate
    args: [--dir, /etc/lifecycle, db, upgrade]
    {{- include "lifecycle.container" . | nindent 4 }}
    volumeMounts: {{- include "lifecycle.mounts" . | nindent 6 }}
{{- end }}
volumes:
  - {{- include "lifecycle.documentsVolume" (dict "root" . "settings" (printf "%s-settings" (include "lifecycle.fullname" .)) "documents" (printf "%s-documents" (include "lifecycle.fullname" .))) | nindent 4 }}
  - {{- include "lifecycle.secretsVolume" (dict "root" . "keys" true) | nindent 4 }}
  - name: checkpoint
    persistentVolumeClaim: {claimName: {{ include "lifecycle.checkpointClaim" . }}}
  {{- if eq .Values.state.kind "sqlite" }}
  - name: state
    persistentVolumeClaim: {claimName: {{ include "lifecycle.stateClaim" . }}}
  {{- end }}
  {{- if and (eq .Values.mode "cronjob") .Values.cronjob.metrics.existingClaim }}
  - name: metrics
    persistentVolumeClaim: {claimName: {{ .Values.cronjob.metrics.existingClaim }}}
  {{- end }}
  - {{- include "lifecycle.tmpVolume" . | nindent 4 }}
{{- end -}}

{{- define "lifecycle.podMeta" -}}
labels:
  {{- include "lifecycle.labels" . | nindent 2 }}
  app.kubernetes.io/component: {{ .Values.mode }}
  {{- with .Values.pod.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  # Settings are read at the start; documents are reloaded while running and need no new pod.
  checksum/settings: {{ include "lifecycle.settings" . | sha256sum }}
  {{- with .Values.pod.annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
