import json

import numpy as np
import pytest
from gluoncv_reference import zoo_network

torch = pytest.importorskip("torch")

from torch.nn import functional

from gluontricks.errors import IntegrityError, UsageError
from gluontricks.graphs import Graph
from gluontricks.learners.torch.convert import convert
from gluontricks.learners.torch.operators import OPERATORS
from gluontricks.models import get_model
from gluontricks.models.layers import without_dropout
from gluontricks.mxnet_shim import mx

IMAGES = (2, 3, 7, 9)
EXACT = 1e-12
# MXNet computes some of the values, or the numbers in their formula, in float32 always.
FLOAT32 = 1e-6


def positive(*shape):
    return 0.5 + np.random.default_rng(1).random(shape)


def tied(*shape, seed=2):
    """Small whole numbers: many are equal to each other, to 0 and to the limits of ``clip``."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(np.float64)


def numbers(*values, dtype="float64"):
    return np.array(values, dtype=dtype)


def case(operator, *inputs, **attributes):
    """One node: its operator, its inputs as arrays or as shapes to be drawn, its attributes."""
    words = [operator, *(f"{k}={v}".replace(" ", "") for k, v in attributes.items())]
    return pytest.param(operator, inputs, attributes, id="-".join(words))


def poolings():
    """Windows of 3 x 2 with all conventions, on images with and without equal values."""
    fitting = [((0, 0), (1, 1)), ((0, 0), (2, 2)), ((1, 1), (1, 1)), ((1, 1), (2, 3))]
    return [
        case(
            "Pooling", images, kernel=(3, 2), stride=stride, pad=pad, pool_type=kind,
            pooling_convention=convention, count_include_pad=counted,
        )
        for images in (IMAGES, tied(*IMAGES))
        for kind in ("max", "avg")
        for convention in ("valid", "full")
        for counted in (True, False)
        for pad, stride in fitting
    ]  # fmt: skip


def broadcasts(operator, *, ties=False):
    shapes = [((2, 3, 4), (2, 1, 4)), ((1, 3, 1), (2, 3, 4)), ((2, 3, 1), (1, 1, 4)),
              ((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((2, 3, 4), (1,))]  # fmt: skip
    cases = [case(operator, left, positive(*right)) for left, right in shapes]
    if ties:
        cases += [case(operator, tied(*one), tied(*other, seed=3)) for one, other in shapes]
    return cases


def reductions(operator):
    shape, axes = (2, 3, 4), (0, -1, (1,), (0, 2), (-1, 0), ())
    cases = [case(operator, shape), case(operator, shape, keepdims=True)]
    cases += [case(operator, shape, axis=a, keepdims=k) for a in axes for k in (True, False)]
    cases += [case(operator, tied(4, 9)), case(operator, tied(4, 9), axis=1)]
    return [*cases, case(operator, shape, axis=(0, 1, 2))]


def scalars(operator):
    cases = [case(operator, positive(4, 5), scalar=s) for s in (0.3, 2, -1.7, 1, 1e-5)]
    return cases if operator == "_rdiv_scalar" else [*cases, case(operator, tied(4, 9), scalar=1)]


def unary(operator, *, below_zero=True):
    cases = [case(operator, positive(3, 4, 2))]
    return cases + [case(operator, x) for x in ((3, 4, 2), tied(4, 9)) if below_zero]


CASES = [
    case("Convolution", IMAGES, (4, 3, 3, 3), (4,), kernel=(3, 3), num_filter=4),
    case("Convolution", IMAGES, (4, 3, 3, 3), kernel=(3, 3), num_filter=4, no_bias=True),
    case("Convolution", IMAGES, (4, 3, 1, 1), kernel=(1, 1), num_filter=4, no_bias=True,
         stride=(2, 2)),
    case("Convolution", IMAGES, (4, 3, 3, 2), (4,), kernel=(3, 2), num_filter=4, stride=(2, 1),
         pad=(2, 1)),
    case("Convolution", IMAGES, (4, 3, 3, 3), (4,), kernel=(3, 3), num_filter=4, dilate=(2, 3)),
    case("Convolution", (2, 4, 7, 9), (6, 2, 3, 3), (6,), kernel=(3, 3), num_filter=6,
         num_group=2, pad=(1, 1), layout="NCHW"),
    case("Convolution", IMAGES, (3, 1, 3, 3), kernel=(3, 3), num_filter=3, num_group=3,
         no_bias=True, workspace=512, cudnn_tune="off"),
    case("FullyConnected", (2, 3), (5, 3), (5,), num_hidden=5),
    case("FullyConnected", (2, 3, 4), (5, 12), (5,), num_hidden=5),
    case("FullyConnected", (2, 3, 4), (5, 12), num_hidden=5, no_bias=True),
    case("FullyConnected", (2, 3, 4), (5, 4), (5,), num_hidden=5, flatten=False),
    case("FullyConnected", (2, 3, 4), (5, 4), num_hidden=5, flatten=False, no_bias=True),
    *[case("Activation", x, act_type=kind)
      for kind in ("relu", "sigmoid", "tanh", "softrelu", "softsign")
      for x in (IMAGES, tied(4, 9))],
    case("LeakyReLU", IMAGES, act_type="elu"),
    case("LeakyReLU", tied(4, 9), act_type="elu", slope=0.1),
    *poolings(),
    case("Pooling", IMAGES, kernel=(2, 2), stride=(2, 2), pool_type="avg"),
    case("Pooling", IMAGES, kernel=(3, 3)),
    *[case("Pooling", x, pool_type=kind, global_pool=True, **more)
      for kind in ("max", "avg")
      for x in (IMAGES, tied(*IMAGES))
      for more in ({}, {"kernel": (2, 2), "stride": (2, 2), "pad": (1, 1)})],
    *[case("_contrib_AdaptiveAvgPooling2D", IMAGES, output_size=size)
      for size in (1, (1, 1), 3, (3, 4), (7, 9), (10, 5))],
    case("_contrib_AdaptiveAvgPooling2D", IMAGES),
    case("_contrib_BilinearResize2D", IMAGES, height=7, width=9),
    case("_contrib_BilinearResize2D", IMAGES, height=14, width=18, align_corners=False),
    case("_contrib_BilinearResize2D", IMAGES, height=1, width=1),
    case("_contrib_BilinearResize2D", IMAGES, height=1, width=1, align_corners=False),
    *[case(operator, (4, 5, 6), **attributes)
      for operator in ("softmax", "log_softmax")
      for attributes in ({}, {"axis": 1}, {"axis": -2, "temperature": 2.5}, {"temperature": 0.3})],
    case("pick", (2, 5), numbers(0, 3)),
    case("pick", (2, 5), numbers(0, 3), keepdims=True),
    case("pick", (2, 5), numbers(1.7, 0.2)),
    case("pick", (2, 5), numbers(-2, 7)),
    case("pick", (2, 5), numbers([0], [3])),
    case("pick", (2, 3, 4), np.arange(8.0).reshape(2, 4) % 3, axis=1),
    case("pick", (2, 5), numbers(0, 1, 1, 0, 1), axis=0),
    *[one for operator in ("sum", "mean", "max") for one in reductions(operator)],
    *[one for operator in ("broadcast_add", "broadcast_sub", "broadcast_mul", "broadcast_div")
      for one in broadcasts(operator)],
    *[one for operator in ("broadcast_maximum", "broadcast_minimum")
      for one in broadcasts(operator, ties=True)],
    *[case(operator, (3, 4), positive(3, 4))
      for operator in ("elemwise_add", "elemwise_sub", "elemwise_mul", "elemwise_div",
                       "_maximum", "_minimum")],
    *[case(operator, tied(5, 8), tied(5, 8, seed=3)) for operator in ("_maximum", "_minimum")],
    *[one for operator in ("negative", "abs", "exp", "square", "relu", "sigmoid", "tanh",
                           "BlockGrad", "_copy", "Flatten")
      for one in unary(operator)],
    *[one for operator in ("log", "sqrt") for one in unary(operator, below_zero=False)],
    *[one for operator in ("_plus_scalar", "_minus_scalar", "_rminus_scalar", "_mul_scalar",
                           "_div_scalar", "_rdiv_scalar", "_power_scalar", "_maximum_scalar",
                           "_minimum_scalar")
      for one in scalars(operator)],
    case("clip", (4, 5), a_min=-0.3, a_max=0.7),
    case("clip", tied(4, 9), a_min=-1, a_max=1),
    case("clip", (4, 5), a_min=0.1, a_max=float("inf")),
    *[case("Cast", 3 * positive(4, 5), dtype=dtype) for dtype in ("float16", "float32", "float64")],
    *[case("Reshape", (2, 3, 4, 5), shape=shape)
      for shape in ((0, -1), (2, -1, 0), (0, 0, -1), (6, 20), (-1,), (0, 3, -1, 5), (-1, 0))],
    case("transpose", (2, 3, 4, 5), axes=(0, 2, 3, 1)),
    case("transpose", (2, 3, 4)),
    case("SwapAxis", (2, 3, 4, 5), dim1=1, dim2=3),
    case("SwapAxis", (2, 3, 4, 5), dim2=2),
    *[case("expand_dims", (2, 3), axis=axis) for axis in (0, 1, 2, -1, -2)],
    *[case("squeeze", (2, 1, 3, 1), **attributes)
      for attributes in ({}, {"axis": 1}, {"axis": -1}, {"axis": (1, 3)}, {"axis": (-3, -1)})],
    case("squeeze", (1, 1)),
    case("Concat", (2, 3, 4), (2, 5, 4), (2, 1, 4)),
    case("Concat", (2, 3, 4), (2, 3, 5), dim=2),
    case("Concat", (2, 3, 4), (2, 3, 5), dim=-1),
    case("Concat", (2, 3, 4)),
    case("stack", (2, 3), (2, 3)),
    case("stack", (2, 3), (2, 3), (2, 3), axis=1),
    case("stack", (2, 3), (2, 3), axis=-1),
    case("SliceChannel", (2, 6, 4), num_outputs=3),
    case("SliceChannel", (2, 6, 4), num_outputs=2, axis=-1),
    case("SliceChannel", (2, 3, 4), num_outputs=3, squeeze_axis=True),
    case("SliceChannel", (2, 1, 4), num_outputs=1, squeeze_axis=True),
    *[case("slice_axis", (2, 3, 6), axis=axis, begin=begin, end=end)
      for axis, begin, end in ((2, 1, 3), (2, 1, None), (2, -3, -1), (-1, 0, 2), (-2, -1, None))],
    *[case("Pad", IMAGES, mode=mode, pad_width=(0, 0, 0, 0, 1, 2, 3, 1))
      for mode in ("constant", "edge", "reflect")],
    case("Pad", IMAGES, mode="constant", pad_width=(0, 0, 0, 0, 0, 1, 0, 2), constant_value=0.1),
]  # fmt: skip

IN_FLOAT32 = [
    *[case("LeakyReLU", x, act_type=kind, **more)
      for kind, more in (("leaky", {}), ("leaky", {"slope": 0.1}), ("gelu", {}))
      for x in (IMAGES, tied(4, 9))],
    case("LeakyReLU", IMAGES, (3,), act_type="prelu"),
    case("LeakyReLU", IMAGES, (1,), act_type="prelu"),
    *unary("erf"),
    *[case("_contrib_BilinearResize2D", IMAGES, height=height, width=width, align_corners=corners)
      for height, width in ((5, 6), (14, 17), (1, 5), (3, 1))
      for corners in (True, False)],
]  # fmt: skip

WITHOUT_GRADIENT = [
    case("_grad_add", (3, 4), (3, 4)),
    *[case("Cast", 3 * positive(4, 5), dtype=dtype) for dtype in ("uint8", "int32", "int64")],
    case("Cast", (4, 5), dtype="int32"),
]

# MXNet's other names; it writes the operator's own into a graph.
ALIASES = {
    "_plus": "elemwise_add", "_minus": "elemwise_sub", "_mul": "elemwise_mul",
    "_div": "elemwise_div", "stop_gradient": "BlockGrad", "identity": "_copy",
    "flatten": "Flatten", "cast": "Cast", "reshape": "Reshape", "swapaxes": "SwapAxis",
    "concat": "Concat", "split": "SliceChannel", "pad": "Pad",
}  # fmt: skip


def symbol_of(operator, count=1, **attributes):
    """One node named ``node`` whose inputs are variables ``x0``, ``x1``, ..."""
    prefix = "_contrib_"
    if operator.startswith(prefix):
        function = getattr(mx.sym.contrib, operator[len(prefix) :])
    else:
        function = getattr(mx.sym, operator, None) or getattr(mx.sym._internal, operator)
    return function(*[mx.sym.var(f"x{i}") for i in range(count)], name="node", **attributes)


def arrays_of(inputs, seed=0):
    generator = np.random.default_rng(seed)
    drawn = [generator.standard_normal(x) if isinstance(x, tuple) else x for x in inputs]
    return {f"x{i}": np.asarray(x) for i, x in enumerate(drawn)}


def listed(outputs):
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def heads_for(outputs):
    """A number for each output value, so that every one has its own part in the gradient."""
    generator = np.random.default_rng(9)
    return [generator.standard_normal(y.shape) for y in outputs]


def given_to_mxnet(arrays):
    return {name: mx.nd.array(array, dtype=array.dtype) for name, array in arrays.items()}


def output_of_mxnet(symbol, arrays):
    """The one output in prediction, without any gradient."""
    given = given_to_mxnet(arrays)
    executor = symbol.bind(mx.cpu(), given, aux_states=given, grad_req="null")
    (output,) = executor.forward(is_train=False)
    return output.asnumpy()


def by_mxnet(symbol, arrays, *, training=False):
    """Outputs, gradients by name, and running statistics afterwards."""
    given = given_to_mxnet(arrays)
    for array in given.values():
        array.attach_grad()
    with mx.autograd.record(train_mode=training):
        outputs = listed(mx.nd.CachedOp(symbol)(*[given[n] for n in symbol.list_inputs()]))
    values = [y.asnumpy() for y in outputs]
    heads = [mx.nd.array(h, dtype=y.dtype) for h, y in zip(heads_for(values), outputs)]
    mx.autograd.backward(outputs, heads, train_mode=training)
    after = {name: given[name].asnumpy() for name in symbol.list_auxiliary_states()}
    gradients = {name: a.grad.asnumpy() for name, a in given.items() if name not in after}
    return values, gradients, after


def graph_of(symbol, inputs=None):
    return Graph(json.loads(symbol.tojson()), tuple(inputs or symbol.list_arguments()))


def output_of_torch(symbol, arrays, inputs=None):
    """The one output in prediction, without any gradient; all but ``inputs`` are parameters."""
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    graph = graph_of(symbol, inputs)
    with torch.no_grad():
        module = convert(graph, tensors, training=False).module
        return module(*[tensors[name] for name in graph.inputs]).numpy()


def by_torch(symbol, arrays, *, training=False, inputs=None):
    """Outputs, gradients by name, and what was converted; all but ``inputs`` are parameters."""
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    for name in symbol.list_arguments():
        tensors[name].requires_grad_(tensors[name].is_floating_point())
    graph = graph_of(symbol, inputs)
    values = {name: tensor for name, tensor in tensors.items() if name not in graph.inputs}
    converted = convert(graph, values, training=training)
    outputs = listed(converted.module(*[tensors[name] for name in graph.inputs]))
    for y, head in zip(outputs, heads_for(outputs)):
        if y.requires_grad:
            y.backward(torch.tensor(head, dtype=y.dtype), retain_graph=True)
    gradients = {
        name: np.zeros(arrays[name].shape) if tensors[name].grad is None
        else tensors[name].grad.numpy()
        for name in symbol.list_arguments()
    }  # fmt: skip
    return [y.detach().numpy() for y in outputs], gradients, converted


def assert_close(actual, expected, tolerance, what=""):
    assert actual.shape == expected.shape, what
    assert actual.dtype == expected.dtype, what
    largest = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * largest, err_msg=what)


def compare(symbol, arrays, *, training=False, tolerance=EXACT, inputs=None):
    """Check outputs and gradients; return what was converted and MXNet's running statistics."""
    expected, expected_gradients, after = by_mxnet(symbol, arrays, training=training)
    actual, gradients, converted = by_torch(symbol, arrays, training=training, inputs=inputs)
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected):
        assert_close(one, other, tolerance, "outputs")
    for name, gradient in expected_gradients.items():
        assert_close(gradients[name], gradient, tolerance, f"gradient of {name}")
    return converted, after


