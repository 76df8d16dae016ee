"""EC2 Auto Scaling as a state machine: launches that take time or fail, and instances that EC2 knows.

ministack's own groups have all their instances at once, and EC2 does not know them. The machine advances
whenever a request looks at it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from importlib import import_module
from typing import Any
from xml.sax.saxutils import escape

from support.aws.emulator.control import FAULTS

# ministack has no types.
autoscaling: Any = import_module("ministack.services.autoscaling")
ec2: Any = import_module("ministack.services.ec2")
provisioners: Any = import_module("ministack.services.cloudformation.provisioners")

Group = dict[str, Any]
Params = Mapping[str, Any]
KEPT = 100
LAUNCHED, FAILED = "Successful", "Failed"


def add() -> None:
    """Replace ministack's groups that are complete at once."""
    autoscaling._reconcile_instances = advance
    actions = autoscaling._ACTION_MAP
    actions["DescribeAutoScalingGroups"] = _describe_groups
    actions["DescribeScalingActivities"] = _describe_activities
    actions["SetDesiredCapacity"] = _set_desired
    actions["TerminateInstanceInAutoScalingGroup"] = _terminate
    actions["SuspendProcesses"] = _suspend
    actions["UpdateAutoScalingGroup"] = _with_new_policy(autoscaling._update_asg)
    actions["CreateAutoScalingGroup"] = _with_policy(autoscaling._create_asg)
    actions["DeleteAutoScalingGroup"] = _with_ends(actions["DeleteAutoScalingGroup"])
    ec2._ACTION_MAP["DescribeInstances"] = _advancing(ec2._describe_instances)
    ec2._ACTION_MAP["DescribeSpotPriceHistory"] = _spot_prices
    ec2._instance_xml = _with_lifecycle(ec2._instance_xml)
    provisioners._asg_fields = _with_instances(provisioners._asg_fields)
    handler = provisioners._RESOURCE_HANDLERS["AWS::AutoScaling::AutoScalingGroup"]
    handler["update"] = _keeping_size(handler["update"])


def _suspend(params: Params) -> Any:
    """Note the processes that a group shall not run. Those of balancing zones are not emulated anyhow."""
    group = autoscaling._asgs[autoscaling._p(params, "AutoScalingGroupName")]
    group["_suspended"] = autoscaling._parse_member_list(params, "ScalingProcesses")
    return autoscaling._xml(200, "SuspendProcessesResponse", "")


def advance(group: Group) -> None:
    """Do what has become due: instances that start, are in service, and are gone, and launches."""
    now = time.time()
    for one in list(group["Instances"]):
        known = ec2._instances.get(one["InstanceId"])
        if one["LifecycleState"] == "Terminating" and now >= one["_due"]:
            _end(one["InstanceId"])
            group["Instances"].remove(one)
        elif known is None or known["State"]["Name"] == "terminated":
            group["Instances"].remove(one)
        elif one["LifecycleState"] == "Pending" and now >= one["_due"]:
            one["LifecycleState"] = "InService"
    alive = sum(one["LifecycleState"] != "Terminating" for one in group["Instances"])
    if alive < group["DesiredCapacity"]:
        _launch(group, group["DesiredCapacity"] - alive, now)


def _launch(group: Group, missing: int, now: float) -> None:
    name = group["AutoScalingGroupName"]
    if name in FAULTS.silent_groups:
        return
    if message := FAULTS.failing_groups.get(name):
        if now - group.get("_tried", 0.0) >= FAULTS.launch_retry:
            group["_tried"] = now
            _note(group, FAILED, "Launching a new EC2 instance.  Status Reason: " + message, message)
        return
    for _ in range(missing):
        one = _instance(group, now)
        group["Instances"].append(one)
        _note(group, LAUNCHED, f"Launching a new EC2 instance: {one['InstanceId']}", "")


