import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluontricks.errors import UsageError
from gluontricks.mixing import MIXERS, SINGLE, draw_plans, mix, mix_batch, uniforms_needed
from gluontricks.mixing.names import alternatives, mixer_names
from gluontricks.mixing.plan import Plan, make_plan
from gluontricks.targets import smooth_targets

# Mixing type and grid, with the fewest images it takes.
TYPES = [
    ("mixup", None, 1),
    ("cutmix", None, 1),
    ("stitch-horizontal", None, 1),
    ("stitch-vertical", None, 1),
    ("stitch-tile", "2x2", 4),
    ("stitch-tile", "1x3", 3),
    ("stitch-tile", "3x2", 6),
    ("mixup+stitch-vertical", None, 1),
    ("mixup|cutmix", None, 1),
    ("stitch-tile+cutmix|mixup", "2x2", 4),
]
SPATIAL = [t for t in TYPES if "mixup" not in t[0]]
ALL = pytest.mark.parametrize(("mixup_type", "grid", "least"), TYPES)
SEEDS = range(6)


def plans_of(mixup_type, grid, count, size, seed, alpha=0.8):
    u = np.random.default_rng(seed).random(uniforms_needed(mixup_type, grid))
    return draw_plans(mixup_type, count, size, u, alpha=alpha, grid=grid)


def mixed(images, targets, plans):
    for plan in plans:
        images, targets = mix(images, targets, plan)
    return images, targets


def a_batch(count, height, width, classes=5, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.standard_normal((count, 3, height, width)).astype(np.float32)
    return images, smooth_targets(generator.integers(0, classes, count), classes, epsilon=0.1)


def label_images(count, height, width):
    """Images whose every pixel is the image's own number, with one-hot targets."""
    numbers = np.arange(count, dtype=np.float32)[:, None, None, None]
    return np.broadcast_to(numbers, (count, 1, height, width)), np.eye(count, dtype=np.float32)


def test_every_mixer_has_a_name_and_every_name_a_mixer():
    assert set(MIXERS) == set(SINGLE)
    assert {name for t, _, _ in TYPES for name in mixer_names(t)} == set(MIXERS)


@ALL
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_shapes_stay_and_targets_stay_distributions(mixup_type, grid, least, data):
    count = data.draw(st.integers(least, 9), "count")
    size = data.draw(st.tuples(st.integers(1, 33), st.integers(1, 33)), "size")
    alpha = data.draw(st.floats(0.05, 5), "alpha")
    plans = plans_of(mixup_type, grid, count, size, data.draw(st.integers(0, 99)), alpha)
    images, targets = mixed(*a_batch(count, *size), plans)
    assert images.shape == (count, 3, *size)
    assert (images.dtype, targets.dtype) == (np.float32, np.float32)
    assert (targets >= 0).all()
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)


@ALL
def test_inputs_stay_untouched(mixup_type, grid, least):
    images, targets = a_batch(least + 2, 8, 8)
    before = images.copy(), targets.copy()
    for seed in SEEDS:
        new = mixed(images, targets, plans_of(mixup_type, grid, least + 2, (8, 8), seed))
        new[0][:] = 7
        new[1][:] = 7
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(targets, before[1])


@ALL
def test_the_same_numbers_give_the_same_batch(mixup_type, grid, least):
    batch = a_batch(least + 1, 7, 5)
    first, second = (
        mixed(*batch, plans_of(mixup_type, grid, least + 1, (7, 5), 3)) for _ in range(2)
    )
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@ALL
def test_a_constant_batch_does_not_change(mixup_type, grid, least):
    images = np.full((least + 3, 3, 9, 6), 1.5, dtype=np.float32)
    targets = np.tile(np.float32([0.25, 0.5, 0.25]), (least + 3, 1))
    for seed in SEEDS:
        new = mixed(images, targets, plans_of(mixup_type, grid, least + 3, (9, 6), seed))
        np.testing.assert_allclose(new[0], images, rtol=1e-6)
        np.testing.assert_allclose(new[1], targets, rtol=1e-6)


@ALL
def test_weights_are_the_means_of_masks_and_masks_share_every_pixel(mixup_type, grid, least):
    for seed in SEEDS:
        for plan in plans_of(mixup_type, grid, least, (11, 13), seed):
            whole = np.broadcast_to(plan.masks, (len(plan.masks), 11, 13))
            np.testing.assert_allclose(plan.weights, whole.mean(axis=(1, 2)), rtol=1e-6)
            np.testing.assert_allclose(whole.sum(axis=0), 1, rtol=1e-6)
            assert plan.sources.shape == (len(plan.masks), least)
            assert (plan.sources[0] == np.arange(least)).all()