@pytest.mark.parametrize(("operator", "inputs", "attributes"), CASES)
def test_an_operator_and_its_gradients_are_mxnets(operator, inputs, attributes):
    compare(symbol_of(operator, len(inputs), **attributes), arrays_of(inputs))


@pytest.mark.parametrize(("operator", "inputs", "attributes"), IN_FLOAT32)
def test_what_mxnet_computes_in_float32_differs_by_its_rounding_only(operator, inputs, attributes):
    symbol = symbol_of(operator, len(inputs), **attributes)
    compare(symbol, arrays_of(inputs), tolerance=FLOAT32)


@pytest.mark.parametrize(("operator", "inputs", "attributes"), WITHOUT_GRADIENT)
def test_an_operator_that_passes_no_gradient_is_mxnets(operator, inputs, attributes):
    symbol, arrays = symbol_of(operator, len(inputs), **attributes), arrays_of(inputs)
    expected = output_of_mxnet(symbol, arrays)
    actual = output_of_torch(symbol, arrays)
    assert_close(actual, expected, 0)


def test_every_operator_is_compared_with_mxnets():
    compared = {one.values[0] for one in (*CASES, *IN_FLOAT32, *WITHOUT_GRADIENT)}
    assert compared.isdisjoint(ALIASES)
    assert set(OPERATORS) == compared | set(ALIASES)


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_the_operator_that_mxnet_means_by_it(alias):
    operator, inputs, attributes = next(c.values for c in CASES if c.values[0] == ALIASES[alias])
    content = json.loads(symbol_of(operator, len(inputs), **attributes).tojson())
    content["nodes"][-1]["op"] = alias
    read = json.loads(mx.sym.load_json(json.dumps(content)).tojson())
    assert read["nodes"][-1]["op"] == ALIASES[alias]
    assert OPERATORS[alias] is OPERATORS[ALIASES[alias]]


