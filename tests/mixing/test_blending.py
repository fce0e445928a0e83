import numpy as np
import pytest
from scipy import stats

from gluontricks.mixing import mix
from gluontricks.mixing.mixup import box, cutmix, mixup
from gluontricks.mixing.proportions import beta

U = np.random.default_rng(0).random((3000, 3))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_lambda_is_beta_distributed(alpha):
    lambdas = [mixup(2, 4, 4, u, alpha=alpha).masks[0, 0, 0] for u in U]
    # In float32 and through the closed interval: compare as float64.
    assert stats.kstest(np.float64(lambdas), stats.beta(alpha, alpha).cdf).pvalue > 1e-3


@pytest.mark.parametrize("count", [1, 4, 5])
def test_mixup_is_gluoncvs_with_the_batch_reversed(count):
    generator = np.random.default_rng(1)
    images = generator.standard_normal((count, 3, 4, 4)).astype(np.float32)
    targets = np.eye(count, dtype=np.float32)
    for u in U[:10]:
        lam = np.float32(beta(u[0], 0.2, 0.2))
        rest = np.float32(1 - beta(u[0], 0.2, 0.2))
        new = mix(images, targets, mixup(count, 4, 4, u, alpha=0.2))
        np.testing.assert_array_equal(new[0], lam * images + rest * images[::-1])
        np.testing.assert_array_equal(new[1], lam * targets + rest * targets[::-1])


def test_the_quantiles_of_beta_are_its_closed_forms():
    # Beta(1, 1) is uniform; Beta(1/2, 1/2) is the arcsine distribution.
    for u in (0.01, 0.3, 0.999):
        assert beta(u, 1.0, 1.0) == pytest.approx(u)
        assert beta(u, 0.5, 0.5) == pytest.approx(np.sin(np.pi * u / 2) ** 2)


def test_cutmix_replaces_one_box():
    for u in U[:200]:
        partner = cutmix(2, 32, 24, u, alpha=1.0).masks[1]
        rows, columns = np.flatnonzero(partner.any(axis=1)), np.flatnonzero(partner.any(axis=0))
        assert partner.sum() == len(rows) * len(columns)
        if len(rows):
            assert np.ptp(rows) + 1 == len(rows)
            assert np.ptp(columns) + 1 == len(columns)


def test_a_cutmix_box_in_the_middle_has_one_minus_lambda_of_the_area_and_the_images_shape():
    for u in U[:50]:
        masks = cutmix(2, 400, 200, np.array([u[0], 0.5, 0.5]), alpha=1.0).masks
        lam = u[0]
        assert masks[0].mean() == pytest.approx(lam, abs=0.01)
        rows, columns = masks[1].any(axis=1).sum(), masks[1].any(axis=0).sum()
        assert rows == pytest.approx(2 * columns, abs=2)


def test_cutmix_centres_reach_every_pixel_and_boxes_are_cut_off_at_the_border():
    assert box(0.0, 0.5, 10) == (0, 3)
    assert box(0.999, 0.5, 10) == (7, 10)
    assert box(0.5, 1.0, 10) == (0, 10)
    assert box(0.5, 0.0, 10) == (5, 5)
