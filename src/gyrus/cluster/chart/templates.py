"""The chart's templates, from the manifests of an installation whose settings are expressions. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from gyrus.cluster.chart.merging import Tree, under_conditions
from gyrus.cluster.chart.printing import Raw, documents, number, value
from gyrus.cluster.manifests import (
    access,
    chart_jobs,
    foundation,
    gateway,
    monitoring,
    network,
    node_cache,
    operator,
)
from gyrus.cluster.manifests.objects import MANAGED_BY, SPREADS_BY_TEMPLATE, Installation
from gyrus.cluster.settings import (
    NO_STORAGE,
    ArchiveBounds,
    CloudWatchSettings,
    ClusterSettings,
    EndpointTls,
    ExternalApi,
    GatewayPods,
    Images,
    NodeCache,
    NodeScaling,
    ObjectBucket,
    OperatorPod,
    PodResources,
    StoreSecret,
)
from gyrus.kubernetes.resources import VOLUME_CLAIMS, Manifest

NAMESPACE = "{{ .Release.Namespace }}"
_TLS = EndpointTls.model_fields
CONDITIONS = {
    "stored": f'ne .Values.operator.storage "{NO_STORAGE}"',
    "store": ".Values.operator.store",
    "storage class": ".Values.operator.storage_class",
    "external API": 'ne .Values.operator.api.service "ClusterIP"',
    "API's annotations": ".Values.operator.api.annotations",
    "API's node port": ".Values.operator.api.node_port",
    "node port": ".Values.gateway.node_port",
    "annotations": ".Values.gateway.annotations",
    "balancer's TLS": ".Values.gateway.balancer_tls_port",
    "URL": ".Values.gateway.url",
    "pull secrets": ".Values.images.pull_secrets",
    "node cache": ".Values.node_cache",
    "nodes": ".Values.nodes",
    "planned nodes": 'eq (dig "scaler" "gyrus" (.Values.nodes | default dict)) "gyrus"',
    "objects": ".Values.objects",
    "CloudWatch": ".Values.cloudwatch",
    "policies": ".Values.network_policies",
    "pod monitors": ".Values.pod_monitor",
    "TLS": ".Values.gateway.tls",
    "redirect": 'ne (dig "http" "" (.Values.gateway.tls | default dict)) "serve"',
    "TLS node port": 'dig "node_port" 0 (.Values.gateway.tls | default dict)',
    "budgets": '.Capabilities.APIVersions.Has "policy/v1"',
    "spreads by template": 'semverCompare ">={}.{}-0" .Capabilities.KubeVersion.Version'.format(
        *SPREADS_BY_TEMPLATE
    ),
}
"""All conditions on which the manifests depend."""

_SECRET = "PULL-SECRET"
_REPLACED: list[tuple[Any, Raw]] = [
    ([{"name": _SECRET}], Raw('{{ include "gyrus.pull-secrets" . }}')),
    (_SECRET, Raw('{{ join "," .Values.images.pull_secrets | quote }}')),
]
"""Results of the stand-in for a list, and the expressions in their place."""

KEEP = "helm.sh/resource-policy"
"""Annotation of the operator's volume: with it, the data is lost only with the whole release."""

HELPERS = """\
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
{{- fail "gateway.tls: has no node_port, and a redirect must name the port of HTTPS; write node_port \
(30000 to 32767), or http: serve, or the url of the endpoints" }}
{{- else }}
{{- 8443 }}
{{- end }}
{{- end }}
"""
REFUSED = """\
{{- if hasKey .Values "pod_security" }}
{{- fail (printf "pod_security: the chart does not label the namespace. Remove it from the values, and run: \
kubectl label namespace %s pod-security.kubernetes.io/enforce=%v" .Release.Namespace .Values.pod_security) }}
{{- end }}
"""
"""Values of the command that the chart cannot honour."""
HEADER = "{{- /* Written by scripts/chart from src/gyrus/cluster/manifests. Do not edit it here. */ -}}\n"


