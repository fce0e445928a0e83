import math

import numpy as np
import pytest

from gluontricks.learners import SLOTS
from gluontricks.learners.mxnet.updates import UPDATES
from gluontricks.learners.optimizers import Setting, nadam_momentum, nadam_product
from gluontricks.mxnet_shim import mx

STEPS, SHAPE = 20, (5, 7)
# Powers of two, so that no precision is lost where MXNet rounds them to float32.
WD, RESCALE = 0.0625, 0.25
RATES = [0.125 * 2.0 ** -(i // 7) for i in range(STEPS)]
MOMENTUM = 0.875
GENERATOR = np.random.default_rng(0)
WEIGHT = GENERATOR.standard_normal(SHAPE)
GRADIENTS = GENERATOR.standard_normal((STEPS, *SHAPE))


def sgd(w, g, state, lr, _):
    a = MOMENTUM * state[0] - lr * (g + WD * w)
    return w + a, (a,)


def nag(w, g, state, lr, _):
    # As MXNet 1.9.1 computes it: the buffer decays with the weight after the update.
    a = MOMENTUM * state[0]
    new = w - a + (1 + MOMENTUM) * (a - lr * (g + WD * w))
    return new, (a - lr * (g + WD * new),)


def adam(w, g, state, lr, t):
    # MXNet takes the betas of the averages, the rate and epsilon as float32 numbers.
    beta1, beta2 = np.float32(0.9), np.float32(0.999)
    d = g + WD * w
    a = float(beta1) * state[0] + float(1 - beta1) * d
    b = float(beta2) * state[1] + float(1 - beta2) * d**2
    # Epsilon is added before the correction of the bias (Kingma and Ba, end of section 2).
    rate = float(np.float32(lr * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)))
    return w - rate * a / (np.sqrt(b) + float(np.float32(1e-8))), (a, b)


def nadam(w, g, state, lr, t):
    momenta = [0.9 * (1 - 0.5 * 0.96 ** (i * 0.004)) for i in range(1, t + 2)]
    now, following = momenta[-2:]
    d = g + WD * w
    a, b = 0.9 * state[0] + 0.1 * d, 0.999 * state[1] + 0.001 * d**2
    ahead = (1 - now) * d / (1 - math.prod(momenta[:-1]))
    ahead = ahead + following * a / (1 - math.prod(momenta))
    return w - lr * ahead / (np.sqrt(b / (1 - 0.999**t)) + 1e-8), (a, b)


def adadelta(w, g, state, lr, _):
    a = 0.9 * state[0] + 0.1 * g**2
    delta = np.sqrt(state[1] + 1e-5) / np.sqrt(a + 1e-5) * g
    return w - lr * (delta + WD * w), (a, 0.9 * state[1] + 0.1 * delta**2)


def rmsprop(w, g, state, lr, _):
    d = g + WD * w
    a = 0.9 * state[0] + 0.1 * d**2
    return w - lr * d / np.sqrt(a + 1e-8), (a,)


REFERENCES = {
    "sgd": sgd, "nag": nag, "adam": adam, "nadam": nadam, "adadelta": adadelta, "rmsprop": rmsprop
}  # fmt: skip


def closed_form(name):
    """The weight after each of the steps, in float64 NumPy."""
    w, out, state = WEIGHT, [], tuple(np.zeros(SHAPE) for _ in SLOTS[name])
    for t, (gradient, lr) in enumerate(zip(GRADIENTS, RATES), 1):
        w, state = REFERENCES[name](w, RESCALE * gradient, state, lr, t)
        out.append(w)
    return np.stack(out)


def ours(name, dtype="float64", *, rates=RATES, wd=WD):
    """The weight after each of the steps, by the package."""
    weight = mx.nd.array(WEIGHT, dtype=dtype)
    state = tuple(mx.nd.zeros(SHAPE, dtype=dtype) for _ in SLOTS[name])
    out = []
    for t, (gradient, lr) in enumerate(zip(GRADIENTS, rates), 1):
        setting = Setting(lr, MOMENTUM, wd, RESCALE, t)
        UPDATES[name](weight, mx.nd.array(gradient, dtype=dtype), state, setting)
        out.append(weight.asnumpy())
    assert weight.dtype == np.dtype(dtype)
    assert all(s.dtype == np.dtype(dtype) for s in state)
    return np.stack(out)


def mxnets(name, rates=RATES, **options):
    """The weight after each of the steps, by MXNet's own optimizer of that name."""
    optimizer = mx.optimizer.create(name, wd=WD, rescale_grad=RESCALE, **options)
    updater = mx.optimizer.get_updater(optimizer)
    weight, out = mx.nd.array(WEIGHT), []
    for gradient, lr in zip(GRADIENTS, rates):
        optimizer.set_learning_rate(lr)
        updater(0, mx.nd.array(gradient), weight)
        out.append(weight.asnumpy())
    return np.stack(out)


def test_every_optimizer_has_its_slots():
    assert set(UPDATES) == set(SLOTS)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float64", 1e-13)])
@pytest.mark.parametrize("name", UPDATES)
def test_20_steps_equal_the_closed_form(name, dtype, tolerance):
    np.testing.assert_allclose(ours(name, dtype), closed_form(name), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sgd", {"momentum": MOMENTUM}),
        ("nag", {"momentum": MOMENTUM}),
        ("adam", {}),
        ("rmsprop", {}),
        # One parameter only: MXNet multiplies its product once for each of them.
        ("nadam", {}),
    ],
)
def test_20_steps_equal_mxnets_own_optimizer(name, options):
    theirs = mxnets(name, **options)
    tolerance = 1e-7 if name in ("sgd", "nag") else 2e-6
    np.testing.assert_allclose(ours(name, "float32"), theirs, rtol=tolerance, atol=tolerance)