def test_no_gradient_passes_a_blocked_one():
    x = mx.sym.var("x")
    arrays = {"x": positive(3, 4)}
    compare(mx.sym.BlockGrad(x) * x, arrays)
    _, gradients, _ = by_torch(mx.sym.BlockGrad(x * 3), arrays)
    assert not gradients["x"].any()


def test_a_large_softrelu_has_the_gradient_that_float32_has():
    # MXNet has 1 - exp(-x) where PyTorch has 1 from 20 on.
    symbol, arrays = symbol_of("Activation", act_type="softrelu"), {"x0": np.linspace(-40, 40, 81)}
    compare(symbol, arrays, tolerance=3e-9)


def test_the_float32_numbers_of_an_operators_parameters_are_mxnets():
    limits = symbol_of("clip", a_min=-0.1, a_max=0.1)
    actual = output_of_torch(limits, {"x0": numbers(-1, 1)})
    assert actual.tolist() == [float(np.float32(-0.1)), float(np.float32(0.1))]


def batch_norm(**attributes):
    """A batch norm of ``x0`` with its gamma, beta, running mean and running variance."""
    return symbol_of("BatchNorm", 5, **attributes)


def batch_norm_arrays():
    generator = np.random.default_rng(4)
    return {
        "x0": 3 + 2 * generator.standard_normal((4, 3, 5, 6)),
        "x1": positive(3), "x2": generator.standard_normal(3),
        "x3": generator.standard_normal(3), "x4": 2 * positive(3),
    }  # fmt: skip


