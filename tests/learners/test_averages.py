"""The moving average of parameters and running statistics, on every engine."""

import numpy as np
import pytest
from small_run import IMAGES, assert_same_state, batches, learner_of, spec_of

from gluontricks.errors import IntegrityError
from gluontricks.learners import ENGINES, LearnerState, engine_module
from gluontricks.scaling import LossScaler

DECAY = 0.75


@pytest.fixture(params=ENGINES)
def engine(request):
    if request.param == "torch":
        pytest.importorskip("torch")
    return request.param


def parts(learner):
    """Parameters and averages of a learner, by path."""
    arrays = learner.state().arrays
    return [{k[2:]: v for k, v in arrays.items() if k[:2] == kind} for kind in ("p/", "e/")]


def closed_form(values, decay):
    """``d^n p_0 + (1 - d) sum_i d^(n-i) p_i`` of the values p_0 (initial) to p_n, in float64."""
    last = len(values) - 1
    weights = [decay**last] + [(1 - decay) * decay ** (last - i) for i in range(1, last + 1)]
    return sum(w * v.astype(np.float64) for w, v in zip(weights, values))


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("decay", [0.25, DECAY, 0.9999])
def test_averages_are_the_closed_form_of_all_parameters_and_running_statistics(
    engine, decay, shards
):
    learner = learner_of(engine, ema=decay, shards=shards)
    seen = [parts(learner)[0]]
    for batch in batches()[:5]:
        learner.step(batch)
        seen.append(parts(learner)[0])
    averages = parts(learner)[1]
    assert averages.keys() == seen[0].keys()
    for path, average in averages.items():
        expected = closed_form([values[path] for values in seen], decay)
        np.testing.assert_allclose(average, expected, rtol=1e-6, atol=1e-6, err_msg=path)
    moved = [path for path in averages if not np.array_equal(seen[0][path], seen[-1][path])]
    assert any(path.endswith("running_var") for path in moved)


def test_averages_start_as_copies_of_the_initial_parameters(engine):
    values, averages = parts(learner_of(engine, ema=DECAY))
    assert averages.keys() == values.keys()
    for path, value in values.items():
        np.testing.assert_array_equal(averages[path], value)


def test_engines_have_the_same_averages():
    pytest.importorskip("torch")
    found = []
    for engine in ENGINES:
        learner = learner_of(engine, ema=DECAY, dtype="float64")
        for batch in batches()[:3]:
            learner.step(batch)
        found.append(parts(learner)[1])
    one, other = found
    assert one.keys() == other.keys()
    for path, value in one.items():
        np.testing.assert_allclose(other[path], value, rtol=1e-6, atol=1e-8, err_msg=path)


def test_averaging_changes_no_update(engine):
    states = []
    for ema in (0.0, DECAY):
        learner = learner_of(engine, ema=ema)
        for batch in batches()[:4]:
            learner.step(batch)
        state = learner.state()
        arrays = {k: v for k, v in state.arrays.items() if k[:2] != "e/"}
        states.append(LearnerState(arrays, state.counters))
    assert_same_state(*states)


def test_predictions_are_those_of_the_averages(engine):
    learner = learner_of(engine, ema=DECAY)
    for batch in batches()[:3]:
        learner.step(batch)
        logits = learner.predict(IMAGES)
    plain = learner_of(engine)
    state = plain.state()
    state.arrays.update({f"p/{path}": value for path, value in parts(learner)[1].items()})
    plain.load_state(state)
    np.testing.assert_array_equal(logits, plain.predict(IMAGES))
    state.arrays.update({f"p/{path}": value for path, value in parts(learner)[0].items()})
    plain.load_state(state)
    assert np.abs(logits - plain.predict(IMAGES)).max() > 1e-3


def test_a_learner_with_averages_goes_on_bit_for_bit(engine):
    learner = learner_of(engine, ema=DECAY)
    for batch in batches()[:2]:
        learner.step(batch)
    kept = learner.state()
    fresh = learner_of(engine, ema=DECAY)
    fresh.load_state(kept)
    for one in (learner, fresh):
        for batch in batches()[2:4]:
            one.step(batch)
    assert_same_state(fresh.state(), learner.state())


def test_a_checkpoint_without_averages_is_not_one_of_a_run_with_them(engine):
    with pytest.raises(IntegrityError, match="'e/features.* has shape none"):
        learner_of(engine, ema=DECAY).load_state(learner_of(engine).state())


def test_a_skipped_update_changes_no_average_and_nothing_else(engine):
    learner = learner_of(engine, ema=DECAY)
    learner.step(batches()[0])
    before = learner.state()
    learner.scaler = LossScaler(3e38)
    learner.step(batches()[1])
    assert learner.scaler.skipped == 1
    after = learner.state()
    assert_same_state(LearnerState(after.arrays, {}), LearnerState(before.arrays, {}))


def test_a_recorded_update_averages_once(monkeypatch):
    """As a GPU does it: warming up leaves no trace in the averages."""
    pytest.importorskip("torch")
    from test_torch_learner import Tape

    from gluontricks.learners.torch import recorded

    plain, taped = (learner_of("torch", ema=DECAY, dtype="float64") for _ in range(2))
    Tape(monkeypatch)
    changed = list(taped.tensors().values())
    taped.apply = recorded.Recorded(taped.update_all, changed=changed)
    for batch in batches()[:3]:
        for learner in (plain, taped):
            learner.step(batch)
    for path, value in parts(plain)[1].items():
        np.testing.assert_allclose(parts(taped)[1][path], value, rtol=1e-12, err_msg=path)


def test_averages_are_counted_in_the_memory_that_is_needed(engine):
    module = engine_module(engine)
    without, averaged = (module.memory_needed(spec_of(ema=ema)) for ema in (0.0, DECAY))
    copy = sum(v.nbytes for k, v in learner_of(engine).state().arrays.items() if k[:2] == "o/")
    assert averaged - without == copy
