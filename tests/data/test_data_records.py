from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_folders import encoded, photograph

from gluontricks.data.listing import FolderListing
from gluontricks.data.records import (
    CLASSES_FILE,
    MAGIC,
    RecordListing,
    Source,
    pack,
    pack_image,
    payload_of,
    record_places,
    unpack,
)
from gluontricks.errors import DataError

WORD = struct.pack("<I", MAGIC)
IMAGE = encoded(photograph(0, size=(8, 8)), "PNG")
# Payloads with the magic number at places where it must be cut out, and where it must not.
PAYLOADS = [
    b"", b"a", b"abcd", b"abcde", WORD, WORD * 3, b"abcd" + WORD, WORD + b"x", b"ab" + WORD + b"cd",
    b"abcd" + WORD + WORD + b"ef", bytes(1000), IMAGE,
]  # fmt: skip


@pytest.fixture
def recordio():
    from gluontricks.mxnet_shim import mx

    return mx.recordio


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_a_record_reads_back_and_is_mxnets(tmp_path, recordio, payload):
    assert payload_of(pack(payload), "x") == payload
    writer = recordio.MXRecordIO(str(tmp_path / "theirs.rec"), "w")
    writer.write(payload)
    writer.close()
    assert (tmp_path / "theirs.rec").read_bytes() == pack(payload)
    (tmp_path / "ours.rec").write_bytes(pack(payload))
    assert recordio.MXRecordIO(str(tmp_path / "ours.rec"), "r").read() == payload


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([WORD, b"a", b"bc", b"def", b"\0\0\0\0"]), max_size=12))
def test_any_payload_reads_back(pieces):
    payload = b"".join(pieces)
    record = pack(payload)
    assert len(record) % 4 == 0
    assert payload_of(record, "x") == payload


def test_images_that_mxnet_packed_are_read_with_their_labels(tmp_path, recordio):
    rec, idx = tmp_path / "a.rec", tmp_path / "a.idx"
    writer = recordio.MXIndexedRecordIO(str(idx), str(rec), "w")
    for i in range(5):
        header = recordio.IRHeader(0, float(i % 3), i, 0)
        writer.write_idx(i, recordio.pack(header, IMAGE + bytes([i])))
    writer.write_idx(
        5, recordio.pack(recordio.IRHeader(0, np.array([2.0], np.float32), 5, 0), IMAGE)
    )
    writer.close()
    for index in (idx, None):
        if index is None:
            idx.unlink()
        listing = RecordListing("folder", "train", rec)
        assert listing.labels.tolist() == [0, 1, 2, 0, 1, 2]
        assert [listing.read(i) for i in range(5)] == [IMAGE + bytes([i]) for i in range(5)]
        assert listing.read(5) == IMAGE
        assert listing.class_names == ("class-0", "class-1", "class-2")


def test_our_records_are_read_by_mxnet(tmp_path, recordio):
    (tmp_path / "a.rec").write_bytes(pack_image(IMAGE, 7, 3))
    header, content = recordio.unpack(recordio.MXRecordIO(str(tmp_path / "a.rec"), "r").read())
    assert (header.label, header.id, content) == (7.0, 3, IMAGE)


@pytest.fixture
def listing(tmp_path):
    return write(tmp_path, [pack_image(IMAGE + bytes([i]), i % 2, i) for i in range(4)])


def write(folder, records, *, index=True, names=None):
    path = folder / "train.rec"
    path.write_bytes(b"".join(records))
    starts = np.cumsum([0, *(len(r) for r in records)])[:-1]
    if index:
        lines = "".join(f"{i}\t{start}\n" for i, start in enumerate(starts))
        path.with_suffix(".idx").write_text(lines)
    if names:
        (folder / CLASSES_FILE).write_text("".join(f"{name}\n" for name in names))
    return RecordListing("folder", "train", path)


def test_an_index_gives_the_order(tmp_path, listing):
    lines = (tmp_path / "train.idx").read_text().splitlines()
    (tmp_path / "train.idx").write_text("\n".join(lines[::-1]) + "\n")
    turned = RecordListing("folder", "train", tmp_path / "train.rec")
    assert [turned.read(i) for i in range(4)] == [listing.read(i) for i in (3, 2, 1, 0)]


def read_all(path):
    listing = RecordListing("folder", "train", path)
    for i in range(len(listing)):
        listing.read(i)


