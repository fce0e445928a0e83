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
from gluontricks.data.crops import centre_crop, random_crop
from gluontricks.data.listing import FolderListing
from gluontricks.data.loader import Loader
from gluontricks.data.pool import Pool, shared_file
from gluontricks.data.registry import PRESETS
from gluontricks.data.views import PlainView, TrainView
from gluontricks.draws import Draws, Mixing
from gluontricks.errors import DataError, DiskError, WorkerError

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


@pytest.mark.parametrize("workers", [0, 3])
def test_fewer_images_than_processes_are_needed(listing, workers):
    whole = loaded(listing, 0)
    for places in ([2], []):
        part = loaded(listing, workers, needed=lambda _, p=places: np.array(p, dtype=np.int64))
        for one, other in zip(whole, part):
            np.testing.assert_array_equal(one.images[places], other.images[places])
            assert other.images.any() == bool(places)


@pytest.mark.parametrize("workers", [0, 4])
@pytest.mark.parametrize("size", [1, 11, 24, 100])
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
    folder = Path("/dev/shm")
    names = os.listdir(folder) if folder.is_dir() else []
    return {name for name in names if name.startswith("gluontricks-")}


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
    """A listing with a fault of ours in one image."""

    def image(self, index):
        return super().image(index) if index != 13 else index / 0


def test_an_error_of_ours_names_its_image_without_a_traceback(listing, monkeypatch):
    here = Path(__file__).parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(here), str(here.parent)]))
    Strange.__module__ = "test_data_loader"
    strange = Strange("folder", "train", listing.root)
    with pytest.raises(WorkerError, match="ZeroDivisionError") as caught:
        loaded(strange, 1, batch_size=24)
    assert listing.where(13) in caught.value.cause


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


def test_a_stop_that_is_sent_to_every_process_is_left_to_the_run(listing):
    expected = loaded(listing, 0)
    loader = Loader(listing, workers=2, view=TrainView(SIZE, AUGMENTATION))
    found = []
    for batch in loader.batches(draws_of(listing).batches(0)):
        found.append(batch)
        for number in (signal.SIGINT, signal.SIGTERM):
            for child in children():
                child.send_signal(number)
    loader.close()
    for one, other in zip(expected, found):
        np.testing.assert_array_equal(one.images, other.images)


def test_a_process_that_stopped_reading_does_not_block_the_run(listing, monkeypatch):
    monkeypatch.setattr(pool_module, "PATIENCE", 1.0)
    pool = Pool(listing, PlainView(SIZE, 0.875), 1, room=1, slots=1)
    pool.workers[0].process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(WorkerError, match="has not answered"):
        pool.workers[0].send(bytes(1 << 22), "a large message")
    assert time.monotonic() - began < 5
    pool.close()
    assert children() == []


def test_a_process_that_cannot_start_tells_why(listing, monkeypatch):
    monkeypatch.setattr(pool_module, "START", "raise ImportError('gluontricks.data.worker lost')")
    with pytest.raises(WorkerError, match="ended with 1 .*worker lost.*at its start"):
        loaded(listing, 2)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(WorkerError, match="cannot be started"):
        loaded(listing, 2)
    assert children() == []


def test_an_error_in_the_last_batch_ends_the_processes_too(tmp_path):
    root = write_folder(tmp_path, train=4)
    listing = FolderListing("folder", "train", root / "train")
    broken = listing.path(11)
    broken.write_bytes(broken.read_bytes()[:-40])
    loader = Loader(listing, workers=2, view=PlainView(SIZE, 0.875))
    with pytest.raises(DataError, match=broken.name):
        list(loader.chunks(6))
    assert children() == []
    # What is asked next is not answered with what was left.
    expected = centre_crop(listing.image(0), SIZE, crop_ratio=0.875)
    chunks = loader.chunks(1)
    np.testing.assert_array_equal(next(chunks)[0], expected)
    chunks.close()


def test_one_series_at_a_time(listing):
    loader = Loader(listing, workers=1, view=PlainView(SIZE, 0.875))
    first = loader.chunks(2)
    next(first)
    with pytest.raises(RuntimeError, match="one series"):
        next(loader.chunks(2))
    assert sum(len(chunk) for chunk in first) == 22
    loader.close()


def test_files_where_the_run_was_started_are_not_taken_for_modules(listing, monkeypatch, tmp_path):
    for name in ("pickle", "struct", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert len(loaded(listing, 1)) == 4


def test_no_room_anywhere_is_an_error_with_the_size():
    with pytest.raises(DiskError, match="4398046511104 MB"):
        shared_file(1 << 62)


@pytest.mark.parametrize("delay", [0.3, 0.6, 1.2])
def test_nothing_is_left_of_a_run_that_is_killed_while_it_starts(listing, delay):
    before = ours_in_memory()
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent), str(Path.cwd())])
    mark = f"{os.getpid()}-{delay}"
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHANS, str(listing.root), str(here)],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": paths, "GLUONTRICKS_TEST": mark},
    )
    time.sleep(delay)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while marked(mark):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ours_in_memory() == before


def marked(mark):
    """The processes whose environment holds a mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("GLUONTRICKS_TEST") == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found