NORMS = pytest.mark.parametrize(
    "attributes",
    [{}, {"fix_gamma": False}, {"fix_gamma": False, "eps": 1e-5, "momentum": 0.6, "axis": 1}],
    ids=["default", "gamma", "other numbers"],
)


@NORMS
@pytest.mark.parametrize("training", [True, False], ids=["training", "predicting"])
@pytest.mark.parametrize("fixed", [True, False], ids=["running statistics", "the batch's"])
def test_a_batch_norm_and_its_gradients_are_mxnets(attributes, training, fixed):
    symbol = batch_norm(use_global_stats=fixed, **attributes)
    converted, _ = compare(symbol, batch_norm_arrays(), training=training)
    assert bool(converted.norms) == (training and not fixed)


def test_a_batch_norm_of_a_matrix_is_mxnets():
    arrays = {**batch_norm_arrays(), "x0": np.random.default_rng(0).standard_normal((8, 3))}
    compare(batch_norm(fix_gamma=False), arrays, training=True)


@NORMS
def test_a_training_batch_norm_leaves_what_mxnets_running_statistics_are_made_of(attributes):
    arrays = batch_norm_arrays()
    converted, after = compare(batch_norm(**attributes), arrays, training=True)
    norm = converted.norms["node"]
    x = arrays["x0"]
    mean, variance = norm.batch_mean.numpy(), norm.batch_variance.numpy()
    assert_close(mean, x.mean((0, 2, 3)), EXACT)
    assert_close(variance, x.var((0, 2, 3), ddof=1), EXACT)
    assert (norm.mean, norm.variance) == ("x3", "x4")
    assert norm.momentum == np.float32(attributes.get("momentum", 0.9))
    left, count = float(np.float32(1) - np.float32(norm.momentum)), x.size // 3
    assert_close(norm.momentum * arrays["x3"] + left * mean, after["x3"], EXACT)
    biased = variance * (count - 1) / count
    assert_close(norm.momentum * arrays["x4"] + left * biased, after["x4"], EXACT)


