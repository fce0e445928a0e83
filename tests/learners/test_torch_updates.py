"""The optimizers of the PyTorch engine against MXNet's and against closed forms, in float64."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import test_updates as mxnets

from gluontricks.learners import SLOTS
from gluontricks.learners.torch.updates import UPDATES, numbers

PLAIN_RATES = [0.1 * 0.9**i for i in range(mxnets.STEPS)]


def ours(name, *, rates=mxnets.RATES, wd=mxnets.WD, count=1):
    """The weights after each of the steps, of the last of ``count`` equal parameters."""
    weights = [torch.tensor(mxnets.WEIGHT) for _ in range(count)]
    slots = tuple([torch.zeros_like(w) for w in weights] for _ in SLOTS[name])
    out = []
    for step, (gradient, lr) in enumerate(zip(mxnets.GRADIENTS, rates), 1):
        given = numbers(name, lr=lr, momentum=mxnets.MOMENTUM, step=step, rescale=mxnets.RESCALE)
        grads = [torch.tensor(gradient) * given["rescale"] for _ in weights]
        UPDATES[name](weights, grads, slots, given, wd)
        out.append(weights[-1].numpy().copy())
    return np.stack(out)


def test_there_are_the_same_optimizers():
    assert set(UPDATES) == set(mxnets.UPDATES)


@pytest.mark.parametrize("name", UPDATES)
def test_20_steps_equal_the_closed_form(name):
    np.testing.assert_allclose(ours(name), mxnets.closed_form(name), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("wd", [0.0, 1e-4])
def test_20_steps_equal_mxnets_at_rates_that_float32_cannot_hold(name, wd):
    expected = mxnets.ours(name, rates=PLAIN_RATES, wd=wd)
    np.testing.assert_allclose(ours(name, rates=PLAIN_RATES, wd=wd), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", UPDATES)
def test_many_parameters_at_once_are_each_as_one_alone(name):
    np.testing.assert_array_equal(ours(name, count=70), ours(name))


@pytest.mark.parametrize("name", UPDATES)
def test_numbers_may_be_tensors_as_in_a_recorded_step(name):
    """A recorded step reads its numbers from tensors that stay in their place."""
    weights, plain = ([torch.tensor(mxnets.WEIGHT)] for _ in range(2))
    grads = [torch.tensor(mxnets.GRADIENTS[0])]
    given = numbers(name, lr=0.125, momentum=0.5, step=3)
    places = {k: torch.tensor(v, dtype=torch.float64) for k, v in given.items()}
    for own, values in ((weights, places), (plain, given)):
        slots = tuple([torch.zeros_like(own[0])] for _ in SLOTS[name])
        UPDATES[name](own, grads, slots, values, 0.25)
    np.testing.assert_allclose(weights[0].numpy(), plain[0].numpy(), rtol=1e-15, atol=1e-16)
    assert not np.array_equal(weights[0].numpy(), mxnets.WEIGHT)
