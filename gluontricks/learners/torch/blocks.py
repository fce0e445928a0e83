"""Tensors side by side in one block of memory, which one operation changes instead of hundreds."""

from __future__ import annotations

from typing import Dict, List, Sequence

import torch

from gluontricks.learners import SLOTS


class Block:
    """The parameters that share a weight decay, and their optimizer state.

    Parameters
    ----------
    wd : float
    trained : dict of str to Tensor
        By path; moved into the block.
    optimizer : str

    Attributes
    ----------
    weights : Tensor
        All values of the parameters.
    slots : list of Tensor
        The optimizer's state for them, of the same form.
    views : dict of str to list of Tensor
        The same state for each parameter, by path.
    """

    def __init__(self, wd: float, trained: Dict[str, torch.Tensor], optimizer: str) -> None:
        self.wd, self.paths = wd, list(trained)
        self.weights = side_by_side(list(trained.values()))
        self.slots = [torch.zeros_like(self.weights) for _ in SLOTS[optimizer]]
        views = [views_of(slot, list(trained.values())) for slot in self.slots]
        self.views = {path: [v[i] for v in views] for i, path in enumerate(trained)}


def joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return all values in one new tensor, those of convolutions with their channels innermost."""
    return torch.cat([(t.permute(0, 2, 3, 1) if t.dim() == 4 else t).reshape(-1) for t in tensors])


def side_by_side(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Move tensors into one new block, laid out as :func:`joined` does; return the block."""
    with torch.no_grad():
        block = joined(tensors)
    for tensor, view in zip(tensors, views_of(block, tensors)):
        tensor.data = view
    return block


def views_of(block: torch.Tensor, tensors: Sequence[torch.Tensor]) -> List[torch.Tensor]:
    """Return the parts of a block that have the shapes of ``tensors``."""
    return [
        shaped(part, tuple(t.shape))
        for part, t in zip(block.split([t.numel() for t in tensors]), tensors)
    ]


def shaped(part: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return a part of a block as a tensor of this shape."""
    if len(shape) != 4:
        return part.view(tuple(shape))
    outputs, inputs, *kernel = shape
    return part.view(outputs, *kernel, inputs).permute(0, 3, 1, 2)
