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
from gluontricks.models import get_model, input_size, list_models
from gluontricks.models.weights import initialize, load_parameters, parameter_paths
from gluontricks.mxnet_shim import mx

CIFAR = sorted(name for name in list_models() if input_size(name) == 32)
IN_GLUONCV = sorted(GOLDEN["networks"])


@pytest.mark.parametrize("name", IN_GLUONCV)
def test_keys_are_gluoncvs(name):
    net = get_model(name, classes=100)
    assert digest(parameter_paths(net)) == GOLDEN["networks"][name]["paths"]
    assert digest(local_names(net)) == GOLDEN["networks"][name]["names"]


@pytest.mark.parametrize("name", IN_GLUONCV)
def test_order_of_keys_and_shapes_are_those_of_gluoncv_installed(name):
    ours, theirs = get_model(name, classes=10), gluoncv_network(name)
    shapes = {path: p.shape for path, p in parameter_paths(ours).items()}
    assert list(shapes.items()) == [
        (path, p.shape) for path, p in theirs._collect_params_with_prefix().items()
    ]
    assert local_names(ours) == local_names(theirs)


def test_keys_do_not_depend_on_the_networks_built_before():
    first, second = get_model("resnet8_v1", classes=10), get_model("resnet8_v1", classes=10)
    assert first.prefix != second.prefix
    assert list(parameter_paths(first)) == list(parameter_paths(second))
    assert local_names(first) == local_names(second)


@pytest.mark.parametrize(
    ("name", "batch"),
    [
        ("resnet20_v1", 2),
        ("resnet56_v1", 2),
        ("resnet110_v1", 2),
        ("resnext29_32x4d", 2),
        pytest.param("resnext29_16x64d", 1, marks=pytest.mark.slow),
    ],
)
def test_logits_equal_gluoncvs(name, batch):
    ours = get_model(name, classes=100)
    values = random_parameters(ours)
    load_parameters(ours, values)
    theirs = with_values(gluoncv_network(name, classes=100), values)
    x = images(batch)
    expected, actual = theirs(x).asnumpy(), ours(x).asnumpy()
    assert np.ptp(expected) > 0.1
    assert np.abs(actual - expected).max() <= 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["resnet20_v1", "resnext29_2x8d"])
def test_hybridized_equals_imperative(name):
    net = get_model(name, classes=10)
    load_parameters(net, random_parameters(net))
    x = images(3)
    imperative = net(x).asnumpy()
    net.hybridize(static_alloc=True, static_shape=True)
    np.testing.assert_allclose(net(x).asnumpy(), imperative, rtol=0, atol=1e-6 * imperative.max())


@pytest.mark.parametrize("name", [*CIFAR, "resnet8_v1", "resnext29_4x16d"])
def test_zero_gamma_is_in_the_last_norm_of_every_block_and_nowhere_else(name):
    plain = parameter_paths(get_model(name, classes=10))
    net = parameter_paths(get_model(name, classes=10, last_gamma=True))
    gammas = [path for path in plain if path.endswith("gamma")]
    last = ".body.7.gamma" if "resnext" in name else ".body.4.gamma"
    zero = [path for path in gammas if net[path].init == "zeros"]
    assert zero == [path for path in gammas if path.endswith(last)]
    assert len(zero) == len({path.rsplit(".body.", 1)[0] for path in gammas if ".body." in path})
    assert all(plain[path].init == "ones" for path in gammas)


def test_with_zero_gamma_a_block_starts_as_its_rectified_shortcut():
    net = get_model("resnet8_v1", classes=10, last_gamma=True)
    initialize(net, seed=0)
    block = net.features[2][0]
    x = mx.nd.array(np.random.RandomState(0).standard_normal((2, 16, 8, 8)))
    np.testing.assert_array_equal(block(x).asnumpy(), np.maximum(x.asnumpy(), 0))


def test_shapes_are_known_before_any_forward_pass():
    for name in CIFAR:
        for parameter in parameter_paths(get_model(name, classes=7)).values():
            assert min(parameter.shape) > 0


@pytest.mark.parametrize("name", ["resnet8_v1", "resnext29_2x8d"])
def test_every_weight_receives_a_gradient(name):
    net = get_model(name, classes=5)
    initialize(net, seed=3)
    with mx.autograd.record():
        total = (net(images(2)) * mx.nd.arange(5)).sum()
    total.backward()
    for path, parameter in parameter_paths(net).items():
        if parameter.grad_req != "null":
            assert np.abs(parameter.grad().asnumpy()).max() > 0, path


def test_there_is_no_global_pooling_operator():
    graph = get_model("resnet20_v1", classes=10)(mx.sym.var("data")).tojson()
    assert "Pooling" not in graph
    assert '"op": "mean"' in graph


def test_a_network_without_classes_is_refused():
    with pytest.raises(UsageError, match="got 0"):
        get_model("resnet20_v1", classes=0)


@pytest.mark.parametrize(
    ("name", "blocks"), [("cifar_resnet50_v1", 24), ("cifar_resnet152_v1", 75)]
)
def test_the_prefix_tells_cifars_network_from_imagenets_of_the_same_depth(name, blocks):
    """A CIFAR ResNet of depth 6n+2 has 3n basic blocks; ImageNet's have 16 and 50 bottlenecks."""
    paths = parameter_paths(get_model(name, classes=10))
    assert paths["features.0.weight"].shape == (16, 3, 3, 3)
    assert sum(path.endswith("body.4.gamma") for path in paths) == blocks
