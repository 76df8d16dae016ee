"""GPUs are found."""

from __future__ import annotations

from gyrus.backends.local.devices import detect, parse_list


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
