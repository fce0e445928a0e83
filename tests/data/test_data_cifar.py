from __future__ import annotations

import pickle
import tarfile

import numpy as np
import pytest
from cifar_files import FORMS, batches, python2, python3, write_archive, write_folder

from gluontricks.data import DATASETS, load_split
from gluontricks.data.registry import COARSE_NAMES, FINE_NAMES, FINE_TO_COARSE
from gluontricks.errors import DataError, UsageError

KINDS = {"cifar10": "labels", "cifar100": "fine_labels", "cifar100-coarse": "coarse_labels"}


def family(name):
    return name.split("-")[0]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", list(KINDS))
def test_every_official_form_reads_as_the_images_it_was_written_from(tmp_path, name, form, packed):
    (write_archive if packed else write_folder)(tmp_path, family(name), form)
    for split in ("train", "test"):
        images = load_split(name, split, data_dir=tmp_path)
        written = batches(family(name), split).values()
        labels = np.concatenate([batch[KINDS[name]] for batch in written])
        planes = np.concatenate([batch["data"] for batch in written])
        assert images.images.dtype == np.uint8
        assert images.labels.dtype == np.int64
        np.testing.assert_array_equal(images.labels, labels)
        np.testing.assert_array_equal(images.images.transpose(0, 3, 1, 2).reshape(-1, 3072), planes)
        assert len(images.files) == len(written)
        assert images.class_names == DATASETS[name].class_names


@pytest.mark.usefixtures("small")
def test_the_hash_names_the_content_and_not_the_form(tmp_path):
    hashes = set()
    for form in FORMS:
        write_folder(tmp_path / form, "cifar100", form)
        hashes.add(load_split("cifar100", "test", data_dir=tmp_path / form).sha256)
    coarse = load_split("cifar100-coarse", "test", data_dir=tmp_path / "binary").sha256
    assert len(hashes) == 1
    assert coarse not in hashes


@pytest.mark.usefixtures("small")
def test_the_folder_is_the_argument_then_the_variable_then_the_home(tmp_path, monkeypatch):
    homes = {place: tmp_path / place for place in ("argument", "variable", "home")}
    write_folder(homes["home"] / ".gluontricks" / "data", "cifar10")
    monkeypatch.setenv("HOME", str(homes["home"]))
    monkeypatch.delenv("GLUONTRICKS_DATA", raising=False)
    assert len(load_split("cifar10", "test")) == 10
    monkeypatch.setenv("GLUONTRICKS_DATA", str(homes["variable"]))
    with pytest.raises(DataError, match="variable"):
        load_split("cifar10", "test")
    with pytest.raises(DataError, match="argument"):
        load_split("cifar10", "test", data_dir=homes["argument"])


@pytest.mark.usefixtures("small")
def test_the_official_folder_itself_may_be_given(tmp_path):
    place = write_folder(tmp_path, "cifar100")
    assert len(load_split("cifar100", "test", data_dir=place)) == 100


def test_missing_data_names_the_folder_and_the_command(tmp_path):
    with pytest.raises(DataError) as caught:
        load_split("cifar100-coarse", "train", data_dir=tmp_path)
    assert str(tmp_path) in caught.value.cause
    assert "cifar-100-binary.tar.gz" in caught.value.cause
    assert "gluontricks data fetch cifar100'" in caught.value.remedy


@pytest.mark.parametrize(("name", "split"), [("cifar1000", "train"), ("cifar100", "valid")])
def test_unknown_names_offer_what_exists(name, split):
    with pytest.raises(UsageError, match="unknown") as caught:
        load_split(name, split)
    assert "cifar100" in caught.value.remedy or "train" in caught.value.remedy


PAGE = b"<!DOCTYPE html><html>not found</html>"


