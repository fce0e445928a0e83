import contextlib
import json
import os
import pickle
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluontricks import checkpoints
from gluontricks.checkpoints import Checkpoint, dump, parse
from gluontricks.errors import DiskError, IntegrityError
from gluontricks.files import sha256_bytes


def state(seed=0):
    generator = np.random.default_rng(seed)
    return Checkpoint(
        {
            "p/a.weight": generator.standard_normal((4, 3)).astype(np.float32),
            "p/b.running_mean": np.zeros(2, dtype=np.float32),
            "o/a.weight/mom": generator.standard_normal((4, 3)),
            "l/epoch": np.zeros(0, dtype=np.float32),
        },
        {"updates": 7, "scale": 65536.0},
    )


def write(folder, step, seed=None):
    return checkpoints.write(folder, step, state(step if seed is None else seed))


def flip_bit(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(content))


def assert_equal(found, expected):
    assert found.counters == expected.counters
    assert found.arrays.keys() == expected.arrays.keys()
    for key, value in expected.arrays.items():
        assert found.arrays[key].dtype == value.dtype
        np.testing.assert_array_equal(found.arrays[key], value)


def test_what_is_written_is_read_bit_for_bit(tmp_path):
    found = checkpoints.read(write(tmp_path, 12, seed=3))
    expected = state(3)
    assert_equal(found, Checkpoint(expected.arrays, {"step": 12, **expected.counters}))


def test_the_name_holds_step_and_hash(tmp_path):
    path = write(tmp_path, 123)
    assert path.name == f"ckpt-00000123-{sha256_bytes(path.read_bytes())[:16]}.safetensors"


def test_equal_states_have_equal_bytes_and_names_whatever_their_order(tmp_path):
    one = state()
    other = Checkpoint(dict(reversed(one.arrays.items())), dict(reversed(one.counters.items())))
    assert dump(*one) == dump(*other)
    (tmp_path / "b").mkdir()
    first = checkpoints.write(tmp_path, 1, one)
    second = checkpoints.write(tmp_path / "b", 1, other)
    assert first.name == second.name


@pytest.mark.parametrize("change", ["value", "sign of zero", "counter", "dtype"])
def test_states_that_differ_at_all_have_other_names(tmp_path, change):
    arrays, counters = state()
    if change == "value":
        arrays["p/a.weight"][0, 0] = np.nextafter(arrays["p/a.weight"][0, 0], np.float32(9))
    elif change == "sign of zero":
        arrays["p/b.running_mean"][0] = -0.0
    elif change == "dtype":
        arrays["p/b.running_mean"] = np.zeros(2, dtype=np.float64)
    else:
        counters["updates"] = 8
    changed = checkpoints.write(tmp_path, 1, Checkpoint(arrays, counters))
    assert changed.name != write(tmp_path, 1, seed=0).name


def test_arrays_that_are_not_contiguous_are_kept_as_they_look(tmp_path):
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    path = checkpoints.write(tmp_path, 0, Checkpoint({"p/w": turned}, {}))
    np.testing.assert_array_equal(checkpoints.read(path).arrays["p/w"], turned)


