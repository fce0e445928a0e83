"""Small recipes: the demonstration on digits, and first networks on CIFAR-10 and Imagenette."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

from gluontricks.recipes.spec import Ablation, Recipe, Row

TEACHER_EPOCHS = 3
STUDENT_EPOCHS = 6

PLAIN = Recipe(
    name="demo-digits-plain",
    dataset="digits",
    model="resnet20_v1",
    num_epochs=STUDENT_EPOCHS,
    batch_size=64,
    warmup_epochs=1,
)

DEMO = Ablation(
    paper="demo",
    table="digits",
    caption="handwritten digits at 32x32: a demonstration, no paper's result",
    rows=(
        Row(
            "teacher",
            replace(
                PLAIN,
                name="demo-digits-teacher",
                model="resnext29_2x8d",
                num_epochs=TEACHER_EPOCHS,
                batch_size=32,
                optimizer="adam",
                lr=2e-3,
            ),
        ),
        Row("plain", PLAIN),
        Row(
            "vertical stitching + distillation",
            replace(
                PLAIN,
                name="demo-digits-stitch",
                mixup_type="stitch-vertical",
                teacher="resnext29_2x8d",
            ),
        ),
    ),
    variants=(("digits", {"dataset": "digits"}),),
    compared="digits",
    baselines={},
)

CIFAR10 = Recipe(
    name="cifar10-resnet20-5epochs",
    dataset="cifar10",
    model="resnet20_v1",
    brightness=0.0,
    saturation=0.0,
    hue=0.0,
    lighting=0.0,
    num_epochs=5,
    batch_size=128,
    warmup_epochs=1,
)

# Five minutes on two cores. Crops are not as small as the paper's: 4 epochs are few.
IMAGENETTE = Recipe(
    name="imagenette-resnet18_v1d-4epochs",
    dataset="imagenette",
    model="resnet18_v1d",
    input_size=128,
    min_scale=0.35,
    last_gamma=True,
    num_epochs=4,
    batch_size=64,
    lr=0.05,
    label_smoothing=0.1,
    smoothing_form="paper",
)

RECIPES: Tuple[Recipe, ...] = (
    CIFAR10,
    IMAGENETTE,
    replace(
        IMAGENETTE,
        name="imagenette-resnet18_v1d-4epochs-hard",
        label_smoothing=0.0,
        smoothing_form=None,
    ),
)
