import numpy as np
import pytest
from gluoncv_reference import gluoncv
from scipy.special import log_softmax, softmax

from gluontricks.errors import UsageError
from gluontricks.losses import DistillationLoss, SoftCrossEntropy
from gluontricks.mxnet_shim import mx

N, K = 6, 11


def arrays(dtype="float64", seed=0):
    """Return logits, targets that are distributions, and a teacher's logits."""
    generator = np.random.RandomState(seed)
    logits, teacher = 5 * generator.standard_normal((2, N, K))
    targets = generator.dirichlet(np.ones(K), N)
    return tuple(mx.nd.array(a, dtype=dtype) for a in (logits, targets, teacher))


def cross_entropy(logits, targets):
    return -(log_softmax(logits, axis=-1) * targets).sum(-1)


def test_soft_cross_entropy_is_its_closed_form():
    logits, targets, _ = arrays()
    expected = cross_entropy(logits.asnumpy(), targets.asnumpy())
    actual = SoftCrossEntropy()(logits, targets)
    assert actual.shape == (N,)
    np.testing.assert_allclose(actual.asnumpy(), expected, rtol=1e-12)


def test_soft_cross_entropy_of_hard_targets_is_minus_the_log_probability():
    logits, _, _ = arrays("float32")
    labels = np.arange(N)
    loss = SoftCrossEntropy()(logits, mx.nd.one_hot(mx.nd.array(labels), K)).asnumpy()
    expected = -log_softmax(logits.asnumpy(), axis=-1)[np.arange(N), labels]
    # oneDNN's logarithm of the softmax is good to 3e-6 in float32.
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-5)


def test_uniform_logits_lose_log_k():
    loss = SoftCrossEntropy()(mx.nd.zeros((1, K)), mx.nd.ones((1, K)) / K)
    np.testing.assert_allclose(loss.asnumpy(), np.log(K), rtol=1e-5)


def test_huge_logits_stay_finite():
    logits = mx.nd.array([[1e4, -1e4]])
    assert SoftCrossEntropy()(logits, mx.nd.array([[0.5, 0.5]])).asnumpy() == pytest.approx(1e4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "loss", [SoftCrossEntropy(), DistillationLoss(), DistillationLoss(form="paper")]
)
def test_losses_keep_the_precision_of_their_inputs(loss, dtype):
    inputs = arrays(dtype)[: 2 if isinstance(loss, SoftCrossEntropy) else 3]
    assert loss(*inputs).dtype == np.dtype(dtype)


def test_hybridized_losses_equal_imperative_ones():
    logits, targets, teacher = arrays("float32")
    for loss, inputs in [
        (SoftCrossEntropy(), (logits, targets)),
        (DistillationLoss(), (logits, targets, teacher)),
    ]:
        plain = loss(*inputs).asnumpy()
        loss.hybridize(static_alloc=True, static_shape=True)
        np.testing.assert_allclose(loss(*inputs).asnumpy(), plain, rtol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
@pytest.mark.parametrize("hard_weight", [0.0, 0.3, 0.5, 1.0])
def test_distillation_equals_gluoncvs(temperature, hard_weight):
    logits, targets, teacher = arrays()
    theirs = gluoncv("gluoncv.loss").DistillationSoftmaxCrossEntropyLoss(
        temperature=temperature, hard_weight=hard_weight, sparse_label=False
    )
    expected = theirs(logits, targets, mx.nd.softmax(teacher / temperature)).asnumpy()
    actual = DistillationLoss(temperature, hard_weight)(logits, targets, teacher).asnumpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_equation_6_is_exactly_twice_gluoncvs_loss_at_one_half():
    inputs = arrays()
    paper = DistillationLoss(form="paper")(*inputs).asnumpy()
    np.testing.assert_array_equal(paper, 2 * DistillationLoss(20.0, 0.5)(*inputs).asnumpy())


def test_equation_6_is_its_closed_form():
    logits, targets, teacher = arrays()
    z, y, r = (a.asnumpy() for a in (logits, targets, teacher))
    expected = cross_entropy(z, y) + 400 * cross_entropy(z / 20, softmax(r / 20, axis=-1))
    actual = DistillationLoss(20.0, form="paper")(logits, targets, teacher).asnumpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def gradient(loss, logits, *others):
    logits.attach_grad()
    with mx.autograd.record():
        value = loss(logits, *others)
    value.backward()
    return logits.grad.asnumpy()


def test_gradient_of_cross_entropy_is_softmax_minus_targets():
    logits, targets, _ = arrays()
    expected = softmax(logits.asnumpy(), axis=-1) - targets.asnumpy()
    actual = gradient(SoftCrossEntropy(), logits, targets)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


@pytest.mark.parametrize(("form", "hard", "soft"), [("gluoncv", 0.5, 0.5), ("paper", 1.0, 1.0)])
def test_gradient_of_distillation_is_its_closed_form(form, hard, soft):
    logits, targets, teacher = arrays()
    z, y, r = (a.asnumpy() for a in (logits, targets, teacher))
    imitation = softmax(z / 20, axis=-1) - softmax(r / 20, axis=-1)
    expected = hard * (softmax(z, axis=-1) - y) + soft * 20 * imitation
    actual = gradient(DistillationLoss(20.0, form=form), logits, targets, teacher)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_no_gradient_reaches_the_teacher():
    logits, targets, teacher = arrays()
    teacher.attach_grad()
    gradient(DistillationLoss(), logits, targets, teacher)
    assert not teacher.grad.asnumpy().any()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"hard_weight": 1.5}, "hard weight is 1.5"),
        ({"hard_weight": float("nan")}, "hard weight is nan"),
        ({"form": "papr"}, "unknown form of distillation 'papr'"),
        ({"form": "paper", "hard_weight": 0.5}, "no hard weight, got 0.5"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(options, match):
    with pytest.raises(UsageError, match=match):
        DistillationLoss(**options)