def test_running_statistics_are_left_alone_by_a_forward_pass():
    arrays = batch_norm_arrays()
    values = {name: torch.tensor(arrays[name]) for name in ("x1", "x2", "x3", "x4")}
    graph = graph_of(batch_norm(), ["x0"])
    convert(graph, values, training=True).module(torch.tensor(arrays["x0"]))
    for name, value in values.items():
        np.testing.assert_array_equal(value.numpy(), arrays[name], err_msg=name)


def dropped(rate, *, training, x=None, **attributes):
    symbol = symbol_of("Dropout", p=rate, **attributes)
    x = np.random.default_rng(0).standard_normal(1_000_000) if x is None else x
    torch.manual_seed(3)
    (y,), gradients, _ = by_torch(symbol, {"x0": x}, training=training)
    return x, y, gradients["x0"]


@pytest.mark.parametrize("training", [True, False], ids=["training", "predicting"])
@pytest.mark.parametrize("mode", ["training", "always"])
def test_dropout_at_rate_0_is_mxnets(mode, training):
    compare(symbol_of("Dropout", p=0.0, mode=mode), arrays_of([IMAGES]), training=training)


@pytest.mark.parametrize(("mode", "training"), [("training", True), ("always", False)])
def test_dropout_keeps_its_fraction_and_divides_by_it(mode, training):
    x, y, gradient = dropped(0.3, training=training, mode=mode)
    kept = y != 0
    sigma = np.sqrt(0.3 * 0.7 / len(x))
    assert abs(kept.mean() - 0.7) < 5 * sigma
    np.testing.assert_allclose(y[kept], x[kept] / 0.7, rtol=1e-7)
    np.testing.assert_array_equal(gradient == 0, ~kept)


