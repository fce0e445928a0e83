"""GluonCV's faults, one test each: what went wrong there, and that it cannot here.

Their list, with what is done about each, is in ``docs/gluoncv-options.md``.
"""

from __future__ import annotations

import numpy as np
import pytest
from image_folders import encoded, photograph
from running import command, tiny

from gluontricks import engine
from gluontricks.data.disk import DiskSet
from gluontricks.data.records import RecordListing, pack_image
from gluontricks.data.views import PlainView
from gluontricks.draws import Draws, Mixing
from gluontricks.engine import Speed
from gluontricks.errors import UsageError
from gluontricks.models.names import describe, list_models
from gluontricks.reporting import interval_line
from gluontricks.rundir import read_metrics
from gluontricks.schedules import Schedule, rate_table
from gluontricks.targets import smooth_targets

IMAGES = 1003


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A record file of 1,003 images, each of one colour that tells its number."""
    path = tmp_path_factory.mktemp("rec") / "val.rec"
    content = b""
    for i in range(IMAGES):
        pixels = np.zeros((8, 8, 3), np.uint8)
        pixels[..., 0], pixels[..., 1] = divmod(i, 256)
        content += pack_image(encoded(pixels, "PNG"), i % 10, i)
    path.write_bytes(content)
    return RecordListing("folder", "val", path)


def test_1_evaluating_records_pads_no_batch_and_begins_at_the_first_again(records):
    """ImageRecordIter fills the last batch up, and goes on after those images the next time."""
    images = DiskSet(records, PlainView(8, 1.0), "test", workers=2)
    for _ in range(2):
        found = np.concatenate(list(images.chunks(64)))
        numbers = found[:, 0, 0, 0].astype(int) * 256 + found[:, 0, 0, 1]
        np.testing.assert_array_equal(numbers, np.arange(IMAGES))


def test_2_images_that_devices_cannot_share_evenly_are_evaluated_all_the_same():
    """split_and_load raised at the end of the first epoch."""
    from gluontricks.data.augment import Augmentation
    from gluontricks.learners import LearnerSpec, make_learner
    from gluontricks.pipeline import Pipeline

    pipeline = Pipeline(Augmentation(), (0.5,) * 3, (0.25,) * 3, classes=3)
    spec = LearnerSpec(
        model="resnet8_v1", classes=3, last_gamma=False, init="xavier", seed=0, image_size=32,
        batch_size=4, optimizer="nag", wd=0.0, no_wd=False, dtype="float32", pipeline=pipeline,
        device="cpu:0,cpu:1", shards=2,
    )  # fmt: skip
    learner = make_learner(spec, "mxnet")
    pixels = np.stack([photograph(i, size=(32, 32)) for i in range(7)])
    together = learner.predict(pixels)
    assert together.shape == (7, 3)
    np.testing.assert_allclose(learner.predict(pixels[6:])[0], together[6], rtol=1e-4, atol=1e-5)


def test_3_settings_of_a_resumed_run_are_neither_lost_nor_overridden(tmp_path):
    """Its states brought back the old wd and schedule, or the schedule began again without them."""
    tiny(tmp_path / "run", "--max-steps", "4")
    refused = command(
        "train", "--dataset", "digits", "--model", "resnet8_v1", "--batch-size", "64",
        "--val-split", "1117", "--num-epochs", "2", "--warmup-epochs", "0", "--wd", "0.123",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert refused.code == 2
    assert "wd: 0.0001 -> 0.123" in refused.err
    tiny(tmp_path / "run")
    tiny(tmp_path / "whole")
    rates = [[e["lr"] for e in read_metrics(tmp_path / name) if e["event"] == "interval"]
             for name in ("run", "whole")]  # fmt: skip
    assert rates[0] == rates[1]


@pytest.mark.parametrize("name", ["resnext50_32x4d", "se_resnext50_32x4d", "resnet18_v1b"])
def test_4_and_5_zero_gamma_is_on_when_asked_for_and_off_when_not(name):
    """ResNeXt inverted the flag; ResNet-18 and 34 V1b ignored it."""
    from gluontricks.models import get_model
    from gluontricks.models.weights import parameter_paths, starts_at_zero

    for asked in (False, True):
        net = get_model(name, classes=10, last_gamma=asked)
        zero = [p for p, q in parameter_paths(net).items() if p.endswith("gamma")
                and starts_at_zero(q)]  # fmt: skip
        blocks = 8 if "18" in name else 16
        assert len(zero) == (blocks if asked else 0)


def test_5_a_network_without_residual_blocks_refuses_zero_gamma_in_words():
    """It was a TypeError of Python's."""
    from gluontricks.models import get_model

    plain = [name for name in list_models() if not describe(name).residual]
    assert {"mobilenet1.0", "inceptionv3"} <= set(plain)
    for name in ("mobilenet1.0", "inceptionv3"):
        with pytest.raises(UsageError, match="no effect"):
            get_model(name, classes=10, last_gamma=True)


