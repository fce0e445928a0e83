from dataclasses import fields, replace

import pytest

from gluontricks.errors import UsageError
from gluontricks.recipes.checks import RANGES, flag
from gluontricks.recipes.resolve import DEPENDENT, resolve
from gluontricks.recipes.spec import Recipe

NAN, INF = float("nan"), float("inf")


def refused(match, **changes):
    with pytest.raises(UsageError, match=match) as caught:
        resolve(Recipe(**changes))
    return caught.value


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({}, "classes", 100),
        ({"dataset": "cifar100-coarse"}, "classes", 20),
        ({"dataset": "cifar100-coarse", "classes": 100}, "classes", 100),
        ({"dataset": "digits"}, "classes", 10),
        ({}, "num_epochs", 120),
        ({"mixup_type": "stitch-vertical"}, "num_epochs", 200),
        ({"mixup_type": "mixup", "num_epochs": 5}, "num_epochs", 5),
        ({}, "flip", 0.5),
        ({}, "brightness", 0.4),
        ({}, "saturation", 0.4),
        ({}, "hue", 0.4),
        ({}, "lighting", 0.1),
        ({}, "crop_pad", 4),
        ({"dataset": "digits"}, "flip", 0.0),
        ({"dataset": "digits", "flip": 0.5}, "flip", 0.5),
        ({"crop_pad": 0}, "crop_pad", 0),
        ({}, "momentum", 0.9),
        ({"optimizer": "sgd", "momentum": 0.0}, "momentum", 0.0),
        ({"optimizer": "adam"}, "momentum", None),
        ({}, "lr", 0.1),
        ({"optimizer": "sgd"}, "lr", 0.1),
        ({"optimizer": "adam"}, "lr", 1e-3),
        ({"optimizer": "nadam"}, "lr", 1e-3),
        ({"optimizer": "rmsprop"}, "lr", 1e-3),
        ({"optimizer": "adadelta"}, "lr", 1.0),
        ({"lr_scaling": "linear", "batch_size": 1024}, "lr", 0.4),
        ({"lr_scaling": "linear", "batch_size": 64}, "lr", 0.025),
        ({}, "lr_decay", None),
        ({}, "lr_decay_epoch", None),
        ({"lr_mode": "step"}, "lr_decay", 0.1),
        ({"lr_mode": "step"}, "lr_decay_epoch", (30, 60, 90)),
        ({"lr_mode": "step"}, "lr_decay_from", "start"),
        ({"lr_mode": "step", "lr_decay_period": 50}, "lr_decay_epoch", (50, 100)),
        ({"lr_mode": "step", "lr_decay_period": 50}, "lr_decay_period", 0),
        ({}, "smoothing_form", None),
        ({"label_smoothing": 0.1}, "smoothing_form", "gluoncv"),
        ({}, "mixup_alpha", None),
        ({"mixup_type": "cutmix"}, "mixup_alpha", 0.2),
        ({"mixup_type": "cutmix"}, "mixup_grid", None),
        ({"mixup_type": "mixup|stitch-tile"}, "mixup_grid", "2x2"),
        ({}, "temperature", None),
        ({"teacher": "resnext29_16x64d"}, "temperature", 20.0),
        ({"teacher": "resnext29_16x64d"}, "hard_weight", 0.5),
        ({"teacher": "resnext29_16x64d"}, "distillation_form", "gluoncv"),
        ({"teacher": "resnet20_v1", "distillation_form": "paper"}, "hard_weight", None),
        ({"teacher": "cifar_resnet20_v1"}, "teacher", "resnet20_v1"),
        ({"model": "cifar_resnet56_v1"}, "model", "resnet56_v1"),
    ],
)
def test_what_is_left_open_follows_from_the_rest(given, field, value):
    recipe = resolve(Recipe(**given))
    assert getattr(recipe, field) == value
    assert resolve(recipe) == recipe


def test_resolving_changes_no_other_field():
    given = Recipe(teacher="resnet20_v1", mixup_type="stitch-tile", lr_mode="step", seed=7)
    resolved = resolve(given)
    for f in fields(Recipe):
        value = getattr(given, f.name)
        assert value is None or getattr(resolved, f.name) == value


