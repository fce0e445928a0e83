import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluontricks.errors import UsageError
from gluontricks.targets import smooth_targets, smoothing_values

FORMS = ("gluoncv", "paper")


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 300), st.floats(0, 0.999), st.sampled_from(FORMS), st.integers(0, 2**32 - 1))
def test_targets_are_distributions_over_the_classes(classes, epsilon, form, seed):
    labels = np.random.default_rng(seed).integers(0, classes, 7)
    targets = smooth_targets(labels, classes, epsilon=epsilon, form=form)
    assert targets.shape == (7, classes)
    assert targets.dtype == np.float32
    assert (targets >= 0).all()
    np.testing.assert_allclose(targets.sum(axis=1, dtype=np.float64), 1, rtol=1e-5)


def test_without_smoothing_targets_are_one_hot():
    np.testing.assert_array_equal(smooth_targets(np.array([2, 0]), 3), np.eye(3)[[2, 0]])


def test_gluoncvs_form_spreads_epsilon_over_all_classes():
    # The values of its ImageNet script at 1000 classes and 0.1.
    on, off = smoothing_values(1000, 0.1, "gluoncv")
    assert (on, off) == pytest.approx((0.9001, 0.0001), rel=1e-12)


def test_equation_4_gives_the_true_class_one_minus_epsilon():
    on, off = smoothing_values(1000, 0.1, "paper")
    assert (on, off) == pytest.approx((0.9, 0.1 / 999), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 1000), st.floats(0, 0.999))
def test_the_forms_agree_where_the_papers_epsilon_is_k_minus_1_of_k(classes, epsilon):
    papers = smoothing_values(classes, epsilon * (classes - 1) / classes, "paper")
    assert papers == pytest.approx(smoothing_values(classes, epsilon, "gluoncv"), abs=1e-12)


@pytest.mark.parametrize(("form", "gap"), [("paper", 9.104), ("gluoncv", 9.105)])
def test_the_logit_gap_of_smoothed_targets_is_the_published_one(form, gap):
    # Bag of Tricks, section 5.2: log((K - 1)(1 - eps) / eps), about 9.1 at K = 1000.
    on, off = smoothing_values(1000, 0.1, form)
    assert np.log(on / off) == pytest.approx(gap, abs=5e-4)


@pytest.mark.parametrize("form", FORMS)
def test_torch_targets_equal_numpys(form):
    torch = pytest.importorskip("torch")
    labels = np.array([3, 0, 9, 9])
    ours = smooth_targets(torch.from_numpy(labels), 10, epsilon=0.1, form=form)
    assert ours.dtype == torch.float32
    np.testing.assert_array_equal(ours.numpy(), smooth_targets(labels, 10, epsilon=0.1, form=form))


@pytest.mark.parametrize("epsilon", [-0.1, 1.0, float("nan")])
def test_epsilon_outside_its_interval_is_refused(epsilon):
    with pytest.raises(UsageError, match=f"label smoothing is {epsilon}"):
        smooth_targets(np.array([0]), 3, epsilon=epsilon)


def test_an_unknown_form_is_refused():
    with pytest.raises(UsageError, match="did you mean 'paper'"):
        smooth_targets(np.array([0]), 3, epsilon=0.1, form="papr")
