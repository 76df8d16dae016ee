"""Types of resources that ministack's CloudFormation lacks. Each uses ministack's store of its service."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import Any

from support.aws.emulator.control import FAULTS

# ministack has no types.
ec2: Any = import_module("ministack.services.ec2")
ssm: Any = import_module("ministack.services.ssm")
eks: Any = import_module("ministack.services.eks")
provisioners: Any = import_module("ministack.services.cloudformation.provisioners")
stacks: Any = import_module("ministack.services.cloudformation.stacks")

Properties = Mapping[str, Any]
Created = tuple[str, dict[str, Any]]


def add() -> None:
    """Add the types, and the time and the failures of :data:`FAULTS` to all types."""
    provisioners._RESOURCE_HANDLERS.update(
        {
            "AWS::EC2::EIP": _type(_address, _forget(ec2._addresses)),
            "AWS::EC2::NatGateway": _type(_nat_gateway, _forget(ec2._nat_gateways)),
            "AWS::EC2::SecurityGroupIngress": _type(_rule("IpPermissions"), _nothing),
            "AWS::EC2::SecurityGroupEgress": _type(_rule("IpPermissionsEgress"), _nothing),
            "AWS::EKS::Addon": _type(_addon, _delete_addon),
            "AWS::EKS::AccessEntry": _type(_access_entry, _delete_access_entry),
            "AWS::EKS::PodIdentityAssociation": _type(_pod_identity, _delete_pod_identity),
        }
    )
    public = ssm._public_parameter

    def parameter(name: str) -> Any:
        return _image(name) or public(name)

    ssm._public_parameter = parameter
    eks._create_cluster = _with_endpoint(eks._create_cluster)
    provision, delete = stacks._provision_resource, stacks._delete_resource

    def provisioned(resource_type: str, logical_id: str, props: Properties, stack: str) -> Any:
        FAULTS.meet(stack, logical_id)
        return provision(resource_type, logical_id, props, stack)

    def deleted(resource_type: str, physical_id: str, props: Properties, *rest: Any, **more: Any) -> Any:
        FAULTS.meet_deletion(str(more.get("logical_id") or (rest[1] if len(rest) > 1 else "")))
        return delete(resource_type, physical_id, props, *rest, **more)

    # In a thread each, so that a resource that takes its time holds up no other stack.
    stacks._provision_resource = provisioned
    stacks._delete_resource = deleted
    stacks._runs_on_worker_thread = _always


def _image(name: str) -> dict[str, Any] | None:
    """Return the image of nodes that EKS recommends, as each region publishes it."""
    if not name.startswith("/aws/service/eks/optimized-ami/"):
        return None
    return {"Name": name, "Value": "ami-0123456789abcdef0", "Type": "String", "Version": 1}


def _with_endpoint(create: Callable[..., Any]) -> Callable[..., Any]:
    """Give clusters the endpoint of the environment, behind which a real Kubernetes is."""

    def created(body: Any, creator_arn: str | None = None) -> Any:
        answer = create(body, creator_arn)
        if answer[0] == HTTPStatus.OK and "EKS_ENDPOINT" in os.environ:
            cluster = eks._clusters[body["name"]]
            authority = Path(os.environ["EKS_AUTHORITY"]).read_bytes()
            cluster["endpoint"] = os.environ["EKS_ENDPOINT"]
            cluster["certificateAuthority"] = {"data": base64.b64encode(authority).decode()}
            cluster["status"] = "ACTIVE"
        return answer

    return created


def _always(resource_type: str) -> bool:
    return True


def _type(
    create: Callable[[str, Properties, str], Created], delete: Callable[[str, Properties], object]
) -> dict[str, Any]:
    def update(physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
        return create(physical_id, new, stack)

    return {"create": create, "delete": delete, "update": update}


def _forget(store: Any) -> Callable[[str, Properties], object]:
    def delete(physical_id: str, props: Properties) -> None:
        store.pop(physical_id, None)

    return delete


def _nothing(physical_id: str, props: Properties) -> None:
    pass


def _address(logical_id: str, props: Properties, stack: str) -> Created:
    if logical_id in ec2._addresses:
        return logical_id, {"AllocationId": logical_id, "PublicIp": ec2._addresses[logical_id]["PublicIp"]}
    before = set(ec2._addresses)
    ec2._allocate_address({"Domain": "vpc"})
    name = next(iter(set(ec2._addresses) - before))
    provisioners._ec2_apply_tags(name, props)
    return name, {"AllocationId": name, "PublicIp": ec2._addresses[name]["PublicIp"]}


def _nat_gateway(logical_id: str, props: Properties, stack: str) -> Created:
    if logical_id in ec2._nat_gateways:
        return logical_id, {"NatGatewayId": logical_id}
    before = set(ec2._nat_gateways)
    ec2._create_nat_gateway({name: props[name] for name in ("SubnetId", "AllocationId") if name in props})
    name = next(iter(set(ec2._nat_gateways) - before))
    provisioners._ec2_apply_tags(name, props)
    return name, {"NatGatewayId": name}


def _rule(field: str) -> Callable[[str, Properties, str], Created]:
    def create(logical_id: str, props: Properties, stack: str) -> Created:
        group = ec2._security_groups[props["GroupId"]]
        group[field] += provisioners._ec2_sg_permissions([dict(props)])
        return f"{props['GroupId']}-{logical_id}", {"Id": f"sgr-{logical_id}"}

    return create


def _answer(response: tuple[int, Any, Any]) -> dict[str, Any]:
    status, _, body = response
    if status >= 400:
        raise ValueError(str(body))
    return json.loads(body)


def _addon(logical_id: str, props: Properties, stack: str) -> Created:
    cluster, name = props["ClusterName"], props["AddonName"]
    if eks._describe_addon(cluster, name)[0] == 200:
        return f"{cluster}|{name}", {"Arn": eks._addon_arn(cluster, name)}
    body = {"addonName": name, "addonVersion": props.get("AddonVersion", "v1")}
    created = _answer(eks._create_addon(cluster, body))
    return f"{cluster}|{name}", {"Arn": created["addon"]["addonArn"]}


def _delete_addon(physical_id: str, props: Properties) -> None:
    cluster, _, name = physical_id.partition("|")
    eks._delete_addon(cluster, name)


def _access_entry(logical_id: str, props: Properties, stack: str) -> Created:
    cluster, principal = props["ClusterName"], props["PrincipalArn"]
    if eks._describe_access_entry(cluster, principal)[0] != 200:
        body = {
            "principalArn": principal,
            "type": props.get("Type", "STANDARD"),
            "kubernetesGroups": props.get("KubernetesGroups", []),
        }
        _answer(eks._create_access_entry(cluster, body))
    for policy in props.get("AccessPolicies", []):
        scope = {key[0].lower() + key[1:]: value for key, value in policy["AccessScope"].items()}
        eks._associate_access_policy(
            cluster, principal, {"policyArn": policy["PolicyArn"], "accessScope": scope}
        )
    return f"{cluster}|{principal}", {"AccessEntryArn": eks._access_entry_arn(cluster, principal)}


def _delete_access_entry(physical_id: str, props: Properties) -> None:
    cluster, _, principal = physical_id.partition("|")
    eks._delete_access_entry(cluster, principal)


def _pod_identity(logical_id: str, props: Properties, stack: str) -> Created:
    cluster = props["ClusterName"]
    found = _answer(eks._list_pod_identity_associations(cluster, {}))["associations"]
    for entry in found:
        if (entry["namespace"], entry["serviceAccount"]) == (props["Namespace"], props["ServiceAccount"]):
            return f"{cluster}|{entry['associationId']}", {"AssociationId": entry["associationId"]}
    body = {
        "namespace": props["Namespace"],
        "serviceAccount": props["ServiceAccount"],
        "roleArn": props["RoleArn"],
    }
    created = _answer(eks._create_pod_identity_association(cluster, body))["association"]
    return f"{cluster}|{created['associationId']}", {"AssociationId": created["associationId"]}


def _delete_pod_identity(physical_id: str, props: Properties) -> None:
    cluster, _, association = physical_id.partition("|")
    eks._delete_pod_identity_association(cluster, association)
