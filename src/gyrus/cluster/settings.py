"""The settings of an installation, as a values file writes them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core.core_schema import CoreSchema, no_info_after_validator_function

from gyrus import __version__
from gyrus.cluster.aws.identifiers import ClusterName, Region
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.contract import cluster as names
from gyrus.objects.location import parse_location
from gyrus.spec.api import Model
from gyrus.spec.faults import Contradiction

NO_STORAGE = "none"
"""The value of ``operator.storage`` for which the operator's state ends with its pod."""

ServiceType = Literal["ClusterIP", "NodePort", "LoadBalancer"]
NodePort = Annotated[int, Field(ge=30000, le=32767)]
ServicePort = Annotated[int, Field(ge=1, le=65535)]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_QUANTITY = re.compile(r"\d{1,18}(\.\d{1,9})?(m|k|[MGTPE]i?|Ki)?")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9_./:@-]{0,500}")


@dataclass(frozen=True, slots=True)
class _Matches:
    """A check of a text, with a message of its own. The JSON Schema has the pattern."""

    pattern: re.Pattern[str]
    fault: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^({self.pattern.pattern})$"}

    def _check(self, value: str) -> str:
        if not self.pattern.fullmatch(value):
            raise ValueError(self.fault)
        return value


def is_namespace(name: str) -> bool:
    """Return whether Kubernetes accepts this name for a namespace."""
    return _LABEL.fullmatch(name) is not None


Image = Annotated[
    str, _Matches(_IMAGE, "is not an image; write for example registry.example.com/gyrus:0.1.0")
]
ResourceQuantity = Annotated[str, _Matches(_QUANTITY, "is not a quantity; write for example 500m or 1Gi")]
Storage = Annotated[
    str,
    _Matches(
        re.compile(f"{NO_STORAGE}|{_QUANTITY.pattern}"),
        "is not the size of a volume; write for example 10Gi, or none",
    ),
]
Url = Annotated[
    str,
    _Matches(
        re.compile(r"|https?://[^/?#\s]+"), "is not a base URL; write for example https://models.example.com"
    ),
]
QueueUrl = Annotated[
    str,
    _Matches(
        re.compile(r"|https?://[^?#\s]+/[^?#\s]+"),
        "is not the URL of a queue; write for example https://sqs.eu-west-1.amazonaws.com/123456789012/gyrus",
    ),
]
FolderOfNodes = Annotated[
    str,
    _Matches(
        re.compile(r"/[-._a-zA-Z0-9]+(/[-._a-zA-Z0-9]+)*"),
        "is not the path of a folder; write for example /var/lib/gyrus-environments",
    ),
]
Size = Annotated[
    str, _Matches(re.compile(r"[1-9]\d{0,5}(Mi|Gi)"), "is not a size; write for example 64Mi or 1Gi")
]
Age = Annotated[
    str, _Matches(re.compile(r"[1-9]\d{0,5}(s|m|h)"), "is not a duration; write for example 168h for a week")
]
ObjectName = Annotated[
    str, _Matches(_LABEL, "is not the name of an object; write lower-case letters, digits and -")
]


LogGroupName = Annotated[
    str,
    _Matches(
        re.compile(r"|[-._/#A-Za-z0-9]{1,512}"),
        "is not the name of a log group; write for example /gyrus/models",
    ),
]


def _needless_port(service: ServiceType, node_port: int | None, *within: str) -> Iterator[Contradiction]:
    if service == "ClusterIP" and node_port is not None:
        yield Contradiction(
            path=(*within, "node_port"),
            message="a Service of type ClusterIP has no port on nodes",
            remedy="write service: NodePort",
            at_key=True,
        )


class Images(Model):
    """The two images, and how nodes get them."""

    gyrus: Image = f"{names.IMAGE}:{__version__}"
    """Image of operator and gateways."""
    runtime: Image = f"{names.RUNTIME_IMAGE}:{__version__}"
    """Image of replicas and builders."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: list[ObjectName] = Field(default_factory=list[ObjectName])
    """Secrets of the namespace with the credentials of the registry."""


class PodResources(Model):
    """Requests of a pod. The memory is its limit, too."""

    cpu: ResourceQuantity
    memory: ResourceQuantity


class ExternalApi(Model):
    """How the operator's API is reached from outside the cluster."""

    service: ServiceType = "ClusterIP"
    node_port: NodePort | None = None
    annotations: dict[str, str] = Field(default_factory=dict[str, str])
    """Annotations of the Service: most clouds configure their load balancer by these."""

    def contradictions(self) -> Iterator[Contradiction]:
        yield from _needless_port(self.service, self.node_port)


