"""What float16 keeps in float32, and what an overflow does; float16 itself needs a GPU."""

import json
from dataclasses import replace

import numpy as np
import pytest
import small_run
from small_run import IMAGES, assert_same_state, batches, spec_of

from gluontricks.errors import DivergedError
from gluontricks.learners import ENGINES, LearnerState
from gluontricks.learners.mxnet import graphs
from gluontricks.learners.mxnet import learner as mxnet_learner
from gluontricks.losses import DistillationLoss, SoftCrossEntropy
from gluontricks.models import get_model
from gluontricks.mxnet_shim import mx
from gluontricks.pipeline import Pipeline
from gluontricks.tracing import TrainingGraph

FULL = np.dtype("float32")


@pytest.fixture(params=ENGINES)
def half(request, monkeypatch):
    """Make learners of float16 where there is no GPU: all of one but the network's arithmetic."""
    if request.param == "torch":
        pytest.importorskip("torch")
        from gluontricks.learners.torch import devices
        from gluontricks.learners.torch import learner as torch_learner

        monkeypatch.setattr(devices, "check_cpu", lambda _: None)
        monkeypatch.setattr(torch_learner, "autocast", lambda *_: devices.nullcontext())
    monkeypatch.setattr(mxnet_learner, "in_precision", lambda net, *_: net)

    def make(**changes):
        return small_run.learner_of(request.param, dtype="float16", **changes)

    return make


def inputs_of(learner, batch):
    if learner.spec.device == "cpu" and hasattr(learner, "devices"):
        inputs, beside = learner.inputs(batch, learner.device)
        return [array.asnumpy() for array in (inputs, *beside)]
    return [tensor.numpy() for tensor in learner.inputs(batch)]


def test_a_step_of_float16_keeps_float32_parameters_statistics_and_checkpoints(half):
    learner = half(ema=0.5)
    for batch in batches()[:2]:
        learner.step(batch)
    state = learner.state()
    assert {value.dtype for value in state.arrays.values()} == {FULL}
    assert {kind[:2] for kind in state.arrays} == {"p/", "o/", "e/"}
    assert {value.dtype for value in learner.gradients().values()} == {FULL}
    assert learner.losses().dtype == FULL
    assert learner.predict(IMAGES).dtype == FULL


def test_class_ids_above_2048_survive(half):
    """GluonCV casts the labels to float16, which has no 2049."""
    labels = np.array([2047, 2048, 2049, 2051, 2501, 2998, 2999, 0])
    assert (labels.astype(np.float16).astype(int) != labels).any()
    pipeline = Pipeline(small_run.AUGMENTATION, *small_run.NONE, classes=3000)
    learner = half(classes=3000, pipeline=pipeline)
    batch = replace(batches(mixup_type="none")[0], labels=labels)
    inputs, targets = inputs_of(learner, batch)
    assert (inputs.dtype, targets.dtype) == (FULL, FULL)
    np.testing.assert_array_equal(targets.argmax(axis=1), labels)
    np.testing.assert_array_equal(targets.max(axis=1), 1)


@pytest.mark.parametrize("loss_scale", [None, 128.0, 1024.0])
def test_the_loss_scale_leaves_the_update_as_it_is(half, loss_scale):
    learner = half(loss_scale=loss_scale)
    plain = small_run.learner_of("torch" if hasattr(learner, "values") else "mxnet")
    for one in (learner, plain):
        one.step(batches()[0])
    np.testing.assert_allclose(learner.losses(), plain.losses(), rtol=1e-6)
    scaled, state = learner.state(), plain.state()
    assert scaled.counters["scale"] == (loss_scale or 2.0**16)
    one, other = LearnerState(scaled.arrays, {}), LearnerState(state.arrays, {})
    assert_same_state(one, other, exact=False)
    for path, gradient in plain.gradients().items():
        found = learner.gradients()[path] / learner.scaler.scale
        np.testing.assert_allclose(found, gradient, rtol=1e-3, atol=1e-4, err_msg=path)


def overflow(learner, times):
    """Have the next so many updates of a learner find a gradient that is not finite."""
    plain = learner.scaler.update
    left = [times]

    def update(finite):
        left[0] -= 1
        return plain(finite and left[0] < 0)

    learner.scaler.update = update


