"""ImageNet's networks: keys, outputs and complexity of GluonCV's, zero gamma, dilation."""

import numpy as np
import pytest
from networks import (
    GOLDEN,
    digest,
    gluoncv_network,
    images,
    local_names,
    random_parameters,
    with_values,
)

from gluontricks.errors import UsageError
from gluontricks.models import get_model, takes_size
from gluontricks.models.layers import without_dropout
from gluontricks.models.names import IMAGENET
from gluontricks.models.weights import initialize, load_parameters, parameter_paths
from gluontricks.mxnet_shim import mx

# One of each family and of each kind of block; the others are slow.
FEW = (
    "resnet18_v1", "resnet18_v1b", "resnet18_v1d", "resnet18_v1s", "resnet50_v1", "resnet50_v1d",
    "se_resnet18_v1", "resnext50_32x4d", "se_resnext50_32x4d", "mobilenet0.25",
)  # fmt: skip
RESIDUAL = sorted(name for name, network in IMAGENET.items() if network.residual)


def few_fast(names, few=FEW):
    slow = pytest.mark.slow
    return [name if name in few else pytest.param(name, marks=slow) for name in sorted(names)]


@pytest.mark.parametrize("name", GOLDEN["imagenet"])
def test_keys_are_gluoncvs(name):
    net = get_model(name, classes=1000)
    assert digest(parameter_paths(net)) == GOLDEN["imagenet"][name]["paths"]
    assert digest(local_names(net)) == GOLDEN["imagenet"][name]["names"]


@pytest.mark.parametrize("name", few_fast(IMAGENET))
def test_order_of_keys_and_shapes_are_those_of_gluoncv_installed(name):
    ours, theirs = get_model(name, classes=10), gluoncv_network(name)
    assert [(path, p.shape) for path, p in parameter_paths(ours).items()] == [
        (path, p.shape) for path, p in theirs._collect_params_with_prefix().items()
    ]
    assert local_names(ours) == local_names(theirs)


def compare_logits(name, size, **options):
    """Check that equal weights give equal logits, to the decimals that float32 has."""
    theirs_by = {"dilated": True} if options else {}
    ours = get_model(name, classes=100, **options)
    values = random_parameters(ours)
    load_parameters(ours, values)
    theirs = with_values(gluoncv_network(name, classes=100, **theirs_by), values)
    x = images(2, size)
    expected, actual = theirs(x).asnumpy(), ours(x).asnumpy()
    assert np.ptp(expected) > 0.1
    assert np.abs(actual - expected).max() <= 1e-6 * np.abs(expected).max()


# GluonCV's pooling at the end has the size that these are made for.
NATURAL = {"inceptionv3": 299, **{f"densenet{depth}": 224 for depth in (121, 161, 169, 201)}}


@pytest.mark.parametrize("name", few_fast(IMAGENET))
def test_logits_equal_gluoncvs(name):
    compare_logits(name, NATURAL.get(name, 64))


@pytest.mark.parametrize("name", few_fast(["resnet18_v1d", "resnet34_v1b", "resnet50_v1s"]))
def test_logits_of_a_dilated_network_equal_gluoncvs(name):
    compare_logits(name, 64, output_stride=8)


