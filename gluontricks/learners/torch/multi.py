"""PyTorch's operations on many tensors at once, which have no public names."""

from __future__ import annotations

from typing import Any

import torch

foreach: Any = torch