def test_dropout_drops_nothing_when_predicting():
    x, y, _ = dropped(0.3, training=False)
    np.testing.assert_array_equal(y, x)


def assert_names(error, *words):
    assert isinstance(error.cause, str)
    assert error.remedy
    for word in words:
        assert word in error.cause


def test_an_unknown_operator_is_named_with_its_node():
    symbol = mx.sym.LRN(mx.sym.var("x"), nsize=5, name="between")
    with pytest.raises(UsageError) as caught:
        convert(graph_of(symbol), {}, training=False)
    assert_names(caught.value, "'LRN'", "'between'")
    assert "--engine mxnet" in caught.value.remedy


@pytest.mark.parametrize(
    ("operator", "count", "attributes", "unknown"),
    [
        ("Convolution", 2, {"kernel": (3, 3), "num_filter": 4, "no_bias": True, "layout": "NHWC"},
         "layout=NHWC"),
        ("Convolution", 2, {"kernel": (3,), "num_filter": 4, "no_bias": True}, "kernel=(3,)"),
        ("Pooling", 1, {"kernel": (2, 2), "layout": "NHWC"}, "layout=NHWC"),
        ("Pooling", 1, {"kernel": (2, 2), "pool_type": "sum"}, "pool_type=sum"),
        ("Pooling", 1, {"kernel": (3, 3), "pad": (2, 2)}, "pad=(2, 2) and kernel=(3, 3)"),
        ("BatchNorm", 5, {"axis": -1}, "axis=-1"),
        ("BatchNorm", 5, {"output_mean_var": True}, "output_mean_var=True"),
        # MXNet's gradient of selu is not that of its value.
        ("LeakyReLU", 1, {"act_type": "selu"}, "act_type=selu"),
        ("LeakyReLU", 1, {"act_type": "rrelu"}, "act_type=rrelu"),
        ("Dropout", 1, {"p": 0.5, "axes": (2, 3)}, "axes="),
        ("softmax", 1, {"dtype": "float32"}, "dtype=float32"),
        ("pick", 2, {"mode": "wrap"}, "mode=wrap"),
        ("sum", 1, {"axis": 0, "exclude": True}, "exclude=True"),
        ("Cast", 1, {"dtype": "int8"}, "dtype=int8"),
        ("Reshape", 1, {"shape": (-2,)}, "shape=(-2,)"),
        ("Reshape", 1, {"shape": (-1, 0), "reverse": True}, "reverse=True"),
        ("Pad", 1, {"mode": "edge", "pad_width": (0, 0, 0, 0, 0, 0, 1, 1, 1, 1)}, "pad_width="),
        ("_contrib_BilinearResize2D", 1, {"scale_height": 2, "scale_width": 2}, "scale_height=2"),
        ("_contrib_BilinearResize2D", 1, {"mode": "odd_scale", "scale_height": 2}, "mode=odd"),
    ],
)  # fmt: skip
def test_an_unknown_attribute_is_named_with_its_node(operator, count, attributes, unknown):
    symbol = symbol_of(operator, count, **attributes)
    arrays = {name: torch.ones(3) for name in symbol.list_inputs()[1:]}
    with pytest.raises(UsageError) as caught:
        convert(graph_of(symbol, ["x0"]), arrays, training=True)
    assert_names(caught.value, operator, "'node'", unknown)


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_a_window_that_begins_beyond_the_image_is_refused(kind):
    symbol = symbol_of(
        "Pooling", kernel=(1, 1), stride=(2, 2), pool_type=kind, pooling_convention="full"
    )
    arrays = {"x0": positive(2, 3, 8, 8)}
    expected = output_of_mxnet(symbol, arrays)
    assert expected.shape == (2, 3, 5, 5)
    with pytest.raises(UsageError) as caught:
        by_torch(symbol, arrays)
    assert_names(caught.value, "Pooling", "'node'", "(8, 8)")


