{{- /* Written by scripts/chart from src/gyrus/cluster/manifests. Do not edit it here. */ -}}
{{- define "gyrus.pull-secrets" -}}
{{- $secrets := list }}
{{- range .Values.images.pull_secrets }}{{ $secrets = append $secrets (dict "name" .) }}{{ end }}
{{- toJson $secrets }}
{{- end }}

{{- define "gyrus.https-port" -}}
{{- $gateway := .Values.gateway }}
{{- if $gateway.url }}
{{- regexFind ":[0-9]+$" $gateway.url | trimPrefix ":" | default "443" }}
{{- else if ne $gateway.service "NodePort" }}
{{- $gateway.tls.port | default 443 }}
{{- else if $gateway.tls.node_port }}
{{- $gateway.tls.node_port }}
{{- else if eq ($gateway.tls.http | default "redirect") "redirect" }}
{{- fail "gateway.tls: has no node_port, and a redirect must name the port of HTTPS; write node_port (30000 to 32767), or http: serve, or the url of the endpoints" }}
{{- else }}
{{- 8443 }}
{{- end }}
{{- end }}
