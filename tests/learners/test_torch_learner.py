"""What is particular to the learner on PyTorch."""

import json
from dataclasses import replace

import numpy as np
import pytest
import small_run
from small_run import CLASSES, IMAGES, MODEL, assert_same_state, batches, spec_of, teacher_of

torch = pytest.importorskip("torch")

from gluontricks import learners, tracing
from gluontricks.errors import DataError, UsageError
from gluontricks.learners import TeacherSpec, engine_module
from gluontricks.learners.torch import costs, devices, recorded, sources
from gluontricks.learners.torch.learner import TorchLearner
from gluontricks.learners.torch.networks import Predictor
from gluontricks.models import get_model
from gluontricks.mxnet_shim import mx
from gluontricks.scaling import LossScaler


def learner_of(rate=0.05, **changes):
    return small_run.learner_of("torch", rate, **changes)


def test_running_statistics_are_the_biased_ones_as_mxnet_keeps_them():
    learner = learner_of(dtype="float64")
    batch = batches(mixup_type="none")[0]
    inputs, _ = learner.inputs(batch)
    first = torch.nn.functional.conv2d(inputs, learner.values["features.0.weight"], padding=1)
    learner.step(batch)
    state = learner.state().arrays
    kept, rest = float(np.float32(0.9)), float(np.float32(1) - np.float32(0.9))
    values = first.detach().numpy()
    np.testing.assert_allclose(
        state["p/features.1.running_var"], kept + rest * values.var(axis=(0, 2, 3)), rtol=1e-12
    )
    np.testing.assert_allclose(
        state["p/features.1.running_mean"], rest * values.mean(axis=(0, 2, 3)), rtol=1e-10
    )


def test_bfloat16_trains_like_float32_and_keeps_float32_parameters():
    _, whole = small_run.run("torch")
    learner, half = small_run.run("torch", dtype="bfloat16")
    assert not np.array_equal(half, whole)
    np.testing.assert_allclose(half, whole, rtol=0.1, atol=0.05)
    assert {v.dtype for v in learner.state().arrays.values()} == {np.dtype("float32")}
    # Evaluation is in float32, whatever the training.
    assert_predicts_alike(learner, learner_of(), learner.state())


def assert_predicts_alike(one, other, state):
    other.load_state(state)
    np.testing.assert_array_equal(one.predict(IMAGES), other.predict(IMAGES))


@pytest.mark.slow
def test_float16_scales_its_loss_and_follows_float32(monkeypatch):
    """Where a CPU may do it: a GPU's float16 differs in speed, not in arithmetic."""
    monkeypatch.setattr(devices, "check_cpu", lambda _: None)
    _, whole = small_run.run("torch")
    learner, half = small_run.run("torch", dtype="float16")
    # The trajectories part, as they do for any change of rounding.
    np.testing.assert_allclose(half[0], whole[0], rtol=1e-3)
    assert half[-3:].mean() < half[:3].mean()
    counters = learner.state().counters
    assert counters["updates"] + counters["scale_skipped"] == small_run.STEPS
    assert counters["scale"] == 2.0**16 / 2 ** counters["scale_skipped"]


@pytest.mark.parametrize(
    ("changes", "said", "remedy"),
    [
        ({"dtype": "float16"}, "float16 needs a GPU", "bfloat16"),
        ({"device": "cuda:7"}, "PyTorch finds", "--device cpu"),
        ({"device": "tpu"}, "unknown device 'tpu'", "cuda:N"),
        ({"device": "cpu:1"}, "unknown device 'cpu:1'", "cuda:N"),
        ({"device": "cuda:x"}, "unknown device 'cuda:x'", "cuda:N"),
        ({"deterministic": True}, "--deterministic would have no effect", "leave it out"),
    ],
)
def test_what_a_device_cannot_do_is_told(changes, said, remedy):
    with pytest.raises(UsageError, match=said) as caught:
        TorchLearner(spec_of(**changes))
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("changes", [{"compile": True}, {"deterministic": True}])
def test_pytorchs_options_are_refused_by_mxnet(changes):
    with pytest.raises(UsageError, match="no effect on MXNet"):
        engine_module("mxnet").make_learner(spec_of(**changes))


def test_without_pytorch_the_engine_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(learners, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="needs PyTorch") as caught:
        engine_module("torch")
    assert "gluontricks[torch]" in caught.value.remedy


