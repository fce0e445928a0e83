import os

import numpy as np
import pytest
from gluoncv_reference import zoo_network

from gluontricks.errors import DataError
from gluontricks.initializers import initial_value
from gluontricks.models import get_model
from gluontricks.models.weights import initialize, load_parameters, parameter_paths
from gluontricks.mxnet_shim import mx
from gluontricks.params_file import write_params


def new(classes=10, name="resnet8_v1", **options):
    return get_model(name, classes=classes, **options)


def values_of(net):
    return {path: p.data().asnumpy() for path, p in parameter_paths(net).items()}


@pytest.fixture
def trained():
    net = new()
    initialize(net, seed=5)
    return net


def assert_equal(net, other):
    expected = values_of(other)
    for path, values in values_of(net).items():
        np.testing.assert_array_equal(values, expected[path], err_msg=path)


def test_initial_values_are_a_function_of_seed_and_path(trained):
    again, other = new(), new()
    initialize(again, seed=5)
    initialize(other, seed=6)
    assert_equal(again, trained)
    for path, values in values_of(trained).items():
        np.testing.assert_array_equal(values, initial_value(path, values.shape, seed=5))
    path = "features.0.weight"
    assert not np.array_equal(values_of(other)[path], values_of(trained)[path])


def test_zero_gamma_reaches_the_values():
    net = new(last_gamma=True)
    initialize(net, seed=0)
    values = values_of(net)
    assert not values["features.3.0.body.4.gamma"].any()
    assert values["features.3.0.body.1.gamma"].all()
    assert values["features.3.0.downsample.1.gamma"].all()


def test_initialising_twice_starts_afresh(trained):
    expected = values_of(trained)
    parameter_paths(trained)["output.bias"].set_data(mx.nd.ones(10))
    initialize(trained, seed=5)
    np.testing.assert_array_equal(values_of(trained)["output.bias"], expected["output.bias"])


def test_what_save_parameters_writes_loads(trained, tmp_path):
    trained.save_parameters(str(tmp_path / "net.params"))
    net = new()
    load_parameters(net, tmp_path / "net.params")
    assert_equal(net, trained)


def test_what_export_writes_loads_whatever_its_prefix(trained, tmp_path):
    trained.hybridize()
    trained(mx.nd.zeros((1, 3, 32, 32)))
    trained.export(str(tmp_path / "net"))
    net = new()
    load_parameters(net, tmp_path / "net-0000.params")
    assert_equal(net, trained)


@pytest.mark.parametrize("prefix", ["", "student_", "stage1_"])
def test_names_of_a_parameter_dict_load(trained, prefix):
    arrays = {
        prefix + p.name[len(trained.prefix) :]: p.data().asnumpy()
        for p in trained.collect_params().values()
    }
    net = new()
    load_parameters(net, arrays)
    assert_equal(net, trained)


@pytest.mark.parametrize("name", ["resnet20_v1", "resnext29_32x4d"])
@pytest.mark.parametrize("form", ["save_parameters", "export"])
def test_gluoncvs_files_load(name, form, tmp_path):
    theirs = zoo_network("cifar_" + name, classes=10)
    theirs.initialize(mx.init.Xavier())
    theirs.hybridize()
    x = mx.nd.array(np.random.RandomState(0).standard_normal((2, 3, 32, 32)))
    expected = theirs(x).asnumpy()
    path = tmp_path / "net-0000.params"
    if form == "export":
        theirs.export(str(tmp_path / "net"))
    else:
        theirs.save_parameters(str(path))
    net = new(name=name)
    load_parameters(net, path)
    np.testing.assert_allclose(net(x).asnumpy(), expected, rtol=0, atol=1e-6 * abs(expected).max())


def test_published_weights_load():
    path = os.environ.get("GLUONTRICKS_WEIGHTS")
    if not path:
        pytest.skip("set GLUONTRICKS_WEIGHTS to GluonCV's cifar_resnet20_v1 parameter file")
    net = new(name="cifar_resnet20_v1")
    load_parameters(net, path)
    assert all(np.isfinite(values).all() for values in values_of(net).values())
    assert net(mx.nd.zeros((1, 3, 32, 32))).shape == (1, 10)


def test_a_network_with_unknown_shapes_takes_them_from_the_file():
    dense, source = mx.gluon.nn.Dense(3), mx.gluon.nn.Dense(3, in_units=4)
    initialize(source, seed=1)
    load_parameters(dense, values_of(source))
    assert_equal(dense, source)


def test_half_precision_files_load_as_float32(trained):
    net = new()
    load_parameters(net, {k: v.astype(np.float16) for k, v in values_of(trained).items()})
    got = values_of(net)["output.weight"]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, values_of(trained)["output.weight"], rtol=1e-3)


def refuse(trained, change, match, classes=10):
    """Check that changed values are refused with ``match`` and leave the network alone."""
    values = values_of(trained)
    change(values)
    net = new(classes)
    initialize(net, seed=9)
    before = values_of(net)
    with pytest.raises(DataError, match=match) as caught:
        load_parameters(net, values)
    for path, value in values_of(net).items():
        np.testing.assert_array_equal(value, before[path])
    return caught.value


def test_another_number_of_classes_is_said_in_words(trained):
    refuse(trained, lambda _: None, "has 10 classes, the network 100", classes=100)


def test_a_missing_parameter_is_named_with_the_nearest(trained):
    def rename(values):
        values["features.2.0.body.0.weigth"] = values.pop("features.2.0.body.0.weight")

    error = refuse(trained, rename, r"1 of \d+ parameters are missing")
    assert "features.2.0.body.0.weight" in error.cause
    assert "nearest to features.2.0.body.0.weight is features.2.0.body.0.weigth" in error.cause


def test_the_parameters_of_a_deeper_network_are_left_over():
    net = new(name="resnet20_v1")
    initialize(net, seed=0)
    with pytest.raises(DataError, match="belong to no parameter") as caught:
        load_parameters(new(), values_of(net))
    assert "more" in caught.value.cause


def test_a_wrong_shape_is_named(trained):
    def transpose(values):
        values["features.0.weight"] = values["features.0.weight"].swapaxes(0, 1)

    refuse(trained, transpose, r"features.0.weight has shape \(3, 16, 3, 3\)")


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_numbers_that_are_not_finite_in_float32_are_refused(trained, bad):
    def poison(values):
        values["output.bias"] = np.full(10, bad)

    refuse(trained, poison, "output.bias is not finite")


def test_integers_are_refused(trained):
    def round_(values):
        values["output.bias"] = values["output.bias"].astype(np.int32)

    refuse(trained, round_, "output.bias holds int32")


def test_a_name_that_is_argument_and_statistic_is_refused(trained):
    def double(values):
        values["arg:output.bias"] = values["aux:output.bias"] = values.pop("output.bias")

    refuse(trained, double, "twice")


def test_an_empty_file_is_refused(tmp_path):
    write_params(tmp_path / "empty.params", {})
    with pytest.raises(DataError, match="missing"):
        load_parameters(new(), tmp_path / "empty.params")
