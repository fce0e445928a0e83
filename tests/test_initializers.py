import numpy as np
import pytest

from gluontricks.errors import UsageError
from gluontricks.initializers import initial_value, rule
from gluontricks.mxnet_shim import mx

SHAPES = [(100, 64), (16, 3, 3, 3), (64, 32, 1, 1), (128, 4, 3, 3)]
BIG = (256, 64, 3, 3)


def mxnet_scale(initializer, shape):
    """Return the scale that MXNet's own initializer hands to its generator."""
    seen = {}

    class Recorder:
        @staticmethod
        def uniform(_, high, *__, **___):
            seen["scale"] = high

        @staticmethod
        def normal(_, scale, *__, **___):
            seen["scale"] = scale

    original = mx.initializer.random
    mx.initializer.random = Recorder
    try:
        initializer._init_weight("weight", mx.nd.zeros(shape))
    finally:
        mx.initializer.random = original
    return seen["scale"]


@pytest.mark.parametrize("shape", SHAPES)
def test_xavier_fills_mxnets_interval(shape):
    bound = mxnet_scale(mx.init.Xavier(), shape)
    values = initial_value("features.0.weight", shape, seed=0)
    largest = np.abs(values).max()
    assert bound * (1 - 12 / values.size) < largest <= np.float32(bound)


@pytest.mark.parametrize("shape", SHAPES)
def test_msra_has_the_deviation_of_mxnets_msraprelu(shape):
    deviation = mxnet_scale(mx.init.MSRAPrelu(), shape)
    values = initial_value("features.0.weight", shape, seed=0, init="msra")
    assert values.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * values.size))


def test_xavier_scale_by_hand():
    # fan-in 3 * 9 = 27, fan-out 16 * 9 = 144: sqrt(6 / 171)
    values = initial_value("w.weight", (16, 3, 3, 3), seed=0)
    assert np.abs(values).max() == pytest.approx(np.sqrt(6 / 171), rel=0.02)


def test_xavier_values_are_uniform():
    values = initial_value("w.weight", BIG, seed=1).ravel()
    counts, _ = np.histogram(values, bins=20, range=(values.min(), values.max()))
    expected = values.size / 20
    # Chi-square with 19 degrees of freedom: 43.8 is its 99.9 % point.
    assert ((counts - expected) ** 2 / expected).sum() < 43.8


def test_msra_values_are_normal():
    values = initial_value("w.weight", BIG, seed=1, init="msra").ravel()
    scaled = values / values.std()
    assert abs(scaled.mean()) < 4 / np.sqrt(values.size)
    assert (scaled**4).mean() == pytest.approx(3.0, abs=4 * np.sqrt(24 / values.size))


def test_values_depend_on_seed_and_path_and_on_nothing_else():
    value = initial_value("a.weight", (8, 8), seed=1)
    initial_value("b.weight", (8, 8), seed=1)
    np.testing.assert_array_equal(value, initial_value("a.weight", (8, 8), seed=1))
    for other in (
        initial_value("b.weight", (8, 8), seed=1),
        initial_value("a.weight", (8, 8), seed=2),
    ):
        assert abs(np.corrcoef(value.ravel(), other.ravel())[0, 1]) < 0.5


@pytest.mark.parametrize("init", ["xavier", "msra"])
def test_other_roles_are_constants(init):
    for role, expected in [
        ("gamma", 1), ("beta", 0), ("bias", 0), ("running_mean", 0), ("running_var", 1),
    ]:  # fmt: skip
        values = initial_value(f"features.1.{role}", (5,), seed=0, init=init)
        np.testing.assert_array_equal(values, np.full(5, expected))
        assert values.dtype == np.float32


def test_a_layer_may_name_its_constant():
    assert not initial_value("features.2.0.body.4.gamma", (4,), seed=0, init="zeros").any()
    assert initial_value("any.weight", (2, 2), seed=0, init="ones").all()


def test_first_values_never_change():
    # Recorded once: checkpoints, records and the second engine rely on them.
    values = initial_value("features.0.weight", (16, 3, 3, 3), seed=0)
    first = np.float32([-0.050960276, 0.046002977, -0.080178216, -0.09266575])
    np.testing.assert_array_equal(values.ravel()[:4], first)
    values = initial_value("features.0.weight", (16, 3, 3, 3), seed=0, init="msra")
    first = [-0.051614285, 0.04641658, -0.083856806, -0.098845005]
    np.testing.assert_allclose(values.ravel()[:4], first, rtol=1e-6)


@pytest.mark.parametrize(
    ("path", "shape", "init", "match"),
    [
        ("a.weight", (3,), "xavier", "outputs and inputs"),
        ("a.weight", (3, 0), "xavier", "outputs and inputs"),
        ("a.alpha", (3,), "xavier", "'alpha'"),
        ("a.weight", (3, 3), "xavir", "unknown initialisation 'xavir'"),
        ("a.bias", (3,), "xavir", "unknown initialisation 'xavir'"),
    ],
)
def test_what_has_no_rule_is_refused(path, shape, init, match):
    with pytest.raises(UsageError, match=match):
        initial_value(path, shape, seed=0, init=init)


def test_rule_names_how_a_parameter_starts():
    assert rule("output.weight", "msra") == "msra"
    assert rule("output.bias", "msra") == "zeros"
    assert rule("bn1.gamma", "xavier") == "ones"
