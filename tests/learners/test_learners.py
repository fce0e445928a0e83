"""What every learner keeps, whatever framework it computes with."""

from dataclasses import replace

import numpy as np
import pytest
from small_run import (
    CLASSES,
    IMAGES,
    MODEL,
    Memory,
    assert_same_state,
    batches,
    learner_of,
    spec_of,
    teacher_of,
    trained_parameters,
)

from gluontricks.errors import DivergedError, IntegrityError
from gluontricks.learners import ENGINES, SLOTS, LearnerState, engine_module
from gluontricks.models import get_model
from gluontricks.models.weights import load_parameters, parameter_paths
from gluontricks.mxnet_shim import mx
from gluontricks.scaling import LossScaler
from gluontricks.summary import summarize


@pytest.fixture(params=ENGINES)
def engine(request):
    if request.param == "torch":
        pytest.importorskip("torch")
    return request.param


RATE = {"nag": 0.05, "sgd": 0.05, "adam": 1e-3, "nadam": 1e-3, "rmsprop": 1e-3, "adadelta": 1.0}


@pytest.mark.parametrize("optimizer", SLOTS)
def test_a_learner_goes_on_from_its_state_bit_for_bit(engine, optimizer):
    learner = learner_of(engine, RATE[optimizer], optimizer=optimizer)
    for batch in batches()[:2]:
        learner.step(batch)
    kept = learner.state()
    for batch in batches()[2:4]:
        learner.step(batch)
    expected, losses = learner.state(), learner.losses()[2:]
    assert np.isfinite(losses).all()
    assert expected.counters["updates"] == 4

    fresh = learner_of(engine, RATE[optimizer], optimizer=optimizer)
    for one in (fresh, learner):
        one.load_state(kept)
        assert_same_state(one.state(), kept)
        for batch in batches()[2:4]:
            one.step(batch)
        assert_same_state(one.state(), expected)
        np.testing.assert_array_equal(one.losses()[-2:], losses)


def test_a_state_is_a_copy_with_the_keys_of_checkpoints(engine):
    learner = learner_of(engine)
    before = learner.state()
    kept = {key: value.copy() for key, value in before.arrays.items()}
    learner.step(batches()[0])
    learner.losses()
    for key, value in before.arrays.items():
        np.testing.assert_array_equal(value, kept[key])
    paths = set(parameter_paths(get_model(MODEL, classes=CLASSES)))
    trained = {p for p in paths if not p.endswith(("running_mean", "running_var"))}
    assert set(kept) == {f"p/{p}" for p in paths} | {f"o/{p}/mom" for p in trained}


@pytest.mark.parametrize("damage", ["missing", "shape"])
def test_the_state_of_another_network_is_refused_and_changes_nothing(engine, damage):
    learner = learner_of(engine)
    before = learner.state()
    arrays = dict(learner_of(engine, model=MODEL, seed=1).state().arrays)
    if damage == "missing":
        del arrays["o/output.bias/mom"]
    else:
        arrays["p/output.weight"] = arrays["p/output.weight"][:2]
    with pytest.raises(
        IntegrityError, match="the checkpoint is of another network or optimizer: '[op]/output"
    ):
        learner.load_state(LearnerState(arrays, {"updates": 3}))
    assert_same_state(learner.state(), before)


def test_no_wd_exempts_gammas_betas_and_biases_and_nothing_else(engine):
    wd, rate = 0.5, 0.125
    states = {}
    for no_wd in (False, True):
        learner = learner_of(engine, rate, optimizer="sgd", wd=wd, no_wd=no_wd)
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


def test_a_run_is_the_same_whether_its_teachers_logits_were_stored_or_not(engine):
    cache, states = Memory(), []
    for _ in range(2):
        learner = learner_of(engine, teacher=teacher_of(cache=cache))
        for batch in batches()[:3]:
            learner.step(batch)
        states.append(learner.state())
    assert sorted(cache.stored) == [0, 1, 2]
    assert_same_state(*states)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 20])
