"""MXNet 1.9.1 imports and runs on this Python and NumPy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types

import numpy as np
import pytest

from gluontricks import cuda_libraries, mxnet_patches, mxnet_shim, threads
from gluontricks.errors import UsageError

NUMPY_2 = int(np.__version__.split(".")[0]) >= 2


@pytest.fixture(scope="module")
def mx():
    return mxnet_shim.mx


def run(code, *options, **variables):
    environment = {name: text for name, text in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment.update(variables)
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def printed(code, *options, **variables):
    done = run(code, *options, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def test_importing_mxnet_prints_nothing_even_with_warnings_as_errors():
    code = "from gluontricks.mxnet_shim import mx; print(mx.__version__)"
    assert printed(code, "-W", "error") == ("1.9.1", "")


def test_importing_the_shim_alone_leaves_mxnet_out():
    code = "import sys, gluontricks.mxnet_shim; print('mxnet' in sys.modules)"
    assert printed(code)[0] == "False"


def test_a_failed_plain_import_can_be_repaired():
    code = """
try:
    import mxnet
except Exception:
    pass
from gluontricks.mxnet_shim import mx
print(mx.nd.ones((2, 3)).sum().asscalar())
"""
    assert printed(code)[0] == "6.0"


def test_threads_are_the_physical_cores_unless_the_user_says():
    code = "from gluontricks.mxnet_shim import mx, shim_report; print(shim_report()['threads'])"
    assert printed(code)[0] == str(threads.physical_cores())
    assert printed(code, OMP_NUM_THREADS="1")[0] == "1"


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads in Linux's /proc")
def test_a_copy_on_pythons_thread_starts_no_second_team_unless_the_user_says():
    code = """
import os
from gluontricks.mxnet_shim import mx
import numpy as np
mx.nd.array(np.zeros((128, 3, 32, 32), np.float32)).wait_to_read()
print(len(os.listdir("/proc/self/task")))
"""
    ours = int(printed(code, OMP_NUM_THREADS="4")[0])
    default = {"OMP_NUM_THREADS": "4", "MXNET_CPU_PARALLEL_SIZE": "200000"}
    assert int(printed(code, **default)[0]) == ours + 3


def test_set_threads_decides_before_mxnet_and_refuses_after_it():
    code = """
import os
from gluontricks.errors import UsageError
from gluontricks.mxnet_shim import set_threads
set_threads(3)
from gluontricks.mxnet_shim import mx, shim_report
try:
    set_threads(2)
except UsageError as error:
    print(shim_report()["threads"], os.environ["OMP_NUM_THREADS"], error)
