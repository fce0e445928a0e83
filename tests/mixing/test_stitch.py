import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gluontricks.errors import UsageError
from gluontricks.mixing import mix
from gluontricks.mixing.proportions import cuts, round_half_up
from gluontricks.mixing.stitch import (
    parse_grid,
    stitch_horizontal,
    stitch_tile,
    stitch_vertical,
)

GENERATOR = np.random.default_rng(0)
U = GENERATOR.random((3000, 4))


def stitched(mixer, u, count=5, height=12, width=10, alpha=1.0):
    images = np.random.default_rng(2).standard_normal((count, 3, height, width))
    targets = np.eye(count, dtype=np.float32)
    return images, mix(images, targets, mixer(count, height, width, u, alpha=alpha))


def test_vertical_takes_the_partners_same_rows_below_the_cut():
    for u in U[:30]:
        k = round_half_up(u[0] * 12)
        images, (new, targets) = stitched(stitch_vertical, u)
        np.testing.assert_array_equal(new[:, :, :k], images[:, :, :k])
        np.testing.assert_array_equal(new[:, :, k:], images[::-1, :, k:])
        np.testing.assert_allclose(targets[0, [0, 4]], [k / 12, 1 - k / 12], rtol=1e-6)


def test_horizontal_takes_the_partners_same_columns_right_of_the_cut():
    for u in U[:30]:
        k = round_half_up(u[0] * 10)
        images, (new, targets) = stitched(stitch_horizontal, u)
        np.testing.assert_array_equal(new[..., :k], images[..., :k])
        np.testing.assert_array_equal(new[..., k:], images[::-1][..., k:])
        np.testing.assert_allclose(targets[0, [0, 4]], [k / 10, 1 - k / 10], rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_the_cut_is_beta_distributed(alpha):
    length = 10**6
    shares = [cuts(u, 2, length, alpha)[1] / length for u in U]
    if alpha < 1:
        # Most of the mass lies nearer to the ends than one pixel: spread it over that pixel.
        shares = np.clip(shares + (GENERATOR.random(len(U)) - 0.5) / length, 0, 1)
        inside = (shares > 1e-6) & (shares < 1 - 1e-6)
        law = stats.beta(alpha, alpha)
        low, high = law.cdf(1e-6), law.cdf(1 - 1e-6)
        assert inside.mean() == pytest.approx(high - low, abs=0.03)
        p = stats.kstest(shares[inside], lambda x: (law.cdf(x) - low) / (high - low)).pvalue
    else:
        p = stats.kstest(shares, "uniform").pvalue
    assert p > 1e-3


def test_46_percent_of_batches_at_alpha_02_and_32_rows_have_no_cut():
    expected = 2 * stats.beta(0.2, 0.2).cdf(1 / 64)
    assert expected == pytest.approx(0.46, abs=0.005)
    uncut = np.mean([cuts(u, 2, 32, 0.2)[1] in (0, 32) for u in U])
    assert uncut == pytest.approx(expected, abs=4 * np.sqrt(0.25 / len(U)))
    # And without chance: the quantiles where the cut appears and vanishes.
    law = stats.beta(0.2, 0.2)
    for u, at_end in [(law.cdf(1 / 64) * 0.99, True), (law.cdf(1 / 64) * 1.01, False)]:
        assert (cuts([u], 2, 32, 0.2)[1] == 0) is at_end
        assert (cuts([1 - u], 2, 32, 0.2)[1] == 32) is at_end


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 40), st.floats(0.02, 10), st.integers(0, 999))
def test_cuts_ascend_from_0_to_the_length(parts, length, alpha, seed):
    borders = cuts(np.random.default_rng(seed).random(parts), parts, length, alpha)
    assert (borders[0], borders[-1], len(borders)) == (0, length, parts + 1)
    assert borders == sorted(borders)


def test_each_piece_of_several_has_the_marginal_of_a_dirichlet():
    # Dirichlet(a, a, a): every part is Beta(a, 2a).
    borders = np.array([cuts(u, 3, 10**6, 1.0) for u in U]) / 10**6
    for piece in np.diff(borders, axis=1).T:
        assert stats.kstest(piece, stats.beta(1, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("value", "whole"), [(0.49, 0), (0.5, 1), (1.5, 2), (2.5, 3), (3.0, 3)])
def test_halves_are_rounded_upwards(value, whole):
    assert round_half_up(value) == whole


@pytest.mark.parametrize("grid", ["2x2", "1x3", "3x1", "3x2"])
def test_tiles_come_from_different_images_at_their_own_place(grid):
    rows, columns = parse_grid(grid)
    plan = stitch_tile(7, 20, 16, np.array([0.6, 0.4, 0.5, 0.5]), alpha=50.0, grid=grid)
    assert plan.masks.shape == (rows * columns, 20, 16)
    for i in range(7):
        assert len(set(plan.sources[:, i])) == rows * columns
    # With a large alpha the tiles are about equal, and all of them are there.
    np.testing.assert_allclose(plan.weights, 1 / (rows * columns), rtol=0.6)
    for mask in plan.masks:
        inside = np.argwhere(mask)
        (top, left), (bottom, right) = inside.min(axis=0), inside.max(axis=0)
        assert mask.sum() == (bottom - top + 1) * (right - left + 1)


def test_each_image_is_used_as_often_as_any_other():
    plan = stitch_tile(9, 8, 8, U[0], alpha=1.0, grid="2x2")
    for source in plan.sources:
        assert sorted(source) == list(range(9))


@pytest.mark.parametrize("grid", ["", "2", "x2", "1x1", "0x5", "2x", "axb", "-1x4", "2x2x2"])
def test_what_is_no_grid_is_refused(grid):
    with pytest.raises(UsageError, match=f"--mixup-grid '{grid}' is no grid"):
        parse_grid(grid)


def test_more_tiles_than_images_are_refused():
    with pytest.raises(UsageError, match="a grid of 3x3 needs 9 images, and the batch has 8"):
        stitch_tile(8, 32, 32, U[0], alpha=0.2, grid="3x3")
