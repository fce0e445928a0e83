"""Parts of a batch on MXNet: one after the other, or on several devices at once."""

from dataclasses import replace

import numpy as np
import pytest
import small_run
from small_run import CLASSES, IMAGES, LABELS, assert_same_state, batches, spec_of, teacher_of

from gluontricks.errors import UsageError
from gluontricks.learners import ENGINES, LearnerState, engine_module, make_learner
from gluontricks.learners.mxnet import costs, graphs
from gluontricks.learners.mxnet import learner as module
from gluontricks.metrics import evaluate_logits
from gluontricks.mxnet_shim import mx
from gluontricks.pipeline import restrict, shard_of

SEVERAL = ["cpu:0,cpu:1", "cpu:0,cpu:1,cpu:2,cpu:3"]


def learner_of(**changes):
    return small_run.learner_of("mxnet", **changes)


def trained(steps=4, **changes):
    learner = learner_of(**changes)
    for batch in batches()[:steps]:
        learner.step(batch)
    return learner, learner.losses()


class WithoutNorm(mx.gluon.nn.HybridSequential):
    """A network in which no image knows of another; half of it may be dropped."""

    def __init__(self, dropout=0.0):
        super().__init__(prefix="")
        self.add(
            mx.gluon.nn.Conv2D(4, 3, strides=4, in_channels=3, activation="relu"),
            mx.gluon.nn.Dropout(dropout),
            mx.gluon.nn.Dense(CLASSES, in_units=4 * 8 * 8),
        )


@pytest.fixture
def without_norm(monkeypatch):
    """Have every learner train such a network."""

    def use(dropout=0.0):
        for place in (module, graphs):
            monkeypatch.setattr(place, "get_model", lambda *_, **__: WithoutNorm(dropout))

    return use


@pytest.mark.parametrize("teacher", [None, teacher_of(normalization=small_run.IMAGENET)],
                         ids=["alone", "distilled"])  # fmt: skip
@pytest.mark.parametrize("device", SEVERAL)
def test_several_devices_have_the_bits_of_one_that_runs_the_same_shards(device, teacher):
    one, losses = trained(shards=4, teacher=teacher)
    other, found = trained(shards=4, teacher=teacher, device=device)
    np.testing.assert_array_equal(found, losses)
    assert_same_state(other.state(), one.state())
    np.testing.assert_array_equal(other.predict(IMAGES), one.predict(IMAGES))


@pytest.mark.parametrize("device", SEVERAL)
def test_all_devices_are_equal_after_every_update(device):
    learner = learner_of(shards=4, device=device)
    for batch in batches()[:3]:
        learner.step(batch)
        mx.nd.waitall()
        for path, parameter in learner.paths.items():
            first, *others = (array.asnumpy() for array in parameter.list_data())
            assert len(others) == device.count(",")
            for other in others:
                np.testing.assert_array_equal(other, first, err_msg=path)


@pytest.mark.parametrize("device", ["cpu", *SEVERAL])
def test_without_batch_norm_shards_equal_the_joint_batch(without_norm, device):
    without_norm()
    joint, losses = trained(dtype="float64", device="cpu")
    parts, found = trained(dtype="float64", shards=4, device=device)
    np.testing.assert_allclose(found, losses, rtol=1e-12)
    for key, value in joint.state().arrays.items():
        np.testing.assert_allclose(parts.state().arrays[key], value, atol=1e-12, err_msg=key)


def test_batch_norm_sees_a_shard_at_a_time_so_that_shards_matter():
    assert np.abs(trained()[1] - trained(shards=2)[1]).max() > 1e-4


def test_gradients_of_shards_are_summed_and_their_statistics_averaged():
    batch = batches()[0]
    whole, halves = learner_of(shards=2), [learner_of() for _ in range(2)]
    start = whole.state().arrays
    for learner, part in zip([whole, *halves], [slice(None), slice(0, 4), slice(4, 8)]):
        learner.step(restrict(batch, part))
    gradients = [half.gradients() for half in halves]
    for path, value in whole.gradients().items():
        total = gradients[0][path] + gradients[1][path]
        np.testing.assert_allclose(value, total, rtol=1e-4, atol=1e-4, err_msg=path)
    moved = [one.state().arrays for one in (whole, *halves)]
    running = [key for key in start if "running" in key]
    assert len(running) > 10
    for key in running:
        mean = (moved[1][key] + moved[2][key]) / 2
        np.testing.assert_allclose(moved[0][key], mean, rtol=1e-5, atol=1e-6, err_msg=key)
        assert not np.array_equal(moved[0][key], start[key])


@pytest.mark.parametrize("device", ["cpu", "cpu:0,cpu:1"])
def test_both_engines_run_the_same_shards(device):
    pytest.importorskip("torch")
    changes = {"shards": 4, "dtype": "float64", "teacher": teacher_of(), "ema": 0.5}
    mxnet, losses = trained(device=device, **changes)
    torch = small_run.learner_of("torch", **changes)
    for batch in batches()[:4]:
        torch.step(batch)
    np.testing.assert_allclose(torch.losses(), losses, rtol=1e-9)
    expected, found = mxnet.state().arrays, torch.state().arrays
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-7, atol=1e-7, err_msg=key)


@pytest.mark.parametrize("device", ["cpu", "cpu:0,cpu:1"])
def test_a_run_in_shards_goes_on_bit_for_bit(device):
    learner, _ = trained(2, shards=2, device=device)
    kept = learner.state()
    fresh = learner_of(shards=2, device=device)
    fresh.load_state(kept)
    for one in (learner, fresh):
        for batch in batches()[2:4]:
            one.step(batch)
    assert_same_state(fresh.state(), learner.state())


