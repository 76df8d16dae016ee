from typing import Any

import pytest

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.installation import installation_of, store_url
from gyrus.cluster.manifests import gateway, operator
from gyrus.cluster.settings import (
    CloudWatchSettings,
    ClusterSettings,
    ExternalApi,
    GatewayPods,
    NodeScaling,
)

CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/1a2b3c4d"
PREFIX = "service.beta.kubernetes.io/"


def spec(**fields: Any) -> ClusterSpec:
    groups = [{"name": "cpu", "instance_type": "m5.large"}]
    return ClusterSpec.model_validate({"region": "eu-west-1", "node_groups": groups, **fields})


def test_the_services_have_network_load_balancers_for_everyone():
    known = installation_of(spec(tags={"team": "vision", "cost": "7"}))
    service = gateway.service(known)
    annotations = {
        f"{PREFIX}aws-load-balancer-type": "nlb",
        f"{PREFIX}aws-load-balancer-internal": "false",
        f"{PREFIX}aws-load-balancer-cross-zone-load-balancing-enabled": "true",
        f"{PREFIX}aws-load-balancer-additional-resource-tags": "cost=7,gyrus.dev/cluster=cortex,team=vision",
        f"{PREFIX}load-balancer-source-ranges": "0.0.0.0/0",
    }
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["metadata"]["annotations"] == annotations
    assert [one["port"] for one in service["spec"]["ports"]] == [80]
    outside = operator.services(known)[1]
    assert outside["spec"]["type"] == "LoadBalancer"
    assert outside["metadata"]["annotations"] == annotations


def test_scheme_type_and_ranges_of_each_load_balancer_are_its_own():
    known = installation_of(
        spec(
            api_load_balancer_type="elb",
            api_load_balancer_scheme="internal",
            api_load_balancer_cidr_white_list=["10.0.0.0/8", "192.0.2.0/24"],
            operator_load_balancer_cidr_white_list=["203.0.113.7/32"],
        )
    )
    apis = gateway.service(known)["metadata"]["annotations"]
    assert f"{PREFIX}aws-load-balancer-type" not in apis
    assert apis[f"{PREFIX}aws-load-balancer-internal"] == "true"
    assert apis[f"{PREFIX}load-balancer-source-ranges"] == "10.0.0.0/8,192.0.2.0/24"
    outside = operator.services(known)[1]["metadata"]["annotations"]
    assert outside[f"{PREFIX}aws-load-balancer-internal"] == "false"
    assert outside[f"{PREFIX}load-balancer-source-ranges"] == "203.0.113.7/32"


def test_load_balancers_are_placed_in_subnets_of_your_own():
    own = [
        {"availability_zone": f"eu-west-1{zone}", "subnet_id": f"subnet-0123456789abcde{zone}0"}
        for zone in "ab"
    ]
    annotations = gateway.service(installation_of(spec(subnets=own)))["metadata"]["annotations"]
    assert annotations[f"{PREFIX}aws-load-balancer-subnets"] == (
        "subnet-0123456789abcdea0,subnet-0123456789abcdeb0"
    )


@pytest.mark.parametrize(("kind", "protocol"), [("nlb", "tcp"), ("elb", "http")])
def test_a_certificate_of_acm_is_at_the_load_balancer(kind: str, protocol: str):
    known = installation_of(spec(ssl_certificate_arn=CERTIFICATE, api_load_balancer_type=kind))
    service = gateway.service(known)
    assert service["metadata"]["annotations"][f"{PREFIX}aws-load-balancer-ssl-cert"] == CERTIFICATE
    assert service["metadata"]["annotations"][f"{PREFIX}aws-load-balancer-ssl-ports"] == "443"
    assert service["metadata"]["annotations"][f"{PREFIX}aws-load-balancer-backend-protocol"] == protocol
    assert [(one["port"], one["targetPort"]) for one in service["spec"]["ports"]] == [
        (443, "http"),
        (80, "http"),
    ]


def test_a_database_means_two_operators_and_a_secret():
    known = installation_of(spec(gyrus={"store": "postgresql://gyrus@db.example.com/gyrus"}))
    assert known.settings.operator.replicas == 2
    assert known.settings.operator.store is not None
    assert known.settings.operator.store.secret == "gyrus-store"
    assert not known.settings.operator.has_volume


def test_the_values_file_wins():
    own = ClusterSettings(
        gateway=GatewayPods(replicas=5, annotations={f"{PREFIX}aws-load-balancer-type": "external"})
    )
    known = installation_of(spec(), own)
    assert known.settings.gateway.replicas == 5
    annotations = gateway.service(known)["metadata"]["annotations"]
    assert annotations[f"{PREFIX}aws-load-balancer-type"] == "external"
    assert annotations[f"{PREFIX}load-balancer-source-ranges"] == "0.0.0.0/0"


def test_a_service_of_another_type_has_no_load_balancer():
    gateways = GatewayPods(service="NodePort", node_port=30080)
    api = ExternalApi(service="NodePort", node_port=30443)
    own = ClusterSettings(gateway=gateways)
    own = own.model_copy(update={"operator": own.operator.model_copy(update={"api": api})})
    known = installation_of(spec(ssl_certificate_arn=CERTIFICATE), own)
    assert known.settings.gateway == gateways
    assert known.settings.operator.api == api


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://gyrus@db/gyrus", "postgresql://gyrus:p%2Fw@db/gyrus"),
        (
            "postgresql://db:5433/gyrus?sslmode=require",
            "postgresql://gyrus:p%2Fw@db:5433/gyrus?sslmode=require",
        ),
    ],
)
def test_the_password_joins_the_url(url: str, expected: str):
    assert store_url(url, "p/w") == expected


def test_log_and_metrics_go_to_cloudwatch_unless_the_file_turns_it_off():
    chosen = installation_of(spec(cluster_name="models")).settings.cloudwatch
    assert chosen == CloudWatchSettings(cluster="models", region="eu-west-1")
    assert installation_of(spec(cloudwatch=False)).settings.cloudwatch is None
    own = ClusterSettings(cloudwatch=CloudWatchSettings(cluster="other", region="us-east-1"))
    assert installation_of(spec(), own).settings.cloudwatch == own.cloudwatch


@pytest.mark.parametrize(("visibility", "public"), [("public", True), ("private", False)])
def test_the_operator_learns_what_the_parts_besides_nodes_cost(visibility: str, public: bool):
    found = installation_of(spec(subnet_visibility=visibility), shared_costs={"EKS control plane": 0.1})
    nodes = found.settings.nodes
    assert nodes is not None
    assert (nodes.public_addresses, nodes.shared_costs) == (public, {"EKS control plane": 0.1})
    assert NodeScaling.model_validate_json(nodes.document) == nodes
