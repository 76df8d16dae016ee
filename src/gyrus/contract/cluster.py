"""Names, ports and paths that the parts of gyrus on Kubernetes agree on. Constants and pure functions."""

from __future__ import annotations

import hashlib
import hmac

GROUP = "gyrus.dev"
"""API group of the custom resource, and prefix of labels and annotations."""
VERSION = "v1"
KIND = "API"
PLURAL = "apis"

MANAGER = "gyrus"
"""Field manager of server-side apply."""

NAMESPACE = "gyrus"
"""The default namespace of an installation. Operator, gateways and replicas run in it."""
OPERATOR = "gyrus-operator"
"""Name of the operator's Deployment, Service, service account and role."""
GATEWAY = "gyrus-gateway"
"""Name of the gateways' Deployment, Service, service account and bootstrap."""
REPLICA = "gyrus-replica"
"""Service account of replicas and builders. It has no rights, and no token is mounted."""
AUTHORITY = "gyrus-authority"
"""Secret with the certificate and the key of the installation's own authority: ``tls.crt``, ``tls.key``."""
OPERATOR_TLS = "gyrus-operator-tls"
"""Secret of the operator's certificate: ``ca.crt``, ``tls.crt``, ``tls.key``, at :data:`TLS_FOLDER`."""
GATEWAY_TLS = "gyrus-gateway-tls"
"""Secret of the gateways' certificate, for the configuration port. The same keys, the same folder."""
CERTIFIED = (AUTHORITY, OPERATOR_TLS, GATEWAY_TLS)
"""The Secrets with certificates, which the operator renews."""
OPERATOR_SECRETS = "gyrus-operator-secrets"
"""Secret with ``token`` (the API's first token), ``requeue`` and ``replicas``: see :func:`replica_secret`."""

DATA = "gyrus-operator-data"
"""The operator's PersistentVolumeClaim."""
EXTERNAL_API = "gyrus-operator-api"
"""Service that shows the operator's API alone outside the cluster, if the settings ask for it."""

IMAGE = "localhost/gyrus"
RUNTIME_IMAGE = "localhost/gyrus-runtime"
"""Default names of the two images. Their tag is gyrus's version."""

API_PORT = 8443
"""The operator's API: TLS and tokens."""
XDS_PORT = 18000
"""The gateways' configuration: mutual TLS."""
ACTIVATOR_PORT = 18001
"""The activator, for gateways: HTTP/1.1."""
FILES_PORT = 18002
"""Packages and environments, for replicas and builders: TLS, and the secret of the pod."""
MONITORING_PORT = 18004
"""Metrics and health of the operator (``/metrics``, ``/healthz``, ``/readyz``): HTTP without a token."""
GATEWAY_PORT = 8080
"""Requests of clients, at the gateways' pods."""
GATEWAY_TLS_PORT = 8443
"""The same with TLS, if the installation has a certificate for its endpoints."""
HTTPS = "https"
"""Name of the gateways' port with TLS."""
REDIRECT_PORT = 8081
"""Requests of clients without TLS then: they are redirected. At the gateways' pods."""
ANY_HOST = "0.0.0.0"
"""Address on which the ports of a pod listen: kubelet, gateways and clients use the pod's own."""
ADMIN_PORT = 9901
"""Envoy's readiness and statistics (``/ready``, :data:`ADMIN_METRICS`), at the gateways' pods."""
ADMIN_METRICS = "/stats/prometheus"
REPLICA_PORT = 8000
"""The first process of a replica; process n listens on this port + n."""

TLS_FOLDER = "/etc/gyrus/tls"
SECRETS_FOLDER = "/etc/gyrus/secrets"
"""Mount of :data:`OPERATOR_SECRETS` in the operator's pod: one file for each key."""
ENDPOINT_TLS_FOLDER = "/etc/gyrus/endpoint-tls"
"""Mount of the Secret with the endpoints' certificate in the gateways' pods: ``tls.crt``, ``tls.key``."""
STORE_FOLDER = "/etc/gyrus/store"
"""Mount of the Secret with the URL of the operators' database: one file for each key."""
STATE_FOLDER = "/var/lib/gyrus"
"""The operator's volume."""
HOME_FOLDER = f"{STATE_FOLDER}/home"
"""The operator's home. The volume's own folder belongs to root."""
GATEWAY_FOLDER = "/run/gyrus"
"""A gateway's own volume: its bootstrap and its sockets."""
POD_FOLDER = "/gyrus"
"""A replica's own volume: ``project``, ``environments/<key>``, ``runtimes``, ``run``, ``log``."""
CONFIG_FILE = f"{POD_FOLDER}/run/config.json"
"""A replica's configuration, which the init step writes."""

CALLS = "calls"
"""Purpose of the proof of the operator's private calls to a replica: see :func:`replica_proof`."""
PRE_STOP = "pre-stop"
"""Purpose of the proof by which a pod that is being deleted asks whether a gateway routes to it."""

