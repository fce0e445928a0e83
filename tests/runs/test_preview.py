"""A preview shows the very batch that a run's learner steps on."""

import numpy as np
import pytest
from running import command

from gluontricks import planning, training
from gluontricks.options import RunOptions
from gluontricks.preview import CLEARLY, mixed_part, preview_batch
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe

WORDS = ("preview", "--dataset", "digits", "--model", "resnet8_v1", "--batch-size", "16",
         "--num-epochs", "3", "--warmup-epochs", "0")  # fmt: skip


@pytest.mark.parametrize(
    "mixer", ["none", "stitch-vertical", "cutmix", "mixup+stitch-horizontal", "stitch-tile"]
)
def test_the_picture_is_what_the_learner_is_given(mixer):
    recipe = resolve(
        Recipe(dataset="digits", model="resnet8_v1", batch_size=16, num_epochs=3, mixup_type=mixer,
               label_smoothing=0.1, flip=0.5, brightness=0.4, hue=0.2, crop_pad=4)
    )  # fmt: skip
    plan = planning.make_plan(recipe, RunOptions(), pytest.fail)
    _, draws, learner = training.prepare(plan, RunOptions())
    seen = []
    prepare = type(learner.spec.pipeline).prepare

    def watched(pipeline, images, labels, batch):
        result = prepare(pipeline, images, labels, batch)
        seen.append(result)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(learner.spec.pipeline), "prepare", watched)
        learner.step(list(draws.batches(1))[2])
        learner.losses()
    ((inputs, targets),) = seen
    preview = preview_batch(recipe, epoch=1, position=2)
    np.testing.assert_array_equal(preview.targets, targets)
    pipeline = learner.spec.pipeline
    mean, std = (np.reshape(v, (1, 3, 1, 1)) for v in (pipeline.mean, pipeline.std))
    pixels = np.clip(inputs * std + mean, 0, 1).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(preview.images, pixels, atol=1e-6)


def test_by_default_a_batch_that_is_mixed_is_shown():
    recipe = Recipe(dataset="digits", model="resnet8_v1", batch_size=16, num_epochs=3,
                    mixup_type="stitch-vertical")  # fmt: skip
    for seed in range(6):
        seeded = Recipe(**{**recipe.__dict__, "seed": seed})
        assert mixed_part(preview_batch(seeded).batch) >= CLEARLY
    # With alpha 0.2 and 32 rows many batches round to no cut: the search is needed.
    firsts = [
        mixed_part(preview_batch(Recipe(**{**recipe.__dict__, "seed": s}), position=0).batch) > 0
        for s in range(12)
    ]
    assert not all(firsts)


def test_the_command_writes_a_picture_and_tells_shares_that_sum_to_one(tmp_path):
    out = tmp_path / "deep" / "batch.png"
    done = command(*WORDS, "--mixup-type", "stitch-vertical", "--out", out, "--count", "5",
                   "--json")  # fmt: skip
    assert done.code == 0, done.err
    document = done.document
    assert len(document["images"]) == 5
    for image in document["images"]:
        assert sum(source["share"] for source in image["sources"]) == pytest.approx(1, abs=1e-5)
        assert all(source["label"] in "0123456789" for source in image["sources"])
    assert any(len(image["sources"]) == 2 for image in document["images"])
    assert out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--epoch", "3"), "there is no epoch 3"),
        (("--batch", "89"), "there is no batch 89"),
        (("--count", "0"), "--count is 0"),
        (("--out", "batch.doc"), "no kind of picture"),
        (("--mixup-type", "stitch-diagonal"), "did you mean 'stitch-"),
    ],
)
def test_what_cannot_be_shown_is_an_error(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    done = command(*WORDS, *words)
    assert done.code == 2, done.err
    assert said in done.err
    assert list(tmp_path.iterdir()) == []