@pytest.mark.parametrize(("mixup_type", "grid", "least"), SPATIAL)
@pytest.mark.parametrize("size", [(32, 32), (7, 5)])
def test_every_pixel_has_one_source_and_a_target_weighs_its_pixels(mixup_type, grid, least, size):
    count = 2 * least + 1
    images, targets = label_images(count, *size)
    for seed in SEEDS:
        pixels, weights = mixed(
            images, targets, plans_of(mixup_type, grid, count, size, seed, alpha=2.0)
        )
        numbers = pixels[:, 0].astype(int)
        np.testing.assert_array_equal(pixels[:, 0], numbers)
        for i in range(count):
            share = np.bincount(numbers[i].ravel(), minlength=count) / (size[0] * size[1])
            np.testing.assert_allclose(weights[i], share, atol=1e-6)


@ALL
def test_smoothing_then_mixing_equals_mixing_then_smoothing(mixup_type, grid, least):
    labels = np.arange(least + 1) % 4
    images = a_batch(least + 1, 6, 6)[0]
    for seed in SEEDS:
        plans = plans_of(mixup_type, grid, least + 1, (6, 6), seed)
        first = mixed(images, smooth_targets(labels, 4, epsilon=0.1), plans)[1]
        later = mixed(images, smooth_targets(labels, 4), plans)[1] * 0.9 + 0.1 / 4
        np.testing.assert_allclose(first, later, atol=1e-6)


@ALL
def test_torch_equals_numpy(mixup_type, grid, least):
    torch = pytest.importorskip("torch")
    images, targets = a_batch(least + 2, 6, 9)
    for seed in SEEDS:
        plans = plans_of(mixup_type, grid, least + 2, (6, 9), seed)
        ours = mixed(images, targets, plans)
        theirs = mixed(torch.from_numpy(images), torch.from_numpy(targets), plans)
        for a, b in zip(ours, theirs):
            np.testing.assert_allclose(b.numpy(), a, rtol=1e-6, atol=1e-7)


def test_a_source_without_weight_is_left_out_even_where_it_is_not_finite():
    images = np.float32([[[[1.0]]], [[[np.inf]]]])
    plan = make_plan(np.array([[0, 0], [1, 1]]), np.array([1.0, 0.0]).reshape(2, 1, 1))
    assert isinstance(plan, Plan)
    np.testing.assert_array_equal(mix(images, np.eye(2), plan)[0].ravel(), [1, 1])


def test_alternation_draws_each_type_as_often():
    kinds = [
        plans_of("mixup|stitch-vertical", None, 2, (32, 32), seed)[0].masks.shape[1]
        for seed in range(2000)
    ]
    assert set(kinds) == {1, 32}
    assert abs(kinds.count(1) - 1000) < 5 * np.sqrt(2000) / 2


def test_a_sum_applies_both_in_turn_with_numbers_of_their_own():
    for seed in SEEDS:
        first, second = plans_of("mixup+mixup", None, 2, (4, 4), seed)
        assert first.weights[0] != second.weights[0]


def test_none_mixes_nothing():
    assert alternatives("none") == ((),)
    assert plans_of("none", None, 4, (8, 8), 0) == ()


@pytest.mark.parametrize(
    ("mixup_type", "match"),
    [
        ("mixpu", "unknown mixing type 'mixpu'.*did you mean 'mixup'"),
        ("stich-vertical", "did you mean 'stitch-vertical'"),
        ("mixup+cutmx", "unknown mixing type 'cutmx'.*did you mean 'cutmix'"),
        ("mixup|", "unknown mixing type ''"),
        ("mixup|none", "'none' stands inside"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(mixup_type, match):
    with pytest.raises(UsageError, match=match):
        alternatives(mixup_type)


@ALL
def test_mix_batch_works_alone(mixup_type, grid, least):
    images, targets = a_batch(least + 2, 8, 8)
    options = {"alpha": 1.0, "grid": grid or "2x2"}
    changed = []
    for seed in SEEDS:
        new, again = (
            mix_batch(images, targets, mixup_type, rng=np.random.default_rng(seed), **options)
            for _ in range(2)
        )
        changed.append(not np.array_equal(new[0], images))
        np.testing.assert_array_equal(new[0], again[0])
        np.testing.assert_allclose(new[1].sum(axis=1), 1, atol=1e-5)
    assert any(changed)


def test_mix_batch_refuses_a_grid_with_more_tiles_than_images():
    with pytest.raises(UsageError, match="a grid of 2x2 needs 4 images, and the batch has 3"):
        mix_batch(*a_batch(3, 8, 8), "stitch-tile", rng=np.random.default_rng(0))