def test_the_output_stride_is_that_of_the_last_stage_and_changes_no_parameter():
    shapes = set()
    for stride in (32, 16, 8):
        net = get_model("resnet18_v1d", classes=10, output_stride=stride)
        shapes.add(tuple((path, p.shape) for path, p in parameter_paths(net).items()))
        symbol = net(mx.sym.var("data"))
        inner = symbol.get_internals()
        _, sizes, _ = inner.infer_shape(data=(1, 3, 64, 64))
        found = [size for size in sizes if len(size) == 4][-1]
        assert found == (1, 512, 64 // stride, 64 // stride)
    assert len(shapes) == 1


def zero_gammas(net):
    """Return the paths of the gammas that start at zero."""
    paths = net._collect_params_with_prefix()
    return [path for path, p in paths.items() if path.endswith("gamma") and p.init == "zeros"]


def count_of_blocks(name):
    return {18: 8, 34: 16, 50: 16, 101: 33, 152: 50}[IMAGENET[name].options["depth"]]


@pytest.mark.parametrize("name", RESIDUAL)
def test_zero_gamma_is_in_the_last_norm_of_every_block_and_nowhere_else(name):
    basic = IMAGENET[name].options["depth"] < 50
    last = {
        "v1": f".body.{4 if basic else 7}.gamma",
        "resnext": ".body.7.gamma",
        "v1b": f".bn{2 if basic else 3}.gamma",
    }[IMAGENET[name].family]
    plain = get_model(name, classes=10)
    zero = zero_gammas(get_model(name, classes=10, last_gamma=True))
    assert len(zero) == count_of_blocks(name)
    assert [path for path in parameter_paths(plain) if path.endswith(last)] == zero
    assert zero_gammas(plain) == []


@pytest.mark.parametrize(
    ("name", "off", "on"),
    [
        ("resnet18_v1b", 0, 0),
        ("resnet34_v1b", 0, 0),
        ("resnext50_32x4d", 16, 0),
        ("se_resnext50_32x4d", 16, 0),
    ],
)
def test_gluoncv_loses_or_inverts_zero_gamma_and_this_does_not(name, off, on):
    """Its BasicBlockV1b drops ``last_gamma``; its ResNeXt block does the opposite of it."""
    assert len(zero_gammas(gluoncv_network(name, last_gamma=False))) == off
    assert len(zero_gammas(gluoncv_network(name, last_gamma=True))) == on
    assert len(zero_gammas(get_model(name, classes=10, last_gamma=False))) == 0
    assert len(zero_gammas(get_model(name, classes=10, last_gamma=True))) == count_of_blocks(name)


@pytest.mark.parametrize(
    "name", ["resnet18_v1", "resnet18_v1b", "resnet50_v1d", "se_resnet18_v1", "se_resnext50_32x4d"]
)
def test_with_zero_gamma_a_network_starts_as_its_shortcuts(name):
    """Weights inside the blocks are then of no account."""
    net = get_model(name, classes=10, last_gamma=True)
    initialize(net, seed=0)
    x = images(1, 64)
    before = net(x).asnumpy()
    for path, parameter in parameter_paths(net).items():
        inside = ".body." in path or path.startswith("layer") and ".conv" in path
        if inside and path.endswith("weight"):
            parameter.set_data(-parameter.data())
    assert np.ptp(before) > 0
    np.testing.assert_array_equal(net(x).asnumpy(), before)


@pytest.mark.parametrize("name", ["mobilenet1.0", "densenet121", "inceptionv3"])
def test_zero_gamma_is_refused_where_no_block_has_a_shortcut(name):
    with pytest.raises(UsageError, match="--last-gamma would have no effect"):
        get_model(name, classes=10, last_gamma=True)


@pytest.mark.parametrize("name", ["resnet50_v1", "resnext50_32x4d", "resnet20_v1", "densenet121"])
def test_another_output_stride_is_refused_where_there_is_none(name):
    with pytest.raises(UsageError, match="output stride of 8 would have no effect"):
        get_model(name, classes=10, output_stride=8)


def test_an_unknown_output_stride_is_refused():
    with pytest.raises(UsageError, match="output stride of 4"):
        get_model("resnet50_v1b", classes=10, output_stride=4)


@pytest.mark.parametrize("form", ["save_parameters", "export"])
@pytest.mark.parametrize(
    "name",
    few_fast(
        ["resnet18_v1d", "se_resnet18_v1", "resnext50_32x4d", "mobilenet0.25", "densenet121"],
        few=("se_resnet18_v1", "mobilenet0.25"),
    ),
)
def test_gluoncvs_files_load(name, form, tmp_path):
    ours = get_model(name, classes=10)
    values = random_parameters(ours)
    theirs = with_values(gluoncv_network(name), values)
    theirs.hybridize()
    x = images(1, NATURAL.get(name, 64))
    expected = theirs(x).asnumpy()
    path = tmp_path / "net-0000.params"
    if form == "export":
        theirs.export(str(tmp_path / "net"))
    else:
        theirs.save_parameters(str(path))
    load_parameters(ours, path)
    for key, parameter in parameter_paths(ours).items():
        np.testing.assert_array_equal(parameter.data().asnumpy(), values[key], err_msg=key)
    assert np.abs(ours(x).asnumpy() - expected).max() <= 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["resnet18_v1", "mobilenet0.25", "densenet121", "inceptionv3"])
def test_the_sizes_that_a_network_takes_begin_where_it_has_a_pixel_left(name):
    smallest = IMAGENET[name].smallest
    net = get_model(name, classes=10)
    symbol = net(mx.sym.var("data"))
    _, (shape,), _ = symbol.infer_shape(data=(1, 3, smallest, smallest))
    assert shape == (1, 10)
    assert takes_size(name, smallest)
    assert not takes_size(name, smallest - 1)


def test_inception_takes_75_pixels_and_not_74():
    symbol = get_model("inceptionv3", classes=10)(mx.sym.var("data"))
    symbol.infer_shape(data=(1, 3, 75, 75))
    with pytest.raises(mx.base.MXNetError):
        symbol.infer_shape(data=(1, 3, 74, 74))


@pytest.mark.parametrize("name", few_fast(RESIDUAL, few=("resnet18_v1d", "se_resnet18_v1")))
def test_every_weight_receives_a_gradient(name):
    net = get_model(name, classes=5)
    initialize(net, seed=3)
    with mx.autograd.record():
        total = (net(images(2, 64)) * mx.nd.arange(5)).sum()
    total.backward()
    for path, parameter in parameter_paths(net).items():
        if parameter.grad_req != "null":
            assert np.abs(parameter.grad().asnumpy()).max() > 0, path


@pytest.mark.parametrize("name", [*FEW, "densenet121", "inceptionv3"])
def test_there_is_no_global_pooling_operator(name):
    graph = get_model(name, classes=10)(mx.sym.var("data")).tojson()
    assert '"global_pool": "True"' not in graph
    assert "AdaptiveAvgPooling" not in graph


@pytest.mark.parametrize("quiet", [False, True])
def test_inceptions_dropout_drops_when_training_unless_it_is_told_not_to(quiet):
    net = get_model("inceptionv3", classes=10)
    initialize(net, seed=0)
    if quiet:
        without_dropout(net)
    x = images(2, 75)
    outputs = []
    for seed in (1, 2):
        mx.random.seed(seed)
        with mx.autograd.train_mode():
            outputs.append(net(x).asnumpy())
    assert np.array_equal(*outputs) == quiet