def test_without_mxnet_only_prepared_graphs_will_do(monkeypatch):
    graphs = tracing.trace_run(spec_of())
    expected = learner_of()
    monkeypatch.setattr(sources, "find_spec", lambda _: None)
    with pytest.raises(DataError, match="which is not installed here") as caught:
        learner_of()
    assert "gluontricks prepare" in caught.value.remedy
    prepared = learner_of(graphs=graphs)
    for learner in (expected, prepared):
        learner.step(batches()[0])
    assert_same_state(prepared.state(), expected.state())


def test_the_graphs_of_another_network_are_refused():
    graphs = tracing.trace_run(spec_of(model="resnet14_v1"))
    with pytest.raises(UsageError, match="prepared graphs are of resnet14_v1"):
        learner_of(graphs=graphs)


def test_equal_networks_have_equal_graphs_however_many_were_made_before():
    one, other = (tracing.trace_run(spec_of(teacher=teacher_of())) for _ in range(2))
    assert json.dumps(one.training.symbol) == json.dumps(other.training.symbol)
    assert one == other


class WithDropout(mx.gluon.HybridBlock):
    """A network, half of whose inputs are dropped."""

    def __init__(self):
        super().__init__()
        self.net = get_model(MODEL, classes=CLASSES)

    def hybrid_forward(self, F, x):
        return self.net(F.Dropout(x, p=0.5))


def dropping_learner(seed=0):
    spec = spec_of(seed=seed)
    net = WithDropout()
    graphs = replace(
        tracing.trace_run(spec),
        network=tracing.trace_network(net, MODEL, CLASSES, 32),
        training=tracing.trace(
            tracing.TrainingGraph(net, tracing.make_loss(None)), net, ("data", "targets")
        ),
    )
    return learner_of(graphs=graphs, seed=seed)


def test_dropout_is_a_function_of_seed_and_step():
    batch, others = batches()[0], batches()[1:3]
    losses = {}
    for name, seed, before in (("a", 0, []), ("late", 0, others), ("other", 1, [])):
        learner = dropping_learner(seed)
        start = dropping_learner().state()
        for earlier in before:
            learner.step(earlier)
        learner.load_state(start)
        learner.step(batch)
        learner.step(replace(batch, step=1))
        losses[name] = learner.losses()[-2:]
    np.testing.assert_array_equal(losses["a"], losses["late"])
    assert losses["a"][0] != losses["other"][0]


def test_a_dropping_network_goes_on_bit_for_bit_and_predicts_without_dropping():
    learner = dropping_learner()
    for batch in batches()[:4]:
        learner.step(batch)
        if batch.step == 1:
            kept = learner.state()
    fresh = dropping_learner()
    fresh.load_state(kept)
    for batch in batches()[2:4]:
        fresh.step(batch)
    assert_same_state(fresh.state(), learner.state())
    np.testing.assert_array_equal(learner.predict(IMAGES), learner.predict(IMAGES))


def test_a_teacher_in_chunks_equals_the_teacher_at_once(monkeypatch):
    learner = learner_of(teacher=teacher_of())
    inputs, _, whole = learner.inputs(batches()[0])
    for chunk in (1, 3, 5):
        monkeypatch.setattr("gluontricks.learners.torch.networks.TEACHER_CHUNK", chunk)
        np.testing.assert_allclose(learner.teacher.logits(inputs), whole, rtol=1e-4, atol=1e-5)


def test_a_teacher_sees_the_students_images_in_its_own_normalisation():
    pixels = torch.rand(4, 3, 32, 32)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in small_run.IMAGENET)
    own = learner_of(teacher=teacher_of()).teacher
    renormalised = learner_of(teacher=teacher_of(normalization=small_run.IMAGENET)).teacher
    assert own.change is None
    np.testing.assert_allclose(
        renormalised.logits(pixels), own.logits((pixels - mean) / std), rtol=1e-4, atol=1e-4
    )


def test_a_teacher_whose_parameters_do_not_fit_is_refused_by_name():
    teacher = replace(teacher_of(), parameters={"output.bias": np.zeros(3)}, source="my.params")
    assert isinstance(teacher, TeacherSpec)
    with pytest.raises(DataError, match=r"'my.params' holds the parameters of another network"):
        learner_of(teacher=teacher)


class Tape:
    """Stands in for CUDA: it "records" by keeping the function, and replays by calling it."""

    def __init__(self, monkeypatch):
        self.warm = 0
        self.recordings = 0
        monkeypatch.setattr(recorded.Recorded, "record", lambda own: self.record(own))

    def record(self, own):
        before = [tensor.clone() for tensor in own.changed]
        for _ in range(recorded.WARM_UP):
            own.function(*own.tensors, **own.numbers)
            self.warm += 1
        for tensor, value in zip(own.changed, before):
            tensor.copy_(value)
        own.result = torch.zeros((), dtype=torch.float64)
        self.recordings += 1

        def replay():
            result = own.function(*own.tensors, **own.numbers)
            if result is not None:
                own.result.copy_(result)

        own.replay = replay