@dataclass(frozen=True, slots=True)
class TemplatePart:
    """The objects of one file of templates, and the conditions on which they depend."""

    objects: Callable[[Installation], list[Manifest]]
    conditions: tuple[str, ...] = ()


PARTS: Mapping[str, TemplatePart] = {
    "priorities": TemplatePart(foundation.priority_classes),
    "access": TemplatePart(
        lambda known: [*access.service_accounts(known), *access.roles(known)], ("nodes", "planned nodes")
    ),
    "operator": TemplatePart(
        lambda known: [
            *operator.services(known),
            *operator.volume_claims(known),
            *operator.disruption_budgets(known),
            operator.deployment(known),
        ],
        (
            "stored", "store", "storage class", "external API", "API's node port",
            "API's annotations", "URL", "pull secrets",
            "budgets", "spreads by template", "node cache", "nodes", "objects", "CloudWatch",
        ),
    ),
    "gateway": TemplatePart(
        lambda known: [
            gateway.service(known),
            gateway.disruption_budget(known),
            gateway.deployment(known),
        ],
        (
            "node port", "annotations", "balancer's TLS", "pull secrets", "budgets", "TLS", "redirect",
            "TLS node port", "spreads by template",
        ),
    ),
    "node-cache": TemplatePart(node_cache.daemon_sets, ("node cache", "pull secrets")),
    "network": TemplatePart(network.network_policies, ("policies", "TLS", "redirect", "node cache")),
    "monitoring": TemplatePart(monitoring.pod_monitors, ("pod monitors",)),
    "jobs": TemplatePart(chart_jobs.jobs, ("pull secrets",)),
}  # fmt: skip


def templates() -> dict[str, str]:
    """Return the content of each file of the folder ``templates``, by its name."""
    files = {"_helpers.tpl": HEADER + HELPERS, "refused.yaml": HEADER + REFUSED}
    for name, part in PARTS.items():
        conditions = {each: CONDITIONS[each] for each in part.conditions}
        tree = under_conditions(conditions, lambda holds, part=part: rendered(part, holds))
        files[f"{name}.yaml"] = HEADER + documents(tree)
    return files


def rendered(part: TemplatePart, holds: Mapping[str, bool]) -> Tree:
    """Return the objects of a part under these conditions. Those that are not named do not hold."""
    every = {name: holds.get(name, False) for name in CONDITIONS}
    return [_finished(_kept(manifest)) for manifest in part.objects(_installation(every))]


def _kept(manifest: Manifest) -> Manifest:
    """Return a manifest that Helm does not delete when a change of the values leaves out a volume."""
    if manifest["kind"] != VOLUME_CLAIMS.kind:
        return manifest
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": {KEEP: "keep"}}}


def _installation(holds: Mapping[str, bool]) -> Installation:
    return Installation(
        NAMESPACE,
        settings(holds),
        budget_version="policy/v1" if holds["budgets"] else "policy/v1beta1",
        spreads_by_template=holds["spreads by template"],
        gateway_url=value("gateway.url") if holds["URL"] else "",
        https_port='{{ include "gyrus.https-port" . }}',
    )