"""
    first = printed(code, OMP_NUM_THREADS="1")[0]
    assert first.startswith("3 3 cannot set 2 threads: MXNet was imported with 3")


def test_fewer_than_one_thread_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="threads must be at least 1, got 0"):
        threads.set_threads(0)
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "all")
    with pytest.raises(UsageError, match="OMP_NUM_THREADS must be at least 1, got all"):
        threads.set_threads()


@pytest.mark.parametrize(("text", "expected"), [("max 100000", None), ("150000 100000", 1.5)])
def test_cpu_quota_reads_the_second_version_of_control_groups(tmp_path, text, expected):
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert threads.cpu_quota(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", None), ("200000", 2.0)])
def test_cpu_quota_reads_the_first_version_of_control_groups(tmp_path, quota, expected):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert threads.cpu_quota(tmp_path) == expected


def test_hardware_threads_of_one_core_count_once(tmp_path, monkeypatch):
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        folder = tmp_path / f"cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings)
    monkeypatch.setattr(threads, "CPUS", tmp_path)
    monkeypatch.setattr(threads, "cpu_quota", lambda: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    assert threads.physical_cores() == 2
    monkeypatch.setattr(threads, "cpu_quota", lambda: 0.5)
    assert threads.physical_cores() == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'mxnet'", name="mxnet"), "make install"),
        (OSError("libgomp.so.1: cannot open shared object file"), "apt-get install libgomp1"),
        (OSError("libquadmath.so.0: cannot open shared object file"), "libquadmath0"),
        (OSError("libcuda.so.1: cannot open shared object file"), "NVIDIA's driver"),
        (OSError("libcudnn.so.8: cannot open shared object file"), "gluontricks[cu112]"),
        (ImportError("something else"), "mxnet==1.9.1"),
    ],
)
def test_a_failed_import_says_what_to_do(monkeypatch, error, words):
    def fail(_):
        raise error

    monkeypatch.setattr(mxnet_shim.importlib, "import_module", fail)
    monkeypatch.setattr(mxnet_shim, "preload", list)
    monkeypatch.setattr(mxnet_shim, "patch_before", dict)
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "2")
    with pytest.raises(mxnet_shim.MXNetError) as caught:
        mxnet_shim._load()
    assert words in caught.value.remedy
    assert caught.value.code == 65


def test_version_stub_orders_by_number_not_by_text():
    version = mxnet_patches._Version
    assert version("1.26.4") >= version("1.9")
    assert version("1.19.5") < version("1.20")


def test_operator_attributes_print_numpy_scalars_as_numbers():
    text = mxnet_patches.attribute_text
    shape = (np.int64(4), [np.float32(0.5), None])
    assert text(shape) == "(4, [0.5, None])"
    assert text(np.float64(0.1)) == "0.1"
    assert text(np.dtype("float32")) == "float32"
    assert text("same") == "same"


def test_shapes_of_numpy_integers_reach_the_operators(mx):
    side = np.int64(4)
    images = mx.nd.arange(32).reshape((np.int64(1), np.int64(2), side, side))
    kernel, pads = (np.int32(3), np.int32(3)), (np.int8(1), np.int8(1))
    weight = mx.nd.ones((3, 2, 3, 3))
    out = mx.nd.Convolution(images, weight, no_bias=True, kernel=kernel, pad=pads, num_filter=3)
    assert out.shape == (1, 3, 4, 4)
    assert mx.sym.zeros((side, side)).eval()[0].shape == (4, 4)


def network(mx):
    net = mx.gluon.nn.HybridSequential()
    net.add(
        mx.gluon.nn.Conv2D(4, 3, padding=1),
        mx.gluon.nn.BatchNorm(),
        mx.gluon.nn.Activation("relu"),
        mx.gluon.nn.GlobalAvgPool2D(),
        mx.gluon.nn.Dense(3),
    )
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=True, static_shape=True)
    return net


def test_a_hybridized_network_learns(mx):
    mx.random.seed(0)
    net, loss = network(mx), mx.gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = mx.gluon.Trainer(net.collect_params(), "nag", {"learning_rate": 0.1, "momentum": 0.9})
    labels = mx.nd.array([0, 1, 2] * 4)
    images = mx.nd.random.uniform(shape=(12, 3, 8, 8)) + labels.reshape((12, 1, 1, 1))
    losses = []
    for _ in range(30):
        with mx.autograd.record():
            each = loss(net(images), labels)
        each.backward()
        trainer.step(12)
        losses.append(float(each.mean().asscalar()))
    assert losses[-1] < 0.5 * losses[0]


def test_an_exported_network_equals_the_live_one(mx, tmp_path):
    net = network(mx)
    images = mx.nd.random.uniform(shape=(2, 3, 8, 8))
    live = net(images).asnumpy()
    net.export(str(tmp_path / "net"))
    back = mx.gluon.SymbolBlock.imports(
        str(tmp_path / "net-symbol.json"), ["data"], str(tmp_path / "net-0000.params")
    )
    np.testing.assert_allclose(back(images).asnumpy(), live, rtol=0, atol=1e-6)


def test_saved_arrays_read_back(mx, tmp_path):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    mx.nd.save(str(tmp_path / "a.params"), {"arg:a": mx.nd.array(values)})
    np.testing.assert_array_equal(mx.nd.load(str(tmp_path / "a.params"))["arg:a"].asnumpy(), values)


@pytest.mark.parametrize("labels", [3.0, np.float32(3), [1.0, 2.0], np.array([1, 2, 3])])
def test_records_keep_labels_and_bytes(mx, labels):
    recordio = mx.recordio
    header, content = recordio.unpack(recordio.pack((0, labels, 7, 8), b"bytes"))
    np.testing.assert_array_equal(header.label, np.asarray(labels, np.float32))
    assert (header.id, header.id2, content) == (7, 8, b"bytes")


def test_replaced_packer_writes_the_bytes_of_the_original(mx):
    stock = types.SimpleNamespace(
        IRHeader=mx.recordio.IRHeader, _IR_FORMAT=mx.recordio._IR_FORMAT, pack=mx.recordio.pack
    )
    mxnet_patches._patch_recordio(stock)
    # uint32 flag, float32 label, two uint64 ids, then the labels: MXNet's record header.
    expected = bytes.fromhex("020000000000000001000000000000000000000000000000")
    expected += np.array([0.5, 2], "<f4").tobytes() + b"x"
    assert stock.pack((0, [0.5, 2], 1, 0), b"x") == expected


def test_names_are_added_only_where_numpy_has_none(mx):
    assert mx is not None
    if NUMPY_2:
        assert np.bool is np.bool_
        assert "operator attributes" in mxnet_shim.shim_report()["patched"]
    else:
        assert np.bool is bool
        assert mxnet_shim.shim_report()["patched"] == []


def test_financial_functions_say_where_they_went():
    with pytest.raises(NotImplementedError, match="numpy-financial"):
        mxnet_patches._missing_function("npv")(0.1, [1, 2])


def test_cuda_libraries_are_found_in_their_order_and_skipped_for_the_cpu_build(
    tmp_path, monkeypatch
):
    for library in reversed(cuda_libraries.LIBRARIES[3:5]):
        path = tmp_path / "nvidia" / library
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [path.name for path in cuda_libraries.find()] == ["libcublasLt.so.11", "libcublas.so.11"]
    loaded = []
    monkeypatch.setattr(cuda_libraries.ctypes, "CDLL", lambda path, **_: loaded.append(path))
    monkeypatch.setattr(cuda_libraries, "cuda_build", lambda: None)
    assert (cuda_libraries.preload(), loaded) == ([], [])
    monkeypatch.setattr(cuda_libraries, "cuda_build", lambda: "mxnet-cu112")
    assert cuda_libraries.preload() == ["libcublasLt.so.11", "libcublas.so.11"]
    assert len(loaded) == 2


def test_the_report_is_plain_data(mx):
    assert mx is not None
    report = mxnet_shim.shim_report()
    assert json.loads(json.dumps(report)) == report