def test_300_flipped_bits_and_100_truncations_are_all_found(tmp_path):
    path = write(tmp_path, 1)
    content = path.read_bytes()
    generator = random.Random(0)
    damaged = []
    for _ in range(300):
        flipped = bytearray(content)
        flipped[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        damaged.append(bytes(flipped))
    damaged += [content[: generator.randrange(len(content))] for _ in range(99)] + [b""]
    for other in damaged:
        path.write_bytes(other)
        with pytest.raises(IntegrityError, match="is damaged"):
            checkpoints.read(path)


def test_a_damaged_newest_is_skipped_with_a_message(tmp_path):
    write(tmp_path, 1)
    damaged = write(tmp_path, 2)
    flip_bit(damaged, 4000)
    messages = []
    found = checkpoints.newest(tmp_path, messages.append)
    assert found.counters["step"] == 1
    assert len(messages) == 1
    assert damaged.name in messages[0]


def test_if_all_are_damaged_the_run_does_not_start_from_scratch(tmp_path):
    for step in (1, 2):
        flip_bit(write(tmp_path, step), 9)
    with pytest.raises(IntegrityError, match="all 2 checkpoints .* are damaged") as caught:
        checkpoints.newest(tmp_path, lambda _: None)
    assert caught.value.code == 81
    assert "--no-resume" in caught.value.remedy
    assert len(checkpoints.listing(tmp_path)) == 2


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert checkpoints.newest(tmp_path, pytest.fail) is None


def test_the_last_two_are_kept_in_the_order_of_their_steps(tmp_path):
    for step in (0, 9, 10, 100_000_000):
        write(tmp_path, step)
        # Neither the time of a file nor its name as text says which is newer.
        for path in tmp_path.iterdir():
            os.utime(path, (1, 1))
    steps = [checkpoints.read(p).counters["step"] for p in checkpoints.listing(tmp_path)]
    assert steps == [10, 100_000_000]
    assert checkpoints.newest(tmp_path, pytest.fail).counters["step"] == 100_000_000


def test_a_state_that_was_damaged_on_disk_is_written_again(tmp_path):
    write(tmp_path, 1)
    flip_bit(write(tmp_path, 2), 4000)
    checkpoints.newest(tmp_path, lambda _: None)
    # The run goes on from 1 and, being exact, comes to the very state and name of before.
    write(tmp_path, 2)
    assert checkpoints.newest(tmp_path, pytest.fail).counters["step"] == 2


def test_damaged_later_ones_never_push_out_what_was_just_written(tmp_path):
    write(tmp_path, 10)
    good = write(tmp_path, 12).read_bytes()
    for step in (20, 30):
        (tmp_path / f"ckpt-{step:08d}-{'0' * 16}.safetensors").write_bytes(good[:50])
    assert checkpoints.newest(tmp_path, lambda _: None).counters["step"] == 12
    write(tmp_path, 14)
    assert checkpoints.newest(tmp_path, lambda _: None).counters["step"] == 14
    flip_bit(next(tmp_path.glob("ckpt-00000014-*")), 3)
    assert checkpoints.newest(tmp_path, lambda _: None).counters["step"] == 12


def test_temporary_files_of_a_killed_run_are_swept_and_others_stay(tmp_path):
    write(tmp_path, 1)
    (tmp_path / ".tmp-123-abcdef01").write_bytes(b"half")
    (tmp_path / "metrics.jsonl").write_bytes(b"{}")
    (tmp_path / "ckpt-notes.txt").write_bytes(b"mine")
    checkpoints.newest(tmp_path, pytest.fail)
    assert not list(tmp_path.glob(".tmp-*"))
    assert (tmp_path / "metrics.jsonl").exists()
    assert (tmp_path / "ckpt-notes.txt").exists()


def test_a_full_disk_keeps_the_checkpoints_that_were_there(tmp_path, monkeypatch):
    for step in (1, 2):
        write(tmp_path, step)

    def full(*_):
        raise OSError(28, "No space left on device")

    before = sorted(os.listdir(tmp_path))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match="the disk is full"):
        write(tmp_path, 3)
    assert sorted(os.listdir(tmp_path)) == before


def test_only_one_best_is_kept_and_it_is_no_step_to_resume_from(tmp_path):
    write(tmp_path, 1)
    for step in (1, 2):
        best = checkpoints.write_best(tmp_path, step, state(step))
    assert list(tmp_path.glob("best-*")) == [best]
    assert checkpoints.read(best).counters["step"] == 2
    assert checkpoints.newest(tmp_path, pytest.fail).counters["step"] == 1


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


def test_nothing_is_ever_unpickled(tmp_path, monkeypatch):
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("a pickle was read"))
    write(tmp_path, 1)
    checkpoints.newest(tmp_path, pytest.fail)
    content = pickle.dumps(Bomb())
    path = tmp_path / f"ckpt-00000002-{sha256_bytes(content)[:16]}.safetensors"
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        checkpoints.read(path)


def test_arrays_of_objects_cannot_be_written():
    with pytest.raises(Exception, match="object"):
        dump({"p/x": np.array([Bomb()], dtype=object)}, {})


def safetensors_file(header, data=b""):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"__metadata__": {}},
        {"__metadata__": {"gluontricks": "no json"}},
        {"__metadata__": {"gluontricks": "[]"}},
        {"__metadata__": {"gluontricks": "3"}},
        {"__metadata__": {"gluontricks": "null"}},
        {"__metadata__": {"gluontricks": '{"schema": "gluontricks.checkpoint/99"}'}},
        {"__metadata__": {"gluontricks": '"text"'}},
        {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 9]}},
        {"w": {"dtype": "Q7", "shape": [1], "data_offsets": [0, 4]}},
        {"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}},
        {"w": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}},
    ],
)
def test_files_of_others_are_refused(header):
    with pytest.raises(IntegrityError):
        parse(safetensors_file(header, b"\0" * 4 * ("w" in header)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_bytes_make_the_parser_fall_over(data):
    content = bytearray(dump(*state()))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    for damaged in (bytes(content), bytes(content[:cut]), data.draw(st.binary(max_size=60))):
        with contextlib.suppress(IntegrityError):
            assert isinstance(parse(damaged), Checkpoint)


def test_the_network_of_a_checkpoint_is_its_average_where_it_has_one():
    arrays = {"p/a.weight": np.zeros(2), "e/a.weight": np.ones(2), "o/a.weight/mom": np.ones(2)}
    assert {k: v.tolist() for k, v in checkpoints.network_of(arrays).items()} == {
        "a.weight": [1, 1]
    }
    del arrays["e/a.weight"]
    assert checkpoints.network_of(arrays)["a.weight"].tolist() == [0, 0]
