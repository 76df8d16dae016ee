"""The installation of gyrus on a cluster of AWS: the settings that follow from cluster.yaml. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

from gyrus.cluster.aws.cluster_spec import ClusterSpec, Scheme
from gyrus.cluster.aws.resource_names import cluster_tags
from gyrus.cluster.manifests.objects import Installation
from gyrus.cluster.settings import (
    CloudWatchSettings,
    ClusterSettings,
    ExternalApi,
    GatewayPods,
    NodeScaling,
    ObjectBucket,
    StoreSecret,
)

STORE_SECRET = "gyrus-store"
STORE_KEY = "url"
PASSWORD_VARIABLE = "GYRUS_STORE_PASSWORD"
HTTPS_PORT = 443
_BALANCER = "service.beta.kubernetes.io/aws-load-balancer"
RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"


def installation_of(
    spec: ClusterSpec,
    own: ClusterSettings | None = None,
    base: Mapping[str, str] | None = None,
    shared_costs: Mapping[str, float] | None = None,
) -> Installation:
    """Return the installation that a cluster.yaml describes.

    ``own``: the settings of its values file. They win over what follows from cluster.yaml, field by field.
    ``base``: the outputs of the base stack, once it exists. ``shared_costs``: the prices of the parts besides
    nodes, as far as they are known.
    """
    own = own or ClusterSettings()
    operator, gateway = own.operator, own.gateway
    store = StoreSecret(secret=STORE_SECRET, key=STORE_KEY) if spec.two_operators else None
    settings = own.model_copy(
        update={
            "operator": operator.model_copy(
                update={
                    "store": operator.store or store,
                    "api": _chosen(operator.api, api_service(spec)),
                }
            ),
            "gateway": _chosen(gateway, gateway_service(spec)),
            "nodes": own.nodes or node_scaling(spec, base or {}, shared_costs or {}),
            "cloudwatch": own.cloudwatch or cloudwatch(spec),
            "objects": own.objects or objects(base or {}),
        }
    )
    return Installation(spec.gyrus.namespace, settings)


def cloudwatch(spec: ClusterSpec) -> CloudWatchSettings | None:
    """Return the place of log and metrics. None with cloudwatch: false."""
    if not spec.cloudwatch:
        return None
    return CloudWatchSettings(cluster=spec.cluster_name, region=spec.region)


def objects(base: Mapping[str, str]) -> ObjectBucket | None:
    """Return the cluster's bucket. ``base``: the outputs of the base stack; without it, None."""
    return ObjectBucket(url=f"s3://{base['Bucket']}") if "Bucket" in base else None


def gateway_service(spec: ClusterSpec) -> GatewayPods:
    """Return the settings of the Service of the APIs."""
    annotations = _annotations(
        spec,
        spec.api_load_balancer_type,
        spec.api_load_balancer_scheme,
        spec.api_load_balancer_cidr_white_list,
    )
    if spec.ssl_certificate_arn is None:
        return GatewayPods(annotations=annotations)
    by_certificate = {
        f"{_BALANCER}-ssl-cert": spec.ssl_certificate_arn,
        f"{_BALANCER}-ssl-ports": str(HTTPS_PORT),
        f"{_BALANCER}-backend-protocol": "tcp" if spec.api_load_balancer_type == "nlb" else "http",
    }
    return GatewayPods(annotations=annotations | by_certificate, balancer_tls_port=HTTPS_PORT)


def api_service(spec: ClusterSpec) -> ExternalApi:
    """Return the settings of the Service of the operator's API, which has TLS of its own."""
    annotations = _annotations(
        spec, "nlb", spec.operator_load_balancer_scheme, spec.operator_load_balancer_cidr_white_list
    )
    return ExternalApi(service="LoadBalancer", annotations=annotations)


def node_scaling(
    spec: ClusterSpec, base: Mapping[str, str], shared_costs: Mapping[str, float]
) -> NodeScaling:
    """Return the settings of the nodes. ``base``: the outputs of the base stack."""
    return NodeScaling(
        region=spec.region,
        cluster=spec.cluster_name,
        scaler=spec.scaler,
        notices=base.get("NoticeQueue", ""),
        public_addresses=spec.subnet_visibility == "public",
        shared_costs=dict(shared_costs),
        groups=list(spec.node_groups),
    )


def store_url(url: str, password: str) -> str:
    """Return the URL of a database with a password.

    >>> store_url("postgresql://gyrus@db.example.com/gyrus", "a@b")
    'postgresql://gyrus:a%40b@db.example.com/gyrus'
    """
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user or 'gyrus'}:{quote(password, safe='')}@{host}"))


def _annotations(spec: ClusterSpec, kind: str, scheme: Scheme, ranges: tuple[str, ...]) -> dict[str, str]:
    """Return what EKS's own controller of load balancers reads.

    The names are those of https://cloud-provider-aws.sigs.k8s.io/service_controller/.
    """
    tags = cluster_tags(spec)
    pairs = ",".join(f"{key}={tags[key]}" for key in sorted(tags))
    found = {
        f"{_BALANCER}-internal": str(scheme == "internal").lower(),
        f"{_BALANCER}-cross-zone-load-balancing-enabled": "true",
        f"{_BALANCER}-additional-resource-tags": pairs,
        RANGES: ",".join(ranges),
    }
    if spec.subnets:
        # Subnets of your own have no tags by which the controller could find them.
        found[f"{_BALANCER}-subnets"] = ",".join(subnet.subnet_id for subnet in spec.subnets)
    if kind == "nlb":
        found[f"{_BALANCER}-type"] = "nlb"
    return found


def _chosen(own: ExternalApi | GatewayPods, follows: ExternalApi | GatewayPods) -> ExternalApi | GatewayPods:
    """Return settings in which those that the user wrote win. Annotations are joined."""
    unset = {
        name: getattr(follows, name)
        for name in follows.model_fields_set
        if name != "annotations" and name not in own.model_fields_set
    }
    if "service" in own.model_fields_set and own.service != "LoadBalancer":
        return own
    return own.model_copy(update=unset | {"annotations": {**follows.annotations, **own.annotations}})
