"""A function on tensors of a GPU, recorded once as a CUDA graph and replayed at every call."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

import torch

# A kernel's first calls choose algorithms and allocate, which a recording must not.
WARM_UP = 3


class Recorded:
    """A function whose launches are replayed without Python's time between them.

    Its arguments are copied to places that stay the same; its result is overwritten by the next
    call. Shapes must not change.

    Parameters
    ----------
    function : callable
        Takes tensors by position and numbers by name, as tensors without axes.
    changed : sequence of Tensor
        What the function changes beyond its result: put back after the calls that warm it up.
    """

    def __init__(
        self, function: Callable[..., Any], *, changed: Sequence[torch.Tensor] = ()
    ) -> None:
        self.function = function
        self.changed = [tensor.detach() for tensor in changed]
        self.replay: Any = None
        self.tensors: List[torch.Tensor] = []
        self.numbers: Dict[str, torch.Tensor] = {}
        self.result: Any = None

    def __call__(self, *tensors: torch.Tensor, **numbers: float) -> Any:
        """Call the function."""
        if self.replay is None:
            self.tensors = [tensor.clone() for tensor in tensors]
            # Numbers have the type of what they are computed with, so that nothing is converted.
            beside = (self.tensors or self.changed)[0]
            self.numbers = {k: beside.new_tensor(v) for k, v in numbers.items()}
            self.record()
        for own, given in zip(self.tensors, tensors):
            own.copy_(given, non_blocking=True)
        for name, value in numbers.items():
            self.numbers[name].fill_(value)
        assert self.replay is not None
        self.replay()
        return self.result

    def record(self) -> None:
        """Call the function until it is warm, put back what it changed, and record it."""
        before = [tensor.clone() for tensor in self.changed]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self.function(*self.tensors, **self.numbers)
        torch.cuda.current_stream().wait_stream(stream)
        for own, value in zip(self.changed, before):
            own.copy_(value)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.result = self.function(*self.tensors, **self.numbers)
        self.replay = graph.replay