def test_adadelta_at_rate_1_is_mxnets():
    np.testing.assert_allclose(
        ours("adadelta", "float32", rates=[1.0] * STEPS), mxnets("adadelta"), rtol=2e-6, atol=2e-6
    )


def test_adadelta_scales_its_step_by_the_rate_and_mxnets_does_not():
    first, half = (ours("adadelta", rates=[r] * STEPS)[0] - WEIGHT for r in (1.0, 0.5))
    np.testing.assert_allclose(half, first / 2, rtol=1e-12)
    np.testing.assert_array_equal(mxnets("adadelta", [1.0] * 20), mxnets("adadelta", [0.5] * 20))


def test_nadams_momentum_product_is_a_function_of_the_step_alone():
    expected = 1.0
    for step in range(1, 1200):
        expected *= nadam_momentum(step)
        assert nadam_product(step) == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_nadams_product_of_the_longest_runs_is_nothing_beside_1():
    whole = math.prod(0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)) for t in range(1, 5000))
    assert 1 - whole == 1.0
    assert nadam_product(4999) == nadam_product(100_000) < 1e-300


def test_nadam_treats_the_last_of_200_parameters_as_the_first():
    weights = [mx.nd.array(WEIGHT) for _ in range(200)]
    states = [(mx.nd.zeros(SHAPE), mx.nd.zeros(SHAPE)) for _ in weights]
    for t, gradient in enumerate(GRADIENTS[:10], 1):
        for weight, state in zip(weights, states):
            setting = Setting(RATES[t - 1], 0.0, WD, RESCALE, t)
            UPDATES["nadam"](weight, mx.nd.array(gradient), state, setting)
    np.testing.assert_array_equal(weights[-1].asnumpy(), weights[0].asnumpy())
    np.testing.assert_allclose(weights[0].asnumpy(), closed_form("nadam")[9], atol=2e-5)


@pytest.mark.parametrize("name", UPDATES)
def test_a_gradient_of_zero_gives_no_step_without_decay(name, monkeypatch):
    monkeypatch.setattr(f"{__name__}.GRADIENTS", np.zeros_like(GRADIENTS), raising=True)
    np.testing.assert_array_equal(ours(name, wd=0.0)[-1], WEIGHT)