class StoreSecret(Model):
    """The Secret with the URL of a PostgreSQL database: ``postgresql://USER:PASSWORD@HOST/NAME``."""

    secret: ObjectName
    """Its name. It is in the installation's namespace."""
    key: Annotated[str, _Matches(_KEY, "is not a key of a Secret; write letters, digits, -, _ and .")] = "url"


class ArchiveBounds(Model):
    """The bounds of the archive of replicas' output. Beyond them, the oldest lines go first."""

    per_api: Size = "64Mi"
    """Bytes of one API."""
    total: Size = "1Gi"
    """Bytes of all APIs, on the operator's volume or in its database."""
    age: Age = "168h"
    """How long lines are kept."""


_URL = StoreSecret.model_construct(secret="", key="")
"""In place of a URL, so that no message cites its password."""


def _without_url(value: object) -> object:
    return _URL if isinstance(value, str) else value


class OperatorPod(Model):
    """The operator's pod."""

    resources: PodResources = PodResources(cpu="200m", memory="512Mi")
    storage: Storage = "10Gi"
    """Size of the operator's volume, or none: then its state ends with its pod."""
    storage_class: str | None = None
    """Default: the cluster's default class."""
    store: Annotated[StoreSecret, BeforeValidator(_without_url)] | None = None
    """PostgreSQL, for two operators (default: SQLite on the operator's volume, for one)."""
    api: ExternalApi = ExternalApi()
    log_archive: ArchiveBounds = ArchiveBounds()

    @property
    def replicas(self) -> int:
        """The number of operators: a second one, on standby, needs a store that both reach."""
        return 2 if self.store else 1

    @property
    def has_volume(self) -> bool:
        """True if the state is on a volume that outlives the pod."""
        return self.store is None and self.storage != NO_STORAGE

    def contradictions(self) -> Iterator[Contradiction]:
        if self.store is _URL:
            yield Contradiction(
                path=("store",),
                message="must name a Secret, since the URL has a password",
                remedy="create one with: kubectl create secret generic gyrus-store "
                "--from-literal=url=postgresql://…, and write store: {secret: gyrus-store}",
            )
        if self.store and self.storage != NO_STORAGE and "storage" in self.model_fields_set:
            yield Contradiction(
                path=("storage",),
                message="with a store, the state is in PostgreSQL, and the operators have no volume",
                remedy="leave storage out",
                at_key=True,
            )


class EndpointTls(Model):
    """HTTPS at the endpoints, with a certificate of the installation's namespace."""

    secret: ObjectName
    """A Secret of the type kubernetes.io/tls, as cert-manager writes it. A renewed one is taken over."""
    port: ServicePort = 443
    node_port: NodePort | None = None
    http: Literal["redirect", "serve"] = "redirect"
    """The fate of requests without TLS. By default, none of them reaches an API."""


class GatewayPods(Model):
    """The gateways' pods and their Service."""

    replicas: Annotated[int, Field(ge=1, le=100)] = 2
    resources: PodResources = PodResources(cpu="200m", memory="512Mi")
    service: ServiceType = "LoadBalancer"
    port: ServicePort = 80
    node_port: NodePort | None = None
    tls: EndpointTls | None = None
    """HTTPS at the endpoints (default: HTTP alone)."""
    balancer_tls_port: ServicePort | None = None
    """The port at which the load balancer ends TLS by a certificate of its own (default: none)."""
    url: Url = ""
    """Base URL of the endpoints, as clients see it (default: the address of the Service)."""
    annotations: dict[str, str] = Field(default_factory=dict[str, str])
    """Annotations of the Service: most clouds configure their load balancer by these."""

    @property
    def https_port(self) -> int | None:
        """The port of the endpoints with TLS, as clients see it. None if there is none, or it is unknown."""
        if self.tls is None:
            return None
        if self.url:
            return urlsplit(self.url).port or 443
        return self.tls.node_port if self.service == "NodePort" else self.tls.port

    def contradictions(self) -> Iterator[Contradiction]:
        yield from _needless_port(self.service, self.node_port)
        yield from self._balancer_faults()
        if self.tls is None:
            return
        yield from _needless_port(self.service, self.tls.node_port, "tls")
        if self.tls.port == self.port:
            yield Contradiction(
                path=("tls", "port"),
                message=f"is the port of HTTP, too: {self.port}",
                remedy="choose another one for tls.port or for port",
            )
        if self.url.startswith("http:"):
            yield Contradiction(
                path=("url",), message="has no TLS, which tls asks for", remedy="write https://"
            )
        elif self.tls.http == "redirect" and self.https_port is None:
            yield Contradiction(
                path=("tls",),
                message="has no node_port, and a redirect must name the port of HTTPS",
                remedy="write node_port (30000 to 32767), or http: serve, or the url of the endpoints",
            )

    def _balancer_faults(self) -> Iterator[Contradiction]:
        path = ("balancer_tls_port",)
        if self.balancer_tls_port is None:
            return
        if self.service != "LoadBalancer":
            message = f"is given, and a Service of type {self.service} has no load balancer"
            yield Contradiction(path=path, message=message, remedy="write service: LoadBalancer", at_key=True)
        if self.tls is not None:
            message = "is given beside tls, by which the gateways end TLS themselves"
            yield Contradiction(path=path, message=message, remedy="remove one of them", at_key=True)
        if self.balancer_tls_port == self.port:
            message = f"is the port of HTTP, too: {self.port}"
            yield Contradiction(path=path, message=message, remedy="choose another one for port")