NO_EFFECT = [
    ({"momentum": 0.9, "optimizer": "adam"}, "--optimizer nag or sgd"),
    ({"momentum": 0.0, "optimizer": "adadelta"}, "--optimizer nag or sgd"),
    ({"crop_ratio": 0.9}, "images on disk"),
    ({"min_scale": 0.2}, "images on disk"),
    ({"input_size": 64}, "on disk"),
    ({"augment": "gluoncv"}, "on disk"),
    ({"warmup_lr": 0.01}, "--warmup-epochs"),
    ({"loss_scale": 128.0}, "--dtype float16"),
    ({"lr_decay": 0.2}, "--lr-mode step"),
    ({"lr_decay_from": "warmup"}, "--lr-mode step"),
    ({"lr_decay_epoch": (3, 4)}, "--lr-mode step"),
    ({"lr_decay_period": 3}, "--lr-mode step"),
    ({"smoothing_form": "paper"}, "--label-smoothing"),
    ({"mixup_alpha": 0.2}, "a --mixup-type"),
    ({"mixup_grid": "2x2", "mixup_type": "mixup"}, "--mixup-type stitch-tile"),
    ({"mixup_off_epoch": 3}, "a --mixup-type"),
    ({"mixup_off_first": 3}, "a --mixup-type"),
    ({"temperature": 4.0}, "a --teacher"),
    ({"distillation_form": "paper"}, "a --teacher"),
    ({"hard_weight": 0.5}, "a --teacher"),
    ({"hard_weight": 0.5, "teacher": "resnet20_v1", "distillation_form": "paper"},
     "a --teacher in GluonCV's form"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "needed"), NO_EFFECT)
def test_an_option_without_effect_is_refused_and_what_it_needs_is_said(given, needed):
    error = refused("would have no effect", **given)
    assert any(flag(name) in error.cause for name in given)
    assert needed in error.remedy


def test_no_option_that_depends_on_another_is_forgotten_above():
    tried = {name for given, _ in NO_EFFECT for name in given}
    assert {name for _, _, values in DEPENDENT for name in values} <= tried


WITH = {
    "momentum": {},
    "lr_decay": {"lr_mode": "step"},
    "lr_decay_epoch": {"lr_mode": "step"},
    "lr_decay_period": {"lr_mode": "step"},
    "mixup_alpha": {"mixup_type": "mixup"},
    "mixup_off_epoch": {"mixup_type": "mixup"},
    "mixup_off_first": {"mixup_type": "mixup"},
    "temperature": {"teacher": "resnet20_v1"},
    "hard_weight": {"teacher": "resnet20_v1"},
    "input_size": {"dataset": "imagenet", "model": "resnet18_v1"},
    "crop_ratio": {"dataset": "imagenet", "model": "resnet18_v1"},
    "min_scale": {"dataset": "imagenet", "model": "resnet18_v1"},
    "loss_scale": {"dtype": "float16"},
}
OUTSIDE = {
    "seed": (-1, 2**63),
    "classes": (1, 0, -5),
    "val_split": (-1,),
    "subset": (-1,),
    "flip": (-0.1, 1.1, NAN),
    "brightness": (-0.1, 1.1, NAN),
    "saturation": (-0.1, 1.1, NAN),
    "hue": (-0.1, 1.1, NAN),
    "lighting": (-0.1, NAN),
    "crop_pad": (-1, 65),
    "num_epochs": (0, -1),
    "batch_size": (0, -1),
    "lr": (0.0, -0.1, NAN, INF),
    "momentum": (-0.1, 1.0, NAN),
    "wd": (-1e-4, NAN, INF),
    "lr_decay": (0.0, 1.1, NAN),
    "lr_decay_epoch": ((60, 30), (-1, 30), (30, 30)),
    "lr_decay_period": (-1, -30),
    "warmup_epochs": (-1,),
    "contrast": (-0.1, 1.1, NAN),
    "input_size": (0, -3, 4097),
    "crop_ratio": (0.0, 1.1, NAN),
    "min_scale": (0.0, 1.1, NAN),
    "shards": (0, -1),
    "warmup_lr": (-0.1, NAN, INF),
    "ema": (-0.1, 1.0, NAN),
    "loss_scale": (0.0, -2.0, NAN, INF),
    "resume_epoch": (-1,),
    "label_smoothing": (-0.1, 1.0, NAN),
    "mixup_alpha": (0.0, -1.0, NAN, INF),
    "mixup_off_epoch": (-1,),
    "mixup_off_first": (-1,),
    "temperature": (0.0, -1.0, NAN, INF),
    "hard_weight": (-0.1, 1.0, NAN),
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in OUTSIDE.items() for v in vs])
def test_a_number_outside_its_range_is_refused_with_value_and_range(name, value):
    error = refused("--", **WITH.get(name, {}), **{name: value})
    assert flag(name) in error.cause
    assert str(value) in error.cause
    assert error.remedy