def test_dropout_is_a_function_of_seed_step_and_shard(without_norm):
    without_norm(0.5)
    one, losses = trained(shards=4)
    several, found = trained(shards=4, device="cpu:0,cpu:1")
    np.testing.assert_array_equal(found, losses)
    assert_same_state(several.state(), one.state())
    assert trained(shards=4, seed=1)[1][0] != losses[0]


def test_two_equal_shards_of_an_update_drop_different_values(without_norm, monkeypatch):
    """The halves hold the same images, so without dropout their losses would be equal."""
    without_norm(0.5)
    batch = batches(mixup_type="none")[0]
    half = shard_of(batch, 0, 2)
    monkeypatch.setattr(module, "shard_of", lambda *_: half)
    learner = learner_of(shards=2)
    seen = []
    plain = learner.forward_backward
    learner.forward_backward = lambda *given: seen.append(plain(*given)) or seen[-1]
    learner.step(batch)
    assert not np.array_equal(seen[0].asnumpy(), seen[1].asnumpy())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("changes", "cause", "remedy"),
    [
        ({"shards": 3}, "--batch-size 8 cannot be divided into 3 shards", "a multiple"),
        (
            {"shards": 2, "teacher": teacher_of(cache=small_run.Memory())},
            "--teacher-cache holds the logits of whole batches",
            "without --shards",
        ),
    ],
)
def test_batches_that_cannot_be_divided_are_refused(engine, changes, cause, remedy):
    if engine == "torch":
        pytest.importorskip("torch")
    with pytest.raises(UsageError, match=cause) as caught:
        engine_module(engine).make_learner(spec_of(**changes))
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("changes", "cause", "remedy"),
    [
        ({"device": SEVERAL[0]}, "--shards 1 cannot be shared by 2 devices", "a multiple"),
        ({"device": "cpu:0,cpu:1,cpu:2", "shards": 3}, "--batch-size 8 cannot be shared by 3 dev",
         "a multiple"),
        ({"device": "cpu:0,cpu", "shards": 2}, "cpu:0,cpu names a device twice", "once"),
        ({"device": "cpu:0,tpu", "shards": 2}, "unknown device 'tpu'", "cuda:N"),
        ({"device": "cuda:0,cuda:1", "shards": 2}, "MXNet finds 0 GPUs here", "--device cpu"),
        ({"device": SEVERAL[0], "shards": 2, "dtype": "float16"}, "float16 needs a GPU",
         "bfloat16"),
    ],
)  # fmt: skip
def test_devices_that_cannot_share_a_batch_are_refused(changes, cause, remedy):
    with pytest.raises(UsageError, match=cause) as caught:
        make_learner(spec_of(**changes), "mxnet")
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("count", [1, 7, 9, 20])
@pytest.mark.parametrize("device", SEVERAL)
def test_evaluation_on_several_devices_counts_every_image_once(device, count):
    """GluonCV's scripts fail in validation where the last batch does not divide by the GPUs."""
    learner = learner_of(shards=4, device=device)
    logits = learner.predict(IMAGES[:count])
    np.testing.assert_array_equal(logits, learner_of().predict(IMAGES[:count]))
    assert evaluate_logits(logits, LABELS[:count])["n"] == count


def test_memory_falls_with_shards_and_grows_with_devices_of_one_memory():
    spec = spec_of(model="resnet56_v1", batch_size=256)
    whole = costs.memory_needed(spec)
    quarters = costs.memory_needed(replace(spec, shards=4))
    assert quarters < whole
    assert quarters < costs.memory_needed(replace(spec, shards=4, device=SEVERAL[0])) < whole
    free = 2 * 2**30
    for device, shards in (("cpu", 1), ("cpu", 4), (SEVERAL[0], 4), (SEVERAL[1], 4)):
        given = replace(spec, shards=shards, device=device)
        fits = costs.fitting_batch(given, free)
        assert fits % shards == 0
        assert costs.memory_needed(replace(given, batch_size=fits)) <= free
        assert costs.memory_needed(replace(given, batch_size=fits + shards)) > free


def test_gpus_have_memory_of_their_own(monkeypatch):
    spec = spec_of(model="resnet56_v1", batch_size=256, shards=4)
    two = replace(spec, device="cuda:0,cuda:1")
    assert costs.memory_needed(two) == costs.memory_needed(spec)
    left = {0: 5 << 30, 1: 3 << 30}
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 2)
    monkeypatch.setattr(mx.context, "gpu_memory_info", lambda number: (left[number], 8 << 30))
    assert costs.free_memory(two) == 3 << 30


def test_an_overflow_in_one_shard_leaves_out_the_update_of_all():
    from gluontricks.scaling import LossScaler

    learner = learner_of(shards=2, device=SEVERAL[0])
    learner.step(batches()[0])
    before = learner.state()
    learner.scaler = LossScaler()
    plain = learner.forward_backward

    def overflowing(batch, number, device):
        losses = plain(batch, number, device)
        if number % 2:
            gradient = learner.trained["output.weight"].grad(device)
            gradient[0] = np.inf
        return losses

    learner.forward_backward = overflowing
    learner.step(batches()[1])
    assert (learner.scaler.skipped, learner.scaler.scale) == (1, 2.0**15)
    assert np.isfinite(learner.losses()).all()
    after = learner.state()
    assert_same_state(LearnerState(after.arrays, {}), LearnerState(before.arrays, {}))
