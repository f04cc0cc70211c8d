{{- define "lifecycle.peer" -}}
{{- if .namespaceLabels }}
namespaceSelector:
  matchLabels: {{- toYaml .namespaceLabels | nindent 4 }}
{{- end }}
{{- if .podLabels }}
podSelector:
  matchLabels: {{- toYaml .podLabels | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "lifecycle.egress" -}}
# Names
- to:
    {{- with .Values.networkPolicy.dns }}
    {{- if or .namespaceLabels .podLabels }}
    - {{- include "lifecycle.peer" . | nindent 6 }}
    {{- end }}
    {{- range .cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
    {{- end }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- range .Values.networkPolicy.egress }}
# {{ .name }}
- to:
    {{- range .cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
    {{- if or .namespaceLabels .podLabels }}
    - {{- include "lifecycle.peer" . | nindent 6 }}
    {{- end }}
  ports:
    {{- range .ports }}
    - {protocol: {{ default "TCP" .protocol }}, port: {{ .port }}}
    {{- end }}
{{- end }}
{{- end -}}
