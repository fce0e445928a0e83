import numpy as np
import pytest

from gluontricks.data.augment import Augmentation
from gluontricks.draws import Draws, Mixing
from gluontricks.mixing import mix
from gluontricks.pipeline import Batch, Pipeline, renormalisation

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10 = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
ON = Augmentation(flip=0.5, brightness=0.4, saturation=0.4, hue=0.4, lighting=0.1, crop_pad=4)
OFF = Augmentation(flip=0, brightness=0, saturation=0, hue=0, lighting=0, crop_pad=0)


def images_of(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def pipeline(augmentation=OFF, statistics=IMAGENET, **options):
    return Pipeline(augmentation, *statistics, classes=10, **options)


def a_batch(augmentation=ON, mixup_type="stitch-tile+mixup"):
    labels = np.arange(8) % 10
    mixing = Mixing(mixup_type, 1.0, "2x2", 0, 9)
    draws = Draws(3, labels, (32, 32), 8, augmentation, mixing)
    return next(draws.batches(1))


def test_input_is_normalised_as_its_formula():
    images, labels = images_of(4), np.arange(4)
    inputs, targets = pipeline().prepare(images, labels, Batch(0, 0, 0, labels))
    expected = (images / 255 - IMAGENET[0]) / IMAGENET[1]
    assert (inputs.shape, inputs.dtype) == ((4, 3, 32, 32), np.float32)
    np.testing.assert_allclose(inputs, expected.transpose(0, 3, 1, 2), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(targets, np.eye(10)[labels])


def test_evaluation_sees_images_as_a_batch_without_draws():
    images, labels = images_of(4), np.arange(4)
    inputs, _ = pipeline().prepare(images, labels, Batch(0, 0, 0, labels))
    np.testing.assert_array_equal(pipeline(ON).plain(images), inputs)


def test_images_are_augmented_then_normalised_then_mixed():
    batch, images = a_batch(), images_of(8)
    inputs, targets = pipeline(ON, label_smoothing=0.1).prepare(images, batch.labels, batch)
    unmixed = ON.apply(images, batch.augment)
    expected = ((unmixed / 255 - IMAGENET[0]) / IMAGENET[1]).transpose(0, 3, 1, 2)
    blended = 0.9 * np.eye(10)[batch.labels] + 0.01
    assert len(batch.plans) == 2
    for plan in batch.plans:
        expected, blended = mix(expected, blended, plan)
    np.testing.assert_allclose(inputs, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(targets, blended, atol=1e-6)


def test_the_padding_of_a_crop_is_black_before_normalisation():
    batch = a_batch(Augmentation(flip=0, brightness=0, saturation=0, hue=0, lighting=0, crop_pad=4))
    moved = {"crop_pad": np.zeros((8, 2), dtype=np.int64)}
    batch = Batch(0, 0, 0, batch.labels, augment=moved)
    only_crop = Augmentation(flip=0, brightness=0, saturation=0, hue=0, lighting=0, crop_pad=4)
    inputs, _ = pipeline(only_crop).prepare(images_of(8) | 1, batch.labels, batch)
    black = -np.array(IMAGENET[0]) / IMAGENET[1]
    np.testing.assert_allclose(inputs[:, :, 0, 0], np.tile(black, (8, 1)), rtol=1e-5)


def test_torch_equals_numpy_through_the_whole_pipeline():
    torch = pytest.importorskip("torch")
    batch, images = a_batch(), images_of(8)
    chain = pipeline(ON, label_smoothing=0.1)
    ours = chain.prepare(images, batch.labels, batch)
    theirs = chain.prepare(torch.from_numpy(images), torch.from_numpy(batch.labels), batch)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(b.numpy(), a, rtol=1e-5, atol=2e-6)


def test_the_input_images_stay_untouched():
    batch, images = a_batch(), images_of(8)
    before = images.copy()
    pipeline(ON).prepare(images, batch.labels, batch)
    np.testing.assert_array_equal(images, before)


def test_equal_statistics_need_no_renormalisation():
    assert renormalisation(IMAGENET, IMAGENET) is None


def test_renormalised_inputs_are_those_of_the_teachers_own_normalisation():
    images = images_of(4)
    scale, shift = renormalisation(CIFAR10, IMAGENET)
    changed = pipeline(statistics=CIFAR10).plain(images) * np.reshape(scale, (3, 1, 1))
    changed = changed + np.reshape(shift, (3, 1, 1))
    np.testing.assert_allclose(
        changed, pipeline(statistics=IMAGENET).plain(images), rtol=1e-5, atol=2e-6
    )


def test_renormalising_commutes_with_mixing():
    batch, images = a_batch(OFF), images_of(8)
    scale, shift = (np.reshape(v, (3, 1, 1)) for v in renormalisation(CIFAR10, IMAGENET))
    students, _ = pipeline(statistics=CIFAR10).prepare(images, batch.labels, batch)
    teachers, _ = pipeline(statistics=IMAGENET).prepare(images, batch.labels, batch)
    np.testing.assert_allclose(students * scale + shift, teachers, rtol=1e-4, atol=1e-5)
