{{- define "lifecycle.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: a CronJob's name may have 52, and others are derived from this one. */}}
{{- define "lifecycle.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "lifecycle.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "lifecycle.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lifecycle.selector" -}}
app.kubernetes.io/name: {{ include "lifecycle.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "lifecycle.labels" -}}
{{ include "lifecycle.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "lifecycle.serviceAccount" -}}
{{- default (include "lifecycle.fullname" .) .Values.serviceAccount.existing -}}
{{- end -}}

{{- define "lifecycle.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "lifecycle.checkpointClaim" -}}
{{- default (printf "%s-checkpoint" (include "lifecycle.fullname" .)) .Values.checkpoint.existingClaim -}}
{{- end -}}

{{- define "lifecycle.stateClaim" -}}
{{- default (printf "%s-state" (include "lifecycle.fullname" .)) .Values.state.sqlite.existingClaim -}}
{{- end -}}

{{/* A volume that one node or one pod writes is not there for the new pod before the old one is gone. */}}
{{- define "lifecycle.strategy" -}}
{{- if .Values.daemon.strategy -}}
{{ .Values.daemon.strategy }}
{{- else if or (eq .Values.state.kind "sqlite") (ne .Values.checkpoint.accessMode "ReadWriteMany") -}}
Recreate
{{- else -}}
RollingUpdate
{{- end -}}
{{- end -}}

{{- define "lifecycle.migrationHook" -}}
{{- if and .Values.migration.enabled (eq .Values.state.kind "postgresql") -}}true{{- end -}}
{{- end -}}

{{- define "lifecycle.job" -}}
{{- $name := include "lifecycle.fullname" . -}}
{{- ternary $name (printf "lifecycle-%s" $name) (hasPrefix "lifecycle" $name) -}}
{{- end -}}