def test_every_range_is_tried_above():
    assert set(RANGES) <= set(OUTSIDE)


@pytest.mark.parametrize(
    "name", [f.name for f in fields(Recipe) if f.metadata.get("choices") is not None]
)
def test_an_unknown_choice_is_refused_with_the_nearest(name):
    choices = next(f.metadata["choices"] for f in fields(Recipe) if f.name == name)
    wrong = choices[0][:-1] + "_"
    error = refused("is unknown", **{name: wrong})
    assert f"{flag(name)} '{wrong}'" in error.cause
    assert all(choice in error.remedy for choice in choices)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"dataset": "cifar99"}, "unknown data set 'cifar99'"),
        ({"model": "resnet57_v1"}, "unknown model 'resnet57_v1'"),
        ({"teacher": "resnext30"}, "unknown model 'resnext30'"),
        ({"mixup_type": "stich-vertical"}, "unknown mixing type 'stich-vertical'"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(given, match):
    assert "did you mean" in refused(match, **given).remedy


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"classes": 99}, "--classes 99 is less than the 100 of cifar100"),
        ({"num_epochs": 5, "warmup_epochs": 5}, "--warmup-epochs 5 leaves nothing"),
        ({"lr_mode": "step", "num_epochs": 90}, "--lr-decay-epoch 90 is not before the end"),
        ({"lr_mode": "step", "lr_decay_period": 120}, "--lr-decay-period 120"),
        ({"lr_mode": "step", "warmup_epochs": 40, "lr_decay_from": "warmup"},
         "--lr-decay-epoch 90"),
        ({"lr_mode": "step", "lr_decay_period": 9, "lr_decay_epoch": (4,)}, "both given"),
        ({"lr": 0.3, "lr_scaling": "linear"}, "both given"),
        ({"optimizer": "adam", "lr_scaling": "linear"}, "not for adam"),
        ({"mixup_type": "mixup", "batch_size": 1}, "needs partners"),
        ({"mixup_type": "mixup", "num_epochs": 4, "mixup_off_epoch": 2, "mixup_off_first": 2},
         "mixing is off for 2 \\+ 2 epochs of 4"),
        ({"mixup_type": "stitch-tile", "mixup_grid": "2by2"}, "'2by2' is no grid"),
        ({"mixup_type": "stitch-tile", "mixup_grid": "3x3", "batch_size": 8}, "3x3"),
        ({"select": "test", "val_split": 10}, "both given"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_together_is_refused(given, match):
    assert refused(match, **given).remedy


def test_the_boundaries_of_what_is_allowed_are_allowed():
    for given in (
        {"num_epochs": 6, "warmup_epochs": 5},
        {"lr_mode": "step", "num_epochs": 91},
        {"lr_mode": "step", "warmup_epochs": 29, "lr_decay_from": "warmup"},
        {"mixup_type": "mixup", "num_epochs": 4, "mixup_off_epoch": 3},
        {"mixup_type": "stitch-tile", "mixup_grid": "3x3", "batch_size": 9},
        {"seed": 2**63 - 1, "wd": 0.0, "batch_size": 1},
    ):
        resolve(Recipe(**given))


def test_resolving_is_not_undone_by_replacing_a_seed():
    recipe = resolve(Recipe(mixup_type="stitch-tile"))
    assert resolve(replace(recipe, seed=3)) == replace(recipe, seed=3)
