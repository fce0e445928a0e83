"""The CIFAR ResNet of depth 56 on PyTorch, layer for layer that of ``gluontricks.models``."""

from __future__ import annotations

from typing import List

import torch
from torch import nn

BLOCKS = 9
CHANNELS = (16, 16, 32, 64)


def conv(before: int, after: int, *, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that keeps the image's size at stride 1."""
    return nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, projected where the channels change."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(before, after, kernel=3, stride=stride),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            conv(after, after, kernel=3),
            nn.BatchNorm2d(after),
        )
        self.shortcut: nn.Module = nn.Identity()
        if before != after:
            self.shortcut = nn.Sequential(
                conv(before, after, kernel=1, stride=stride), nn.BatchNorm2d(after)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the rectified sum of body and shortcut."""
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet56(classes: int) -> nn.Module:
    """Return the network, with PyTorch's own initial weights."""
    layers: List[nn.Module] = [conv(3, CHANNELS[0], kernel=3), nn.BatchNorm2d(CHANNELS[0])]
    for index, (before, after) in enumerate(zip(CHANNELS, CHANNELS[1:])):
        layers.append(Block(before, after, 2 if index else 1))
        layers.extend(Block(after, after, 1) for _ in range(BLOCKS - 1))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS[-1], classes)]
    return nn.Sequential(*layers)


class ResidualD(nn.Module):
    """A block of ResNet-D: basic or bottleneck, its shortcut pooled where the size changes."""

    def __init__(self, before: int, width: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        after = width * (4 if bottleneck else 1)
        shapes = [(before, width, 3, stride), (width, width, 3, 1)]
        if bottleneck:
            shapes = [(before, width, 1, 1), (width, width, 3, stride), (width, after, 1, 1)]
        layers: List[nn.Module] = []
        for one, other, kernel, step in shapes:
            layers += [conv(one, other, kernel=kernel, stride=step), nn.BatchNorm2d(other)]
            layers.append(nn.ReLU(inplace=True))
        self.body = nn.Sequential(*layers[:-1])
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            pool = [nn.AvgPool2d(stride, stride)] if stride > 1 else []
            self.shortcut = nn.Sequential(
                *pool, conv(before, after, kernel=1), nn.BatchNorm2d(after)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the rectified sum of body and shortcut."""
        return torch.relu(self.body(x) + self.shortcut(x))


DEPTHS = {"resnet18_v1d": (2, 2, 2, 2), "resnet50_v1d": (3, 4, 6, 3)}


def resnet_d(name: str, classes: int) -> nn.Module:
    """Return ResNet-18-D or ResNet-50-D, with PyTorch's own initial weights."""
    bottleneck = name == "resnet50_v1d"
    layers: List[nn.Module] = []
    for before, after, stride in ((3, 32, 2), (32, 32, 1), (32, 64, 1)):
        layers += [conv(before, after, kernel=3, stride=stride), nn.BatchNorm2d(after)]
        layers.append(nn.ReLU(inplace=True))
    layers.append(nn.MaxPool2d(3, 2, 1))
    before = 64
    for stage, blocks in enumerate(DEPTHS[name]):
        width = 64 << stage
        for number in range(blocks):
            stride = 2 if stage and not number else 1
            layers.append(ResidualD(before, width, stride, bottleneck=bottleneck))
            before = width * (4 if bottleneck else 1)
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)]
    return nn.Sequential(*layers)
