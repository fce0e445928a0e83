"""Record files, verification and ImageNet's archives, by the command line."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest
from image_folders import CLASSES, encoded, photograph, write_folder
from running import command
from scipy.io import savemat

from gluontricks.data import make_records as making
from gluontricks.data.listing import FolderListing
from gluontricks.data.make_records import make_records
from gluontricks.data.prepare_imagenet import DEVKIT, META, TRAIN, TRUTH, VALIDATION
from gluontricks.data.records import CLASSES_FILE, RecordListing

WNIDS = ("n00000003", "n00000001", "n00000002")  # by their number in the challenge


@pytest.fixture
def root(tmp_path):
    return write_folder(tmp_path / "data", train=6, val=2)


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.iterdir()) if not p.name.startswith(".")}  # fmt: skip


def test_records_keep_the_images_bytes_and_are_the_same_for_any_number_of_processes(root, tmp_path):
    for jobs in ("1", "3"):
        done = command("data", "rec", root, "--out", tmp_path / jobs, "-j", jobs)
        assert done.code == 0, done.err
    assert digests(tmp_path / "1") == digests(tmp_path / "3")
    names = {"train.rec", "train.idx", "val.rec", "val.idx", CLASSES_FILE}
    assert set(digests(tmp_path / "1")) == names
    for split in ("train", "val"):
        folder = FolderListing("folder", split, root / split)
        records = RecordListing("folder", split, tmp_path / "1" / f"{split}.rec")
        assert records.class_names == CLASSES
        assert records.sha256 == folder.sha256
        assert [records.read(i) for i in range(len(records))] == [
            folder.read(i) for i in range(len(folder))
        ]


@pytest.mark.parametrize("cut", [0, 1, 300, 3000])
def test_records_that_were_interrupted_go_on_to_the_same_file(root, tmp_path, cut):
    listing = FolderListing("folder", "train", root / "train")

    def make(name):
        return make_records(listing, tmp_path / name, jobs=1, report=lambda _: None,
                            chunk_bytes=3000)  # fmt: skip

    whole = make("whole").read_bytes()
    (tmp_path / "again").mkdir()
    # What a process that was killed leaves: a beginning, which may end within a record.
    (tmp_path / "again" / "train.rec.part").write_bytes(whole[: len(whole) // 2 + cut])
    assert make("again").read_bytes() == whole
    assert digests(tmp_path / "again") == digests(tmp_path / "whole")


def test_records_go_on_from_any_place_and_without_their_index(root, tmp_path):
    listing = FolderListing("folder", "train", root / "train")

    def make(name):
        return make_records(listing, tmp_path / name, jobs=1, report=lambda _: None,
                            chunk_bytes=3000)  # fmt: skip

    whole = make("whole").read_bytes()
    rng = np.random.default_rng(0)
    for number, cut in enumerate(rng.integers(0, len(whole) + 1, 12).tolist()):
        name = f"cut-{number}"
        (tmp_path / name).mkdir()
        # After a loss of power the end of a file may be there by its length only.
        left = whole[:cut] + bytes(500 * (number % 2))
        (tmp_path / name / "train.rec.part").write_bytes(left)
        assert make(name).read_bytes() == whole
    # Killed between its two files.
    (tmp_path / "whole" / "train.idx").unlink()
    make("whole")
    assert digests(tmp_path / "whole") == digests(tmp_path / "cut-0")


def test_records_begun_of_other_images_are_begun_anew(root, tmp_path):
    listing = FolderListing("folder", "train", root / "train")
    make_records(listing, tmp_path / "whole", jobs=1, report=lambda _: None)
    other = write_folder(tmp_path / "other", train=7, val=1)
    changed = FolderListing("folder", "train", other / "train")
    make_records(changed, tmp_path / "out", jobs=1, report=lambda _: None)
    (tmp_path / "out" / "train.rec").rename(tmp_path / "out" / "train.rec.part")
    (tmp_path / "out" / "train.idx").unlink()
    make_records(listing, tmp_path / "out", jobs=1, report=lambda _: None, chunk_bytes=3000)
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_a_reader_of_the_progress_that_has_gone_is_not_taken_for_a_full_disk(root, tmp_path):
    listing = FolderListing("folder", "train", root / "train")

    def report(_):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        make_records(listing, tmp_path, jobs=1, report=report)


def test_making_records_is_killed_and_goes_on(root, tmp_path):
    expected = tmp_path / "expected"
    assert command("data", "rec", root, "--out", expected, "-j", "1").code == 0
    words = [sys.executable, "-c", "from gluontricks.cli import main; main()", "data", "rec",
             str(root), "--out", str(tmp_path / "out"), "-j", "2"]  # fmt: skip
    words[2] = "import sys; from gluontricks.cli import main; sys.exit(main())"
    for wait in (0.3, 0.6):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert subprocess.run(words, stdout=subprocess.DEVNULL, check=False).returncode == 0
    assert digests(tmp_path / "out") == digests(expected)


def test_a_damaged_image_stops_the_making_and_is_named(root, tmp_path):
    broken = root / "train" / "beech" / "beech_3.jpg"
    broken.write_bytes(broken.read_bytes()[:-30])
    done = command("data", "rec", root, "--out", tmp_path / "out", "-j", "2")
    assert done.code == 65
    assert "beech_3.jpg" in done.err
    assert not (tmp_path / "out" / "train.rec").exists()


def test_records_of_other_images_are_not_written_over(root, tmp_path):
    out = tmp_path / "out"
    assert command("data", "rec", root, "--out", out).code == 0
    before = digests(out)
    assert command("data", "rec", root, "--out", out).code == 0
    assert digests(out) == before
    (root / "train" / "apple" / "apple_9.jpg").write_bytes(encoded(photograph(9)))
    done = command("data", "rec", root, "--out", out)
    assert done.code == 2
    assert "holds other images" in done.err
    assert digests(out) == before


def verified(path, code):
    done = command("data", "verify", path, "-j", "2", "--json")
    assert done.code == code, (done.out, done.err)
    return done.document


def test_a_whole_folder_and_its_records_verify(root, tmp_path):
    assert command("data", "rec", root, "--out", tmp_path / "rec").code == 0
    for path in (root, tmp_path / "rec", tmp_path / "rec" / "val.rec", root / "train"):
        assert verified(path, 0)["problems"] == []
    assert verified(root, 0)["train"]["images"] == 18
    said = command("data", "verify", root)
    assert "all of it reads and is consistent" in said.out


def test_every_damage_is_found_and_named(root):
    for image in (root / "val" / "cloud").iterdir():
        image.unlink()
    cut = root / "train" / "apple" / "apple_1.jpg"
    cut.write_bytes(cut.read_bytes()[:-20])
    (root / "train" / "apple" / "page.jpg").write_bytes(b"<html>404</html>")
    (root / "train" / "apple" / "empty.png").write_bytes(b"")
    (root / "train" / "apple" / "notes.txt").write_text("x")
    shutil.copy(root / "train" / "beech" / "beech_0.jpg", root / "val" / "beech" / "again.jpg")
    problems = verified(root, 65)["problems"]
    kinds = sorted(problem["kind"] for problem in problems)
    assert kinds == ["classes", "duplicate", "image", "image", "image", "other file"]
    told = " ".join(problem["reason"] for problem in problems)
    for name in ("apple_1.jpg", "page.jpg", "empty.png", "notes.txt", "again.jpg", "cloud"):
        assert name in told
    lines = command("data", "verify", root).out.splitlines()
    assert lines[-1].endswith("6 problems")


def test_a_class_folder_missing_in_val_is_found(root):
    shutil.rmtree(root / "val" / "beech")
    (problem,) = verified(root, 65)["problems"]
    assert "missing in val: beech" in problem["reason"]
    assert command("data", "verify", root).out.endswith(": 1 problem\n")


def test_damaged_records_are_found_and_never_end_the_process(root, tmp_path):
    assert command("data", "rec", root, "--out", tmp_path / "rec").code == 0
    path = tmp_path / "rec" / "train.rec"
    content = bytearray(path.read_bytes())
    records = RecordListing("folder", "train", path)
    middle = int(records.starts[4] + records.stops[4]) // 2
    content[middle : middle + 40] = bytes(40)
    content[int(records.starts[7])] ^= 255
    path.write_bytes(bytes(content))
    (problem,) = [p for p in verified(tmp_path / "rec", 65)["problems"] if p["kind"] == "part"]
    assert "record 7" in problem["reason"]


def test_a_path_without_a_part_that_reads_is_a_finding(root, tmp_path):
    assert command("data", "rec", root, "--out", tmp_path / "rec", "--split", "val").code == 0
    path = tmp_path / "rec" / "val.rec"
    path.write_bytes(path.read_bytes()[:-10])
    (tmp_path / "empty").mkdir()
    for place in (path, tmp_path / "rec", tmp_path / "empty"):
        problems = verified(place, 65)["problems"]
        assert {problem["kind"] for problem in problems} == {"part"}
    (problem,) = verified(path, 65)["problems"]
    assert "10 bytes are missing" in problem["reason"]


def damages(content):
    """The content of a real image file, damaged in every way that must be found."""
    length = len(content)
    for missing in [*range(1, 13), *range(13, length, length // 20)]:
        yield content[:-missing]
    yield from (b"", bytes(length), bytes(64) + content[64:], b"<!doctype html><p>404</p>",
                content[length // 2 :])  # fmt: skip


def test_all_truncations_of_real_images_and_all_that_are_none_are_found(data_dir, tmp_path):
    source = data_dir / "imagenette2-128" / "train"
    folder, count = tmp_path / "photographs", 0
    for name in ("n01440764", "n03888257"):
        (folder / name).mkdir(parents=True)
        for image in sorted((source / name).iterdir())[:5]:
            for content in damages(image.read_bytes()):
                (folder / name / f"damaged-{count:03}.JPEG").write_bytes(content)
                count += 1
            shutil.copy(image, folder / name / f"whole-{image.name}")
    assert count > 300
    problems = verified(folder, 65)["problems"]
    assert {problem["kind"] for problem in problems} == {"image"}
    assert len({problem["where"] for problem in problems}) == count
    assert not any("whole-" in problem["where"] for problem in problems)


@pytest.mark.slow
def test_imagenette_and_its_records_verify(data_dir, tmp_path):
    assert command("data", "verify", "imagenette", "--data-dir", data_dir).code == 0
    done = command("data", "rec", data_dir / "imagenette2-128", "--out", tmp_path)
    assert done.code == 0, done.err
    found = verified(tmp_path, 0)
    assert (found["train"]["images"], found["val"]["images"]) == (9469, 3925)


def test_imagenette_is_known_by_name(root, tmp_path):
    root.rename(tmp_path / "imagenette2")
    done = command("data", "verify", "imagenette", "--data-dir", tmp_path, "--json")
    assert done.code == 65
    reasons = [p["reason"] for p in done.document["problems"]]
    assert any("has 10 classes, there are 3" in reason for reason in reasons)
    assert any("18 images, imagenette has 9,469" in reason for reason in reasons)


def tar_of(files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


@pytest.fixture
def archives(tmp_path):
    """Three archives of the official form: three classes, six training, four validation images."""
    folder = tmp_path / "archives"
    folder.mkdir()
    picture = iter(encoded(photograph(i, size=(20, 30))) for i in range(20))
    classes = {f"{w}.tar": tar_of({f"{w}_{i}.JPEG": next(picture) for i in (1, 20)}) for w in WNIDS}
    (folder / TRAIN).write_bytes(tar_of(classes))
    images = {f"ILSVRC2012_val_{i:08}.JPEG": next(picture) for i in range(1, 5)}
    (folder / VALIDATION).write_bytes(tar_of(images))
    dtype = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    rows = [(i + 1, w, f"word {i}", 0) for i, w in enumerate(WNIDS)]
    table = np.array([*rows, (4, "n99999999", "entity", 3)], dtype=dtype)
    meta = io.BytesIO()
    savemat(meta, {"synsets": table.reshape(-1, 1)})
    truth = b"1\n3\n1\n2\n"
    kit = tar_of({TRUTH: truth, META: meta.getvalue()})
    import gzip

    (folder / DEVKIT).write_bytes(gzip.compress(kit))
    return folder


def prepare(archives, out, *words, code=0):
    done = command("data", "prepare", "imagenet", "--archives", archives, "--out", out, *words)
    assert done.code == code, (done.out, done.err)
    return done


def test_imagenet_is_unpacked_with_the_classes_of_its_validation_images(archives, tmp_path):
    out = tmp_path / "imagenet"
    done = prepare(archives, out, "--no-checksums", "-j", "2")
    assert "notice: neither" in done.err
    train, val = (FolderListing("imagenet", s, out / s) for s in ("train", "val"))
    assert train.class_names == val.class_names == tuple(sorted(WNIDS))
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    # Images 1 and 3 are of class 1 (n00000003), image 2 of class 3, image 4 of class 2.
    names = {val.path(i).name: val.class_names[val.labels[i]] for i in range(4)}
    assert names == {
        "ILSVRC2012_val_00000001.JPEG": "n00000003", "ILSVRC2012_val_00000002.JPEG": "n00000002",
        "ILSVRC2012_val_00000003.JPEG": "n00000003", "ILSVRC2012_val_00000004.JPEG": "n00000001",
    }  # fmt: skip
    with tarfile.open(archives / VALIDATION) as archive:
        first = archive.extractfile("ILSVRC2012_val_00000001.JPEG").read()
    assert first in [val.read(i) for i in range(4)]


def test_preparing_goes_on_with_the_classes_that_are_missing(archives, tmp_path):
    out = tmp_path / "imagenet"
    prepare(archives, out, "--no-checksums")
    kept = out / "train" / "n00000001" / "n00000001_1.JPEG"
    time_before = os.stat(kept).st_mtime_ns
    shutil.rmtree(out / "train" / "n00000002")
    # What a process that was killed leaves.
    aside = out / "val" / ".tmp-n00000002"
    (out / "val" / "n00000002").rename(aside)
    prepare(archives, out, "--no-checksums")
    assert os.stat(kept).st_mtime_ns == time_before
    assert len(FolderListing("imagenet", "train", out / "train")) == 6
    assert len(FolderListing("imagenet", "val", out / "val")) == 4


def test_archives_that_are_not_the_official_ones_are_refused(archives, tmp_path):
    done = prepare(archives, tmp_path / "out", code=65)
    assert "is not the official archive: its MD5 is" in done.err
    assert "--no-checksums" in done.err
    (archives / DEVKIT).unlink()
    assert DEVKIT in prepare(archives, tmp_path / "out", code=65).err


@pytest.mark.parametrize("name", ["../evil.JPEG", "/evil.JPEG", "n00000009_1.JPEG"])
def test_hostile_members_are_refused_and_write_nothing_outside(archives, tmp_path, name):
    classes = {f"{w}.tar": tar_of({name: b"x"}) for w in WNIDS}
    (archives / TRAIN).write_bytes(tar_of(classes))
    prepare(archives, tmp_path / "deep" / "out", "--no-checksums", code=65)
    assert not list(tmp_path.rglob("*evil*"))


def special(kind, name):
    """A tar archive with one member that is no file, or with a file twice."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for _ in range(2 if kind == tarfile.REGTYPE else 1):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    return content.getvalue()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.REGTYPE]
)
@pytest.mark.parametrize("place", ["train", "class", "val"])
def test_links_devices_and_repeated_members_are_refused(archives, tmp_path, kind, place):
    if place == "val":
        (archives / VALIDATION).write_bytes(special(kind, "ILSVRC2012_val_00000001.JPEG"))
    elif place == "train":
        (archives / TRAIN).write_bytes(special(kind, f"{WNIDS[0]}.tar"))
    else:
        classes = {f"{w}.tar": special(kind, f"{w}_1.JPEG") for w in WNIDS}
        (archives / TRAIN).write_bytes(tar_of(classes))
    prepare(archives, tmp_path / "out", "--no-checksums", "-j", "1", code=65)
    split = "val" if place == "val" else "train"
    assert not list((tmp_path / "out" / split).rglob("*.JPEG"))


