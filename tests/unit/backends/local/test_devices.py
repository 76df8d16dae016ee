"""GPUs are given out once, in order, and come back."""

from __future__ import annotations

import asyncio

from gyrus.backends.local.devices import Devices, detect, parse_list


def ignore(free: int) -> None:
    pass


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_list_of_nvidia_smi_is_read() -> None:
    text = """\
GPU 0: NVIDIA A100 (UUID: GPU-aaa)
  MIG 1g.5gb     Device  0: (UUID: MIG-a0)
  MIG 1g.5gb     Device  1: (UUID: MIG-a1)
GPU 1: NVIDIA H200 (UUID: GPU-bbb)
"""
    assert parse_list(text) == ("MIG-a0", "MIG-a1", "GPU-bbb")
    assert parse_list("No devices were found\n") == ()


def test_the_operators_own_devices_bound_those_of_its_replicas() -> None:
    assert detect({"CUDA_VISIBLE_DEVICES": "2, GPU-x"}) == ("2", "GPU-x")
    assert detect({"CUDA_VISIBLE_DEVICES": ""}) == ()


async def test_each_device_has_one_holder() -> None:
    devices = Devices(("0", "1", "2"))
    assert await devices.take("a", 1, ignore) == ("0",)
    assert await devices.take("b", 2, ignore) == ("1", "2")
    assert await devices.take("b", 2, ignore) == ("1", "2")
    assert await devices.take("c", 0, ignore) == ()


async def test_who_waits_is_served_in_order() -> None:
    devices = Devices(("0", "1"))
    devices.keep("found", ("1",))
    free: list[int] = []
    many = asyncio.create_task(devices.take("many", 2, free.append))
    await settle()
    few = asyncio.create_task(devices.take("few", 1, ignore))
    await settle()
    assert not few.done()
    devices.give_back("found")
    assert await many == ("0", "1")
    devices.give_back("many")
    assert await few == ("0",)
    assert free[0] == 1


async def test_who_leaves_holds_nothing() -> None:
    devices = Devices(("0",))
    await devices.take("a", 1, ignore)
    leaving = asyncio.create_task(devices.take("b", 1, ignore))
    staying = asyncio.create_task(devices.take("c", 1, ignore))
    await settle()
    devices.give_back("a")
    leaving.cancel()
    await asyncio.wait((leaving,))
    async with asyncio.timeout(5):
        assert await staying == ("0",)