def _instance(group: Group, now: float) -> dict[str, Any]:
    subnets = [name for name in group["VPCZoneIdentifier"].split(",") if name in ec2._subnets]
    launched = len(group.get("_activities", ()))
    subnet = subnets[launched % len(subnets)] if subnets else ec2._DEFAULT_SUBNET_ID
    kind, template = _types(group)[0], _template(group)
    (created,) = ec2._launch_instances_internal("ami-0123456789abcdef0", kind, subnet, 1)
    if chosen := FAULTS.instance_ids.get(group["AutoScalingGroupName"]):
        del ec2._instances[created["InstanceId"]]
        created["InstanceId"] = chosen.pop(0)
        ec2._instances[created["InstanceId"]] = created
    zone = ec2._subnets.get(subnet, {}).get("AvailabilityZone", created["Placement"]["AvailabilityZone"])
    created["Placement"]["AvailabilityZone"] = zone
    created["_lifecycle"] = "spot" if _is_spot(group) else ""
    ec2._tags[created["InstanceId"]] = [
        {"Key": tag["Key"], "Value": tag["Value"]} for tag in group["Tags"] if tag.get("PropagateAtLaunch")
    ]
    return {
        "InstanceId": created["InstanceId"],
        "InstanceType": kind,
        "AvailabilityZone": zone,
        "LifecycleState": "Pending",
        "HealthStatus": "Healthy",
        "ProtectedFromScaleIn": group["NewInstancesProtectedFromScaleIn"],
        "LaunchTemplate": dict(template),
        "_due": now + FAULTS.launch_seconds,
    }


def _end(instance: str) -> None:
    if known := ec2._instances.get(instance):
        known["State"] = {"Code": 48, "Name": "terminated"}
        known["_terminated_at"] = time.time()
    for name, volume in list(ec2._volumes.items()):
        if any(each["InstanceId"] == instance for each in volume["Attachments"]):
            del ec2._volumes[name]


def _with_ends(delete: Callable[[Params], Any]) -> Callable[[Params], Any]:
    """End the instances of a group that is deleted by force, as AWS does."""

    def deleted(params: Params) -> Any:
        group = autoscaling._asgs.get(autoscaling._p(params, "AutoScalingGroupName"))
        instances = [one["InstanceId"] for one in group["Instances"]] if group else []
        answer = delete(params)
        if answer[0] == HTTPStatus.OK:
            for instance in instances:
                _end(instance)
        return answer

    return deleted


def _note(group: Group, status: str, description: str, message: str) -> None:
    entry = {
        "ActivityId": str(uuid.uuid4()),
        "Description": description,
        "StatusCode": status,
        "StatusMessage": message,
        "Time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    group["_activities"] = [entry, *group.get("_activities", [])][:KEPT]


def _types(group: Group) -> list[str]:
    overrides = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {}).get("Overrides", [])
    return [one["InstanceType"] for one in overrides] or ["m5.large"]


def _template(group: Group) -> dict[str, Any]:
    mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    return mixed.get("LaunchTemplateSpecification") or group.get("LaunchTemplate") or {}


def _is_spot(group: Group) -> bool:
    distribution = group.get("MixedInstancesPolicy", {}).get("InstancesDistribution", {})
    return str(distribution.get("OnDemandPercentageAboveBaseCapacity", "100")) == "0"


def _lifecycle(instance: Mapping[str, Any]) -> str:
    return "<instanceLifecycle>spot</instanceLifecycle>" if instance.get("_lifecycle") == "spot" else ""


def _with_lifecycle(xml: Callable[[Params], str]) -> Callable[[Params], str]:
    return lambda instance: xml(instance).replace("<item>", f"<item>{_lifecycle(instance)}", 1)


def _with_instances(fields: Callable[[Params], Group]) -> Callable[[Params], Group]:
    """Keep the policy of a template, which ministack drops."""
    return lambda props: {**fields(props), "MixedInstancesPolicy": props.get("MixedInstancesPolicy", {})}


def _groups() -> list[Group]:
    groups: list[Group] = list(autoscaling._asgs.values())
    for group in groups:
        advance(group)
    return groups


def _advancing(action: Callable[[Params], Any]) -> Callable[[Params], Any]:
    def advanced(params: Params) -> Any:
        _groups()
        return action(params)

    return advanced