@pytest.mark.parametrize("optimizer", ["nag", "adam", "nadam"])
def test_a_recorded_step_reads_and_writes_what_a_plain_one_does(monkeypatch, optimizer):
    """All that a recording relies on but the GPU: fixed places, and warming up without a trace."""
    plain, taped = (learner_of(1e-3, optimizer=optimizer, dtype="float64") for _ in range(2))
    tape = Tape(monkeypatch)
    changed = [*taped.values.values(), *(s for slots in taped.slots.values() for s in slots)]
    taped.compute = recorded.Recorded(taped.forward_backward)
    taped.apply = recorded.Recorded(taped.update_all, changed=changed)
    for batch in batches()[:4]:
        for learner in (plain, taped):
            learner.step(batch)
    assert (tape.recordings, tape.warm) == (2, 2 * recorded.WARM_UP)
    np.testing.assert_allclose(taped.losses(), plain.losses(), rtol=1e-12)
    expected, found = plain.state(), taped.state()
    for key, value in expected.arrays.items():
        np.testing.assert_allclose(found.arrays[key], value, rtol=1e-9, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("optimizer", ["nag", "adam"])
def test_an_update_in_pieces_is_that_of_the_whole(monkeypatch, optimizer):
    whole, pieces = learner_of(optimizer=optimizer), learner_of(optimizer=optimizer)
    batch = batches(1)[0]
    monkeypatch.setattr("gluontricks.learners.torch.learner.CACHED", 2**40)
    whole.step(batch)
    monkeypatch.setattr("gluontricks.learners.torch.learner.CACHED", 2**10)
    pieces.step(batch)
    assert_same_state(whole.state(), pieces.state())


def test_a_recorded_step_takes_the_loss_scale_of_now(monkeypatch):
    plain, taped = learner_of(dtype="float64"), learner_of(dtype="float64")
    Tape(monkeypatch)
    taped.compute = recorded.Recorded(taped.forward_backward)
    for learner in (plain, taped):
        learner.scaler = LossScaler()
    for step, batch in enumerate(batches()[:3]):
        for learner in (plain, taped):
            learner.scaler.scale = 2.0 ** (3 * step)
            learner.step(batch)
        expected, found = plain.gradients(), taped.gradients()
        for path, value in expected.items():
            np.testing.assert_allclose(found[path], value, rtol=1e-9, atol=1e-9, err_msg=path)


def test_predicting_between_steps_uses_the_parameters_of_now():
    learner = learner_of()
    before = learner.predict(IMAGES)
    learner.step(batches()[0])
    after = learner.predict(IMAGES)
    assert not np.allclose(before, after)
    network = tracing.trace_model(MODEL, classes=CLASSES)
    values = {k[2:]: torch.tensor(v) for k, v in learner.state().arrays.items() if k[:2] == "p/"}
    fresh = Predictor(network, values).predict(IMAGES, learner.spec.pipeline.plain, 8)
    np.testing.assert_array_equal(after, fresh)


def test_memory_grows_with_batch_network_and_teacher_and_the_fitting_batch_fits():
    small = costs.memory_needed(spec_of())
    assert costs.memory_needed(spec_of(batch_size=512)) > small
    assert costs.memory_needed(spec_of(model="resnet56_v1")) > small
    assert costs.memory_needed(spec_of(teacher=teacher_of())) > small
    free = 2 * 2**30
    for shards in (1, 4):
        spec = spec_of(model="resnet56_v1", shards=shards)
        fits = costs.fitting_batch(spec, free)
        assert costs.memory_needed(replace(spec, batch_size=fits)) <= free
        assert costs.memory_needed(replace(spec, batch_size=fits + 8 * shards)) > free


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
def test_a_compiled_network_learns_the_same():
    plain = learner_of()
    compiled = learner_of(compile=True)
    for batch in batches()[:3]:
        plain.step(batch)
        compiled.step(batch)
    np.testing.assert_allclose(compiled.losses(), plain.losses(), rtol=1e-4)
    compiled.load_state(plain.state())
    assert_same_state(compiled.state(), plain.state())


def test_where_nothing_can_be_compiled_the_remedy_is_to_leave_it_out(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(UsageError, match="torch.compile does not work here") as caught:
        learner_of(compile=True)
    assert "--compile" in caught.value.remedy