def damage(content, path, value):
    """Set one place in a graph, or delete it for None."""
    *way, last = path
    for key in way:
        content = content[key]
    if value is None:
        del content[last]
    else:
        content[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("nodes",), None),
        (("nodes",), {}),
        (("nodes",), 3),
        (("heads",), None),
        (("heads",), []),
        (("heads", 0, 0), 99),
        (("heads", 0, 1), 1),
        (("nodes", 2, "inputs", 0, 0), 99),
        (("nodes", 2, "inputs", 0, 0), 2),
        (("nodes", 2, "inputs", 0, 0), -1),
        (("nodes", 2, "inputs", 0, 1), 1),
        (("nodes", 2, "inputs", 0), 0),
        (("nodes", 2, "inputs"), []),
        (("nodes", 2, "inputs"), None),
        (("nodes", 2, "op"), None),
        (("nodes", 3, "attrs"), "axis"),
        (("nodes", 3, "attrs", "axis"), "(1,"),
        (("nodes", 3, "attrs", "axis"), "one"),
        (("nodes", 1, "name"), "of_another_network"),
        (("nodes", 1, "name"), None),
        (("nodes", 1), "null"),
    ],
)
def test_a_damaged_graph_is_an_integrity_error(path, value):
    product = mx.sym.elemwise_mul(mx.sym.var("data"), mx.sym.var("weight"))
    content = json.loads(mx.sym.sum(product, axis=1).tojson())
    damage(content, path, value)
    with pytest.raises(IntegrityError) as caught:
        convert(Graph(content, ("data",)), {"weight": torch.ones(2, 3)}, training=False)
    assert_names(caught.value)


def test_a_flag_that_is_no_truth_value_is_refused():
    content = json.loads(symbol_of("sum", keepdims=True).tojson())
    content["nodes"][-1]["attrs"]["keepdims"] = "Ture"
    with pytest.raises(UsageError) as caught:
        convert(Graph(content, ("x0",)), {}, training=False)
    assert_names(caught.value, "sum", "'node'", "keepdims=Ture")


def test_a_variable_that_is_no_parameter_is_named():
    symbol = mx.sym.var("data") + mx.sym.var("stranger")
    with pytest.raises(IntegrityError) as caught:
        convert(graph_of(symbol, ["data"]), {"weight": torch.ones(3)}, training=False)
    assert_names(caught.value, "'stranger'")


def test_inputs_come_in_the_order_of_the_graph_and_may_be_unused():
    symbol = mx.sym.var("first") - mx.sym.var("second")
    module = convert(graph_of(symbol, ["unused", "second", "first"]), {}, training=False).module
    assert module(torch.tensor(7.0), torch.tensor(1.0), torch.tensor(3.0)) == 2.0


def test_parameters_are_shared_not_copied():
    value = torch.ones(3)
    graph = graph_of(mx.sym.var("data") * mx.sym.var("weight"), ["data"])
    module = convert(graph, {"weight": value}, training=False).module
    value.fill_(5.0)
    assert module(torch.ones(3)).tolist() == [5.0, 5.0, 5.0]


def in_place(converted):
    """How many of a module's ReLUs overwrite their input."""
    relus = [n for n in converted.module.graph.nodes if n.target is functional.relu]
    return sum(bool(n.kwargs.get("inplace")) for n in relus)


def shared_relus():
    """Graphs by what else uses the input of a ReLU, and how many ReLUs may overwrite it."""
    a, b = mx.sym.var("a"), mx.sym.var("b")
    total = a + b
    one, two = mx.sym.relu(total), mx.sym.Activation(total, act_type="relu")
    return {
        "nothing": (one, 1),
        "nothing, at three places": (mx.sym.relu(mx.sym.relu(one * b + a) + one) * one, 3),
        "a product": (one * total, 0),
        "a sum": (one + total, 0),
        "another ReLU": (one * two, 0),
        "an output": (mx.sym.Group([total, one]), 0),
        "a view of it": (mx.sym.Group([mx.sym.reshape(total, shape=(-1,)), one]), 0),
        "a blocked gradient": (mx.sym.BlockGrad(total) * one, 0),
        "no dropout": (mx.sym.Group([mx.sym.Dropout(total, p=0), one]), 0),
        "an input": (mx.sym.relu(a) + b, 0),
        "its own gradient": (mx.sym.relu(mx.sym.sigmoid(a - b)), 0),
        "the gradient of a product": (mx.sym.relu(a * b), 0),
    }