def test_6_the_warm_up_starts_from_the_rate_it_is_given():
    """--warmup-lr was parsed and never used."""
    schedule = Schedule("constant", 1.0, warmup_epochs=1, warmup_lr=0.2)
    rates = rate_table(schedule, epochs=2, steps_per_epoch=4)
    assert rates == pytest.approx([0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0])


def test_6_nothing_is_written_outside_a_run_when_nothing_is_to_be_saved(tmp_path):
    """--save-frequency 0 wrote to the root of the file system."""
    tiny(tmp_path / "run", "--save-frequency", "0")
    assert not (tmp_path / "run" / "params").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_7_the_speed_counts_updates_and_not_one_less(monkeypatch):
    """Its speed was that of one update too few, and the last interval's was logged twice."""
    now = [0.0]
    monkeypatch.setattr(engine.time, "monotonic", lambda: now[0])
    speed = Speed()
    for _ in range(10):
        now[0] += 0.5
        speed.steps += 1
        speed.note()
    assert speed.seconds_per_step() == pytest.approx(0.5)


def test_8_losses_are_read_at_log_points_only(tmp_path, monkeypatch):
    """Its metric waited for the device at every batch."""
    from gluontricks.learners.mxnet.learner import MXNetLearner

    read = []
    original = MXNetLearner.losses

    def losses(self):
        found = original(self)
        read.append(len(found))
        return found

    monkeypatch.setattr(MXNetLearner, "losses", losses)
    tiny(tmp_path / "run", "--batch-size", "16", "--log-interval", "10", "--num-epochs", "1")
    # 20 updates: after the third and the sixth, at two log points, and before evaluation and save.
    assert sum(read) == 20
    assert sum(count > 0 for count in read) <= 4


def test_9_the_order_of_images_and_the_mixing_follow_from_the_seed():
    """ImageRecordIter shuffled alike in every run, while mixup was not seeded at all."""
    from gluontricks.data.augment import Augmentation

    def first(seed):
        draws = Draws(
            seed, np.arange(64) % 4, (8, 8), 16, Augmentation(), Mixing("mixup", 0.2, last=9)
        )
        batch = next(draws.batches(0))
        return batch.indices.tolist(), batch.plans[0].weights.tolist()

    assert first(0) == first(0)
    assert first(0)[0] != first(1)[0]
    assert first(0)[1] != first(1)[1]


def test_10_no_accuracy_is_told_of_smoothed_labels():
    """It compared the truncated logit with the truncated label 0: 82 % after 50 batches."""
    event = {"epoch": 0, "batch": 50, "images_per_second": 100.0, "loss": 6.9, "lr": 0.1}
    line = interval_line(event)
    assert "loss=6.9" in line
    assert "accuracy" not in line
    smooth = smooth_targets(np.array([3]), 1000, epsilon=0.1, form="gluoncv")
    assert smooth.argmax() == 3
