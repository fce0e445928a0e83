"""Decoded images in one file: the same pixels, made once, and refused if they are not whole."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from image_folders import encoded, photograph, write_folder

from gluontricks.data import cache
from gluontricks.data.augment import Augmentation
from gluontricks.data.cache import decoded_cache, room_for
from gluontricks.data.listing import FolderListing
from gluontricks.data.loader import Loader
from gluontricks.data.views import PlainView, TrainView
from gluontricks.draws import Draws, Mixing
from gluontricks.errors import DataError, DiskError, IntegrityError

SIZE = 24


@pytest.fixture(scope="module")
def listing(tmp_path_factory):
    root = write_folder(tmp_path_factory.mktemp("images"))
    return FolderListing("folder", "train", root / "train")


def batches(listing, workers):
    augmentation = Augmentation(flip=0.5, contrast=0.4, lighting=0.1, min_scale=0.08)
    draws = Draws(
        seed=3, labels=listing.labels, size=(SIZE, SIZE), batch_size=5,
        augmentation=augmentation, mixing=Mixing(),
    )  # fmt: skip
    loader = Loader(listing, workers=workers, view=TrainView(SIZE, augmentation))
    try:
        return [batch.images for batch in loader.batches(draws.batches(0))]
    finally:
        loader.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_decoded_images_give_the_same_batches(listing, tmp_path, workers):
    cached = decoded_cache(listing, tmp_path)
    assert cached.sha256 == listing.sha256
    assert cached.class_names == listing.class_names
    np.testing.assert_array_equal(cached.labels, listing.labels)
    np.testing.assert_array_equal(batches(listing, 0), batches(cached, workers))
    chunks = [
        list(Loader(one, workers=0, view=PlainView(SIZE, 0.875)).chunks(7))
        for one in (listing, cached)
    ]
    for one, other in zip(*chunks):
        np.testing.assert_array_equal(one, other)


def test_images_are_decoded_once(listing, tmp_path, monkeypatch):
    first = decoded_cache(listing, tmp_path)
    made = first.path.stat().st_mtime_ns
    monkeypatch.setattr(cache, "COMPARED", 0)
    monkeypatch.setattr(FolderListing, "image", lambda *_: pytest.fail("decoded again"))
    second = decoded_cache(listing, tmp_path)
    assert second.path.stat().st_mtime_ns == made
    for i in range(len(listing)):
        np.testing.assert_array_equal(second.image(i), first.image(i))


def test_other_processes_get_a_name_and_not_the_pixels(listing, tmp_path):
    cached = decoded_cache(listing, tmp_path)
    cached.image(0)
    sent = pickle.dumps(cached)
    assert len(sent) < 10_000
    np.testing.assert_array_equal(pickle.loads(sent).image(3), listing.image(3))


def described(**changes):
    """A damage to what describes the pixels."""

    def do(path):
        about = path.with_suffix(".json")
        content = json.loads(about.read_text())
        about.write_text(json.dumps({**content, **{k: f(content) for k, f in changes.items()}}))

    return do


HOW = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "gone": Path.unlink,
    "no json": lambda path: path.with_suffix(".json").write_text("{"),
    "a list": lambda path: path.with_suffix(".json").write_text("[]"),
    "negative": described(shapes=lambda c: [[-h, -w] for h, w in c["shapes"]]),
    "fewer": described(shapes=lambda c: [[h, w] for h, w in c["shapes"][1:]]),
    "merged": described(shapes=lambda c: [[1, sum(h * w for h, w in c["shapes"])]]),
    "ragged": described(shapes=lambda c: [[1, 2, 3], *c["shapes"][1:]]),
    "another form": described(schema=lambda _: "gluontricks.pixels/0"),
    "another set": described(sha256=lambda _: "0" * 64),
}


@pytest.mark.parametrize("how", HOW)
def test_files_that_are_not_what_was_written_are_refused(listing, tmp_path, how):
    path = decoded_cache(listing, tmp_path).path
    HOW[how](path)
    with pytest.raises(IntegrityError, match="not the decoded images") as caught:
        decoded_cache(listing, tmp_path)
    assert path.name in caught.value.remedy
    for file in tmp_path.iterdir():
        file.unlink()
    assert len(decoded_cache(listing, tmp_path)) == len(listing)


def test_other_images_of_the_same_lengths_are_noticed(tmp_path):
    # Bitmaps of one size all have one length, so the hash of lengths is the same.
    listings = []
    for number in (0, 1):
        root = tmp_path / str(number)
        for name in ("a", "b"):
            (root / name).mkdir(parents=True)
            picture = encoded(photograph(10 + number, size=(20, 30)), "BMP")
            (root / name / "x.bmp").write_bytes(picture)
        listings.append(FolderListing("folder", "train", root))
    assert listings[0].sha256 == listings[1].sha256
    decoded_cache(listings[0], tmp_path / "cache")
    with pytest.raises(IntegrityError, match="holds other pixels than '.*x.bmp'"):
        decoded_cache(listings[1], tmp_path / "cache")


def test_what_the_images_need_is_known_before_and_refused_without_room(
    listing, tmp_path, monkeypatch
):
    folder = tmp_path / "not" / "yet"
    needed = sum(listing.image(i).width * listing.image(i).height * 3 for i in range(len(listing)))
    assert room_for([listing], folder) == needed
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, needed - 1))
    with pytest.raises(DiskError, match="the decoded images need about"):
        decoded_cache(listing, tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert decoded_cache(listing, folder).path.stat().st_size == needed
    assert room_for([listing], folder) == 0


def test_of_many_images_a_part_tells_the_size(tmp_path, monkeypatch):
    root = write_folder(tmp_path, train=20)
    listing = FolderListing("folder", "train", root / "train")
    exact = room_for([listing], tmp_path / "cache")
    monkeypatch.setattr(cache, "SAMPLED", 30)
    assert room_for([listing], tmp_path / "cache") == pytest.approx(exact, rel=0.15)


def test_decoding_that_meets_a_damaged_image_leaves_nothing_that_looks_whole(tmp_path):
    root = write_folder(tmp_path / "data", train=3)
    broken = root / "train" / "cloud" / "cloud_2.jpg"
    broken.write_bytes(broken.read_bytes()[:-40])
    folder = tmp_path / "cache"
    with pytest.raises(DataError, match="cloud_2.jpg"):
        decoded_cache(FolderListing("folder", "train", root / "train"), folder)
    assert list(folder.iterdir()) == []


SLOW = """
import sys, time
from pathlib import Path
from gluontricks.data.cache import decoded_cache
from gluontricks.data.listing import FolderListing

class Slow(FolderListing):
    def image(self, index):
        time.sleep(0.02)
        print(index, flush=True)
        return super().image(index)

decoded_cache(Slow("folder", "train", Path(sys.argv[1])), Path(sys.argv[2]))
"""


def test_a_process_that_is_killed_leaves_nothing_that_looks_whole(listing, tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(listing.root), str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(cache.__file__).parents[2])},
    )
    while child.stdout.readline() != b"8\n":
        assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.communicate()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".tmp-")
    # Another process may be at work on a fresh one; an old one is removed.
    decoded_cache(listing, tmp_path / "other")
    os.utime(left, (time.time() - 7200,) * 2)
    path = decoded_cache(listing, tmp_path).path
    assert {file for file in tmp_path.iterdir() if file.is_file()} == {
        path, path.with_suffix(".json"),
    }  # fmt: skip
