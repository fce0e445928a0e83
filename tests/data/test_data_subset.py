"""--subset: a part of the training images, of each class in proportion, the same for every seed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from image_folders import write_folder
from running import command, tiny

from gluontricks import builders
from gluontricks.data import load_split
from gluontricks.data.splits import stratified_mask, subset_mask
from gluontricks.errors import UsageError
from gluontricks.options import RunOptions
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe

LABELS = load_split("digits", "train").labels


def images_of(**fields):
    """The training images of a recipe on digits."""
    recipe = resolve(Recipe(dataset="digits", model="resnet8_v1", **fields))
    return builders.load_data(recipe, RunOptions()).train


def test_a_subset_has_of_each_class_its_share() -> None:
    mask = subset_mask(LABELS, 500)
    assert mask.sum() == 500
    share = np.bincount(LABELS[mask]) / np.bincount(LABELS)
    assert np.abs(share * np.bincount(LABELS) - np.bincount(LABELS) * 500 / len(LABELS)).max() < 1


def test_a_tenth_of_cifars_classes_is_as_many_of_each() -> None:
    labels = np.repeat(np.arange(100), 500)
    assert set(np.bincount(labels[subset_mask(labels, 12_800)])) == {128}


def test_every_seed_has_the_same_subset_so_that_a_teacher_has_seen_its_students_images() -> None:
    one, other = images_of(subset=300, seed=0), images_of(subset=300, seed=7)
    assert one.sha256 == other.sha256
    assert len(one) == 300
    assert one.sha256 != images_of(subset=301).sha256


def test_a_subset_is_taken_of_what_is_not_held_out() -> None:
    train = images_of(subset=300, val_split=1000)
    held_out = stratified_mask(LABELS, 1000, seed=0, stream="validation-split")
    rest = load_split("digits", "train").images[~held_out]
    found = {image.tobytes() for image in train.images}
    assert found <= {image.tobytes() for image in rest}
    with pytest.raises(UsageError, match="--subset 437 is no part of the 437 images"):
        images_of(subset=437, val_split=1000)


@pytest.mark.parametrize("count", [1437, 5000])
def test_a_subset_of_all_images_or_more_is_refused(count: int, tmp_path) -> None:
    done = command("train", "--dataset", "digits", "--model", "resnet8_v1", "--subset", count,
                   "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 2
    assert f"--subset {count} is no part of the 1437 images" in done.err
    assert not (tmp_path / "run").exists()


def test_a_record_says_what_its_run_was_trained_on(tmp_path) -> None:
    tiny(tmp_path / "run", "--subset", "128", "--num-epochs", "1", "--quiet")
    data = json.loads((tmp_path / "run" / "record.json").read_text())["data"]
    assert data["subset"] == "128 images, by class in proportion"
    assert (data["n_train"], data["split"]) == (128, "train 128 / test 360")


def test_images_on_disk_have_the_same_subset(tmp_path) -> None:
    folder = write_folder(tmp_path)
    fields = {"dataset": "folder", "model": "resnet18_v1", "classes": 3, "input_size": 32}
    whole = disk_images(folder, **fields)
    part = disk_images(folder, **fields, subset=6)
    mask = subset_mask(whole.labels, 6)
    assert np.array_equal(part.labels, whole.labels[mask])
    assert np.bincount(part.labels).tolist() == [2, 2, 2]
    assert part.sha256 != whole.sha256


def disk_images(folder, **fields):
    """The training images of a recipe on a folder."""
    from gluontricks.planning import plan_data

    recipe, options = resolve(Recipe(**fields)), RunOptions(data_dir=folder)
    return builders.load_data(recipe, options, plan_data(recipe, options)).train
