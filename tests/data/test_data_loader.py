from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from image_folders import write_folder

from gluontricks.data import pool as pool_module
from gluontricks.data.augment import Augmentation
from gluontricks.data.cache import decoded_cache
from gluontricks.data.crops import centre_crop, random_crop
from gluontricks.data.listing import FolderListing
from gluontricks.data.loader import Loader
from gluontricks.data.registry import PRESETS
from gluontricks.data.views import PlainView, TrainView
from gluontricks.draws import Draws, Mixing
from gluontricks.errors import DataError, IntegrityError, WorkerError

AUGMENTATION = Augmentation(**PRESETS["gluoncv"], min_scale=0.08)
SIZE = 24


@pytest.fixture(scope="module")
def listing(tmp_path_factory):
    root = write_folder(tmp_path_factory.mktemp("images"))
    return FolderListing("folder", "train", root / "train")


def draws_of(listing, batch_size=5):
    return Draws(
        seed=3, labels=listing.labels, size=(SIZE, SIZE), batch_size=batch_size,
        augmentation=AUGMENTATION, mixing=Mixing(),
    )  # fmt: skip


def loaded(listing, workers, epoch=0, start=0, batch_size=5, **needed):
    loader = Loader(listing, workers=workers, view=TrainView(SIZE, AUGMENTATION))
    try:
        drawn = draws_of(listing, batch_size).batches(epoch, start)
        return list(loader.batches(drawn, **needed))
    finally:
        loader.close()


def test_a_batch_holds_each_image_cropped_and_augmented_as_drawn(listing):
    drawn = list(draws_of(listing).batches(0))
    for batch, raw in zip(loaded(listing, 0), drawn):
        for place, index in enumerate(raw.indices):
            word = int(raw.augment["resized_crop"][place])
            crop = random_crop(listing.image(int(index)), word, SIZE, min_scale=0.08)
            own = {name: values[place : place + 1] for name, values in raw.augment.items()}
            expected = AUGMENTATION.apply(crop[None], own)[0]
            np.testing.assert_array_equal(batch.images[place], expected)
        np.testing.assert_array_equal(batch.labels, raw.labels)
        assert batch.augment == {}
        assert batch.step == raw.step


def test_batches_do_not_depend_on_the_number_of_processes(listing):
    alone = loaded(listing, 0)
    assert len(alone) == 4
    for workers in (1, 2, 7):
        for one, other in zip(alone, loaded(listing, workers)):
            np.testing.assert_array_equal(one.images, other.images)
            np.testing.assert_array_equal(one.indices, other.indices)


def test_an_epoch_can_begin_anywhere_and_other_epochs_differ(listing):
    whole = loaded(listing, 2)
    np.testing.assert_array_equal(loaded(listing, 2, start=2)[0].images, whole[2].images)
    assert (loaded(listing, 0, epoch=1)[0].images != whole[0].images).any()


def test_only_images_that_are_needed_are_decoded(listing):
    whole = loaded(listing, 0)
    for workers in (0, 2, 5):
        part = loaded(listing, workers, needed=lambda _: np.array([1, 4]))
        for one, other in zip(whole, part):
            np.testing.assert_array_equal(one.images[[1, 4]], other.images[[1, 4]])
            assert not other.images[[0, 2, 3]].any()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("size", [1, 5, 24, 100])
def test_chunks_are_every_image_once_in_order(listing, workers, size):
    loader = Loader(listing, workers=workers, view=PlainView(SIZE, 0.875))
    found = list(loader.chunks(size))
    loader.close()
    assert [len(chunk) for chunk in found[:-1]] == [size] * (len(found) - 1)
    expected = [centre_crop(listing.image(i), SIZE, crop_ratio=0.875) for i in range(24)]
    np.testing.assert_array_equal(np.concatenate(found), expected)


def test_workers_load_no_framework(listing):
    loader = Loader(listing, workers=1, view=TrainView(SIZE, AUGMENTATION))
    batches = loader.batches(draws_of(listing).batches(0))
    next(batches)
    maps = Path(f"/proc/{loader.pool.workers[0].process.pid}/maps").read_text()
    batches.close()
    assert "numpy" in maps
    for framework in ("libmxnet", "libtorch"):
        assert framework not in maps


def children():
    return [
        p
        for p in psutil.Process().children()
        if any("gluontricks.data.worker" in word for word in p.cmdline())
    ]


