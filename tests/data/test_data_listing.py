from __future__ import annotations

import pickle

import numpy as np
import pytest
from image_folders import CLASSES, write_folder

from gluontricks.data.consistency import check_labels, check_pair
from gluontricks.data.listing import FolderListing, find_listing, other_files
from gluontricks.errors import DataError


@pytest.fixture
def root(tmp_path):
    return write_folder(tmp_path / "data", train=3, val=2)


def part(root, split):
    return FolderListing("folder", split, root / split)


def test_classes_and_files_come_in_the_order_of_their_names(root):
    for name in ("apple_10.jpg", "Apple_0.JPG", "é.jpeg"):
        (root / "train" / "apple" / name).write_bytes(b"x")
    listing = part(root, "train")
    assert listing.class_names == CLASSES
    assert listing.labels.tolist() == [0] * 6 + [1] * 3 + [2] * 3
    names = [listing.path(i).name for i in range(6)]
    assert names == ["Apple_0.JPG", "apple_0.jpg", "apple_1.jpg", "apple_10.jpg", "apple_2.jpg",
                     "é.jpeg"]  # fmt: skip
    assert listing.read(0) == b"x"
    assert listing.where(3).endswith("train/apple/apple_10.jpg")


def test_what_is_no_image_is_left_out_and_told(root):
    (root / "train" / "apple" / "notes.txt").write_text("x")
    (root / "train" / "apple" / ".hidden.jpg").write_bytes(b"x")
    (root / "train" / "LICENSE").write_text("x")
    assert len(part(root, "train")) == 9
    told = [path.name for path in other_files(root / "train")]
    assert sorted(told) == ["LICENSE", "notes.txt"]


def test_the_hash_changes_with_labels_and_lengths_and_not_with_names(root):
    before = part(root, "train").sha256
    (root / "train" / "apple" / "apple_2.jpg").rename(root / "train" / "apple" / "z.jpg")
    assert part(root, "train").sha256 == before
    (root / "train" / "apple" / "z.jpg").write_bytes(b"short")
    assert part(root, "train").sha256 != before


def test_a_listing_is_sent_as_arrays(root):
    listing = part(root, "train")
    again = pickle.loads(pickle.dumps(listing))
    assert again.read(7) == listing.read(7)
    per_image = (len(pickle.dumps(listing)) - 1000) / len(listing)
    assert per_image < 100


def test_a_file_that_has_gone_is_named(root):
    listing = part(root, "train")
    listing.path(4).unlink()
    with pytest.raises(DataError, match="beech_1.jpg' cannot be read"):
        listing.read(4)


def test_the_folder_is_found_by_either_name(root):
    assert len(find_listing("folder", "val", root)) == 6
    (root / "val").rename(root / "validation")
    assert len(find_listing("folder", "val", root)) == 6
    root.rename(root.parent / "imagenette2-320")
    assert len(find_listing("imagenette", "train", root.parent)) == 9
    with pytest.raises(DataError, match="no folder 'train' of imagenet") as caught:
        find_listing("imagenet", "train", root.parent)
    assert "--data-dir" in caught.value.remedy


def told(train, val, match):
    with pytest.raises(DataError, match=match) as caught:
        check_pair(train, val)
    assert caught.value.remedy


def test_classes_that_one_part_lacks_are_named(root):
    (root / "val" / "beech").rename(root / "val" / "birch")
    told(
        part(root, "train"),
        part(root, "val"),
        "1 of the classes of train are missing in val: beech",
    )


def test_another_order_of_classes_is_found(root):
    train, val = part(root, "train"), part(root, "val")
    val.class_names = ("apple", "cloud", "beech")
    told(train, val, "class 1 is beech in train and cloud in val")


def test_an_empty_class_and_a_label_out_of_range_are_found(root):
    for image in (root / "val" / "cloud").iterdir():
        image.unlink()
    told(part(root, "train"), part(root, "val"), "no image in val: cloud")
    train = part(root, "train")
    train.labels, train.where = np.where(train.labels == 2, 7, train.labels), str
    with pytest.raises(DataError, match="has the label 7, one of 3 that are not in 0..2"):
        check_labels(train)


def test_parts_that_fit_pass(root):
    check_pair(part(root, "train"), part(root, "val"))