def refused(folder, match):
    with pytest.raises(DataError, match=match) as caught:
        read_all(folder / "train.rec")
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "no index|holds no record"),
        ("0 0\n", "is no index"),
        ("0\tx\n", "is no index"),
        ("0\t4\n", "is not the index"),
        ("0\t0\n0\t40\n", "a key twice"),
        ("0\t0\n1\t999999999\n", "is not the index of .*, or that is cut off"),
        ("0\t0\n1\t8\n", "is not the index of"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path, listing, text, match):
    assert len(listing) == 4
    (tmp_path / "train.idx").write_text(text)
    assert "without an index" in refused(tmp_path, match).remedy


def test_an_index_that_leaves_out_a_record_is_refused(tmp_path, listing):
    lines = (tmp_path / "train.idx").read_text().splitlines()
    assert len(listing) == 4
    (tmp_path / "train.idx").write_text("\n".join(lines[:2] + lines[3:]) + "\n")
    refused(tmp_path, "is not the index")


def test_damaged_records_are_named_by_file_number_and_place(tmp_path, listing):
    content = bytearray(listing.path.read_bytes())
    start = int(listing.starts[2])
    for index in (True, False):
        damaged = content.copy()
        damaged[start] ^= 1
        listing.path.write_bytes(bytes(damaged))
        if not index:
            (tmp_path / "train.idx").unlink()
        error = refused(tmp_path, f"record 2 at byte {start}' is damaged: no record begins here")
        assert "gluontricks data rec" in error.remedy


@pytest.mark.parametrize("missing", [1, 5, 30, 60])
def test_a_file_that_was_cut_is_refused(tmp_path, listing, missing):
    content = listing.path.read_bytes()
    listing.path.write_bytes(content[:-missing])
    refused(tmp_path, "damaged|not the index")


def test_labels_that_are_no_class_are_refused(tmp_path):
    for label in (-1.0, 0.5, float("nan"), float("inf"), 2.0**30):
        record = pack(struct.pack("<IfQQ", 0, label, 0, 0) + IMAGE)
        with pytest.raises(DataError, match="label"):
            write(tmp_path, [record])
    several = pack(struct.pack("<IfQQ", 2, 0, 0, 0) + struct.pack("<ff", 1, 2) + IMAGE)
    with pytest.raises(DataError, match="2 labels for an image"):
        write(tmp_path, [several])


def test_a_label_beyond_the_names_of_classes_is_refused(tmp_path):
    with pytest.raises(DataError, match="has the label 2, .* names 2 classes"):
        write(tmp_path, [pack_image(IMAGE, 2, 0)], names=("a", "b"))
    named = write(tmp_path, [pack_image(IMAGE, 1, 0)], names=("a", "b"))
    assert named.class_names == ("a", "b")


def test_records_go_to_other_processes(listing):
    import pickle

    again = pickle.loads(pickle.dumps(listing))
    assert again.read(3) == listing.read(3)
    assert again.sha256 == listing.sha256


def test_the_listing_of_records_has_the_hash_of_the_folder(tmp_path):
    from image_folders import write_folder

    folder = FolderListing("folder", "train", write_folder(tmp_path / "data") / "train")
    records = [pack_image(folder.read(i), int(folder.labels[i]), i) for i in range(len(folder))]
    assert write(tmp_path, records, names=folder.class_names).sha256 == folder.sha256


def mutants(content, count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 5)):
            changed[place] = rng.integers(256)
        if rng.random() < 0.3:
            changed = changed[: rng.integers(0, len(changed))]
        yield bytes(changed)


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_damage_raises_anything_but_an_error_for_the_user(tmp_path, listing, count):
    content, index = listing.path.read_bytes(), (tmp_path / "train.idx").read_bytes()
    causes = []
    for number, changed in enumerate(mutants(content, count)):
        listing.path.write_bytes(changed)
        broken = next(mutants(index, 1, seed=number)) if number % 3 == 0 else index
        (tmp_path / "train.idx").write_bytes(broken)
        try:
            read_all(listing.path)
        except DataError as error:
            causes.append(error.cause)
    assert len(causes) > count / 2
    assert not any("\n" in cause for cause in causes)


def test_places_are_found_without_reading_images(tmp_path):
    records = [pack(p) for p in PAYLOADS]
    path = tmp_path / "a.rec"
    path.write_bytes(b"".join(records))
    ends = np.cumsum([len(r) for r in records]).tolist()
    assert [stop for _, stop in record_places(Source(path))] == ends
    payloads = [payload_of(path.read_bytes()[a:b], "x") for a, b in record_places(Source(path))]
    assert payloads == PAYLOADS
    assert unpack(struct.pack("<IfQQ", 0, 4.0, 0, 0) + b"rest", "x") == (4, b"rest")
