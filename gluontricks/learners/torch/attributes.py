"""The attributes of MXNet's operators, which it writes as text, as values."""

from __future__ import annotations

import ast
import math
from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np

from gluontricks.errors import UsageError

# How, not what, MXNet computes.
WITHOUT_MEANING = ("workspace", "cudnn_tune", "cudnn_off", "num_args", "__profiler_scope__")
# Digits after the point that MXNet does not ignore.
READ_DIGITS = 19


def float32(value: float) -> float:
    """Return a number as MXNet keeps it in an operator's parameters.

    MXNet gets it as text and reads the digits before and after the point, then the exponent, in
    float32. With an exponent that is not always the nearest float32: 2e-7 of a learning rate.
    """
    if not math.isfinite(value):
        return value
    digits, _, exponent = repr(abs(float(value))).partition("e")
    whole, _, fraction = digits.partition(".")
    fraction = fraction[:READ_DIGITS]
    found = np.float32(int(whole)) + np.float32(float(fraction or 0) / 10.0 ** len(fraction))
    scale = np.float32(1)
    for _ in range(abs(int(exponent or "0")) // 8):
        scale *= np.float32(1e8)
    for _ in range(abs(int(exponent or "0")) % 8):
        scale *= np.float32(10)
    found = found / scale if exponent.startswith("-") else found * scale
    return float(np.copysign(found, value))


class Attributes:
    """The attributes of one node; each must be taken, or the node asks for more than is known.

    Parameters
    ----------
    operator, node : str
        Names, for errors.
    values : mapping of str to str
    """

    def __init__(self, operator: str, node: str, values: Mapping[str, str]) -> None:
        self.operator, self.node = operator, node
        self.left: Dict[str, str] = {k: v for k, v in values.items() if k not in WITHOUT_MEANING}

    def text(self, name: str, default: str) -> str:
        """Take a word."""
        return self.left.pop(name, default)

    def number(self, name: str, default: Optional[float] = None) -> float:
        """Take a number, exactly as it is written."""
        return float(self.take(name, default))

    def integer(self, name: str, default: Optional[int] = None) -> int:
        """Take a whole number."""
        return int(self.take(name, default))

    def flag(self, name: str, default: bool) -> bool:
        """Take a truth value."""
        text = str(self.take(name, default))
        if text not in ("True", "true", "1", "False", "false", "0"):
            raise self.unknown(name, text)
        return text in ("True", "true", "1")

    def pair(self, name: str, default: Tuple[int, int]) -> Tuple[int, int]:
        """Take height and width.

        Raises
        ------
        UsageError
            If it is of other than two dimensions.
        """
        value = self.integers(name, default)
        if len(value) != 2:
            raise self.unknown(name, str(value))
        return value[0], value[1]

    def integers(self, name: str, default: Tuple[int, ...] = ()) -> Tuple[int, ...]:
        """Take whole numbers; one alone is a tuple of one."""
        text = self.left.pop(name, None)
        if text is None:
            return default
        value = ast.literal_eval(text)
        return (value,) if isinstance(value, int) else tuple(value or default)

    def take(self, name: str, default: Any) -> Any:
        """Take any attribute; one without a default must be there."""
        if name in self.left:
            return self.left.pop(name)
        if default is None:
            raise UsageError(
                f"node '{self.node}' ({self.operator}) has no {name}",
                "the graph is damaged or of another version: trace it again",
            )
        return default

    def skip(self, *names: str) -> None:
        """Take attributes that say nothing which the inputs do not."""
        for name in names:
            self.left.pop(name, None)

    def require(self, name: str, default: str, *allowed: str) -> str:
        """Take a word that must be one of ``allowed``."""
        value = self.text(name, default)
        if value not in allowed:
            raise self.unknown(name, value)
        return value

    def finish(self) -> None:
        """Raise UsageError if an attribute was not taken and is more than a default."""
        for name, value in self.left.items():
            if value not in ("None", "False", "0", "()"):
                raise self.unknown(name, value)

    def unknown(self, name: str, value: str) -> UsageError:
        """Return the error for what this engine does not compute."""
        return UsageError(
            f"the PyTorch engine does not know {self.operator} with {name}={value} "
            f"(node '{self.node}')",
            "use --engine mxnet",
        )