def test_a_cut_archive_is_refused(archives, tmp_path):
    content = (archives / VALIDATION).read_bytes()
    (archives / VALIDATION).write_bytes(content[:-12_000])
    done = prepare(archives, tmp_path / "out", "--no-checksums", code=65)
    assert "is damaged" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rec", "DATA"), "needs --out"),
        (("prepare", "imagenet", "--out", "x"), "needs --archives"),
        (("prepare", "cifar10", "--archives", "x", "--out", "x"), "cannot be prepared"),
        (("list", "--out", "x"), "no effect"),
        (("verify", "nothing-here"), "neither a data set nor a folder"),
        (("rec", "DATA", "--out", "x", "-j", "0"), "-j is 0"),
        (("verify",), "needs a name"),
    ],
)
def test_what_cannot_be_meant_is_refused(root, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    done = command("data", *(str(root) if word == "DATA" else word for word in words))
    assert done.code == 2
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 2


def test_a_full_disk_is_told_before_anything_is_unpacked(archives, tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    done = prepare(archives, tmp_path / "out", "--no-checksums", code=74)
    assert "make room" in done.err


def test_two_processes_do_not_write_one_folder(root, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with making.locked(out):
        done = command("data", "rec", root, "--out", out)
    assert done.code == 75
    assert "another process is writing" in done.err