def ours_in_memory():
    return {name for name in os.listdir("/dev/shm") if name.startswith("gluontricks-")}


def test_nothing_is_left_when_batches_are_abandoned(listing):
    before = ours_in_memory()
    loader = Loader(listing, workers=2, view=TrainView(SIZE, AUGMENTATION))
    batches = loader.batches(draws_of(listing).batches(0))
    next(batches)
    assert len(children()) == 2
    assert ours_in_memory() == before
    batches.close()
    assert children() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_image_is_named(tmp_path, workers):
    root = write_folder(tmp_path, train=4)
    broken = root / "train" / "beech" / "beech_2.jpg"
    broken.write_bytes(broken.read_bytes()[:-40])
    listing = FolderListing("folder", "train", root / "train")
    with pytest.raises(DataError, match="beech_2.jpg") as caught:
        loaded(listing, workers, batch_size=4)
    assert "data verify" in caught.value.remedy
    assert children() == []


class Strange(FolderListing):
    """A listing with a fault of ours."""

    def image(self, index):
        return index / 0


def test_an_error_of_ours_is_told_without_a_traceback(listing, monkeypatch):
    here = Path(__file__).parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(here), str(here.parent)]))
    Strange.__module__ = "test_data_loader"
    strange = Strange("folder", "train", listing.root)
    with pytest.raises(WorkerError, match="ZeroDivisionError"):
        loaded(strange, 1)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_dies_or_hangs_ends_the_run_with_a_word(listing, monkeypatch, how):
    monkeypatch.setattr(pool_module, "PATIENCE", 2.0)
    loader = Loader(listing, workers=2, view=TrainView(SIZE, AUGMENTATION))
    batches = loader.batches(draws_of(listing, 2).batches(0))
    next(batches)
    loader.pool.workers[1].process.send_signal(how)
    began = time.monotonic()
    with pytest.raises(WorkerError, match="process that decodes images") as caught:
        list(batches)
    assert time.monotonic() - began < 10
    assert ".jpg" in caught.value.cause
    assert children() == []


ORPHANS = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_data_loader import AUGMENTATION, SIZE, FolderListing, Loader, TrainView, draws_of
listing = FolderListing("folder", "train", Path(sys.argv[1]))
loader = Loader(listing, workers=2, view=TrainView(SIZE, AUGMENTATION))
batches = loader.batches(draws_of(listing).batches(0))
next(batches)
print(*[w.process.pid for w in loader.pool.workers], flush=True)
time.sleep(60)
"""


def test_processes_end_when_their_parent_is_killed(listing):
    before = ours_in_memory()
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent), str(Path.cwd())])
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHANS, str(listing.root), str(here)],
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) and alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ours_in_memory() == before


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_without_room_in_shared_memory_the_temporary_folder_is_used(listing, monkeypatch, tmp_path):
    expected = loaded(listing, 0)
    monkeypatch.setattr(pool_module, "SHARED", tmp_path / "none")
    for one, other in zip(expected, loaded(listing, 2)):
        np.testing.assert_array_equal(one.images, other.images)


@pytest.mark.parametrize("workers", [0, 2])
def test_decoded_images_give_the_same_batches(listing, tmp_path, workers):
    cached = decoded_cache(listing, tmp_path)
    assert cached.sha256 == listing.sha256
    for one, other in zip(loaded(listing, 0), loaded(cached, workers)):
        np.testing.assert_array_equal(one.images, other.images)
    # Made once: the images themselves are not read again.
    monkey = decoded_cache(listing, tmp_path)
    monkey.whole = None
    assert monkey.image(3).size == listing.image(3).size


def test_decoded_images_that_are_not_whole_are_refused(listing, tmp_path):
    path = decoded_cache(listing, tmp_path).path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="not the decoded images"):
        decoded_cache(listing, tmp_path)


def test_decoding_that_is_interrupted_leaves_nothing_that_looks_whole(tmp_path):
    root = write_folder(tmp_path / "data", train=3)
    broken = root / "train" / "cloud" / "cloud_2.jpg"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-40])
    folder = tmp_path / "cache"
    with pytest.raises(DataError, match="cloud_2.jpg"):
        decoded_cache(FolderListing("folder", "train", root / "train"), folder)
    assert list(folder.iterdir()) == []