POD_NAME_VARIABLE = "POD_NAME"
POD_NAMESPACE_VARIABLE = "POD_NAMESPACE"
POD_ADDRESS_VARIABLE = "POD_IP"
HTTPS_PORT_VARIABLE = "GYRUS_HTTPS_PORT"
"""Environment variable of the gateways: the port of the endpoints with TLS, as clients see it. Not set if the
endpoints have no certificate."""
GATEWAY_URL_VARIABLE = "GYRUS_GATEWAY_URL"
"""Environment variable of the operator: base URL of the endpoints, as clients see it. Not set if unknown."""
RUNTIME_IMAGE_VARIABLE = "GYRUS_RUNTIME_IMAGE"
"""Environment variable of the operator: the image of replicas and builders."""
PULL_POLICY_VARIABLE = "GYRUS_IMAGE_PULL_POLICY"
PULL_SECRETS_VARIABLE = "GYRUS_IMAGE_PULL_SECRETS"
"""Environment variable of the operator: names of Secrets, separated by commas. Not set for none."""
NODE_CACHE_VARIABLE = "GYRUS_NODE_CACHE"
"""Environment variable of the operator: the folder of each node with the environments that its pods share."""
NODES_VARIABLE = "GYRUS_NODES"
"""Environment variable of the operator: the node groups on AWS, as JSON. Not set if there are none."""
OBJECTS_VARIABLE = "GYRUS_OBJECTS"
"""Environment variable of the operator: URL of the object store of packages, environments and old logs."""
PRIORITY_CLASS_VARIABLE = "GYRUS_REPLICA_PRIORITY_CLASS"
"""Environment variable of the operator: the PriorityClass of replicas and builders."""

NODE_CACHE = "gyrus-node-cache"
"""Name of the DaemonSet that prepares the nodes' caches and keeps them small."""

API_LABEL = f"{GROUP}/api"
GENERATION_LABEL = f"{GROUP}/generation"
REVISION_LABEL = f"{GROUP}/revision"
ROLE_LABEL = f"{GROUP}/role"
"""One of the roles below."""
REPLICA_ROLE = "replica"
BUILDER_ROLE = "builder"
OPERATOR_ROLE = "operator"
GATEWAY_ROLE = "gateway"
CACHE_ROLE = "node-cache"
LEADER_LABEL = f"{GROUP}/leader"
"""Label of the one operator's pod that leads, by which its Services select it."""
IS_LEADER = "true"
ORDER_ANNOTATION = f"{GROUP}/order"
"""The order of a replica, as JSON, on its pod."""
SERVES_ON_ANNOTATION = f"{GROUP}/serves-on"
"""Annotation of a replica's pod: seconds for which it serves on after its deletion was requested, while a
gateway routes to it. A pod without it may end at once."""
NODE_GROUP_LABELS = (
    f"{GROUP}/node-group",
    "eks.amazonaws.com/nodegroup",
    "alpha.eksctl.io/nodegroup-name",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
)
"""Labels of nodes with the name of their node group: gyrus's own, and those of managed clusters."""
CAPACITY_LABEL = f"{GROUP}/capacity-type"
"""Label of the nodes of gyrus's own node groups: ``spot`` or ``on-demand``."""
CORDON_ANNOTATION = f"{GROUP}/cordoned-because"
"""Annotation of a node that the operator has cordoned: the reason."""
PRICE_LABEL = f"{GROUP}/price-per-hour"
"""Label of a node with its price in US dollars per hour."""


def operator_host(namespace: str) -> str:
    """Return the name by which pods of the cluster reach the operator of this namespace."""
    return f"{OPERATOR}.{namespace}.svc"


def scrape_annotations(port: int, path: str) -> dict[str, str]:
    """Return the annotations by which Prometheus usually finds the metrics of a pod."""
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port), "prometheus.io/path": path}


def replica_secret(installation: str, pod: str) -> str:
    """Return the secret by which a pod proves that it is this one.

    ``installation``: the installation's secret for replicas. The operator checks the secret without storing
    it: it is an HMAC-SHA256 of the pod's name, in hexadecimal digits.
    """
    return hmac.new(installation.encode(), pod.encode(), hashlib.sha256).hexdigest()


def log_secret(installation: str, pod: str) -> str:
    """Return the secret by which a pod appends to its own log, and which opens nothing else.

    The container with the user's code has it.
    """
    return replica_proof(installation, "logs", pod)


def replica_proof(installation: str, purpose: str, replica: str) -> str:
    """Return the proof for one purpose and one replica. It opens nothing else.

    ``installation``: the installation's secret for replicas. Unlike the pod's secret, the container that runs
    the user's code may read it. The text of the HMAC has a space, and the name of a pod has none, so that no
    proof equals a secret.
    """
    return hmac.new(installation.encode(), f"{purpose} {replica}".encode(), hashlib.sha256).hexdigest()