def _with_policy(create: Callable[[Params], Any]) -> Callable[[Params], Any]:
    def created(params: Params) -> Any:
        policy = autoscaling._parse_nested(params, "MixedInstancesPolicy")
        answer = create({**params, "DesiredCapacity": "0", "MinSize": "0"})
        name = autoscaling._p(params, "AutoScalingGroupName")
        if answer[0] == 200:
            wanted = autoscaling._p(params, "DesiredCapacity") or autoscaling._p(params, "MinSize")
            autoscaling._asgs[name] |= {
                "MixedInstancesPolicy": policy,
                "MinSize": int(autoscaling._p(params, "MinSize") or 0),
                "DesiredCapacity": int(wanted or 0),
            }
        return answer

    return created


def _with_new_policy(update: Callable[[Params], Any]) -> Callable[[Params], Any]:
    def updated(params: Params) -> Any:
        answer = update(params)
        if policy := autoscaling._parse_nested(params, "MixedInstancesPolicy"):
            autoscaling._asgs[autoscaling._p(params, "AutoScalingGroupName")]["MixedInstancesPolicy"] = policy
        return answer

    return updated


def _keeping_size(update: Callable[..., Any]) -> Callable[..., Any]:
    """An update without a desired capacity leaves it within the bounds, as CloudFormation does."""

    def updated(physical_id: str, old: Params, new: Params, *rest: Any, **more: Any) -> Any:
        group = autoscaling._asgs.get(physical_id)
        size = group["DesiredCapacity"] if group else 0
        result = update(physical_id, old, new, *rest, **more)
        if group and "DesiredCapacity" not in new:
            group["DesiredCapacity"] = max(group["MinSize"], min(size, group["MaxSize"]))
        return result

    return updated


def _set_desired(params: Params) -> Any:
    name = autoscaling._p(params, "AutoScalingGroupName")
    group = autoscaling._asgs.get(name)
    if group is None:
        return autoscaling._error("ValidationError", f"AutoScalingGroup name not found - {name}")
    desired = int(autoscaling._p(params, "DesiredCapacity"))
    if name in FAULTS.full_groups or not group["MinSize"] <= desired <= group["MaxSize"]:
        message = f"New SetDesiredCapacity value {desired} is out of the bounds of {name}."
        return autoscaling._error("ValidationError", message)
    group["DesiredCapacity"] = desired
    advance(group)
    return autoscaling._xml(200, "SetDesiredCapacityResponse", "")


def _terminate(params: Params) -> Any:
    instance = autoscaling._p(params, "InstanceId")
    decrement = autoscaling._p(params, "ShouldDecrementDesiredCapacity") == "true"
    for group in _groups():
        for one in group["Instances"]:
            if one["InstanceId"] != instance:
                continue
            if one["LifecycleState"] != "Terminating":
                if decrement and group["DesiredCapacity"] <= group["MinSize"]:
                    message = (
                        "Currently, desiredSize equals minSize. Terminating instance without replacement"
                    )
                    return autoscaling._error("ValidationError", message)
                group["DesiredCapacity"] -= decrement
                one |= {"LifecycleState": "Terminating", "_due": time.time() + FAULTS.launch_seconds}
                _note(group, LAUNCHED, f"Terminating EC2 instance: {instance}", "")
            activity = _activity_xml(group["_activities"][0], group["AutoScalingGroupName"])
            inner = f"<Activity>{activity}</Activity>"
            return autoscaling._xml(
                200,
                "TerminateInstanceInAutoScalingGroupResponse",
                f"<TerminateInstanceInAutoScalingGroupResult>{inner}"
                "</TerminateInstanceInAutoScalingGroupResult>",
            )
    message = f"Instance Id not found - No managed instance found for instance ID: {instance}"
    return autoscaling._error("ValidationError", message)


def _describe_activities(params: Params) -> Any:
    name = autoscaling._p(params, "AutoScalingGroupName")
    most = int(autoscaling._p(params, "MaxRecords") or KEPT)
    members = "".join(
        f"<member>{_activity_xml(entry, group['AutoScalingGroupName'])}</member>"
        for group in _groups()
        if name in ("", group["AutoScalingGroupName"])
        for entry in group.get("_activities", [])[:most]
    )
    return autoscaling._xml(
        200,
        "DescribeScalingActivitiesResponse",
        f"<DescribeScalingActivitiesResult><Activities>{members}</Activities>"
        "</DescribeScalingActivitiesResult>",
    )


