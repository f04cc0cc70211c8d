{{/* Seconds as the strict loader writes them: PT45S, PT1M, PT1M30S. */}}
{{- define "lifecycle.span" -}}
{{- $minutes := div (int .) 60 -}}
{{- $seconds := mod (int .) 60 -}}
PT{{ if $minutes }}{{ $minutes }}M{{ end }}{{ if $seconds }}{{ $seconds }}S{{ end }}
{{- end -}}

{{/* lifecycle.yaml: what the values say, and what the pod decides. YAML 1.2 of the strict loader: JSON is a part of it. */}}
{{- define "lifecycle.settings" -}}
{{- $own := dict "lifecycle" "settings/v1" -}}
{{- $_ := set $own "policies" "/etc/lifecycle/policies" -}}
{{- $_ := set $own "inventory" "/etc/lifecycle/inventory.yaml" -}}
{{- $_ := set $own "operators" "/etc/lifecycle/operators.yaml" -}}
{{- $_ := set $own "keys" "/run/lifecycle/keys" -}}
{{- $_ := set $own "checkpoint" "/var/lib/lifecycle/checkpoint/checkpoint" -}}
{{- $_ := set $own "stop_file" "/var/lib/lifecycle/checkpoint/STOP" -}}
{{- if .Values.tenants.existingSecret -}}
{{- $_ := set $own "tenants" "/etc/lifecycle/tenants.yaml" -}}
{{- end -}}
{{- if eq .Values.state.kind "sqlite" -}}
{{- $_ := set $own "state" (dict "url" "sqlite:////var/lib/lifecycle/state/state.db") -}}
{{- else -}}
{{- $_ := set $own "state" (dict "credential" .Values.state.credential) -}}
{{- if .Values.state.leaderCredential -}}
{{- $_ := set $own "leader_url" (dict "credential" .Values.state.leaderCredential) -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.mode "daemon" -}}
{{- $host := ternary (printf "[%s]" .Values.http.address) .Values.http.address (contains ":" .Values.http.address) -}}
{{- $_ := set $own "http" (dict "bind" (printf "%s:%d" $host (int .Values.http.port))) -}}
{{- $_ := set $own "daemon" (dict "stop_within" (include "lifecycle.span" .Values.daemon.stopWithinSeconds)) -}}
{{- end -}}
{{- if and (eq .Values.mode "cronjob") .Values.cronjob.metrics.existingClaim -}}
{{- $_ := set $own "metrics" (dict "textfile" "/var/lib/lifecycle/metrics/lifecycle.prom") -}}
{{- end -}}
{{- /* A sign of life is each pod's own: on a shared volume a standby would speak for a dead leader. */ -}}
{{- $dead := merge (dict "file" "/tmp/alive") (default dict .Values.settings.dead_man) -}}
{{- $_ := set $own "dead_man" $dead -}}
{{- mergeOverwrite (deepCopy .Values.settings) $own | toPrettyJson -}}
{{- end -}}

{{/* Documents of a ConfigMap of ours: key -> path below /etc/lifecycle. */}}
{{- define "lifecycle.documentItems" -}}
{{- if .Values.documents.existingConfigMap -}}
{{- toYaml .Values.documents.items -}}
{{- else -}}
- {key: inventory.yaml, path: inventory.yaml}
- {key: operators.yaml, path: operators.yaml}
{{- range $path, $text := .Values.documents.policies }}
- {key: {{ include "lifecycle.documentKey" $path }}, path: policies/{{ $path }}}
{{- end }}
{{- end -}}
{{- end -}}

{{/* A ConfigMap's keys know no slash. The schema allows no dot but the last one, so no two paths share a key. */}}
{{- define "lifecycle.documentKey" -}}
policies.{{ . | replace "/" "." }}
{{- end -}}

{{- define "lifecycle.documents" -}}
inventory.yaml: {{ .Values.documents.inventory | toJson }}
operators.yaml: {{ .Values.documents.operators | toJson }}
{{- range $path, $text := .Values.documents.policies }}
{{ include "lifecycle.documentKey" $path }}: {{ $text | toJson }}
{{- end }}
{{- end -}}
