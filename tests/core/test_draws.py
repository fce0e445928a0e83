from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluontricks.data.augment import Augmentation
from gluontricks.draws import Draws, Mixing
from gluontricks.errors import UsageError

ON = Augmentation(flip=0.5, brightness=0.4, saturation=0.4, hue=0.4, lighting=0.1, crop_pad=4)
MIXING = Mixing("mixup|stitch-tile", 0.5, "2x2", 0, 10)


def draws(images=50, batch_size=8, mixing=MIXING, seed=1):
    labels = np.random.default_rng(9).integers(0, 10, images)
    return Draws(seed, labels, (32, 32), batch_size, ON, mixing)


def assert_same(a, b):
    assert (a.step, a.epoch, a.position) == (b.step, b.epoch, b.position)
    np.testing.assert_array_equal(a.indices, b.indices)
    np.testing.assert_array_equal(a.labels, b.labels)
    assert a.augment.keys() == b.augment.keys()
    for name, values in a.augment.items():
        np.testing.assert_array_equal(values, b.augment[name])
    assert len(a.plans) == len(b.plans)
    for one, other in zip(a.plans, b.plans):
        np.testing.assert_array_equal(one.masks, other.masks)
        np.testing.assert_array_equal(one.sources, other.sources)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 5), st.integers(0, 6))
def test_going_on_at_a_position_gives_the_same_batches(epoch, start):
    whole = list(draws().batches(epoch))
    resumed = list(draws().batches(epoch, start))
    assert len(resumed) == 6 - start
    for a, b in zip(whole[start:], resumed):
        assert_same(a, b)


def test_draws_do_not_depend_on_epochs_drawn_before():
    one = draws()
    list(one.batches(0))
    for a, b in zip(one.batches(1), draws().batches(1)):
        assert_same(a, b)


def test_epochs_and_seeds_differ():
    first = next(draws().batches(0))
    for other in (next(draws().batches(1)), next(draws(seed=2).batches(0))):
        assert not np.array_equal(first.indices, other.indices)
        for name, values in first.augment.items():
            assert not np.array_equal(values, other.augment[name])


def test_the_batches_of_an_epoch_are_mixed_differently():
    weights = [tuple(p.weights) for b in draws().batches(0) for p in b.plans]
    assert len(set(weights)) == len(weights) == 6


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 3))
def test_every_image_comes_at_most_once_an_epoch_and_only_a_last_part_is_dropped(
    images, batch_size, epoch
):
    if batch_size > images:
        batch_size = images
    made = draws(images, batch_size, Mixing())
    batches = list(made.batches(epoch))
    seen = np.concatenate([b.indices for b in batches])
    assert len(batches) == made.steps_per_epoch == images // batch_size
    assert {len(b.indices) for b in batches} == {batch_size}
    assert len(set(seen.tolist())) == len(seen) == images - images % batch_size
    assert seen.max() < images


def test_an_image_keeps_its_augmentation_whatever_the_batch_size():
    flips = {}
    for batch_size in (8, 10):
        for batch in draws(batch_size=batch_size, mixing=Mixing()).batches(2):
            for i, flip, hue in zip(batch.indices, batch.augment["flip"], batch.augment["hue"]):
                assert flips.setdefault(int(i), (flip, hue)) == (flip, hue)


def test_steps_count_through_the_run_and_labels_belong_to_their_images():
    made = draws()
    steps = []
    for epoch in range(3):
        for batch in made.batches(epoch):
            steps.append(batch.step)
            np.testing.assert_array_equal(batch.labels, made.labels[batch.indices])
    assert steps == list(range(18))


@pytest.mark.parametrize(
    ("first", "last", "mixed"), [(0, 5, [0, 1, 2, 3, 4]), (2, 5, [2, 3, 4]), (0, 3, [0, 1, 2])]
)
def test_mixing_is_off_in_the_first_and_the_last_epochs(first, last, mixed):
    made = draws(mixing=replace(MIXING, first=first, last=last))
    with_plans = [e for e in range(5) if all(b.plans for b in made.batches(e))]
    without = [e for e in range(5) if not any(b.plans for b in made.batches(e))]
    assert with_plans == mixed
    assert sorted(with_plans + without) == list(range(5))


def test_switching_mixing_off_leaves_order_and_augmentation_as_they_were():
    for a, b in zip(draws().batches(3), draws(mixing=Mixing()).batches(3)):
        assert_same(replace(a, plans=()), b)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(UsageError, match="--batch-size 51 is more than the 50 training images"):
        draws(batch_size=51)
    assert draws(batch_size=50).steps_per_epoch == 1
