{{- /* Written by scripts/chart from src/gyrus/cluster/manifests. Do not edit it here. */ -}}
{{- define "gyrus.pull-secrets" -}}
{{- $secrets := list }}
{{- range .Values.images.pull_secrets }}{{ $secrets = append $secrets (dict "name" .) }}{{ end }}
{{- toJson $secrets }}
{{- end }}
