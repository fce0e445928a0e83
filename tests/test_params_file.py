import struct
import time
import tracemalloc

import numpy as np
import pytest

from gluontricks.errors import DataError
from gluontricks.mxnet_shim import mx
from gluontricks.params_file import dump_params, parse_params, read_params, write_params

DTYPES = ["float32", "float64", "float16", "uint8", "int8", "int32", "int64"]


def example():
    generator = np.random.RandomState(0)
    arrays = {
        f"layer.{dtype}": (100 * generator.standard_normal((2, 3, 4))).astype(dtype)
        for dtype in DTYPES
    }
    arrays["truth"] = np.array([True, False, True])
    arrays["naïve.名"] = np.arange(5, dtype=np.float32)
    return arrays


def assert_equal(actual, expected):
    assert list(actual) == list(expected)
    for name, values in expected.items():
        assert actual[name].dtype == values.dtype
        np.testing.assert_array_equal(actual[name], values)


def test_round_trip_without_mxnet(tmp_path):
    write_params(tmp_path / "a.params", example())
    assert_equal(read_params(tmp_path / "a.params"), example())


def test_mxnet_loads_what_is_written(tmp_path):
    write_params(tmp_path / "a.params", example())
    loaded = mx.nd.load(str(tmp_path / "a.params"))
    assert_equal({name: loaded[name].asnumpy() for name in example()}, example())


def test_what_mxnet_saves_is_read_and_written_alike(tmp_path):
    path = tmp_path / "a.params"
    arrays = {name: mx.nd.array(v, dtype=v.dtype) for name, v in example().items()}
    mx.nd.save(str(path), arrays)
    assert_equal(read_params(path), example())
    assert dump_params(read_params(path)) == path.read_bytes()


V2 = 0xF993FAC9


def record(version, shape, values, *, flag=0, storage=0, axes=None):
    """Return the bytes of one array, built by hand."""
    head = struct.pack("<I", version)
    if version != 0xF993FAC8:
        head += struct.pack("<i", storage)
    head += struct.pack("<i", len(shape) if axes is None else axes)
    head += struct.pack(f"<{len(shape)}q", *shape)
    return head + struct.pack("<iii", 1, 0, flag) + values


def file_of(*records, names=("x",), magic=0x112):
    head = struct.pack("<QQQ", magic, 0, len(records)) + b"".join(records)
    named = b"".join(struct.pack("<Q", len(n)) + n.encode() for n in names)
    return head + struct.pack("<Q", len(names)) + named


FOUR = struct.pack("<4f", 1, 2, 3, 4)


@pytest.mark.parametrize("version", [0xF993FAC8, 0xF993FAC9, 0xF993FACA])
def test_every_dense_version_is_read(version):
    values = parse_params(file_of(record(version, (2, 2), FOUR)))["x"]
    np.testing.assert_array_equal(values, [[1, 2], [3, 4]])


def test_numpy_style_scalars_are_read():
    values = parse_params(file_of(record(0xF993FACA, (), FOUR[:4])))["x"]
    assert values.shape == ()
    assert values == 1.0


def test_bfloat16_is_read_as_the_equal_float32():
    values = np.array([1.0, -2.5, 3.140625, 2.0**-130], dtype=np.float32)
    halves = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    assert_equal(parse_params(file_of(record(V2, (4,), halves, flag=12))), {"x": values})


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "ends at byte 0"),
        (file_of(record(V2, (4,), FOUR), magic=0x113), "does not start"),
        (file_of(record(7, (4,), FOUR)), "array version 0x7"),
        (file_of(record(V2, (4,), FOUR, storage=1)), "sparse"),
        (file_of(record(V2, (4,), FOUR, flag=99)), "data type 99"),
        (file_of(record(V2, (4,), FOUR, axes=9)), "9 axes"),
        (file_of(record(V2, (4,), FOUR, axes=-1)), "-1 axes"),
        (file_of(record(V2, (), b"")), "no values"),
        (file_of(record(V2, (0,), b"")), "no values"),
        (file_of(record(V2, (-4,), FOUR)), "no values"),
        (file_of(record(V2, (1 << 62, 1 << 62), FOUR)), "middle of a value"),
        (file_of(record(V2, (1 << 32, 1 << 32), FOUR)), "middle of a value"),
        (file_of(record(V2, (4,), b"\2\0\1\0", flag=7)), "truth value"),
        (file_of(record(V2, (4,), FOUR), names=()), "1 arrays and 0 names"),
        (file_of(*[record(V2, (4,), FOUR)] * 2, names=("x", "x")), "twice"),
        (file_of(record(V2, (4,), FOUR))[:-1] + b"\xff", "UTF-8"),
        (file_of(record(V2, (4,), FOUR)) + b"\0", "1 bytes follow"),
        (struct.pack("<QQQ", 0x112, 0, 1 << 63), "announces"),
    ],
)
def test_impossible_content_is_refused(content, match):
    with pytest.raises(DataError, match=match):
        parse_params(content)


def test_every_truncation_is_refused():
    content = dump_params({"a": np.ones((2, 2), np.float32), "b": np.ones(3, np.int64)})
    for size in range(len(content)):
        with pytest.raises(DataError):
            parse_params(content[:size])


def test_a_thousand_damaged_files_are_refused_or_read_without_big_allocations():
    content = dump_params(example())
    generator = np.random.RandomState(0)
    tracemalloc.start()
    start, refused = time.perf_counter(), 0
    for _ in range(1000):
        mutant = bytearray(content)
        for _ in range(generator.randint(1, 9)):
            mutant[generator.randint(len(mutant))] = generator.randint(256)
        try:
            arrays = parse_params(bytes(mutant))
        except DataError:
            refused += 1
        else:
            assert sum(values.nbytes for values in arrays.values()) < len(content) * 2
    seconds = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused > 100
    assert seconds < 10
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "values",
    [
        np.float32(1),
        np.zeros((0, 3), np.float32),
        np.zeros((1,) * 9, np.float32),
        np.zeros(2, np.complex64),
        np.zeros(2, np.uint16),
        np.array(["text"]),
    ],
    ids=["scalar", "empty", "nine axes", "complex", "uint16", "text"],
)
def test_what_the_format_cannot_hold_is_refused(values):
    with pytest.raises(DataError, match="'x'"):
        dump_params({"x": values})


def test_other_memory_layouts_are_written_by_value():
    values = np.arange(6, dtype=">f4").reshape(2, 3).T
    np.testing.assert_array_equal(parse_params(dump_params({"x": values}))["x"], values)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.params", tmp_path):
        with pytest.raises(DataError, match=path.name):
            read_params(path)
