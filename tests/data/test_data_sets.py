from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from gluontricks.data import DATASETS, load_split, split_validation
from gluontricks.data.digits import enlarge
from gluontricks.data.disk import open_pair
from gluontricks.data.registry import dataset_info
from gluontricks.data.splits import stratified_mask
from gluontricks.errors import UsageError


def test_the_table_is_read_without_numpy_or_anything_heavy():
    heavy = ["numpy", "scipy", "sklearn", "mxnet", "torch", "pooch", "PIL"]
    script = f"import sys, gluontricks.data; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_every_entry_of_the_table_is_consistent():
    for name, info in DATASETS.items():
        assert dataset_info(name) is dataset_info(info) is info
        assert info.name == name
        if not info.on_disk or info.class_names:
            assert len(set(info.class_names)) == info.classes
    assert [info.classes for info in DATASETS.values()] == [10, 100, 20, 10, 1000, 10, 0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        DATASETS["digits"].classes = 3


def test_digits_have_the_stated_sizes_statistics_and_shares():
    train, test = (load_split("digits", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (1437, 360)
    assert train.images.shape == (1437, 32, 32, 3)
    assert train.images.dtype == np.uint8
    pixels = train.images / 255
    info = DATASETS["digits"]
    np.testing.assert_allclose(pixels.mean((0, 1, 2)), info.mean, atol=5e-5)
    np.testing.assert_allclose(pixels.std((0, 1, 2)), info.std, atol=5e-5)
    shares = np.bincount(test.labels) / np.bincount(np.r_[train.labels, test.labels])
    np.testing.assert_allclose(shares, 360 / 1797, atol=0.006)
    assert load_split("digits", "train").sha256 == train.sha256 != test.sha256


def test_digits_are_split_without_overlap_or_loss():
    from sklearn.datasets import load_digits

    whole = sorted(image.tobytes() for image in enlarge(load_digits().images))
    parts = [load_split("digits", split).images for split in ("train", "test")]
    assert sorted(image.tobytes() for part in parts for image in part) == whole


def test_enlarging_is_bilinear():
    image_module = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(0).integers(0, 17, (5, 8, 8))
    large = enlarge(values)
    assert (large[..., 0] == large[..., 1]).all()
    assert (large[..., 0] == large[..., 2]).all()
    for small, ours in zip(values, large):
        picture = image_module.fromarray((small * 255 / 16).astype(np.float32))
        reference = np.asarray(picture.resize((32, 32), image_module.Resampling.BILINEAR))
        assert np.abs(ours[..., 0] - reference).max() <= 0.51
    assert enlarge(np.full((1, 8, 8), 16)).min() == 255


@pytest.fixture(scope="module")
def digits():
    return load_split("digits", "train")


def test_validation_images_are_stratified_disjoint_and_seeded(digits):
    train, held = split_validation(digits, 300, seed=4)
    assert (train.split, held.split) == ("train", "validation")
    assert (len(train), len(held)) == (1137, 300)
    expected = np.bincount(digits.labels) * 300 / 1437
    assert np.abs(np.bincount(held.labels) - expected).max() < 1
    together = np.concatenate([train.images, held.images])
    assert sorted(map(bytes, together)) == sorted(map(bytes, digits.images))
    assert split_validation(digits, 300, seed=4)[1].sha256 == held.sha256
    assert split_validation(digits, 300, seed=5)[1].sha256 != held.sha256


def test_every_image_of_a_class_is_as_likely_to_be_held_out():
    labels = np.repeat(np.arange(2), 10)
    counts = sum(
        stratified_mask(labels, 6, seed=seed, stream="test").astype(int) for seed in range(2000)
    )
    # Binomial: 2000 choices with probability 0.3, five standard deviations.
    assert np.abs(counts - 600).max() < 5 * (2000 * 0.3 * 0.7) ** 0.5


@pytest.mark.parametrize("count", [-1, 0, 1437, 2000])
def test_a_validation_set_that_leaves_nothing_is_refused(digits, count):
    with pytest.raises(UsageError, match="1 to 1436"):
        split_validation(digits, count, seed=0)


def test_imagenette_is_found_with_all_its_images(data_dir):
    pair = open_pair(dataset_info("imagenette"), data_dir)
    assert (len(pair.train), len(pair.validation)) == (9469, 3925)
    assert pair.train.class_names == dataset_info("imagenette").class_names
    assert np.bincount(pair.train.labels).min() > 800
