from __future__ import annotations

import importlib.util
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_folders import photograph
from PIL import Image
from scipy import stats

from gluontricks import streams
from gluontricks.data.crops import Box, centre_crop, random_box, random_crop, resized

WORDS = streams.words(0, "test-crops", 0, 4000).tolist()


def boxes(height, width, min_scale=0.08):
    return [random_box(word, height, width, min_scale=min_scale) for word in WORDS]


def area(box):
    return (box.right - box.left) * (box.bottom - box.top)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(1, 500), st.integers(1, 500), st.floats(0.01, 1))
def test_a_box_lies_in_its_image_and_holds_a_pixel(word, height, width, min_scale):
    box = random_box(word, height, width, min_scale=min_scale)
    assert 0 <= box.left < box.right <= width
    assert 0 <= box.top < box.bottom <= height
    assert box == random_box(word, height, width, min_scale=min_scale)


def test_areas_and_aspect_ratios_are_the_papers_where_nothing_is_drawn_again():
    # Below 56 % of the area no ratio makes a side longer than the image's, so nothing is rejected.
    size = 4000
    found = [box for box in boxes(size, size) if area(box) < 0.56 * size**2]
    parts = np.array([area(box) for box in found]) / size**2
    assert stats.kstest(parts, stats.uniform(0.08, 0.48).cdf).pvalue > 1e-3
    ratios = np.log([(b.right - b.left) / (b.bottom - b.top) for b in found])
    span = math.log(4 / 3)
    assert stats.kstest(ratios, stats.uniform(-span, 2 * span).cdf).pvalue > 1e-3


def test_areas_and_ratios_stay_within_the_papers_range():
    for height, width in ((400, 600), (600, 400), (500, 500)):
        for box in boxes(height, width)[:500]:
            ratio = (box.right - box.left) / (box.bottom - box.top)
            assert 0.08 * 0.98 < area(box) / (height * width) <= 1
            assert 0.74 < ratio < 1.35


def test_places_are_spread_over_the_whole_image():
    left = [box.left / (4000 - (box.right - box.left)) for box in boxes(4000, 4000)
            if area(box) < 0.5 * 4000**2]  # fmt: skip
    assert stats.kstest(left, "uniform").pvalue > 1e-3


def test_boxes_are_distributed_as_those_of_mxnet():
    if importlib.util.find_spec("mxnet") is None:
        pytest.skip("needs MXNet")
    from gluontricks.mxnet_shim import mx

    random.seed(0)
    image = mx.nd.zeros((300, 500, 3), dtype="uint8")
    theirs = np.array([
        mx.image.random_size_crop(image, (8, 8), (0.08, 1), (3 / 4, 4 / 3))[1]
        for _ in range(600)
    ])  # fmt: skip
    ours = np.array([(b.left, b.top, b.right - b.left, b.bottom - b.top) for b in boxes(300, 500)])
    for found in (lambda b: b[:, 2] * b[:, 3], lambda b: b[:, 2] / b[:, 3], lambda b: b[:, 0],
                  lambda b: b[:, 1]):  # fmt: skip
        assert stats.ks_2samp(found(ours), found(theirs)).pvalue > 1e-3


def test_an_image_too_long_for_any_crop_gives_its_middle():
    assert random_box(WORDS[0], 10, 1000, min_scale=1.0) == Box(493, 0, 506, 10)
    assert random_box(WORDS[0], 1000, 10, min_scale=1.0) == Box(0, 493, 10, 506)


def test_other_words_give_other_boxes():
    assert len(set(boxes(300, 300))) > 3900


def test_the_centre_crop_is_resized_to_256_and_cut_to_224():
    pixels = photograph(1, size=(512, 1024))
    ours = centre_crop(Image.fromarray(pixels), 224, crop_ratio=0.875)
    whole = Image.fromarray(pixels).resize((512, 256), Image.BILINEAR)
    theirs = np.asarray(whole.crop((144, 16, 368, 240)))
    assert ours.shape == (224, 224, 3)
    assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize(("size", "shorter"), [(224, 256), (299, 342), (128, 147)])
def test_the_shorter_side_is_the_size_over_the_ratio_rounded_up(size, shorter):
    # A ramp whose values say where a column came from: the crop begins (shorter - size) / 2 in.
    columns = (np.arange(shorter) % 256).astype(np.uint8)
    ramp = np.repeat(columns[None, :, None], shorter, axis=0)
    ramp = np.repeat(ramp, 3, axis=2)
    crop = centre_crop(Image.fromarray(ramp), size, crop_ratio=0.875)
    begin = (shorter - size) // 2
    np.testing.assert_array_equal(crop, ramp[begin : begin + size, begin : begin + size])


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3), (223, 224)])
def test_images_of_any_size_are_cropped(shape):
    image = Image.fromarray(photograph(2, size=shape))
    assert centre_crop(image, 32, crop_ratio=0.875).shape == (32, 32, 3)
    for word in WORDS[:20]:
        assert random_crop(image, word, 32, min_scale=0.08).shape == (32, 32, 3)


def test_a_random_crop_is_the_box_resized():
    image = Image.fromarray(photograph(3, size=(120, 90)))
    box = random_box(WORDS[5], 120, 90, min_scale=0.08)
    theirs = image.crop(tuple(box)).resize((64, 64), Image.BILINEAR)
    ours = random_crop(image, WORDS[5], 64, min_scale=0.08)
    assert np.abs(ours.astype(int) - np.asarray(theirs)).max() <= 1


def test_what_has_the_size_already_is_not_resampled():
    pixels = photograph(4, size=(32, 32))
    np.testing.assert_array_equal(
        resized(Image.fromarray(pixels), (0, 0, 32, 32), (32, 32)), pixels
    )
