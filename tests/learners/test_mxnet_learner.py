import time
from pathlib import Path

import numpy as np
import pytest
import small_run
from small_run import (
    BATCH,
    CLASSES,
    IMAGES,
    MODEL,
    STEPS,
    batches,
    spec_of,
    teacher_of,
)

from gluontricks.errors import UsageError
from gluontricks.learners import engine_module
from gluontricks.learners.mxnet import graphs
from gluontricks.learners.mxnet.team import make_learner
from gluontricks.losses import DistillationLoss, SoftCrossEntropy
from gluontricks.models import get_model
from gluontricks.models.weights import initialize, parameter_paths
from gluontricks.mxnet_shim import mx


def learner_of(rate=0.05, **changes):
    return small_run.learner_of("mxnet", rate, **changes)


def gluon_loop(steps, teacher=None):
    """The same training with Gluon's own trainer: parameters and losses."""
    spec = spec_of(teacher=teacher)
    net = get_model(MODEL, classes=CLASSES)
    initialize(net, seed=0)
    trainer = mx.gluon.Trainer(
        net.collect_params(), "nag", {"learning_rate": 0.05, "momentum": 0.9, "wd": 1e-3},
        kvstore=None,
    )  # fmt: skip
    loss = SoftCrossEntropy()
    if teacher:
        loss = DistillationLoss(20.0, 0.5)
        guide = get_model(MODEL, classes=CLASSES)
        initialize(guide, seed=0)
        for path, parameter in parameter_paths(guide).items():
            parameter.set_data(mx.nd.array(teacher.parameters[path]))
    losses = []
    for batch in batches()[:steps]:
        arrays = spec.pipeline.prepare(IMAGES[batch.indices], batch.labels, batch)
        inputs, targets = (mx.nd.array(a) for a in arrays)
        beside = [targets, guide(inputs)] if teacher else [targets]
        with mx.autograd.record():
            values = loss(net(inputs), *beside)
        values.backward()
        trainer.step(BATCH)
        losses.append(values.mean().asscalar())
    return {p: v.data().asnumpy() for p, v in parameter_paths(net).items()}, losses


@pytest.mark.parametrize("teacher", [None, teacher_of()], ids=["alone", "distilled"])
def test_a_step_is_that_of_a_hand_written_gluon_loop(teacher):
    expected, losses = gluon_loop(1, teacher)
    learner = learner_of(teacher=teacher)
    learner.step(batches()[0])
    np.testing.assert_allclose(learner.losses(), losses, rtol=1e-5)
    for path, value in expected.items():
        actual = learner.state().arrays[f"p/{path}"]
        np.testing.assert_allclose(actual, value, rtol=1e-5, atol=2e-6, err_msg=path)


def test_three_steps_follow_the_hand_written_loop():
    expected, losses = gluon_loop(3)
    learner = learner_of()
    for batch in batches()[:3]:
        learner.step(batch)
    np.testing.assert_allclose(learner.losses(), losses, rtol=1e-4)
    head = learner.state().arrays["p/output.weight"]
    np.testing.assert_allclose(head, expected["output.weight"], rtol=1e-3, atol=1e-4)


def test_a_teacher_in_chunks_equals_the_teacher_at_once(monkeypatch):
    inputs = mx.nd.array(np.random.default_rng(0).random((BATCH, 3, 32, 32)))
    whole = graphs.Teacher(spec_of(teacher=teacher_of())).logits(inputs).asnumpy()
    for chunk in (1, 3, 5):
        monkeypatch.setattr(graphs, "TEACHER_CHUNK", chunk)
        pieces = graphs.Teacher(spec_of(teacher=teacher_of())).logits(inputs).asnumpy()
        assert pieces.shape == (BATCH, CLASSES)
        np.testing.assert_allclose(pieces, whole, rtol=1e-4, atol=1e-5)


def test_a_teacher_sees_the_students_images_in_its_own_normalisation():
    pixels = np.random.default_rng(0).random((BATCH, 3, 32, 32)).astype(np.float32)
    mean, std = (np.float32(v).reshape(1, 3, 1, 1) for v in small_run.IMAGENET)
    own = graphs.Teacher(spec_of(teacher=teacher_of()))
    renormalised = graphs.Teacher(spec_of(teacher=teacher_of(normalization=small_run.IMAGENET)))
    np.testing.assert_allclose(
        renormalised.logits(mx.nd.array(pixels)).asnumpy(),
        own.logits(mx.nd.array((pixels - mean) / std)).asnumpy(),
        rtol=1e-4, atol=1e-4,
    )  # fmt: skip
    assert own.change is None


def test_a_teacher_learns_nothing():
    learner = learner_of(teacher=teacher_of())
    net = learner.teacher.net
    before = {p: v.data().asnumpy() for p, v in parameter_paths(net).items()}
    for batch in batches()[:2]:
        learner.step(batch)
    assert np.isfinite(learner.losses()).all()
    for path, value in before.items():
        np.testing.assert_array_equal(parameter_paths(net)[path].data().asnumpy(), value)
    assert not any("teacher" in key for key in learner.state().arrays)


def test_when_losses_are_read_the_updates_are_done():
    learner = learner_of(model="resnet56_v1")
    shares = []
    for batch in batches()[:STEPS]:
        started = time.perf_counter()
        learner.step(batch)
        learner.losses()
        read = time.perf_counter()
        mx.nd.waitall()
        shares.append((time.perf_counter() - read) / (read - started))
    # A backward pass still to come would be twice the forward pass, in each step; a stall is one.
    assert np.median(shares) < 0.3


def has_avx512():
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and "avx512bw" in cpu.read_text(encoding="utf-8")


@pytest.mark.skipif(not has_avx512(), reason="MXNet's bfloat16 needs avx512bw")
def test_bfloat16_trains_like_float32_and_changes_no_other_network():
    _, before = small_run.run("mxnet")
    learner, half = small_run.run("mxnet", dtype="bfloat16")
    _, after = small_run.run("mxnet")
    np.testing.assert_array_equal(after, before)
    assert not np.array_equal(half, before)
    np.testing.assert_allclose(half, before, rtol=0.1, atol=0.05)
    assert before[-3:].mean() < before[:3].mean()
    state = learner.state()
    assert {value.dtype for value in state.arrays.values()} == {np.dtype("float32")}
    assert learner.predict(IMAGES).dtype == np.float32


def test_float16_on_a_cpu_is_refused_with_what_works():
    with pytest.raises(UsageError, match="--dtype float16 needs a GPU") as caught:
        make_learner(spec_of(dtype="float16"))
    assert "bfloat16" in caught.value.remedy


def test_engines_are_found_by_name():
    assert engine_module("mxnet").make_learner is make_learner
    with pytest.raises(UsageError, match="unknown engine 'mxnett'.*did you mean 'mxnet'"):
        engine_module("mxnett")


def test_only_networks_that_draw_numbers_have_mxnet_seeded():
    plain = get_model(MODEL, classes=10)
    dropping = mx.gluon.nn.HybridSequential()
    dropping.add(mx.gluon.nn.Dropout(0.5), mx.gluon.nn.Dense(2, in_units=3))
    assert (graphs.draws_numbers(plain), graphs.draws_numbers(dropping)) == (False, True)
