"""The names of regions and zones."""

from __future__ import annotations

import pytest

from gyrus.cluster.aws.regions import REGIONS, check_region, check_zone, partition_of, region_of


def test_known_regions_and_their_zones() -> None:
    for region in REGIONS:
        assert check_region(region) == region
        assert region_of(check_zone(f"{region}c")) == region


@pytest.mark.parametrize("region", ["eu-west-9", "sa-west-1", "us-isob-east-1"])
def test_a_well_formed_region_is_left_to_aws(region: str) -> None:
    assert check_region(region) == region


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ("us-east-1a", "is an availability zone; write us-east-1"),
        ("us-east1", 'is not a region; did you mean "us-east-1"?'),
        ("EU-WEST-1", 'is not a region; did you mean "eu-west-1"?'),
        ("Frankfurt", "is not a region; write for example us-east-1"),
        ("us--1", 'is not a region; did you mean "us-west-1"?'),
    ],
)
def test_what_is_no_region(region: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_region(region)
    assert str(caught.value) == message


def test_partitions() -> None:
    found = [partition_of(region) for region in ("eu-west-1", "cn-northwest-1", "us-gov-west-1")]
    assert found == ["aws", "aws-cn", "aws-us-gov"]
