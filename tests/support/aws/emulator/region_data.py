"""What EC2 reports of regions and instance types: data of AWS that moto has, in place of ministack's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from typing import Any

from support.aws.aws_data import instance_types, offerings
from support.aws.emulator.control import FAULTS

ec2: Any = import_module("ministack.services.ec2")
Params = dict[str, Any]


def add() -> None:
    """Replace the operations."""
    ec2._ACTION_MAP.update(
        {
            "DescribeInstanceTypes": _describe_instance_types,
            "DescribeInstanceTypeOfferings": _describe_offerings,
            "DescribeRegions": _regions(ec2._ACTION_MAP["DescribeRegions"]),
        }
    )


def _describe_instance_types(params: Params) -> Any:
    named = ec2._parse_member_list(params, "InstanceType")
    if unknown := [name for name in named if name not in instance_types()]:
        message = f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
        return ec2._error("InvalidInstanceType", message, 400)
    wanted = named or ec2._parse_filters(params).get("instance-type", [])
    in_region = {offer["InstanceType"] for offer in offerings(ec2.get_region())}
    found = (instance_types()[name] for name in wanted if name in instance_types() and name in in_region)
    return _answer("DescribeInstanceTypes", "instanceTypeSet", "InstanceTypeInfo", found)


def _describe_offerings(params: Params) -> Any:
    wanted = ec2._parse_filters(params).get("instance-type", [])
    found = (
        {**offer, "LocationType": "availability-zone"}
        for offer in offerings(ec2.get_region())
        if offer["InstanceType"] in wanted
    )
    return _answer("DescribeInstanceTypeOfferings", "instanceTypeOfferingSet", "InstanceTypeOffering", found)


def _regions(usual: Callable[[Params], Any]) -> Callable[[Params], Any]:
    def describe(params: Params) -> Any:
        kept = list(ec2._AWS_REGIONS)
        states = dict(kept) | FAULTS.regions
        try:
            ec2._AWS_REGIONS[:] = [(name, state) for name, state in states.items() if state]
            return usual(params)
        finally:
            ec2._AWS_REGIONS[:] = kept

    return describe


def _answer(operation: str, key: str, shape: str, entries: Iterable[dict[str, Any]]) -> Any:
    kind = _model().shape_for(shape)
    items = "".join(f"<item>{_written(kind, entry)}</item>" for entry in entries)
    return ec2._xml(200, f"{operation}Response", f"<{key}>{items}</{key}>")


@cache
def _model() -> Any:
    session: Any = import_module("botocore.session").get_session()
    return session.get_service_model("ec2")


def _written(shape: Any, value: Any) -> str:
    """Return a value in XML, as the model of EC2 names its parts."""
    if shape.type_name == "structure":
        members = shape.members
        return "".join(
            f"<{_name(members[key])}>{_written(members[key], each)}</{_name(members[key])}>"
            for key, each in value.items()
            if key in members
        )
    if shape.type_name == "list":
        return "".join(f"<item>{_written(shape.member, each)}</item>" for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _name(shape: Any) -> str:
    return shape.serialization["name"]
