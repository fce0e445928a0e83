import json
from pathlib import Path

import pytest
from gluoncv_reference import zoo_network

from gluontricks.errors import UsageError
from gluontricks.models import get_model
from gluontricks.models.weights import initialize
from gluontricks.mxnet_shim import mx
from gluontricks.summary import estimate_memory, fitting_batch, summarize

GOLDEN = json.loads((Path(__file__).parent / "golden/complexity.json").read_text())
MIB = 1 << 20


def assert_golden(summary, row):
    assert summary["params"] == row["params"]
    if "running" in row:
        assert summary["running"] == row["running"]
    if "macs" in row:
        decimals = len(str(row["macs"]).split(".")[1])
        assert round(summary["macs"] / row["unit"], decimals) == row["macs"]


@pytest.mark.parametrize("row", GOLDEN["cifar"], ids=lambda row: "{model}-{classes}".format(**row))
def test_cifar_networks_have_their_known_complexity(row):
    assert_golden(summarize(get_model(row["model"], classes=row["classes"]), (3, 32, 32)), row)


@pytest.mark.parametrize("row", GOLDEN["imagenet"], ids=lambda row: row["model"])
def test_imagenet_networks_have_their_known_complexity(row):
    size = (3, row["size"], row["size"])
    assert_golden(summarize(get_model(row["model"], classes=row["classes"]), size), row)


@pytest.mark.parametrize("row", GOLDEN["imagenet"][:8], ids=lambda row: row["model"])
def test_the_counter_agrees_on_gluoncvs_imagenet_networks(row):
    net = zoo_network(row["model"], classes=row["classes"])
    assert_golden(summarize(net, (3, row["size"], row["size"])), row)


def small_network():
    net = mx.gluon.nn.HybridSequential()
    net.add(
        mx.gluon.nn.Conv2D(6, 3, groups=2),
        mx.gluon.nn.BatchNorm(),
        mx.gluon.nn.Conv2DTranspose(5, 2, strides=2),
        mx.gluon.nn.Dense(7),
    )
    return net


def test_multiply_adds_by_hand():
    layers = {layer["operator"]: layer for layer in summarize(small_network(), (4, 6, 6))["layers"]}
    # 6 outputs of 4 x 4, each from 2 channels and 9 taps; 6 channels of 4 x 4, each to 5 x 4.
    assert layers["Convolution"]["macs"] == 6 * 16 * 2 * 9
    assert layers["Deconvolution"]["macs"] == 6 * 16 * 5 * 4
    assert layers["FullyConnected"]["macs"] == 5 * 64 * 7
    assert layers["BatchNorm"]["macs"] == 0
    assert layers["Convolution"]["params"] == 6 * 2 * 9 + 6
    assert layers["BatchNorm"]["params"] == 12
    assert layers["FullyConnected"]["output_shape"] == [7]


def test_totals_are_the_sums_of_the_layers():
    summary = summarize(small_network(), (4, 6, 6))
    for key in ("params", "macs", "activations"):
        assert summary[key] == sum(layer[key] for layer in summary["layers"])
    assert summary["activations"] == 6 * 16 * 2 + 5 * 64 + 7
    assert summary["running"] == 12
    json.dumps(summary)


def test_a_shared_layer_counts_its_parameters_once_and_its_work_twice():
    layer = mx.gluon.nn.Dense(4, in_units=4)
    net = mx.gluon.nn.HybridSequential()
    net.add(layer, layer)
    summary = summarize(net, (4,))
    assert summary["params"] == 20
    assert summary["macs"] == 32


def test_the_count_is_the_same_before_and_after_use():
    net = get_model("resnet8_v1", classes=10)
    before = summarize(net, (3, 32, 32))
    initialize(net, seed=0)
    net.hybridize()
    net(mx.nd.zeros((2, 3, 32, 32)))
    after = summarize(net, (3, 32, 32))
    for key in ("params", "running", "macs", "activations", "largest"):
        assert before[key] == after[key]


def test_an_exported_network_is_counted_too(tmp_path):
    net = get_model("resnet8_v1", classes=10)
    initialize(net, seed=0)
    net.hybridize()
    net(mx.nd.zeros((1, 3, 32, 32)))
    net.export(str(tmp_path / "net"))
    imported = mx.gluon.SymbolBlock.imports(
        str(tmp_path / "net-symbol.json"), ["data"], str(tmp_path / "net-0000.params")
    )
    ours, theirs = summarize(net, (3, 32, 32)), summarize(imported, (3, 32, 32))
    assert [ours[k] for k in ("params", "running", "macs")] == [
        theirs[k] for k in ("params", "running", "macs")
    ]


def test_images_that_do_not_fit_are_refused(capfd):
    with pytest.raises(UsageError, match=r"\(4, 32, 32\)"):
        summarize(get_model("resnet8_v1", classes=10), (4, 32, 32))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("model", "batch_size", "training", "peak_mib"),
    [
        ("resnet56_v1", 64, True, 574),
        ("resnet56_v1", 256, True, 1444),
        ("resnet56_v1", 1024, False, 522),
        ("resnet20_v1", 256, True, 761),
        ("resnext29_2x8d", 128, True, 3081),
        ("resnext29_16x64d", 8, True, 2457),
        ("resnext29_16x64d", 32, True, 5898),
        ("resnext29_16x64d", 64, False, 2837),
    ],
)
def test_estimated_memory_is_near_the_peak_measured_on_two_cores(
    model, batch_size, training, peak_mib
):
    summary = summarize(get_model(model, classes=100), (3, 32, 32))
    estimate = estimate_memory(summary, batch_size=batch_size, training=training)
    assert estimate / MIB == pytest.approx(peak_mib, rel=0.1)


@pytest.mark.parametrize("training", [True, False])
def test_the_fitting_batch_is_the_largest_whose_estimate_fits(training):
    summary = summarize(get_model("resnet56_v1", classes=100), (3, 32, 32))
    memory = 2000 * MIB
    batch = fitting_batch(summary, memory=memory, training=training)
    assert estimate_memory(summary, batch_size=batch, training=training) <= memory
    assert estimate_memory(summary, batch_size=batch + 1, training=training) > memory
    assert fitting_batch(summary, memory=MIB, training=training) == 0
