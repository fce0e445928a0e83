import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gluontricks.data.augment import Augmentation
from gluontricks.draws import Draws, Mixing
from gluontricks.errors import DivergedError, IntegrityError, UsageError
from gluontricks.learners import SLOTS, LearnerSpec, LearnerState, TeacherSpec, engine_module
from gluontricks.learners.mxnet import graphs
from gluontricks.learners.mxnet.learner import make_learner
from gluontricks.losses import DistillationLoss, SoftCrossEntropy
from gluontricks.models import get_model
from gluontricks.models.weights import initialize, parameter_paths
from gluontricks.mxnet_shim import mx
from gluontricks.pipeline import Pipeline
from gluontricks.scaling import LossScaler

MODEL, CLASSES, COUNT, BATCH = "resnet8_v1", 4, 24, 8
NONE = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
AUGMENTATION = Augmentation(
    flip=0.5, brightness=0.0, saturation=0.0, hue=0.0, lighting=0.0, crop_pad=2
)
STEPS = 12


def data():
    """Noise with a bright quarter that tells the class: 32 x 32, as digits, and learnable."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, CLASSES, COUNT)
    images = generator.integers(0, 120, (COUNT, 32, 32, 3), dtype=np.uint8)
    for image, label in zip(images, labels):
        top = 16 * (label // 2)
        image[top : top + 16, 8 * (label % 2) : 8 * (label % 2) + 8] += 120
    return images, labels.astype(np.int64)


IMAGES, LABELS = data()


def batches(epochs=4, mixup_type="mixup"):
    mixing = Mixing(mixup_type, 1.0, None, 0, epochs)
    draws = Draws(0, LABELS, (32, 32), BATCH, AUGMENTATION, mixing)
    return [batch for epoch in range(epochs) for batch in draws.batches(epoch)]


def spec_of(**changes):
    spec = LearnerSpec(
        model=MODEL, classes=CLASSES, last_gamma=False, init="xavier", seed=0, image_size=32,
        batch_size=BATCH, optimizer="nag", wd=1e-3, no_wd=False, dtype="float32",
        pipeline=Pipeline(AUGMENTATION, *NONE, classes=CLASSES, label_smoothing=0.1),
    )  # fmt: skip
    return replace(spec, **changes)


def learner_of(rate=0.05, **changes):
    learner = make_learner(spec_of(**changes))
    learner.attach(IMAGES, LABELS)
    learner.begin([rate] * STEPS, [0.9] * STEPS)
    return learner


def trained_parameters(seed=7, model=MODEL):
    """Parameters whose running statistics are not those of a new network."""
    net = get_model(model, classes=CLASSES)
    initialize(net, seed=seed)
    generator = np.random.default_rng(seed)
    values = {}
    for path, parameter in parameter_paths(net).items():
        value = parameter.data().asnumpy()
        if path.endswith("running_mean"):
            value = 0.1 * generator.standard_normal(value.shape).astype(np.float32)
        values[path] = value
    return values


def teacher_of(**changes):
    teacher = TeacherSpec(
        model=MODEL, classes=CLASSES, parameters=trained_parameters(), normalization=NONE,
        temperature=20.0, hard_weight=0.5, form="gluoncv",
    )  # fmt: skip
    return replace(teacher, **changes)


def assert_same_state(one, other, exact=True):
    assert one.counters == other.counters
    assert one.arrays.keys() == other.arrays.keys()
    for key, value in one.arrays.items():
        if exact:
            np.testing.assert_array_equal(value, other.arrays[key], err_msg=key)
        else:
            np.testing.assert_allclose(value, other.arrays[key], rtol=1e-4, atol=1e-5, err_msg=key)


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


RATE = {"nag": 0.05, "sgd": 0.05, "adam": 1e-3, "nadam": 1e-3, "rmsprop": 1e-3, "adadelta": 1.0}


@pytest.mark.parametrize("optimizer", SLOTS)
def test_a_learner_goes_on_from_its_state_bit_for_bit(optimizer):
    learner = learner_of(RATE[optimizer], optimizer=optimizer)
    for batch in batches()[:2]:
        learner.step(batch)
    kept = learner.state()
    for batch in batches()[2:4]:
        learner.step(batch)
    expected, losses = learner.state(), learner.losses()[2:]
    assert np.isfinite(losses).all()
    assert expected.counters["updates"] == 4

    fresh = learner_of(RATE[optimizer], optimizer=optimizer)
    for one in (fresh, learner):
        one.load_state(kept)
        assert_same_state(one.state(), kept)
        for batch in batches()[2:4]:
            one.step(batch)
        assert_same_state(one.state(), expected)
        np.testing.assert_array_equal(one.losses()[-2:], losses)


def test_a_state_is_a_copy_with_the_keys_of_checkpoints():
    learner = learner_of()
    before = learner.state()
    kept = {key: value.copy() for key, value in before.arrays.items()}
    learner.step(batches()[0])
    learner.losses()
    for key, value in before.arrays.items():
        np.testing.assert_array_equal(value, kept[key])
    paths = set(parameter_paths(learner.net))
    trained = {p for p in paths if not p.endswith(("running_mean", "running_var"))}
    assert set(kept) == {f"p/{p}" for p in paths} | {f"o/{p}/mom" for p in trained}


@pytest.mark.parametrize("damage", ["missing", "shape"])
def test_the_state_of_another_network_is_refused_and_changes_nothing(damage):
    learner = learner_of()
    before = learner.state()
    arrays = dict(learner_of(model=MODEL, seed=1).state().arrays)
    if damage == "missing":
        del arrays["o/output.bias/mom"]
    else:
        arrays["p/output.weight"] = arrays["p/output.weight"][:2]
    with pytest.raises(
        IntegrityError, match="the checkpoint is of another network or optimizer: '[op]/output"
    ):
        learner.load_state(LearnerState(arrays, {"updates": 3}))
    assert_same_state(learner.state(), before)


def test_no_wd_exempts_gammas_betas_and_biases_and_nothing_else():
    wd, rate = 0.5, 0.125
    states = {}
    for no_wd in (False, True):
        learner = learner_of(rate, optimizer="sgd", wd=wd, no_wd=no_wd)
        start = learner.state()
        # Nothing starts at zero, so that decay shows everywhere.
        for key, value in start.arrays.items():
            if key.endswith(("beta", "bias")):
                value[:] = 0.5
        learner.load_state(start)
        learner.step(batches()[0])
        states[no_wd] = learner.state().arrays
    decayed = {"gamma": 0, "beta": 0, "bias": 0, "weight": 0}
    for key, value in start.arrays.items():
        kind = key.rpartition(".")[2]
        if key.startswith("p/") and kind in decayed:
            expected = 0.0 if kind == "weight" else rate * wd * value
            moved = states[True][key] - states[False][key]
            np.testing.assert_allclose(moved, expected, atol=1e-5, err_msg=key)
            decayed[kind] += 1
    assert all(decayed.values())


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
    mean, std = (np.float32(v).reshape(1, 3, 1, 1) for v in IMAGENET)
    own = graphs.Teacher(spec_of(teacher=teacher_of()))
    renormalised = graphs.Teacher(spec_of(teacher=teacher_of(normalization=IMAGENET)))
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


class Memory:
    """A teacher's cache that rounds to float16, in a dictionary."""

    def __init__(self):
        self.stored = {}

    def get(self, batch):
        return self.stored.get(batch.step)

    def put(self, batch, logits):
        self.stored[batch.step] = logits.astype(np.float16).astype(np.float32)
        return self.stored[batch.step]


