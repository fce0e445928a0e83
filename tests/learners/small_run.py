"""A run of a few steps on a small network and made-up images, for tests of learners."""

from dataclasses import replace

import numpy as np
import pytest

from gluontricks.data.augment import Augmentation
from gluontricks.draws import Draws, Mixing
from gluontricks.learners import LearnerSpec, TeacherSpec, engine_module
from gluontricks.models import get_model
from gluontricks.models.weights import initialize, parameter_paths
from gluontricks.pipeline import Pipeline

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


def learner_of(engine, rate=0.05, **changes):
    if engine == "torch":
        pytest.importorskip("torch")
    learner = engine_module(engine).make_learner(spec_of(**changes))
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


class Memory:
    """A teacher's cache that rounds to float16, in a dictionary."""

    def __init__(self):
        self.stored = {}

    def get(self, batch):
        return self.stored.get(batch.step)

    def put(self, batch, logits):
        self.stored[batch.step] = logits.astype(np.float16).astype(np.float32)
        return self.stored[batch.step]


def run(engine, **changes):
    learner = learner_of(engine, **changes)
    for batch in batches(mixup_type="none")[:STEPS]:
        learner.step(batch)
    return learner, learner.losses()
