"""The optimizers of the PyTorch engine against MXNet's and against closed forms, in float64."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import test_updates as mxnets

from gluontricks.learners import SLOTS
from gluontricks.learners.torch.attributes import float32
from gluontricks.learners.torch.blocks import Block, joined
from gluontricks.learners.torch.updates import UPDATES, numbers

PLAIN_RATES = [0.1 * 0.9**i for i in range(mxnets.STEPS)]


def ours(name, *, rates=mxnets.RATES, wd=mxnets.WD):
    """The weights after each of the steps."""
    weights = torch.tensor(mxnets.WEIGHT)
    slots = [torch.zeros_like(weights) for _ in SLOTS[name]]
    out = []
    for step, (gradient, lr) in enumerate(zip(mxnets.GRADIENTS, rates), 1):
        given = numbers(name, lr=lr, momentum=mxnets.MOMENTUM, step=step, rescale=mxnets.RESCALE)
        UPDATES[name](weights, torch.tensor(gradient) * given["rescale"], slots, given, wd)
        out.append(weights.numpy().copy())
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


def read_by_mxnet(value):
    """The number that MXNet's kernels compute with when they are given this one."""
    zero, one = (mxnets.mx.nd.full((1,), v, dtype="float64") for v in (0, 1))
    updated = mxnets.mx.nd.sgd_update(zero, one, lr=value, wd=0.0, rescale_grad=1.0)
    return -float(updated.asscalar())


def test_numbers_are_read_as_mxnet_reads_them_which_is_not_to_the_nearest():
    values = 10 ** np.random.default_rng(0).uniform(-12, 2, 500)
    read = [float32(float(value)) for value in values]
    assert read == [read_by_mxnet(float(value)) for value in values]
    assert read != [float(np.float32(value)) for value in values]
    assert float32(-0.1) == -float32(0.1)
    assert float32(float("inf")) == float("inf")


def test_a_block_holds_parameters_of_every_form_and_they_see_its_changes():
    shapes = {"conv": (5, 3, 2, 4), "dense": (4, 6), "gamma": (7,), "one": (2, 3, 1, 1)}
    plain = {name: torch.randn(*shape) for name, shape in shapes.items()}
    own = {name: value.clone().requires_grad_() for name, value in plain.items()}
    block = Block(0.0, own, "adam")
    assert block.weights.shape == (sum(value.numel() for value in plain.values()),)
    for name, value in plain.items():
        assert torch.equal(own[name], value)
        assert own[name].is_leaf
    assert own["conv"].is_contiguous(memory_format=torch.channels_last)
    block.weights.mul_(2)
    block.slots[1].copy_(block.weights)
    for name, value in plain.items():
        assert torch.equal(own[name], 2 * value)
        assert torch.equal(block.views[name][1], 2 * value)
        assert not block.views[name][0].any()


def test_gradients_lie_in_the_order_of_the_weights_whatever_their_own():
    values = [torch.randn(5, 3, 2, 4), torch.randn(4, 6)]
    weights = Block(0.0, {str(i): value.clone() for i, value in enumerate(values)}, "sgd").weights
    channels_last = values[0].contiguous(memory_format=torch.channels_last)
    for grads in (values, [channels_last, values[1].t().contiguous().t()]):
        assert torch.equal(joined(grads), weights)


@pytest.mark.parametrize("name", UPDATES)
def test_numbers_may_be_tensors_as_in_a_recorded_step(name):
    """A recorded step reads its numbers from tensors that stay in their place."""
    weights, plain = (torch.tensor(mxnets.WEIGHT) for _ in range(2))
    grads = torch.tensor(mxnets.GRADIENTS[0])
    given = numbers(name, lr=0.125, momentum=0.5, step=3)
    places = {k: torch.tensor(v, dtype=torch.float64) for k, v in given.items()}
    for own, values in ((weights, places), (plain, given)):
        UPDATES[name](own, grads, [torch.zeros_like(own) for _ in SLOTS[name]], values, 0.25)
    np.testing.assert_allclose(weights.numpy(), plain.numpy(), rtol=1e-15, atol=1e-16)
    assert not np.array_equal(weights.numpy(), mxnets.WEIGHT)