def test_a_run_is_the_same_whether_its_teachers_logits_were_stored_or_not():
    cache, states = Memory(), []
    for _ in range(2):
        learner = learner_of(teacher=teacher_of(cache=cache))
        for batch in batches()[:3]:
            learner.step(batch)
        states.append(learner.state())
    assert sorted(cache.stored) == [0, 1, 2]
    assert_same_state(*states)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 20])
def test_predict_gives_every_image_one_row_whatever_the_padding(count):
    learner = learner_of()
    learner.load_state(LearnerState(
        {**learner.state().arrays, **{f"p/{k}": v for k, v in trained_parameters().items()}},
        {"updates": 0},
    ))  # fmt: skip
    logits = learner.predict(IMAGES[:count])
    assert (logits.shape, logits.dtype) == ((count, CLASSES), np.float32)
    alone = np.concatenate([learner.predict(IMAGES[i : i + 1]) for i in range(count)])
    np.testing.assert_allclose(logits, alone, rtol=1e-5, atol=1e-5)
    inputs = mx.nd.array(IMAGES[:count].transpose(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(logits, learner.net(inputs).asnumpy(), rtol=1e-4, atol=1e-4)


def test_predicting_changes_nothing():
    learner = learner_of()
    learner.step(batches()[0])
    before = learner.state()
    learner.predict(IMAGES)
    assert_same_state(learner.state(), before)


def test_losses_are_one_for_each_step_since_the_last_call():
    learner = learner_of()
    assert learner.losses().shape == (0,)
    for batch in batches()[:3]:
        learner.step(batch)
    assert learner.losses().shape == (3,)
    learner.step(batches()[3])
    assert learner.losses().shape == (1,)


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
    # A backward pass that was still to come would be about twice the forward pass.
    assert max(shares) < 0.3


def run(**changes):
    learner = learner_of(**changes)
    for batch in batches(mixup_type="none")[:STEPS]:
        learner.step(batch)
    return learner, learner.losses()


def has_avx512():
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and "avx512bw" in cpu.read_text(encoding="utf-8")


@pytest.mark.skipif(not has_avx512(), reason="MXNet's bfloat16 needs avx512bw")
def test_bfloat16_trains_like_float32_and_changes_no_other_network():
    _, before = run()
    learner, half = run(dtype="bfloat16")
    _, after = run()
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


def scaled_learner(scale):
    learner = learner_of()
    learner.scaler = LossScaler()
    learner.scaler.scale = scale
    return learner


def test_an_overflow_skips_the_update_and_halves_the_scale():
    learner = scaled_learner(3e38)
    before = learner.state().arrays
    learner.step(batches()[0])
    after = learner.state()
    assert np.isfinite(learner.losses()).all()
    for key, value in before.items():
        if not key.endswith(("running_mean", "running_var")):
            np.testing.assert_array_equal(after.arrays[key], value)
    assert after.counters == {
        "updates": 0, "scale": 1.5e38, "scale_good": 0, "scale_skipped": 1, "scale_in_a_row": 1,
    }  # fmt: skip


def test_a_scaled_step_without_overflow_is_the_unscaled_one():
    plain, scaled = learner_of(), scaled_learner(2.0**10)
    for learner in (plain, scaled):
        learner.step(batches()[0])
    np.testing.assert_allclose(scaled.losses(), plain.losses(), rtol=1e-6)
    scaled, plain = scaled.state(), plain.state()
    assert scaled.counters["updates"] == 1
    assert_same_state(LearnerState(scaled.arrays, {}), LearnerState(plain.arrays, {}), exact=False)


def test_20_overflows_in_a_row_stop_the_run():
    learner = scaled_learner(1.0)
    batch = batches()[0]
    learner.net.output.weight.set_data(mx.nd.full((CLASSES, 64), np.nan))
    for _ in range(19):
        learner.step(batch)
    with pytest.raises(DivergedError, match="20 times in a row"):
        learner.step(batch)


def test_the_state_of_a_scaler_is_kept():
    learner = scaled_learner(3e38)
    learner.step(batches()[0])
    other = scaled_learner(1.0)
    other.load_state(learner.state())
    assert other.scaler.state() == learner.scaler.state()


def test_engines_are_found_by_name():
    assert engine_module("mxnet").make_learner is make_learner
    with pytest.raises(UsageError, match="unknown engine 'mxnett'.*did you mean 'mxnet'"):
        engine_module("mxnett")


def test_only_networks_that_draw_numbers_have_mxnet_seeded():
    plain = get_model(MODEL, classes=10)
    dropping = mx.gluon.nn.HybridSequential()
    dropping.add(mx.gluon.nn.Dropout(0.5), mx.gluon.nn.Dense(2, in_units=3))
    assert (graphs.draws_numbers(plain), graphs.draws_numbers(dropping)) == (False, True)
