"""What shards leave behind on several devices, added up in the shards' order."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

Arrays = List[Any]


def settle(statistic: Any) -> None:
    """Have whoever reads a running statistic wait for the backward pass that changes it.

    MXNet queues backward as if it only read the statistic: a copy does not wait, but a write does.
    """
    statistic *= 1


class Sums:
    """Arrays that every device has, added up on the first one.

    The order is that of the calls, so sums do not depend on the number of devices.

    Parameters
    ----------
    arrays : dict of Context to list of NDArray
        The same arrays on every device, the first device's first.
    """

    def __init__(self, arrays: Dict[Any, Arrays]) -> None:
        self.arrays = arrays
        self.first, *self.others = arrays
        self.totals: Arrays = []

    def clear(self) -> None:
        """Begin a new sum."""
        self.totals = []

    def add(self, device: Any) -> None:
        """Add what a device has now."""
        if not self.totals:
            self.totals = [array.copyto(self.first) for array in self.arrays[device]]
            return
        for total, array in zip(self.totals, self.arrays[device]):
            total += array.as_in_context(self.first)

    def put(self, values: Sequence[Any], device: Any) -> None:
        """Give a device these values."""
        for value, array in zip(values, self.arrays[device]):
            value.copyto(array)

    def spread(self) -> None:
        """Give every other device what the first one has."""
        for device in self.others:
            self.put(self.arrays[self.first], device)


class StatisticsSums(Sums):
    """Running statistics: every shard starts from the same ones, and the mean is kept.

    With momentum m a shard whose batch has the statistic b leaves m r + (1 - m) b, and the mean
    over shards is what the mean of b would leave.
    """

    def clear(self) -> None:
        """Begin a new update; note what its shards start from."""
        super().clear()
        self.before = [array.copyto(self.first) for array in self.arrays[self.first]]

    def add(self, device: Any) -> None:
        """Add what a shard left on a device, and put back there what it started from."""
        for array in self.arrays[device]:
            settle(array)
        super().add(device)
        self.put(self.before, device)

    def keep(self, count: int) -> None:
        """Have the mean over ``count`` shards on every device."""
        self.put([total / count for total in self.totals], self.first)
        self.spread()
