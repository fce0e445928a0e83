import numpy as np
import pytest
from sklearn.metrics import log_loss, top_k_accuracy_score

from gluontricks.metrics import calibration_error, confidences, evaluate_logits


def random_case(seed, count=500, classes=20):
    generator = np.random.default_rng(seed)
    logits = (4 * generator.standard_normal((count, classes))).astype(np.float32)
    return logits, generator.integers(0, classes, count)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_equal_scikit_learns(seed):
    logits, labels = random_case(seed)
    result = evaluate_logits(logits, labels)
    names = np.arange(20)
    for k in (1, 5):
        expected = 100 * top_k_accuracy_score(labels, logits, k=k, labels=names)
        assert result[f"top{k}"] == pytest.approx(expected, abs=1e-6)
    scores = np.exp(logits.astype(float) - logits.max(axis=1, keepdims=True))
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    assert result["nll"] == pytest.approx(log_loss(labels, probabilities, labels=names), rel=1e-9)
    assert result["n"] == 500


def test_huge_logits_neither_overflow_nor_lose_digits():
    result = evaluate_logits(np.float32([[1e4, 0], [0, 1e4]]), np.array([0, 0]))
    assert result == {"top1": 50.0, "top5": 100.0, "nll": pytest.approx(5000.0), "n": 2}


def test_uniform_logits_lose_log_k():
    assert evaluate_logits(np.zeros((3, 100)), np.arange(3))["nll"] == pytest.approx(np.log(100))


@pytest.mark.parametrize("levels", [1, 3])
def test_with_ties_top1_is_still_that_of_the_arg_maximum(levels):
    generator = np.random.default_rng(0)
    logits = generator.integers(0, levels, (400, 20)).astype(np.float32)
    labels = generator.integers(0, 20, 400)
    expected = 100 * np.mean(logits.argmax(axis=1) == labels)
    assert evaluate_logits(logits, labels)["top1"] == pytest.approx(expected)


def test_a_network_that_says_the_same_of_every_class_hits_only_by_chance():
    result = evaluate_logits(np.zeros((100, 10)), np.arange(100) % 10)
    assert (result["top1"], result["top5"]) == (10.0, 50.0)


def test_logits_that_are_no_numbers_hit_nothing():
    logits = np.full((4, 10), np.nan)
    result = evaluate_logits(logits, np.zeros(4, dtype=np.int64))
    assert (result["top1"], result["top5"]) == (0.0, 0.0)
    assert np.isnan(result["nll"])


def test_with_fewer_than_five_classes_top5_is_100():
    assert evaluate_logits(*random_case(0, classes=4))["top5"] == 100.0


def test_the_confidence_is_the_largest_probability():
    from scipy.special import softmax

    logits, _ = random_case(0)
    expected = softmax(logits.astype(float), axis=1).max(axis=1)
    assert confidences(logits) == pytest.approx(expected, rel=1e-6)
    assert confidences(np.float32([[1e4, 0]])).tolist() == [1.0]


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy():
    # Guo et al. 2017, Eq. 3: 100 images in a bin of confidence 0.8 and accuracy 0.6, and 50 in a
    # bin of 0.4 and 0.5, are off by (100 x 0.2 + 50 x 0.1) / 150.
    confidence = np.repeat([0.8, 0.4], [100, 50])
    right = np.concatenate([np.arange(100) < 60, np.arange(50) < 25])
    assert calibration_error(confidence, right) == pytest.approx(25 / 150)


def test_gaps_of_opposite_signs_cancel_within_a_bin_and_not_between_bins():
    right = np.array([True, False])
    assert calibration_error(np.array([0.55, 0.55]), right, bins=2) == pytest.approx(0.05)
    assert calibration_error(np.array([0.5, 0.6]), right, bins=2) == pytest.approx(0.55)


def test_a_network_that_is_always_sure_and_right_has_no_calibration_error():
    assert calibration_error(np.ones(10), np.ones(10, dtype=bool)) == 0
