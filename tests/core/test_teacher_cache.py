from dataclasses import replace

import numpy as np
import pytest

from gluontricks.builders import make_pipeline
from gluontricks.draws import Draws, Mixing
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe
from gluontricks.teacher_cache import KEY_FIELDS, LogitCache, cache_key, is_plain

MIXED = resolve(
    Recipe(
        dataset="cifar10", model="resnet8_v1", teacher="resnet8_v1", mixup_type="mixup",
        batch_size=4, num_epochs=3,
    )
)  # fmt: skip
PLAIN = replace(MIXED, mixup_type="none", **dict.fromkeys(
    ("flip", "brightness", "saturation", "hue", "lighting", "crop_pad"), 0
))  # fmt: skip
IMAGES, STEPS = 10, 2


def batches(recipe, epoch):
    mixing = Mixing(recipe.mixup_type, recipe.mixup_alpha, None, 0, 3)
    labels = np.zeros(IMAGES, dtype=np.int64)
    augmentation = make_pipeline(recipe).augmentation
    return list(Draws(0, labels, (32, 32), 4, augmentation, mixing).batches(epoch))


def cache(folder, recipe):
    return LogitCache(folder, recipe, steps=STEPS, images=IMAGES)


def logits(seed=0):
    return (8 * np.random.default_rng(seed).standard_normal((4, 10))).astype(np.float32)


@pytest.mark.parametrize("recipe", [MIXED, PLAIN], ids=["mixed", "plain"])
def test_logits_are_the_same_before_and_after_they_were_stored(tmp_path, recipe):
    batch = batches(recipe, 0)[0]
    used = cache(tmp_path, recipe).put(batch, logits())
    stored = cache(tmp_path, recipe).get(batch)
    assert used.dtype == stored.dtype == np.float32
    np.testing.assert_array_equal(stored, used)
    # Half precision: 11 bits of mantissa.
    np.testing.assert_allclose(used, logits(), rtol=2**-11, atol=1e-7)
    assert not np.array_equal(used, logits())


@pytest.mark.parametrize("recipe", [MIXED, PLAIN], ids=["mixed", "plain"])
def test_what_was_not_stored_is_missing(tmp_path, recipe):
    first, second = batches(recipe, 0)
    opened = cache(tmp_path, recipe)
    assert opened.get(first) is None
    opened.put(first, logits())
    assert opened.get(second) is None
    assert opened.get(first) is not None


def test_a_plain_batch_with_one_image_missing_is_missing(tmp_path):
    opened = cache(tmp_path, PLAIN)
    opened.put(batches(PLAIN, 0)[0], logits())
    mixed_up = batches(PLAIN, 1)
    stored = set(batches(PLAIN, 0)[0].indices.tolist())
    partly = next(b for b in mixed_up if 0 < len(stored & set(b.indices.tolist())) < 4)
    assert opened.get(partly) is None


def test_a_plain_recipe_has_one_file_for_all_epochs_by_image(tmp_path):
    values = (np.arange(IMAGES)[:, None] + np.zeros((1, 10))).astype(np.float32)
    opened = cache(tmp_path, PLAIN)
    for start in (0, 4, 6):
        places = np.arange(start, start + 4)
        opened.put(replace(batches(PLAIN, 0)[0], indices=places), values[places])
    for epoch in range(3):
        for batch in batches(PLAIN, epoch):
            np.testing.assert_array_equal(opened.get(batch), values[batch.indices])
    assert [p.name for p in tmp_path.iterdir()] == ["images.npy"]


def test_a_mixed_recipe_has_a_file_for_each_epoch(tmp_path):
    opened = cache(tmp_path, MIXED)
    for epoch in range(2):
        for i, batch in enumerate(batches(MIXED, epoch)):
            opened.put(batch, logits(10 * epoch + i))
    for epoch in range(2):
        for i, batch in enumerate(batches(MIXED, epoch)):
            expected = logits(10 * epoch + i).astype(np.float16)
            np.testing.assert_array_equal(cache(tmp_path, MIXED).get(batch), expected)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["epoch-0000.npy", "epoch-0001.npy"]


CHANGED = {"normalization": "none", "mixup_type": "cutmix", "dataset": "cifar100",
           "mixup_grid": "1x3", "dtype": "bfloat16"}  # fmt: skip


@pytest.mark.parametrize("field", KEY_FIELDS)
def test_the_key_changes_with_every_field_that_decides_the_batches(field):
    value = CHANGED.get(field, getattr(MIXED, field))
    changed = replace(MIXED, **{field: value if field in CHANGED else value + 1})
    assert cache_key(changed, "t", "d") != cache_key(MIXED, "t", "d")


def test_the_key_changes_with_teacher_and_data_and_with_nothing_else():
    key = cache_key(MIXED, "t", "d")
    assert cache_key(MIXED, "T", "d") != key
    assert cache_key(MIXED, "t", "D") != key
    others = {"lr": 0.3, "wd": 0.1, "optimizer": "sgd", "name": "x", "temperature": 4.0,
              "label_smoothing": 0.1, "model": "resnet20_v1", "warmup_epochs": 2}  # fmt: skip
    assert cache_key(replace(MIXED, **others), "t", "d") == key


def test_a_recipe_is_plain_only_without_mixing_and_without_any_augmentation():
    assert is_plain(PLAIN)
    assert not is_plain(MIXED)
    for name in ("flip", "brightness", "saturation", "hue", "lighting", "crop_pad"):
        assert not is_plain(replace(PLAIN, **{name: 1}))


def test_the_size_that_is_said_first_is_the_size_on_disk(tmp_path):
    for recipe, files in [(PLAIN, 1), (MIXED, 3)]:
        folder = tmp_path / recipe.mixup_type
        opened = cache(folder, recipe)
        for epoch in range(3):
            opened.get(batches(recipe, epoch)[0])
        said = LogitCache.size(recipe, steps=STEPS, images=IMAGES)
        on_disk = [p.stat().st_size for p in folder.iterdir()]
        assert len(on_disk) == files
        assert said == sum(on_disk) - 128 * files


@pytest.mark.parametrize("damage", ["other shape", "cut", "no array", "empty"])
def test_a_file_that_is_not_the_cache_is_made_anew_and_never_read_as_logits(tmp_path, damage):
    batch = batches(MIXED, 0)[1]
    cache(tmp_path, MIXED).put(batch, logits())
    path = tmp_path / "epoch-0000.npy"
    if damage == "other shape":
        np.save(path, np.zeros((1, 2), dtype=np.float16))
    else:
        content = path.read_bytes()
        path.write_bytes({"cut": content[:200], "no array": b"x" * 300, "empty": b""}[damage])
    opened = cache(tmp_path, MIXED)
    assert opened.get(batch) is None
    np.testing.assert_array_equal(opened.put(batch, logits()), logits().astype(np.float16))
