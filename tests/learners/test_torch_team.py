"""Several processes that share every batch: what torchrun starts."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import small_run
from running import TINY, Done, command, environment, final_state, latest
from small_run import BATCH, IMAGES, STEPS, batches, spec_of, teacher_of

torch = pytest.importorskip("torch")

import two_processes
from two_processes import DRAWS, begun, do_updates, found_in

from gluontricks import checkpoints
from gluontricks.data.augment import Augmentation
from gluontricks.errors import UsageError
from gluontricks.learners.team import InTurn
from gluontricks.learners.torch.group import Group
from gluontricks.learners.torch.learner import TorchLearner
from gluontricks.learners.torch.team import make_learner
from gluontricks.mixing import MIXERS, draw_plans, uniforms_needed
from gluontricks.pipeline import Batch, Pipeline, restrict
from gluontricks.processes import Processes

SCRIPT = Path(two_processes.__file__)
TRAIN = SCRIPT.parents[2] / "scripts" / "train_cifar.py"
STITCHED = ("--engine", "torch", "--mixup-type", "stitch-vertical")
EVERY = {"flip": 0.5, "brightness": 0.4, "saturation": 0.4, "hue": 0.4, "lighting": 0.1}
GONE = (
    "error: another process of this run has ended; see its own message\n"
    "remedy: start the run again: it goes on from its last checkpoint\n"
)


def start(*words, count=2):
    """Start ``count`` processes of a script on a free port."""
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
         str(count), *map(str, words)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def end(job, seconds=240):
    """Wait for all processes; none outlives a job that takes too long."""
    family = [*psutil.Process(job.pid).children(recursive=True), job]
    try:
        out, err = job.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        for process in [*psutil.Process(job.pid).children(recursive=True), *family]:
            process.kill()
        raise
    return Done(job.returncode, out, err)


def run(*words, count=2):
    """Run a script to its end in ``count`` processes; it must succeed."""
    done = end(start(*words, count=count))
    assert done.code == 0, done.err
    return done


def assert_equal_but_for_rounding(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        scale = max(1.0, np.abs(value).max())
        np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-9 * scale, err_msg=key)


def alone(shards, **changes):
    """What one process has after the updates that the script does, the shards in turn."""
    changes = {"teacher": teacher_of(), "dtype": "float64", "shards": shards, **changes}
    spec = spec_of(**changes)
    learner = begun(spec, TorchLearner(spec))
    losses = do_updates(learner)
    return found_in(learner, losses=losses, logits=learner.predict(IMAGES))


def assert_processes_equal_shards(folder, count, **changes):
    run(SCRIPT, "steps", folder, json.dumps(changes), count=count)
    found = [dict(np.load(folder / f"{rank}.npz")) for rank in range(count)]
    assert_equal_but_for_rounding(found[0], alone(count, **changes))
    for name in ("losses", "logits"):
        found[0].pop(name)
    for other in found[1:]:
        assert other.keys() == found[0].keys()
        for key, value in found[0].items():
            np.testing.assert_array_equal(other[key], value, err_msg=key)


def test_two_processes_equal_one_with_two_shards_and_have_the_same_bits(tmp_path):
    """With a teacher, partners from the other half, and a state that is loaded on the way."""
    assert_processes_equal_shards(tmp_path, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "optimizer"), [(2, "adam"), (4, "nag")])
def test_so_do_others(tmp_path, count, optimizer):
    assert_processes_equal_shards(tmp_path, count, optimizer=optimizer)


def test_batch_norm_sees_a_shard_at_a_time_so_that_shards_matter():
    one, two = alone(1), alone(2)
    assert np.abs(one["losses"] - two["losses"]).max() > 1e-4


def learner_of(**changes):
    return small_run.learner_of("torch", **{"dtype": "float64", **changes})


def test_gradients_of_shards_are_summed_and_their_statistics_averaged():
    batch = next(DRAWS.batches(0))
    whole, halves = learner_of(shards=2), [learner_of() for _ in range(2)]
    start = whole.state().arrays
    for learner, part in zip([whole, *halves], [slice(None), slice(0, 4), slice(4, 8)]):
        learner.step(restrict(batch, part))
    gradients = [half.gradients() for half in halves]
    for path, value in whole.gradients().items():
        np.testing.assert_allclose(value, gradients[0][path] + gradients[1][path], atol=1e-9)
    moved = [one.state().arrays for one in (whole, *halves)]
    for key in (key for key in start if "running" in key):
        mean = (moved[1][key] + moved[2][key]) / 2
        np.testing.assert_allclose(moved[0][key], mean, atol=1e-12, err_msg=key)
    # A part has the labels of its partners too, and so the divisor of the whole.
    losses = [one.losses()[0] for one in (whole, *halves)]
    assert losses[0] == pytest.approx(losses[1] + losses[2], abs=1e-12)


def test_the_shards_of_all_processes_are_those_of_one():
    batch = next(DRAWS.batches(1))
    spec = spec_of(shards=4)
    parts = list(TorchLearner(spec).shards_of(batch))
    shared = [
        part
        for rank in range(2)
        for part in TorchLearner(spec, Group(Processes(rank, 2))).shards_of(batch)
    ]
    # The numbers seed dropout: no two shards of a run may have the same.
    assert [number for number, _ in shared] == [4 * batch.step + i for i in range(4)]
    for (number, one), (other, two) in zip(parts, shared):
        assert number == other
        np.testing.assert_array_equal(one.indices, two.indices)


def test_followers_find_any_batch_by_its_step():
    expected = [batch for epoch in range(4) for batch in DRAWS.batches(epoch)]
    turn = InTurn(DRAWS)
    for step in (0, 1, 2, 3, 4, 3, 4, 5, 6, 11, 0, 2):
        batch = turn.at(step)
        assert batch.step == step
        np.testing.assert_array_equal(batch.indices, expected[step].indices)
        np.testing.assert_array_equal(batch.plans[0].masks, expected[step].plans[0].masks)


def drawn(mixup_type, count, seed):
    """A batch of a set of 40 images with every augmentation, its pipeline, and the images."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    augmentation = Augmentation(**EVERY, crop_pad=4)
    places = generator.permutation(40)[:count]
    draws = {k: v[places] for k, v in augmentation.draw(seed, 0, 40).items()}
    grid = "2x2" if "tile" in mixup_type else None
    u = generator.random(uniforms_needed(mixup_type, grid))
    plans = draw_plans(mixup_type, count, (32, 32), u, alpha=1.0, grid=grid)
    batch = Batch(0, 0, 0, generator.integers(0, 10, count), places, None, draws, plans)
    pipeline = Pipeline(augmentation, *small_run.IMAGENET, classes=10, label_smoothing=0.1)
    return batch, pipeline, images


