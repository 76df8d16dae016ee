"""A spot market from a file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gyrus.simulator.nodes.recorded_market import RecordedMarket, SpotFileError, read_spot_events
from gyrus.simulator.nodes.spot_market import MarketRules

FILE = """at,event,group,value
0,price,,40%
10m,interruption,cpu,30%
20m,shortage,cpu,15m
1h,silent-shortage,gpu,600
90m,price,cpu,0.6
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "spot.csv"
    path.write_text(FILE)
    return path


def market(file: Path, name: str = "cpu", seed: int = 1, begins: float = 0.0) -> RecordedMarket:
    return RecordedMarket(name, read_spot_events(file, ["cpu", "gpu"]), seed, begins)


def test_prices_stand_until_the_next_one(file: Path) -> None:
    one = market(file, begins=900)
    assert [one.price_share(now) for now in (899, 900, 6299, 6300)] == [MarketRules().price, 0.4, 0.4, 0.6]
    assert market(file, "gpu").price_share(1e6) == 0.4


def test_shortages_are_those_of_the_group(file: Path) -> None:
    one = market(file)
    assert [one.shortage(now) is None for now in (1199, 1200, 2099, 2100)] == [True, False, False, True]
    found = market(file, "gpu").shortage(3600)
    assert found is not None
    assert found.silent


def test_an_interruption_hits_a_share_of_the_running_instances(file: Path) -> None:
    one = market(file)
    hit = [number for number in range(2000) if one.fate(number, 0.0).warned_at == 600]
    assert 500 < len(hit) < 700
    assert all(one.fate(number, 600.0).warned_at == math.inf for number in hit), "launched later"
    assert [one.fate(number, 0.0) for number in range(50)] == [
        market(file).fate(number, 0.0) for number in range(50)
    ]
    assert hit != [
        number for number in range(2000) if market(file, seed=2).fate(number, 0.0).warned_at == 600
    ]


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        ("soon,price,,40%", "2: at is 'soon', which is no time; write for example 10m or 600"),
        ("0,sale,,40%", "2: event is 'sale'; the events are price, shortage, silent-shortage, interruption"),
        ("0,price,cpus,40%", "2: there is no node group cpus; the groups are cpu, gpu"),
        ("0,price,,cheap", "2: value is 'cheap', which is no share; write for example 30%"),
        ("0,price,,140%", "2: value is '140%', which is no share; write for example 30%"),
        ("0,shortage,,long", "2: value is 'long', which is no duration; write for example 15m"),
        ("0,shortage", "2: value is '', which is no duration; write for example 15m"),
    ],
)
def test_a_wrong_line_is_one_clear_error(file: Path, line: str, reported: str) -> None:
    file.write_text(f"at,event,group,value\n{line}\n")
    with pytest.raises(SpotFileError) as caught:
        market(file)
    assert str(caught.value) == f"{file}:{reported}"


def test_a_file_without_the_columns_is_an_error(file: Path) -> None:
    file.write_text("time,what\n")
    with pytest.raises(
        SpotFileError, match=r":1: has no column at; begin the file with at,event,group,value"
    ):
        market(file)
    with pytest.raises(SpotFileError, match=r"none\.csv: cannot be read: No such file or directory\."):
        market(file.with_name("none.csv"))