def settings(holds: Mapping[str, bool]) -> ClusterSettings:
    """Return settings with an expression for each value, without a check of their types."""
    return ClusterSettings.model_construct(
        images=Images.model_construct(
            gyrus=value("images.gyrus"),
            runtime=value("images.runtime"),
            pull_policy=cast(Any, value("images.pull_policy")),
            pull_secrets=[_SECRET] if holds["pull secrets"] else [],
        ),
        operator=OperatorPod.model_construct(
            resources=_resources("operator.resources"),
            storage=value("operator.storage") if holds["stored"] else NO_STORAGE,
            store=_store() if holds["store"] else None,
            storage_class=value("operator.storage_class") if holds["storage class"] else None,
            api=ExternalApi.model_construct(
                service=cast(Any, value("operator.api.service") if holds["external API"] else "ClusterIP"),
                node_port=cast(Any, number("operator.api.node_port") if holds["API's node port"] else None),
                annotations=_annotations("operator.api") if holds["API's annotations"] else {},
            ),
            log_archive=ArchiveBounds.model_construct(
                per_api=value("operator.log_archive.per_api"),
                total=value("operator.log_archive.total"),
                age=value("operator.log_archive.age"),
            ),
        ),
        gateway=GatewayPods.model_construct(
            replicas=cast(Any, number("gateway.replicas")),
            resources=_resources("gateway.resources"),
            service=cast(Any, value("gateway.service")),
            port=cast(Any, number("gateway.port")),
            node_port=cast(Any, number("gateway.node_port") if holds["node port"] else None),
            tls=_tls(holds) if holds["TLS"] else None,
            balancer_tls_port=cast(
                Any, number("gateway.balancer_tls_port") if holds["balancer's TLS"] else None
            ),
            annotations=_annotations("gateway") if holds["annotations"] else {},
        ),
        node_cache=_node_cache() if holds["node cache"] else None,
        nodes=_nodes(planned=holds["planned nodes"]) if holds["nodes"] else None,
        objects=_objects() if holds["objects"] else None,
        cloudwatch=_cloudwatch() if holds["CloudWatch"] else None,
        network_policies=holds["policies"],
        pod_monitor=holds["pod monitors"],
    )


def _annotations(path: str) -> Any:
    return Raw(f"{{{{ toJson .Values.{path}.annotations }}}}")


def _store() -> StoreSecret:
    key = StoreSecret.model_fields["key"].default
    return StoreSecret.model_construct(
        secret=value("operator.store.secret"), key=value(f"operator.store.key | default `{key}`")
    )


def _node_cache() -> NodeCache:
    cache = NodeCache()
    return NodeCache.model_construct(
        path=value(f"node_cache.path | default `{cache.path}`"),
        size=value(f"node_cache.size | default `{cache.size}`"),
    )


class _Nodes(NodeScaling):
    """Node groups whose document is an expression."""

    @property
    def document(self) -> str:
        return value("nodes | toJson")


def _nodes(*, planned: bool) -> NodeScaling:
    return _Nodes.model_construct(scaler="gyrus" if planned else "none")


def _objects() -> ObjectBucket:
    secret = ObjectBucket.model_fields["secret"].default
    return ObjectBucket.model_construct(
        url=value("objects.url"), secret=value(f"objects.secret | default `{secret}`")
    )


def _cloudwatch() -> CloudWatchSettings:
    return CloudWatchSettings.model_construct(
        cluster=value("cloudwatch.cluster"),
        region=value("cloudwatch.region"),
        log_group=value('cloudwatch.log_group | default (printf "/gyrus/%s" .Values.cloudwatch.cluster)'),
    )


def _tls(holds: Mapping[str, bool]) -> EndpointTls:
    default = _TLS["port"].default
    return EndpointTls.model_construct(
        secret=value("gateway.tls.secret"),
        port=cast(Any, number(f"gateway.tls.port | default {default}")),
        node_port=cast(Any, number("gateway.tls.node_port") if holds["TLS node port"] else None),
        http="redirect" if holds["redirect"] else "serve",
    )


def _resources(path: str) -> PodResources:
    return PodResources.model_construct(cpu=value(f"{path}.cpu"), memory=value(f"{path}.memory"))


def _finished(tree: Tree) -> Tree:
    """Return a manifest with Helm as its manager, and expressions for lists."""
    for found, expression in _REPLACED:
        if tree == found:
            return expression
    if isinstance(tree, dict):
        fields = cast("dict[str, Tree]", tree)
        return {
            key: "{{ .Release.Service }}" if key == MANAGED_BY else _finished(item)
            for key, item in fields.items()
        }
    if isinstance(tree, list):
        return [_finished(item) for item in cast("list[Tree]", tree)]
    return tree