def same(array):
    return array


TYPES = ("none", *MIXERS, "mixup+stitch-vertical", "stitch-tile+cutmix", "mixup|stitch-tile")
SPLITS = {
    "halves": (0, 8, 16),
    "odd": (0, 5, 16),
    "single": (0, 1, 2, 16),
    "thirds": (0, 5, 10, 15),
}


@pytest.mark.parametrize("kind", [same, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("mixup_type", TYPES)
def test_a_part_of_a_batch_is_made_of_the_very_same_numbers(mixup_type, split, kind):
    ends = SPLITS[split]
    for seed in range(3):
        batch, pipeline, images = drawn(mixup_type, ends[-1], seed)
        whole = pipeline.prepare(kind(images[batch.indices]), kind(batch.labels), batch)
        decoded = replace(batch, indices=None, images=images[batch.indices])
        for first, last in zip(ends, ends[1:]):
            place = slice(first, last)
            part = restrict(batch, place)
            found = pipeline.prepare(kind(images[part.indices]), kind(part.labels), part)
            for mine, all_of_them in zip(found, whole):
                np.testing.assert_array_equal(mine, all_of_them[place])
            np.testing.assert_array_equal(restrict(decoded, place).images, images[part.indices])


def test_a_part_of_a_batch_has_only_the_images_that_it_needs():
    for mixup_type, needed in (("none", 4), ("mixup", 8), ("stitch-tile", 16)):
        batch, _, _ = drawn(mixup_type, 16, 0)
        part = restrict(batch, slice(0, 4))
        assert len(set(part.indices)) == len(part.indices) == needed
        assert part.plans == () or part.plans[-1].sources.shape[1] == 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run of two processes, and what it said."""
    folder = tmp_path_factory.mktemp("team") / "whole"
    return folder, run(TRAIN, *TINY[1:], *STITCHED, "--out", folder)


def test_two_processes_train_and_one_of_them_speaks(whole):
    folder, done = whole
    assert done.out.count("Namespace(") == done.out.count("finished: top-1") == 1
    assert len(re.findall(r"^\[Epoch 1\] validation", done.out, re.MULTILINE)) == 1
    assert "error" not in done.err
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert (record["engine"], record["status"]) == ("torch", "completed")
    assert (record["bitwise"], record["resumes"]) == (True, 0)
    (begin,) = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    assert begin["setting"]["processes"] == 2
    assert checkpoints.step_of(latest(folder)) == 10


def ended(out, how, rank, step=6):
    """How a run ended, one of whose processes ended in an update."""
    plan = {"how": how, "rank": rank, "step": step}
    done = end(start(SCRIPT, "train", json.dumps(plan), *TINY, *STITCHED, "--out", out), 60)
    assert done.code != 0
    assert checkpoints.step_of(latest(out)) == step
    return done


def goes_on(out):
    """Run the same again to its end; return the state."""
    run(SCRIPT, "train", "{}", *TINY, *STITCHED, "--out", out)
    return final_state(out)


@pytest.mark.slow
def test_a_killed_follower_ends_the_run_which_goes_on_as_if_nothing_had_been(tmp_path, whole):
    done = ended(tmp_path / "run", "killed", rank=1)
    assert GONE in done.err
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert (record["status"], record["reason"]) == ("failed", GONE.splitlines()[0][7:])
    assert goes_on(tmp_path / "run") == final_state(whole[0])


@pytest.mark.slow
@pytest.mark.parametrize(("how", "rank"), [("killed", 0), ("failed", 0), ("failed", 1)])
def test_so_does_another_end_of_either(tmp_path, whole, how, rank):
    done = ended(tmp_path / "run", how, rank)
    assert GONE in done.err
    assert ("error: the memory is used up" in done.err) == (how == "failed")
    assert goes_on(tmp_path / "run") == final_state(whole[0])


@pytest.mark.slow
def test_a_stopped_run_of_two_goes_on_bit_for_bit(tmp_path, whole):
    words = (TRAIN, *TINY[1:], *STITCHED, "--out", tmp_path / "run")
    done = run(*words, "--max-steps", "3")
    assert done.out.count("stopped after update 3") == 1
    again = run(*words)
    assert again.out.count("resumed after step 3") == 1
    assert final_state(tmp_path / "run") == final_state(whole[0])
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert (record["bitwise"], record["resumes"]) == (True, 1)
    assert run(*words).out.count("finished already") == 1


@pytest.mark.slow
def test_a_signal_to_torchrun_saves_and_stops(tmp_path):
    words = (SCRIPT, "train", "{}", *TINY, *STITCHED, "--num-epochs", "400")
    job = start(*words, "--out", tmp_path / "run")
    for line in job.stdout:
        if line.startswith("Epoch[0]"):
            break
    job.terminate()
    done = end(job, 60)
    assert "the same command goes on" in done.out
    assert GONE not in done.err
    assert '"status": "stopped"' in (tmp_path / "run" / "record.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_one_process_refuses_is_told_once_and_ends_all(tmp_path):
    done = end(start(TRAIN, *TINY[1:], *STITCHED, "--batch-size", "63", "--out", tmp_path / "run"))
    assert done.code != 0
    assert done.err.count("error: --batch-size 63 cannot be shared by 2 processes\n") == 1
    assert "remedy: give a multiple of their number\n" in done.err
    assert "goes on from its last checkpoint" not in done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_dry_run_of_two_tells_once_what_to_expect(tmp_path):
    done = run(TRAIN, *TINY[1:], *STITCHED, "--dry-run", "--out", tmp_path / "run")
    assert done.out.count("10 updates of 64 images") == 1
    assert not (tmp_path / "run").exists()


def processes_are(monkeypatch, rank, count, **more):
    for name, value in {"RANK": rank, "WORLD_SIZE": count, **more}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("gluontricks.learners.torch.team._team", None)


def test_a_batch_that_cannot_be_shared_evenly_is_refused(monkeypatch):
    processes_are(monkeypatch, 0, 3)
    with pytest.raises(UsageError, match=f"--batch-size {BATCH} cannot be shared by 3") as caught:
        make_learner(spec_of(shards=3))
    assert caught.value.remedy == "give a multiple of their number"


@pytest.mark.parametrize(
    ("rank", "count", "engine", "said", "remedy"),
    [
        (0, 2, "mxnet", "torchrun would have no effect on MXNet", "--engine torch"),
        (1, 2, "mxnet", "torchrun would have no effect on MXNet", "--engine torch"),
        (5, 2, "torch", "RANK=5 and WORLD_SIZE=2 are no process of a run", "torchrun"),
        (1, 1, "torch", "RANK=1 and WORLD_SIZE=1 are no process of a run", "torchrun"),
        (0, "two", "torch", "RANK=0 and WORLD_SIZE=two are no process of a run", "torchrun"),
        (0, 2, "torch", "the 2 processes of this run do not meet (", "start them with torchrun"),
    ],
)
def test_processes_that_cannot_be_are_one_line_of_cause_and_remedy(
    tmp_path, monkeypatch, rank, count, engine, said, remedy
):
    processes_are(monkeypatch, rank, count)
    done = command(*TINY, "--engine", engine, "--out", tmp_path / "run")
    assert (done.code, done.out) == (2, "")
    cause, what_to_do = done.err.splitlines()
    assert cause.startswith(f"error: {said}")
    assert remedy in what_to_do
    assert list(tmp_path.iterdir()) == []


def test_one_process_of_torchrun_is_no_team(tmp_path, monkeypatch):
    processes_are(monkeypatch, 0, 1)
    done = command(*TINY, "--engine", "torch", "--max-steps", "1", "--out", tmp_path / "run")
    assert done.code == 0, done.err


def test_the_script_does_all_updates_of_the_small_run():
    assert len(batches()) == STEPS == 4 * DRAWS.steps_per_epoch