def test_predict_gives_every_image_one_row_whatever_the_padding(engine, count):
    learner = learner_of(engine)
    learner.load_state(LearnerState(
        {**learner.state().arrays, **{f"p/{k}": v for k, v in trained_parameters().items()}},
        {"updates": 0},
    ))  # fmt: skip
    logits = learner.predict(IMAGES[:count])
    assert (logits.shape, logits.dtype) == ((count, CLASSES), np.float32)
    alone = np.concatenate([learner.predict(IMAGES[i : i + 1]) for i in range(count)])
    np.testing.assert_allclose(logits, alone, rtol=1e-5, atol=1e-5)
    net = get_model(MODEL, classes=CLASSES)
    load_parameters(net, trained_parameters())
    inputs = mx.nd.array(IMAGES[:count].transpose(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(logits, net(inputs).asnumpy(), rtol=1e-4, atol=1e-4)


def test_predicting_changes_nothing(engine):
    learner = learner_of(engine)
    learner.step(batches()[0])
    before = learner.state()
    learner.predict(IMAGES)
    assert_same_state(learner.state(), before)


def test_losses_are_one_for_each_step_since_the_last_call(engine):
    learner = learner_of(engine)
    assert learner.losses().shape == (0,)
    for batch in batches()[:3]:
        learner.step(batch)
    assert learner.losses().shape == (3,)
    learner.step(batches()[3])
    assert learner.losses().shape == (1,)


def scaled_learner(engine, scale):
    learner = learner_of(engine)
    learner.scaler = LossScaler()
    learner.scaler.scale = scale
    return learner


def test_an_overflow_skips_the_update_and_halves_the_scale(engine):
    learner = scaled_learner(engine, 3e38)
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


def test_a_scaled_step_without_overflow_is_the_unscaled_one(engine):
    plain, scaled = learner_of(engine), scaled_learner(engine, 2.0**10)
    for learner in (plain, scaled):
        learner.step(batches()[0])
    np.testing.assert_allclose(scaled.losses(), plain.losses(), rtol=1e-6)
    scaled, plain = scaled.state(), plain.state()
    assert scaled.counters["updates"] == 1
    assert_same_state(LearnerState(scaled.arrays, {}), LearnerState(plain.arrays, {}), exact=False)


def test_the_state_of_a_scaler_is_kept(engine):
    learner = scaled_learner(engine, 3e38)
    learner.step(batches()[0])
    other = scaled_learner(engine, 1.0)
    other.load_state(learner.state())
    assert other.scaler.state() == learner.scaler.state()


def test_20_overflows_in_a_row_stop_the_run(engine):
    learner = scaled_learner(engine, 1.0)
    batch = batches()[0]
    state = learner.state()
    state.arrays["p/output.weight"][:] = np.nan
    learner.load_state(state)
    for _ in range(19):
        learner.step(batch)
    with pytest.raises(DivergedError, match="20 times in a row"):
        learner.step(batch)


def test_the_same_seed_gives_the_same_initial_weights_on_every_engine(engine):
    for changes in ({}, {"seed": 5, "init": "msra", "last_gamma": True}):
        expected = learner_of("mxnet", **changes).state()
        assert_same_state(learner_of(engine, **changes).state(), expected)


@pytest.mark.parametrize("other", ENGINES)
@pytest.mark.parametrize("optimizer", SLOTS)
def test_a_checkpoint_of_one_engine_goes_on_on_the_other(engine, other, optimizer):
    """Three more steps in float64 are the same numbers, whoever made the first two."""
    changes = {"optimizer": optimizer, "dtype": "float64", "teacher": teacher_of()}
    first = learner_of(other, RATE[optimizer], **changes)
    for batch in batches()[:2]:
        first.step(batch)
    second = learner_of(engine, RATE[optimizer], **changes)
    second.load_state(first.state())
    for learner in (first, second):
        for batch in batches()[2:5]:
            learner.step(batch)
    expected, found = first.state(), second.state()
    assert found.counters == expected.counters == {"updates": 5}
    largest = max(np.abs(v).max() for v in expected.arrays.values())
    for key, value in expected.arrays.items():
        np.testing.assert_allclose(found.arrays[key], value, rtol=0, atol=1e-9 * largest)


def test_images_that_were_just_decoded_are_those_of_the_set(engine):
    whole, decoded = learner_of(engine), learner_of(engine)
    for batch in batches()[:2]:
        whole.step(batch)
        decoded.step(replace(batch, indices=None, images=IMAGES[batch.indices]))
    assert_same_state(whole.state(), decoded.state())


@pytest.mark.parametrize("model", ["resnet18_v1d", "mobilenet0.25"])
def test_costs_are_those_of_images_of_the_runs_size(engine, model):
    module, net = engine_module(engine), get_model(model, classes=CLASSES)
    specs = [spec_of(model=model, image_size=size) for size in (64, 256)]
    for spec in specs:
        expected = summarize(net, (3, spec.image_size, spec.image_size))
        assert module.summary_of(spec)["macs"] == expected["macs"]
    small, large = (module.memory_needed(spec) for spec in specs)
    assert small < large
    assert module.fitting_batch(specs[0], large) > module.fitting_batch(specs[1], large) > 0