def _activity_xml(entry: Mapping[str, str], group: str) -> str:
    return (
        f"<ActivityId>{entry['ActivityId']}</ActivityId>"
        f"<AutoScalingGroupName>{group}</AutoScalingGroupName>"
        f"<Description>{escape(entry['Description'])}</Description><Cause>a test</Cause>"
        f"<StartTime>{entry['Time']}</StartTime><EndTime>{entry['Time']}</EndTime>"
        f"<StatusCode>{entry['StatusCode']}</StatusCode>"
        f"<StatusMessage>{escape(entry['StatusMessage'])}</StatusMessage><Progress>100</Progress>"
    )


def _describe_groups(params: Params) -> Any:
    names = autoscaling._parse_member_list(params, "AutoScalingGroupNames")
    groups = [group for group in _groups() if not names or group["AutoScalingGroupName"] in names]
    members = "".join(f"<member>{_group_xml(group)}</member>" for group in groups)
    result = f"<AutoScalingGroups>{members}</AutoScalingGroups>"
    return autoscaling._xml(
        200,
        "DescribeAutoScalingGroupsResponse",
        f"<DescribeAutoScalingGroupsResult>{result}</DescribeAutoScalingGroupsResult>",
    )


def _group_xml(group: Group) -> str:
    tags = "".join(
        f"<member><Key>{escape(tag['Key'])}</Key><Value>{escape(tag['Value'])}</Value></member>"
        for tag in group["Tags"]
    )
    instances = "".join(
        f"<member>{_template_xml('LaunchTemplate', one['LaunchTemplate'])}"
        + _plain(one, "InstanceId", "InstanceType", "AvailabilityZone", "LifecycleState", "HealthStatus")
        + f"<ProtectedFromScaleIn>{str(bool(one['ProtectedFromScaleIn'])).lower()}</ProtectedFromScaleIn>"
        "</member>"
        for one in group["Instances"]
    )
    overrides = "".join(f"<member><InstanceType>{kind}</InstanceType></member>" for kind in _types(group))
    distribution = group.get("MixedInstancesPolicy", {}).get("InstancesDistribution", {})
    policy = (
        f"<InstancesDistribution>{_plain(distribution, *distribution)}</InstancesDistribution>"
        f"<LaunchTemplate>{_template_xml('LaunchTemplateSpecification', _template(group))}"
        f"<Overrides>{overrides}</Overrides></LaunchTemplate>"
    )
    plain = ("AutoScalingGroupName", "AutoScalingGroupARN", "MinSize", "MaxSize", "DesiredCapacity")
    zones = "".join(f"<member>{zone}</member>" for zone in group["AvailabilityZones"])
    return (
        _plain(group, *plain, "VPCZoneIdentifier", "HealthCheckType", "CreatedTime", "DefaultCooldown")
        + f"<AvailabilityZones>{zones}</AvailabilityZones><Tags>{tags}</Tags>"
        f"<Instances>{instances}</Instances><MixedInstancesPolicy>{policy}</MixedInstancesPolicy>"
    )


def _template_xml(name: str, template: Mapping[str, Any]) -> str:
    fields = ("LaunchTemplateId", "LaunchTemplateName", "Version")
    return f"<{name}>{_plain(template, *(each for each in fields if each in template))}</{name}>"


def _plain(record: Mapping[str, Any], *names: str) -> str:
    return "".join(f"<{name}>{escape(str(record[name]))}</{name}>" for name in names)


def _spot_prices(params: Params) -> Any:
    """Answer with the prices of ``FAULTS``, for all zones that are asked for."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    items = "".join(
        f"<item><instanceType>{kind}</instanceType><productDescription>Linux/UNIX</productDescription>"
        f"<spotPrice>{price}</spotPrice><timestamp>{now}</timestamp>"
        f"<availabilityZone>{zone}</availabilityZone></item>"
        for key, price in FAULTS.spot_prices.items()
        for kind, zone in [key.split(":")]
    )
    inner = f"<spotPriceHistorySet>{items}</spotPriceHistorySet>"
    return ec2._xml(200, "DescribeSpotPriceHistoryResponse", inner)