@pytest.mark.parametrize("used_by", shared_relus())
def test_a_relu_overwrites_only_what_nothing_else_needs(used_by):
    symbol, expected = shared_relus()[used_by]
    arrays = {"a": tied(4, 5) + 0.25, "b": np.random.default_rng(1).standard_normal((4, 5))}
    converted, _ = compare(symbol, arrays, training=True)
    assert in_place(converted) == expected


@pytest.mark.parametrize("training", [True, False], ids=["training", "predicting"])
def test_a_relu_overwrites_the_output_of_layers(training):
    x = mx.sym.Convolution(mx.sym.var("x"), kernel=(3, 3), num_filter=4, name="conv")
    x = mx.sym.BatchNorm(mx.sym.relu(x), fix_gamma=False, name="norm")
    symbol = mx.sym.relu(mx.sym.FullyConnected(mx.sym.relu(x), num_hidden=5, name="dense"))
    arrays = drawn_values(symbol, IMAGES, data="x")
    converted, _ = compare(symbol, arrays, training=training, inputs=["x"])
    assert in_place(converted) == 3


def test_the_images_are_never_overwritten():
    x, images = torch.randn(2, 3), mx.sym.var("x")
    module = convert(graph_of(mx.sym.relu(images) - images), {}, training=True).module
    before = x.clone()
    module(x)
    assert torch.equal(x, before)


def drawn_values(symbol, shape, data="data"):
    """Images, parameters and running statistics that exercise every layer."""
    generator = np.random.default_rng(5)
    arguments, _, statistics = symbol.infer_shape(**{data: shape})
    names = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    values = {}
    for name, size in zip(names, [*arguments, *statistics]):
        value = generator.standard_normal(size)
        if name.endswith("weight"):
            value *= np.sqrt(2.0 / np.prod(size[1:]))
        elif name.endswith(("gamma", "var")):
            value = 0.5 + generator.random(size)
        elif name != data:
            value *= 0.1
        values[name] = value
    return values


def zoo_symbol(name):
    """The graph of a network of GluonCV's, its dropout with rate 0."""
    content = json.loads(zoo_network(name, classes=10)(mx.sym.var("data")).tojson())
    for node in content["nodes"]:
        if node["op"] == "Dropout":
            node["attrs"]["p"] = "0"
    return mx.sym.load_json(json.dumps(content))


def own_symbol(name):
    """The graph of a network of ours, its dropout with rate 0."""
    net = get_model(name, classes=10)
    without_dropout(net)
    return net(mx.sym.var("data"))


def largest(arrays):
    return max(np.abs(array).max() for array in arrays)


def slow(name, size):
    return pytest.param(name, size, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("cifar_resnet20_v2", 16),
        ("mobilenetv2_0.25", 64),
        ("squeezenet1.1", 224),
        slow("cifar_wideresnet16_10", 16),
        slow("resnet18_v1b", 64),
        slow("resnet50_v1d", 64),
        slow("resnet50_v1s", 64),
        slow("inceptionv3", 299),
        slow("mobilenet1.0", 64),
        slow("mobilenetv2_1.0", 64),
        slow("mobilenetv3_small", 64),
        slow("densenet121", 224),
        slow("se_resnext50_32x4d", 64),
        slow("squeezenet1.0", 224),
        slow("vgg11_bn", 32),
    ],
)
def test_a_network_of_gluoncvs_computes_what_it_computes_in_mxnet(name, size):
    compare_network(zoo_symbol(name), size)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet18_v1d", 64),
        ("resnet18_v1d", 75),
        ("se_resnet18_v1", 64),
        ("mobilenet0.25", 64),
        slow("se_resnext50_32x4d", 64),
        slow("densenet121", 64),
        slow("inceptionv3", 75),
    ],
)
def test_a_network_computes_what_it_computes_in_mxnet_at_any_size(name, size):
    """Sizes that are odd have windows beyond the image, where shortcuts average."""
    compare_network(own_symbol(name), size)


def compare_network(symbol, size):
    arrays = drawn_values(symbol, (2, 3, size, size))
    expected = output_of_mxnet(symbol, arrays)
    actual = output_of_torch(symbol, arrays, ["data"])
    assert np.ptp(expected) > 1e-3 * np.abs(expected).max()
    assert_close(actual, expected, 1e-10)
    (_,), expected_gradients, _ = by_mxnet(symbol, arrays, training=True)
    (_,), gradients, _ = by_torch(symbol, arrays, training=True, inputs=["data"])
    assert gradients.keys() == expected_gradients.keys()
    differences = [gradients[path] - g for path, g in expected_gradients.items()]
    assert largest(differences) <= 1e-9 * largest(expected_gradients.values())