class NodeCache(Model):
    """A folder of each node with the Python environments that its pods share."""

    path: FolderOfNodes = "/var/lib/gyrus-environments"
    size: ResourceQuantity = "20Gi"
    """Bytes that environments may take there. Those that no replica uses are removed beyond."""


HourlyPrice = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class NodeScaling(Model):
    """The node groups of a cluster on AWS, and the component that adds and removes nodes."""

    region: Region
    """The AWS region."""
    cluster: ClusterName
    """The name of the EKS cluster."""
    scaler: Literal["gyrus", "karpenter", "none"] = "gyrus"
    """The component that adds and removes nodes."""
    notices: QueueUrl = ""
    """URL of the queue with EC2's notices (default: no warnings of interruptions are received)."""
    public_addresses: bool = False
    """Each node has a public IPv4 address, which counts in its price."""
    shared_costs: dict[str, HourlyPrice] = Field(default_factory=dict[str, HourlyPrice])
    """The prices of the cluster's parts besides its nodes, such as the control plane: US dollars per hour."""
    groups: Annotated[list[NodeGroup], Field(min_length=1)]
    """The node groups, as in cluster.yaml."""

    @property
    def planned(self) -> bool:
        """True if the operator plans the nodes."""
        return self.scaler == "gyrus"

    @property
    def document(self) -> str:
        """The settings as JSON, as the operator's pod gets them."""
        chosen = self.model_dump(mode="json", exclude_unset=True)
        return json.dumps(chosen, sort_keys=True, separators=(",", ":"))


def check_objects(value: str) -> str:
    """Check the URL of the installation's part of an object store."""
    if parse_location(value).bucket == "":
        raise ValueError("is a folder, which the operators' pods do not share; name a bucket: s3://my-bucket")
    return value


class ObjectBucket(Model):
    """A part of a bucket that the installation has for itself."""

    url: Annotated[str, AfterValidator(check_objects)]
    """Such as s3://my-bucket/gyrus. All names in the bucket begin with it."""
    secret: ObjectName = "gyrus-objects"
    """A Secret with environment variables of AWS's tools, such as AWS_ACCESS_KEY_ID, AWS_REGION and
    AWS_ENDPOINT_URL. Where the operator's service account has a role, it need not exist."""


class CloudWatchSettings(Model):
    """The log group and the metrics of the cluster in CloudWatch. The operator's role must allow them."""

    cluster: ClusterName = Field(examples=["models"])
    """The cluster's name: the metrics are in the namespace gyrus/NAME."""
    region: Region = Field(examples=["us-east-1"])
    log_group: LogGroupName = ""
    """The log group (default: /gyrus/NAME)."""


class ClusterSettings(Model):
    """All settings of an installation."""

    images: Images = Images()
    operator: OperatorPod = OperatorPod()
    gateway: GatewayPods = GatewayPods()
    pod_security: Literal["restricted", "baseline", "privileged"] = "restricted"
    """The Pod Security Standard that the namespace enforces."""
    node_cache: NodeCache | None = None
    """Share Python environments between the pods of a node (default: each pod fetches its own)."""
    nodes: NodeScaling | None = None
    """Let the operator add and remove nodes on AWS (default: the cluster's nodes are left alone)."""
    objects: ObjectBucket | None = None
    """Store packages, environments and old logs in a bucket (default: on the operator's volume, or in its
    store). Pods fetch from it by signed URLs, without credentials."""
    cloudwatch: CloudWatchSettings | None = None
    """Send the log and metrics to CloudWatch (default: neither)."""
    network_policies: bool = True
    pod_monitor: bool = False
    """Create PodMonitors, by which the Prometheus Operator scrapes all pods. It must be installed."""

    def contradictions(self) -> Iterator[Contradiction]:
        if self.node_cache and self.pod_security != "privileged":
            yield Contradiction(
                path=("node_cache",),
                message=f"the standard {self.pod_security} allows no volume that is a folder of the node",
                remedy="write pod_security: privileged; replicas stay restricted but for this volume",
                at_key=True,
            )
