"""Stub until measured."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    precision: str = "float32"
    channels_last: bool = True


def choose_arithmetic(network, images_shape, device, *, precision):
    return Arithmetic(precision="float32" if precision == "float32" else "bfloat16")


def prepare(network, arithmetic):
    if arithmetic.channels_last:
        network.to(memory_format=torch.channels_last)


def autocast(arithmetic, device):
    return torch.autocast(device.type, torch.bfloat16, enabled=arithmetic.precision == "bfloat16")
