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
