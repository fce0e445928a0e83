"""MXNet's operators as functions of PyTorch, with MXNet's conventions.

Each takes the attributes of a node and its inputs, tensors or proxies of ``torch.fx``. Batch norm
is not among them: it has a state, see ``convert.py``.
"""

from __future__ import annotations

import operator
from typing import Any, Callable, Dict, Optional, Tuple

import torch
from torch import fx
from torch.nn import functional

from gluontricks.errors import UsageError
from gluontricks.learners.torch.attributes import Attributes, float32

Operator = Callable[..., Any]
OPERATORS: Dict[str, Operator] = {}
# Whether a dropout drops is the graph's affair, like batch norm's mode.
DROPOUT = "Dropout"


def named(*names: str) -> Callable[[Operator], Operator]:
    """Return a decorator that enters a function under MXNet's names of the operator."""

    def enter(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return enter


def whole(function: Callable[..., Any], first: Any, *rest: Any) -> Any:
    """Call ``function``, or have it recorded as one node where its input is a proxy."""
    if isinstance(first, fx.Proxy):
        return first.tracer.create_proxy("call_function", function, (first, *rest), {})
    return function(first, *rest)


@named("Convolution")
def convolution(a: Attributes, x: Any, weight: Any, bias: Any = None) -> Any:
    """Return the convolution of images (N, C, H, W)."""
    a.require("layout", "NCHW", "NCHW", "None")
    a.pair("kernel", (0, 0))
    a.skip("num_filter", "no_bias")
    stride, dilate = a.pair("stride", (1, 1)), a.pair("dilate", (1, 1))
    return functional.conv2d(
        x, weight, bias, stride, a.pair("pad", (0, 0)), dilate, a.integer("num_group", 1)
    )


@named("FullyConnected")
def fully_connected(a: Attributes, x: Any, weight: Any, bias: Any = None) -> Any:
    """Return ``x W' + b``; all axes but the first are one unless ``flatten`` is off."""
    a.skip("num_hidden", "no_bias")
    if a.flag("flatten", True):
        x = torch.flatten(x, 1)
    return functional.linear(x, weight, bias)


def softsign(x: Any) -> Any:
    """Return ``x / (1 + |x|)``."""
    return x / (1 + torch.abs(x))


ACTIVATIONS: Dict[str, Callable[[Any], Any]] = {
    "relu": functional.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softrelu": functional.softplus,
    "softsign": softsign,
}


@named("Activation")
def activation(a: Attributes, x: Any) -> Any:
    """Return the activation function that ``act_type`` names."""
    return ACTIVATIONS[a.require("act_type", "", *ACTIVATIONS)](x)


@named("LeakyReLU")
def leaky_relu(a: Attributes, x: Any, gamma: Any = None) -> Any:
    """Return one of the rectifiers that MXNet keeps under this name."""
    # Not selu: MXNet's gradient of it is not that of its value.
    kind = a.require("act_type", "leaky", "leaky", "elu", "gelu", "prelu")
    slope = float32(a.number("slope", 0.25))
    a.skip("lower_bound", "upper_bound")
    if kind == "prelu":
        return functional.prelu(x, gamma)
    if kind == "leaky":
        return functional.leaky_relu(x, slope)
    return functional.elu(x, slope) if kind == "elu" else functional.gelu(x)


@named("Pooling")
def pooling(a: Attributes, x: Any) -> Any:
    """Return the largest or the mean value of each window."""
    a.require("layout", "NCHW", "NCHW", "None")
    kind = a.require("pool_type", "max", "max", "avg")
    over_all = a.flag("global_pool", False)
    convention = a.require("pooling_convention", "valid", "valid", "full")
    padded = a.flag("count_include_pad", True)
    kernel, pad = a.pair("kernel", (1, 1)), a.pair("pad", (0, 0))
    stride = a.pair("stride", (1, 1))
    if over_all:
        return whole(global_max, x) if kind == "max" else x.mean((2, 3), True)
    if any(2 * p > k for p, k in zip(pad, kernel)):
        raise a.unknown("pad", f"{pad} and kernel={kernel}")
    if convention == "full":
        return whole(full_pooling, x, kernel, stride, pad, kind, padded, a.node)
    if kind == "max":
        return functional.max_pool2d(x, kernel, stride, pad)
    return functional.avg_pool2d(x, kernel, stride, pad, False, padded)


def global_max(x: Any) -> Any:
    """Return the largest value of each channel; of equal ones the first has the gradient."""
    return torch.max(torch.flatten(x, 2), 2, True).values.unsqueeze(3)


def full_pooling(  # noqa: PLR0913
    x: Any,
    kernel: Tuple[int, int],
    stride: Tuple[int, int],
    pad: Tuple[int, int],
    kind: str,
    count_padding: bool,
    node: str,
) -> Any:
    """Return the pooling whose last windows may go beyond the image (convention ``full``).

    Raises
    ------
    UsageError
        If a window begins beyond the image: PyTorch drops it, MXNet has it.
    """
    sizes = [
        -(-(length + 2 * p - k) // s) + 1
        for length, k, s, p in zip(x.shape[2:], kernel, stride, pad)
    ]
    if kind == "max":
        out = functional.max_pool2d(x, kernel, stride, pad, ceil_mode=True)
    else:
        out = functional.avg_pool2d(x, kernel, stride, pad, True, count_padding)
    if list(out.shape[2:]) != sizes:
        raise UsageError(
            f"the PyTorch engine does not know Pooling with pooling_convention=full and a window "
            f"beyond the image of {tuple(x.shape[2:])} (node '{node}')",
            "use --engine mxnet, or images of another size",
        )
    return out


@named("_contrib_AdaptiveAvgPooling2D")
def adaptive_pooling(a: Attributes, x: Any) -> Any:
    """Return the means of a grid of windows that cover the image."""
    size = a.integers("output_size", (1,))
    return functional.adaptive_avg_pool2d(x, size if len(size) == 2 else (size[0], size[0]))


@named("_contrib_BilinearResize2D")
def bilinear_resize(a: Attributes, x: Any) -> Any:
    """Return images of another size, corners on corners."""
    a.require("mode", "size", "size")
    height, width = a.integer("height", 1), a.integer("width", 1)
    corners = a.flag("align_corners", True)
    # One row is the first one, and one column, whatever the corners are on.
    x = x[:, :, :1] if height == 1 else x
    x = x[:, :, :, :1] if width == 1 else x
    return functional.interpolate(x, size=(height, width), mode="bilinear", align_corners=corners)


@named("softmax")
def softmax(a: Attributes, x: Any) -> Any:
    """Return the softmax over one axis."""
    return functional.softmax(tempered(a, x), a.integer("axis", -1))


@named("log_softmax")
def log_softmax(a: Attributes, x: Any) -> Any:
    """Return the logarithm of the softmax over one axis."""
    return functional.log_softmax(tempered(a, x), a.integer("axis", -1))


def tempered(a: Attributes, x: Any) -> Any:
    """Return ``x`` divided by the temperature, where there is one."""
    temperature = a.text("temperature", "None")
    return x if temperature == "None" else x / float(temperature)


@named("pick")
def pick(a: Attributes, x: Any, index: Any) -> Any:
    """Return one value along an axis, at ``index``."""
    a.require("mode", "clip", "clip")
    return whole(picked, x, index, a.integer("axis", -1), a.flag("keepdims", False))


def picked(x: Any, index: Any, axis: int, keep: bool) -> Any:
    """Return :func:`pick` of tensors: an index too large or too small is the nearest there is."""
    if index.dim() < x.dim():
        index = torch.unsqueeze(index, axis)
    index = torch.clamp(index.to(torch.int64), 0, x.size(axis) - 1)
    found = torch.gather(x, axis, index)
    return found if keep else torch.squeeze(found, axis)


def reduction(function: Callable[..., Any]) -> Operator:
    """Return the operator that reduces some axes, all if none are named."""

    def reduce(a: Attributes, x: Any) -> Any:
        axes, keep = a.integers("axis"), a.flag("keepdims", False)
        # MXNet has no arrays without axes.
        return torch.atleast_1d(function(x, axes or None, keepdim=keep))

    return reduce


def largest(x: Any, axes: Optional[Tuple[int, ...]], keepdim: bool) -> Any:
    """Return the largest values; all that are equal to it have the gradient, as in MXNet."""
    value = x.detach()
    equal = torch.eq(x, torch.amax(value, axes or (), True))
    nothing = torch.where(equal, x - value, 0)
    return torch.amax(value, axes or (), keepdim) + torch.sum(nothing, axes, keepdim)


for _name, _function in {"sum": torch.sum, "mean": torch.mean, "max": largest}.items():
    OPERATORS[_name] = reduction(_function)


def elementwise(function: Callable[..., Any]) -> Operator:
    """Return an operator without attributes."""
    return lambda _, *inputs: function(*inputs)


def larger(x: Any, y: Any) -> Any:
    """Return the larger value; of equal ones the first has the gradient, as in MXNet."""
    return torch.where(torch.ge(x, y) | torch.isnan(x), x, y)


def smaller(x: Any, y: Any) -> Any:
    """Return the smaller value; of equal ones the first has the gradient, as in MXNet."""
    return torch.where(torch.le(x, y) | torch.isnan(x), x, y)


for _names, _function in {
    ("elemwise_add", "broadcast_add", "_plus", "_grad_add"): operator.add,
    ("elemwise_sub", "broadcast_sub", "_minus"): operator.sub,
    ("elemwise_mul", "broadcast_mul", "_mul"): operator.mul,
    ("elemwise_div", "broadcast_div", "_div"): operator.truediv,
    ("broadcast_maximum", "_maximum"): larger,
    ("broadcast_minimum", "_minimum"): smaller,
    ("negative",): operator.neg,
    ("abs",): torch.abs,
    ("exp",): torch.exp,
    ("log",): torch.log,
    ("sqrt",): torch.sqrt,
    ("square",): torch.square,
    ("relu",): functional.relu,
    ("sigmoid",): torch.sigmoid,
    ("tanh",): torch.tanh,
    ("erf",): torch.erf,
    ("BlockGrad", "stop_gradient"): torch.detach,
    ("_copy", "identity"): torch.clone,
    ("Flatten", "flatten"): lambda x: torch.flatten(x, 1),
}.items():
    OPERATORS.update(dict.fromkeys(_names, elementwise(_function)))


def with_scalar(function: Callable[[Any, float], Any]) -> Operator:
    """Return an operator of a tensor and a number."""
    return lambda a, x: function(x, a.number("scalar"))


for _name, _scalar in {
    "_plus_scalar": lambda x, s: x + s,
    "_minus_scalar": lambda x, s: x - s,
    "_rminus_scalar": lambda x, s: s - x,
    "_mul_scalar": lambda x, s: x * s,
    "_div_scalar": lambda x, s: x / s,
    "_rdiv_scalar": lambda x, s: s / x,
    "_power_scalar": lambda x, s: x**s,
    "_maximum_scalar": lambda x, s: torch.clamp(x, min=s),
    "_minimum_scalar": lambda x, s: torch.clamp(x, max=s),
}.items():
    OPERATORS[_name] = with_scalar(_scalar)


@named("clip")
def clip(a: Attributes, x: Any) -> Any:
    """Return values cut off at both ends."""
    return torch.clamp(x, float32(a.number("a_min")), float32(a.number("a_max")))


@named("Cast", "cast")
def cast(a: Attributes, x: Any) -> Any:
    """Return values of another type."""
    name = a.require("dtype", "", "float16", "float32", "float64", "uint8", "int32", "int64")
    return x.to(getattr(torch, name))


@named("Reshape", "reshape")
def reshape(a: Attributes, x: Any) -> Any:
    """Return another shape; 0 keeps an axis, -1 follows from the others."""
    shape = a.integers("shape")
    if min(shape, default=0) < -1:
        raise a.unknown("shape", str(shape))
    return x.reshape(tuple(x.size(i) if n == 0 else n for i, n in enumerate(shape)))


@named("transpose")
def transpose(a: Attributes, x: Any) -> Any:
    """Return the axes in another order, reversed if none is given."""
    return whole(permuted, x, a.integers("axes"))


def permuted(x: Any, axes: Tuple[int, ...]) -> Any:
    """Return :func:`transpose` of a tensor."""
    return x.permute(axes or tuple(range(x.dim()))[::-1])


@named("SwapAxis", "swapaxes")
def swap_axes(a: Attributes, x: Any) -> Any:
    """Return two axes in each other's place."""
    return torch.transpose(x, a.integer("dim1", 0), a.integer("dim2", 0))


@named("expand_dims")
def expand_dims(a: Attributes, x: Any) -> Any:
    """Return one more axis, of length 1."""
    return torch.unsqueeze(x, a.integer("axis"))


@named("squeeze")
def squeeze(a: Attributes, x: Any) -> Any:
    """Return without the axes named, of length 1; without all such if none is named."""
    axes = a.integers("axis")
    return torch.atleast_1d(torch.squeeze(x, axes) if axes else torch.squeeze(x))


@named("Concat", "concat")
def concat(a: Attributes, *inputs: Any) -> Any:
    """Return the inputs one after the other along an axis."""
    return torch.cat(inputs, a.integer("dim", 1))


@named("stack")
def stack(a: Attributes, *inputs: Any) -> Any:
    """Return the inputs along a new axis."""
    return torch.stack(inputs, a.integer("axis", 0))


@named("SliceChannel", "split")
def split(a: Attributes, x: Any) -> Any:
    """Return equal parts along an axis."""
    count, axis = a.integer("num_outputs"), a.integer("axis", 1)
    parts = torch.chunk(x, count, axis)
    if not a.flag("squeeze_axis", False):
        return [parts[i] for i in range(count)]
    return [torch.squeeze(parts[i], axis) for i in range(count)]


@named("slice_axis")
def slice_axis(a: Attributes, x: Any) -> Any:
    """Return the part from ``begin`` to ``end`` of an axis."""
    axis, begin, end = a.integer("axis"), a.integer("begin"), a.text("end", "None")
    part = slice(begin, None if end == "None" else int(end))
    if axis < 0:
        return x[(..., part, *[slice(None)] * (-axis - 1))]
    return x[(*[slice(None)] * axis, part)]


@named("Pad", "pad")
def pad(a: Attributes, x: Any) -> Any:
    """Return images with a border of a constant, of their edge, or of their reflection."""
    mode = a.require("mode", "constant", "constant", "edge", "reflect")
    value, width = a.number("constant_value", 0.0), a.integers("pad_width")
    if len(width) != 8 or any(width[:4]) or min(width) < 0:
        raise a.unknown("pad_width", str(width))
    top, bottom, left, right = width[4:]
    how = {"edge": "replicate"}.get(mode, mode)
    return functional.pad(x, (left, right, top, bottom), how, value if how == "constant" else None)


def dropout(a: Attributes, x: Any, *, training: bool) -> Any:
    """Return ``x`` with values dropped at random, the others divided by what is kept."""
    rate, always = a.number("p", 0.5), a.require("mode", "training", "training", "always")
    if a.integers("axes"):
        raise a.unknown("axes", "(...)")
    active = training or always == "always"
    return functional.dropout(x, float32(rate), True) if active and rate else x
