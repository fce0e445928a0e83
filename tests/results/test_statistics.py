"""Statistics: against scipy, against closed forms, and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from gluontricks.results import statistics
from gluontricks.results.statistics import Summary, summary

numbers = st.floats(0, 100, allow_nan=False).map(lambda v: round(v, 3))
runs = st.lists(numbers, min_size=2, max_size=9)


def spread(values) -> bool:
    return len(set(values)) > 1


@settings(deadline=None)
@given(runs)
def test_a_summary_is_scipys_mean_deviation_and_t_interval(values) -> None:
    found = summary(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.std == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    if spread(values):
        error = stats.sem(values)
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), error)
        assert found.interval == pytest.approx((low, high))


def test_one_run_has_neither_deviation_nor_interval_and_none_is_refused() -> None:
    assert summary([75.0]) == Summary(1, 75.0, None, None)
    with pytest.raises(ValueError, match="no runs"):
        summary([])


@pytest.mark.parametrize(("n", "half"), [(3, 0.62), (5, 0.31), (8, 0.21), (10, 0.18)])
def test_half_widths_at_a_deviation_of_a_quarter_point(n: int, half: float) -> None:
    # 0.25 t / sqrt(n); the four values are from a table of the t distribution.
    values = np.zeros(n)
    values[:2] = 1.0, -1.0
    values *= 0.25 / np.std(values, ddof=1)
    low, high = summary(list(values)).interval
    assert (high - low) / 2 == pytest.approx(half, abs=0.005)


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 8), st.tuples(numbers, numbers), min_size=2))
def test_paired_differences_are_scipys_paired_t(pairs) -> None:
    ours, theirs = ({s: p[i] for s, p in pairs.items()} for i in (0, 1))
    found = statistics.paired(ours, theirs)
    gaps = [ours[s] - theirs[s] for s in sorted(pairs)]
    assert found.pairs == len(pairs)
    assert found.mean == pytest.approx(np.mean(gaps), abs=1e-9)
    assume(spread(gaps))
    low, high = stats.t.interval(0.95, len(gaps) - 1, np.mean(gaps), stats.sem(gaps))
    assert found.interval == pytest.approx((low, high), abs=1e-9)


def test_only_seeds_of_both_are_paired_and_without_one_there_is_nothing() -> None:
    found = statistics.paired({0: 3.0, 1: 5.0, 7: 9.0}, {1: 4.0, 2: 9.0, 7: 7.0})
    assert (found.pairs, found.mean) == (2, 1.5)
    assert statistics.paired({0: 1.0}, {1: 1.0}) is None
    single = statistics.paired({0: 1.0}, {0: 3.0})
    assert (single.mean, single.interval, single.sign_flip) == (-2.0, None, None)


@settings(deadline=None)
@given(runs, runs)
def test_welchs_test_is_scipys(one, other) -> None:
    assume(spread(one) and spread(other))
    expected = stats.ttest_ind(one, other, equal_var=False).pvalue
    assert statistics.welch(one, other) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=8))
def test_the_sign_flip_test_is_scipys_exact_permutation_test(gaps) -> None:
    # Whole numbers: scipy takes sums that differ by rounding only for different ones.
    expected = stats.permutation_test(
        (np.array(gaps, dtype=float),), np.sum, permutation_type="samples", n_resamples=np.inf,
        alternative="two-sided",
    )  # fmt: skip
    # scipy doubles the smaller tail; by symmetry that is the share of as large means.
    assert statistics.sign_flip(gaps) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("n", "least"), [(3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_six_pairs_are_the_least_that_can_reach_five_percent(n: int, least: float) -> None:
    assert statistics.sign_flip([1.0 + i for i in range(n)]) == least


def test_many_pairs_are_drawn_and_agree_with_the_exact_test() -> None:
    gaps = list(np.random.default_rng(1).normal(0.5, 1.0, 17))
    drawn = statistics.sign_flip(gaps)
    signs = 1 - 2 * ((np.arange(2**17)[:, None] >> np.arange(17)) & 1)
    exact = np.mean(np.abs(signs @ np.array(gaps)) >= abs(sum(gaps)) - 1e-9)
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 2**16))
    assert statistics.sign_flip(gaps) == drawn


def test_holms_correction_of_a_textbook_example() -> None:
    # Holm (1979): sorted p times the number of tests not yet rejected, never decreasing.
    found = statistics.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "e": None})
    assert found == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), min_size=1, max_size=8))
def test_holms_correction_lies_between_the_raw_value_and_bonferronis(values) -> None:
    found = statistics.holm(values)
    for name, p in values.items():
        assert p <= found[name] <= min(1.0, p * len(values))
    ordered = sorted(values, key=lambda name: values[name])
    assert [found[n] for n in ordered] == sorted(found.values())


@settings(deadline=None)
@given(runs, numbers, st.floats(0.1, 3))
def test_equivalence_to_a_value_is_two_one_sided_t_tests_of_scipy(values, target, margin) -> None:
    assume(spread(values))
    found = statistics.equivalence(summary(values), target, margin)
    low = stats.ttest_1samp(values, target - margin, alternative="greater").pvalue
    high = stats.ttest_1samp(values, target + margin, alternative="less").pvalue
    assert found == pytest.approx(max(low, high), abs=1e-9)


@settings(deadline=None)
@given(runs, numbers, st.floats(0.05, 2), st.integers(2, 6))
def test_a_printed_deviation_enters_as_in_welchs_test(values, target, std, n) -> None:
    assume(spread(values))
    found = statistics.to_published(summary(values), target, std=std, runs=n)
    test = stats.ttest_ind_from_stats(
        np.mean(values), np.std(values, ddof=1), len(values), target, std, n, equal_var=False
    )
    low, high = found.interval
    # The interval holds 0 just where the test does not reject.
    assert (low <= 0 <= high) == (test.pvalue >= 0.05) or test.pvalue == pytest.approx(0.05)
    plain = statistics.to_published(summary(values), target).interval
    assert found.mean == pytest.approx(np.mean(values) - target)
    assert plain == pytest.approx([end - target for end in summary(values).interval], abs=1e-9)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([75.0], ""), ([75.0, 75.2], "consistent"), ([74.9, 75.0, 75.1], "reproduced"),
        ([73.0, 75.0, 77.0], "consistent"), ([76.0, 76.1, 76.2], "not reproduced"),
        ([75.0, 75.0], "consistent"), ([75.0, 75.0, 75.0], "reproduced"),
        ([77.0, 77.0, 77.0], "not reproduced"), ([75.39, 75.4, 75.41], "reproduced"),
    ],
)  # fmt: skip
def test_words_are_given_by_rule(values, word: str) -> None:
    assert statistics.verdict(summary(values), 75.0) == word


def test_a_printed_deviation_of_one_run_is_none() -> None:
    ours = summary([74.9, 75.0, 75.1])
    alone = statistics.to_published(ours, 75.3)
    assert statistics.to_published(ours, 75.3, std=0.4, runs=1) == alone
    wider = statistics.to_published(ours, 75.3, std=0.4, runs=4).interval
    assert wider[0] < alone.interval[0] < alone.interval[1] < wider[1]


def within(count: int, trials: int, p: float) -> bool:
    """Whether a count is within four standard deviations of its expectation."""
    return abs(count / trials - p) < 4 * math.sqrt(p * (1 - p) / trials)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_intervals_cover_the_truth_in_95_of_100_simulated_tables(n: int) -> None:
    rng, trials = np.random.default_rng(n), 4000
    covered = 0
    for values in rng.normal(75, 0.25, (trials, n)):
        low, high = summary(list(values)).interval
        covered += low <= 75 <= high
    assert within(covered, trials, 0.95)


def test_intervals_against_a_value_with_a_deviation_cover_zero_as_welchs_do() -> None:
    rng, trials = np.random.default_rng(5), 4000
    covered = 0
    for ours, theirs in zip(rng.normal(75, 0.3, (trials, 5)), rng.normal(75, 0.1, (trials, 4))):
        other = summary(list(theirs))
        found = statistics.to_published(
            summary(list(ours)), other.mean, std=other.std, runs=other.n
        )
        covered += found.interval[0] <= 0 <= found.interval[1]
    # Satterthwaite's degrees of freedom are approximate: within half a point of 95 %.
    assert covered / trials == pytest.approx(0.95, abs=0.005 + 4 * math.sqrt(0.95 * 0.05 / trials))


def test_the_sign_flip_test_rejects_in_at_most_five_of_a_hundred_equal_pairs() -> None:
    rng, trials = np.random.default_rng(7), 2000
    rejected = sum(statistics.sign_flip(gaps) <= 0.05 for gaps in rng.normal(0, 1, (trials, 6)))
    # Two of 64 assignments reach 0.05.
    assert within(rejected, trials, 2 / 64)


@pytest.mark.parametrize(("n", "power"), [(3, 0.56), (5, 0.95)])
def test_three_runs_prove_equivalence_in_half_the_cases_and_five_in_nearly_all(n, power) -> None:
    rng, trials = np.random.default_rng(n), 2000
    words = [statistics.verdict(summary(list(v)), 75.0) for v in rng.normal(75, 0.25, (trials, n))]
    assert words.count("reproduced") / trials == pytest.approx(power, abs=0.04)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_the_exact_binomial_test_of_the_images_that_one_alone_has_right(pairs) -> None:
    first, second = (np.array([p[i] for p in pairs]) for i in (0, 1))
    found = statistics.mcnemar(first, second)
    one, other = (sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs))
    assert (found.images, found.only_first, found.only_second) == (len(pairs), one, other)
    assert found.both == sum(a and b for a, b in pairs)
    tail = sum(math.comb(one + other, k) for k in range(min(one, other) + 1)) / 2 ** (one + other)
    assert found.p == pytest.approx(min(1.0, 2 * tail))