# Which bytes of the file are replaced by what, and what is said about it.
DAMAGE = {
    "truncated": (slice(-1, None), b"", "bytes instead of"),
    "too long": (slice(0, 0), b"x", "bytes instead of"),
    "empty": (slice(None), b"", "has 0 bytes"),
    "a page": (slice(None), PAGE, "web page"),
    "fine label 100": (slice(1, 2), b"\x64", "go from 0 to 99"),
    "coarse label 20": (slice(0, 1), b"\x14", "go from 0 to 19"),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", list(DAMAGE))
def test_damaged_binary_files_are_refused_with_the_reason(tmp_path, kind):
    place, replacement, reason = DAMAGE[kind]
    path = write_folder(tmp_path, "cifar100") / "test.bin"
    content = bytearray(path.read_bytes())
    content[place] = replacement
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        load_split("cifar100", "test", data_dir=tmp_path)
    assert "test.bin" in str(caught.value) or "cifar-100-binary" in str(caught.value)
    assert "data fetch cifar100" in caught.value.remedy


@pytest.mark.usefixtures("small")
def test_a_class_of_the_wrong_size_and_a_wrong_superclass_are_refused(tmp_path):
    path = write_folder(tmp_path, "cifar100") / "test.bin"
    records = np.frombuffer(path.read_bytes(), np.uint8).reshape(100, 3074).copy()
    swapped = records.copy()
    swapped[:, 0] = np.roll(swapped[:, 0], 1)
    path.write_bytes(swapped.tobytes())
    with pytest.raises(DataError, match="belongs to superclass"):
        load_split("cifar100", "test", data_dir=tmp_path)
    records[0, :2] = records[1, :2]
    path.write_bytes(records.tobytes())
    with pytest.raises(DataError, match=r"class \d+ of .* has \d+ images instead of"):
        load_split("cifar100", "test", data_dir=tmp_path)


PICKLED_DAMAGE = {
    "no data": (lambda batch: batch.pop("data"), "no 'data'"),
    "no labels": (lambda batch: batch.pop("fine_labels"), "no 'fine_labels'"),
    "few labels": (lambda batch: batch.update(fine_labels=np.arange(9)), "not 100 numbers"),
    "few images": (lambda batch: batch.update(data=batch["data"][:9]), "not 100 rows"),
    "real pixels": (
        lambda batch: batch.update(data=batch["data"].astype(np.float32)),
        "unsigned bytes",
    ),
    "negative": (
        lambda batch: batch.update(fine_labels=batch["fine_labels"] - 1),
        "go from 0 to 99",
    ),
    "huge": (
        lambda batch: batch.update(fine_labels=batch["fine_labels"] + 10**30),
        "something else than a class",
    ),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", list(PICKLED_DAMAGE))
def test_wrong_python_batches_are_refused_with_the_reason(tmp_path, kind):
    change, reason = PICKLED_DAMAGE[kind]
    place = write_folder(tmp_path, "cifar100", "python3")
    batch = batches("cifar100", "test")[0]
    if kind == "huge":
        batch["fine_labels"] = batch["fine_labels"].astype(object)
    change(batch)
    (place / "test").write_bytes(python3(batch))
    with pytest.raises(DataError, match=reason):
        load_split("cifar100", "test", data_dir=tmp_path)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_every_protocol_since_2_is_read(tmp_path, protocol):
    place = write_folder(tmp_path, "cifar100", "python3")
    expected = load_split("cifar100", "test", data_dir=tmp_path).sha256
    batch = batches("cifar100", "test")[0]
    (place / "test").write_bytes(python3(batch, protocol))
    assert load_split("cifar100", "test", data_dir=tmp_path).sha256 == expected
    renamed = python2(batch).replace(b"numpy.core.multiarray", b"numpy._core.multiarray")
    (place / "test").write_bytes(renamed)
    assert load_split("cifar100", "test", data_dir=tmp_path).sha256 == expected


def member(name, kind=tarfile.REGTYPE, size=0):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = "/etc/passwd"
    info.size = size
    return info


HOSTILE = {
    "link": member("cifar-100-binary/link", tarfile.SYMTYPE),
    "hard link": member("cifar-100-binary/link", tarfile.LNKTYPE),
    "device": member("cifar-100-binary/null", tarfile.CHRTYPE),
    "pipe": member("cifar-100-binary/pipe", tarfile.FIFOTYPE),
    "parent": member("cifar-100-binary/../../escape"),
    "absolute": member("/etc/cron.d/escape"),
    "bomb": member("cifar-100-binary/bomb", size=300 << 20),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", list(HOSTILE))
def test_hostile_archives_are_refused(tmp_path, kind, monkeypatch):
    monkeypatch.setattr("gluontricks.data.archives.MAX_BYTES", 8 << 20)
    extra = HOSTILE[kind]
    extra.size = min(extra.size, 9 << 20)
    write_archive(tmp_path, "cifar100", extra=extra)
    with pytest.raises(DataError, match="damaged"):
        load_split("cifar100", "test", data_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-100-binary.tar.gz"]


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch, small):  # noqa: ARG001
    write_folder(tmp_path, "cifar100")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(tmp_path), "read_bytes", refuse)
    with pytest.raises(DataError, match=r"test.bin' cannot be read: Permission denied"):
        load_split("cifar100", "test", data_dir=tmp_path)


@pytest.mark.usefixtures("small")
def test_archives_with_folders_and_attributes_are_read(tmp_path):
    extra = member("cifar-100-binary/", tarfile.DIRTYPE)
    extra.pax_headers = {"mtime": "1234567890.5"}
    write_archive(tmp_path, "cifar100", extra=extra)
    assert len(load_split("cifar100", "test", data_dir=tmp_path)) == 100


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_truncated_archives_are_refused(tmp_path, share):
    path = write_archive(tmp_path, "cifar100")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match="damaged"):
        load_split("cifar100", "test", data_dir=tmp_path)


@pytest.mark.usefixtures("small")
def test_a_page_saved_as_an_archive_and_a_missing_member_are_refused(tmp_path):
    path = write_archive(tmp_path, "cifar100")
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(member("cifar-100-binary/other"))
    with pytest.raises(DataError, match="no member 'cifar-100-binary/test.bin'"):
        load_split("cifar100", "test", data_dir=tmp_path)
    path.write_bytes(PAGE)
    with pytest.raises(DataError, match="web page"):
        load_split("cifar100", "test", data_dir=tmp_path)


def test_names_of_classes_are_those_of_the_official_file(data_dir):
    meta = pickle.loads((data_dir / "cifar-100-binary" / "meta").read_bytes(), encoding="latin1")
    assert tuple(meta["fine_label_names"]) == FINE_NAMES
    assert tuple(meta["coarse_label_names"]) == COARSE_NAMES


# Labels and pixels as printed in many tutorials.
FIRST = {
    ("cifar10", "train"): [6, 9, 9, 4, 1],
    ("cifar10", "test"): [3, 8, 8, 0, 6],
    ("cifar100", "train"): [19, 29, 0, 11, 1],
    ("cifar100", "test"): [49, 33, 72, 51, 71],
}


@pytest.mark.parametrize(("name", "split"), list(FIRST))
def test_real_files_hold_the_known_images(data_dir, name, split):
    images = load_split(name, split, data_dir=data_dir)
    assert images.labels[:5].tolist() == FIRST[name, split]
    assert len(images) == getattr(DATASETS[name], f"{split}_size")
    if (name, split) == ("cifar10", "train"):
        assert images.images[0, 0, 0].tolist() == [59, 62, 63]


def test_real_coarse_labels_follow_from_the_fine_ones(data_dir):
    fine = load_split("cifar100", "test", data_dir=data_dir)
    coarse = load_split("cifar100-coarse", "test", data_dir=data_dir)
    np.testing.assert_array_equal(np.array(FINE_TO_COARSE)[fine.labels], coarse.labels)
    np.testing.assert_array_equal(fine.images, coarse.images)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_means_and_deviations_are_those_of_the_real_training_images(data_dir, name):
    pixels = load_split(name, "train", data_dir=data_dir).images.reshape(50_000, -1, 3)
    # The numbers in use for CIFAR-10 are means of the deviations within each image.
    axes = (0, 1) if name == "cifar100" else 1
    for channel in range(3):
        plane = pixels[:, :, channel].astype(np.float32) / 255
        assert plane.mean(dtype=np.float64) == pytest.approx(DATASETS[name].mean[channel], abs=6e-5)
        assert plane.std(axis=axes).mean() == pytest.approx(DATASETS[name].std[channel], abs=2e-4)