@pytest.mark.parametrize("loss_scale", [None, 128.0])
def test_overflows_leave_out_their_updates_and_the_next_one_is_done(half, loss_scale):
    learner, steady = half(loss_scale=loss_scale), half(loss_scale=loss_scale)
    before = learner.state()
    overflow(learner, 3)
    for batch in batches()[:3]:
        learner.step(batch)
    after = learner.state()
    assert_same_state(LearnerState(after.arrays, {}), LearnerState(before.arrays, {}))
    assert after.counters == {
        "updates": 0, "scale": loss_scale or 2.0**13, "scale_good": 0, "scale_skipped": 3,
        "scale_in_a_row": 3,
    }  # fmt: skip
    for one in (learner, steady):
        one.step(batches()[3])
    assert learner.state().counters["updates"] == 1
    assert learner.state().counters["scale_in_a_row"] == 0
    one, other = (LearnerState(x.state().arrays, {}) for x in (learner, steady))
    assert_same_state(one, other, exact=False)


def put_into_gradients(learner, value):
    """Have the next update find a number in one element of one gradient."""
    name = "forward_backward" if hasattr(learner, "devices") else "compute"
    plain = getattr(learner, name)

    def changed(*given, **named):
        found = plain(*given, **named)
        if name == "compute":
            learner.values["output.weight"].grad[1, 2] = value
        else:
            learner.trained["output.weight"].grad()[1, 2] = value
        return found

    setattr(learner, name, changed)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_one_element_of_one_gradient_that_is_not_finite_leaves_the_update_out(half, value):
    learner = half(loss_scale=2.0)
    before = learner.state()
    put_into_gradients(learner, value)
    learner.step(batches()[0])
    assert learner.scaler.skipped == 1
    assert np.isfinite(learner.losses()).all()
    one, other = (LearnerState(x.arrays, {}) for x in (learner.state(), before))
    assert_same_state(one, other)


def test_20_overflows_of_a_constant_scale_stop_the_run_with_another_remedy(half):
    learner = half(loss_scale=4096.0)
    overflow(learner, 20)
    for _ in range(19):
        learner.step(batches()[0])
    with pytest.raises(DivergedError, match="20 times in a row") as caught:
        learner.step(batches()[0])
    assert "--loss-scale than 4096" in caught.value.remedy


@pytest.mark.parametrize("loss", [SoftCrossEntropy, DistillationLoss])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_converted_graph_has_its_products_in_16_bits_and_its_loss_in_32(loss, dtype):
    net = get_model("resnet20_v1", classes=10)
    graph = TrainingGraph(graphs.in_precision(net, dtype, mx.gpu()), loss())
    names = ["data", "targets", "teacher_logits"][: 3 if loss is DistillationLoss else 2]
    symbol = graph(*map(mx.sym.var, names))
    arguments, _, statistics = symbol.infer_type(**dict.fromkeys(names, "float32"))
    assert set(arguments) == set(statistics) == {np.float32}
    internals = symbol.get_internals()
    _, types, _ = internals.infer_type(**dict.fromkeys(names, "float32"))
    nodes = json.loads(internals.tojson())
    operators = [nodes["nodes"][head[0]]["op"] for head in nodes["heads"]]
    by_operator = {}
    for operator, kind in zip(operators, types):
        by_operator.setdefault(operator, set()).add(kind)
    assert np.float32 not in by_operator["Convolution"]
    assert by_operator["log_softmax"] == {np.float32}
    assert by_operator["sum"] == {np.float32}
    if loss is DistillationLoss:
        assert by_operator["softmax"] == {np.float32}
    assert types[-1] is np.float32


def test_the_conversion_shares_the_parameters_in_float32():
    net = get_model("resnet20_v1", classes=10)
    net.initialize()
    converted = graphs.in_precision(net, "float16", mx.gpu())
    own, shared = dict(net.collect_params().items()), dict(converted.collect_params().items())
    assert len(shared) == len(own)
    for name, parameter in shared.items():
        assert parameter is own[name]
        assert parameter.dtype in (np.float32, "float32")


def test_the_scale_of_a_recipe_reaches_the_learner():
    from gluontricks import builders
    from gluontricks.recipes import DEFAULT
    from gluontricks.recipes.resolve import resolve

    recipe = resolve(replace(DEFAULT, dtype="float16", loss_scale=512.0, ema=0.75))
    spec = builders.make_spec(recipe, None, image_size=32)
    assert (spec.loss_scale, spec.ema, spec.dtype) == (512.0, 0.75, "float16")
    assert spec_of().loss_scale is None
