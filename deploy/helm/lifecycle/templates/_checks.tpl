{{/* What no schema can say: everything that is missing or cannot go together, at once. */}}
{{- define "lifecycle.check" -}}
{{- $p := list -}}
{{- $v := .Values -}}
{{- $sqlite := eq $v.state.kind "sqlite" -}}
{{- $daemon := eq $v.mode "daemon" -}}
{{- if not $v.image.repository -}}{{- $p = append $p "image.repository: name the image, such as registry.example.com/lifecycle" -}}{{- end -}}
{{- if and (not $v.image.digest) (not $v.image.tag) -}}{{- $p = append $p "image.digest: name the image's sha256 digest (or image.tag, where there is none)" -}}{{- end -}}
{{- if and $v.image.digest $v.image.tag -}}{{- $p = append $p "image.tag: leave it empty beside image.digest" -}}{{- end -}}
{{- if not $v.settings.deployment -}}{{- $p = append $p "settings.deployment: name the deployment" -}}{{- end -}}
{{- if not $v.settings.origin -}}{{- $p = append $p "settings.origin: name the log, such as lifecycle.example.com/log" -}}{{- end -}}
{{- if not $v.keys.existingSecret -}}{{- $p = append $p "keys.existingSecret: name the Secret with the deployment's keys" -}}{{- end -}}
{{- if and $v.addresses.names (not $v.addresses.existingSecret) -}}{{- $p = append $p "addresses.existingSecret: name the Secret with the addresses" -}}{{- end -}}
{{- if not $sqlite -}}
{{- range $what, $name := dict "credential" $v.state.credential "leaderCredential" $v.state.leaderCredential -}}
{{- if and $name (not (has $name $v.addresses.names)) -}}{{- $p = append $p (printf "state.%s: %s is not among addresses.names" $what $name) -}}{{- end -}}
{{- end -}}
{{- if not $v.state.credential -}}{{- $p = append $p "state.credential: name the file that holds the state's address" -}}{{- end -}}
{{- end -}}
{{- if $v.documents.existingConfigMap -}}
{{- if or $v.documents.inventory $v.documents.operators $v.documents.policies -}}{{- $p = append $p "documents: either texts or existingConfigMap, not both" -}}{{- end -}}
{{- $paths := list -}}{{- range $v.documents.items -}}{{- $paths = append $paths .path -}}{{- end -}}
{{- range list "inventory.yaml" "operators.yaml" -}}
{{- if not (has . $paths) -}}{{- $p = append $p (printf "documents.items: no key becomes %s" .) -}}{{- end -}}
{{- end -}}
{{- if not (regexMatch "(^|,)policies/" (join "," $paths)) -}}{{- $p = append $p "documents.items: no key becomes a file below policies/" -}}{{- end -}}
{{- else -}}
{{- if $v.documents.items -}}{{- $p = append $p "documents.items: belongs to documents.existingConfigMap" -}}{{- end -}}
{{- if not $v.documents.inventory -}}{{- $p = append $p "documents.inventory: give the text (--set-file documents.inventory=inventory.yaml)" -}}{{- end -}}
{{- if not $v.documents.operators -}}{{- $p = append $p "documents.operators: give the text (--set-file documents.operators=operators.yaml)" -}}{{- end -}}
{{- if not $v.documents.policies -}}{{- $p = append $p "documents.policies: give agreements, statutes and the operator's document" -}}{{- end -}}
{{- end -}}
{{- if $daemon -}}
{{- if and $sqlite (ne (int $v.replicas) 1) -}}{{- $p = append $p "replicas: a SQLite state serves one replica; more need state.kind postgresql" -}}{{- end -}}
{{- if and (gt (int $v.replicas) 1) (ne $v.checkpoint.accessMode "ReadWriteMany") -}}{{- $p = append $p "checkpoint.accessMode: several replicas need a volume of ReadWriteMany" -}}{{- end -}}
{{- if $v.cronjob.metrics.existingClaim -}}{{- $p = append $p "cronjob.metrics.existingClaim: belongs to mode cronjob; the daemon has /metrics" -}}{{- end -}}
{{- if and (eq $v.daemon.strategy "RollingUpdate") $sqlite -}}{{- $p = append $p "daemon.strategy: a SQLite state allows Recreate only" -}}{{- end -}}
{{- if and (eq $v.daemon.strategy "RollingUpdate") (not $sqlite) (ne $v.checkpoint.accessMode "ReadWriteMany") -}}{{- $p = append $p "daemon.strategy: RollingUpdate needs a checkpoint volume of ReadWriteMany" -}}{{- end -}}
{{- if le (int $v.daemon.terminationGracePeriodSeconds) (int $v.daemon.stopWithinSeconds) -}}{{- $p = append $p "daemon.terminationGracePeriodSeconds: must be more than daemon.stopWithinSeconds" -}}{{- end -}}
{{- else -}}
{{- if ne (int $v.replicas) 1 -}}{{- $p = append $p "replicas: mode cronjob runs one at a time" -}}{{- end -}}
{{- if $v.serviceMonitor.enabled -}}{{- $p = append $p "serviceMonitor.enabled: mode cronjob has nothing to scrape; a textfile collector reads cronjob.metrics.existingClaim" -}}{{- end -}}
{{- if and $v.prometheusRule.enabled (not $v.cronjob.metrics.existingClaim) -}}{{- $p = append $p "prometheusRule.enabled: the alerts need metrics; name cronjob.metrics.existingClaim, and let a collector read it" -}}{{- end -}}
{{- with $v.cronjob.metrics.existingClaim -}}
{{- if or (eq . (include "lifecycle.checkpointClaim" $)) (and $sqlite (eq . (include "lifecycle.stateClaim" $))) -}}{{- $p = append $p "cronjob.metrics.existingClaim: a collector must not reach the state or its checkpoint; name another volume" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $sqlite (eq (include "lifecycle.stateClaim" .) (include "lifecycle.checkpointClaim" .)) -}}{{- $p = append $p "state.sqlite.existingClaim: the state and its checkpoint need two volumes" -}}{{- end -}}
{{- if $v.networkPolicy.enabled -}}
{{- if and (not $sqlite) (not $v.networkPolicy.egress) -}}{{- $p = append $p "networkPolicy.egress: name the databases, or nothing can be reached" -}}{{- end -}}
{{- with $v.networkPolicy.dns -}}
{{- if not (or .cidrs .namespaceLabels .podLabels) -}}{{- $p = append $p "networkPolicy.dns: leads everywhere; give cidrs, namespaceLabels or podLabels" -}}{{- end -}}
{{- end -}}
{{- range $v.networkPolicy.metricsFrom -}}
{{- if not (or .namespaceLabels .podLabels) -}}{{- $p = append $p "networkPolicy.metricsFrom: an entry without labels admits everybody" -}}{{- end -}}
{{- end -}}
{{- range $v.networkPolicy.egress -}}
{{- if not (or .cidrs .namespaceLabels .podLabels) -}}{{- $p = append $p (printf "networkPolicy.egress: %s leads everywhere; give cidrs, namespaceLabels or podLabels" .name) -}}{{- end -}}
{{- if and .cidrs (or .namespaceLabels .podLabels) -}}{{- $p = append $p (printf "networkPolicy.egress: %s has both cidrs and labels; write two entries" .name) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if $p -}}
{{- fail (printf "\n\nThe values cannot be used:\n  * %s\n" (join "\n  * " $p)) -}}
{{- end -}}
{{- end -}}
