"""GluonCV's command lines and the settings in its logs as recipes."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, Dict

import pytest

from gluontricks import builders
from gluontricks.errors import UsageError
from gluontricks.options import RunOptions
from gluontricks.recipes import RECIPES, get_recipe
from gluontricks.recipes.gluoncv_flags import CIFAR_FLAGS, FLAGS, OLD_FLAGS
from gluontricks.recipes.gluoncv_runs import missing, published_runs, run_recipes, runnable
from gluontricks.recipes.namespaces import namespace_recipe, parse_namespace, recipe_of
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe, difference
from gluontricks.results.cells import median_seconds
from gluontricks.results.plain import map_texts, without_paths

ROOT = Path(__file__).resolve().parents[2]
RUNS = {run.name: run for run in published_runs()}
with open(Path(__file__).with_name("gluoncv_runs.csv"), newline="", encoding="utf-8") as _stream:
    GOLDEN = {row["name"]: row for row in csv.DictReader(_stream)}
PLAIN = {"model": "resnet50_v1b"}
IMAGES = 1_281_167


def records() -> Dict[str, Any]:
    """Name of a run -> the committed record of its log."""
    path = ROOT / "results" / "runs" / "author-logs.jsonl"
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        file, commit = record["source"]["file"], record["source"]["origin"].partition("@")[2]
        for run in RUNS.values():
            known = commit in {r.revision for r in RUNS.values() if r.log == file}
            if run.log == file and run.revision == (commit if known else ""):
                found[run.name] = record
    return found


LOGS = records()


def test_every_published_log_has_settings_and_a_golden_row() -> None:
    assert set(RUNS) == set(GOLDEN) == set(LOGS) == set(run_recipes())
    assert len(RUNS) == 37


@pytest.mark.parametrize("name", sorted(RUNS))
def test_settings_and_times_are_those_of_the_log(name: str) -> None:
    record = LOGS[name]
    flags = map_texts(parse_namespace(RUNS[name].namespace), without_paths)
    assert flags == record["source"]["log"]["flags"]
    assert abs(median_seconds(record) - RUNS[name].seconds) <= 0.1


@pytest.mark.parametrize("name", sorted(RUNS))
def test_batch_and_schedule_are_what_the_log_was_trained_with(name: str) -> None:
    recipe, golden = run_recipes()[name].recipe, GOLDEN[name]
    assert recipe.batch_size == int(golden["total_bs"])
    assert recipe.shards == int(golden["num_gpus"])
    assert recipe.num_epochs == int(golden["epochs_planned"])
    assert recipe.lr == float(golden["lr"])
    assert recipe.lr_mode == golden["lr_mode"]
    assert recipe.warmup_epochs == int(golden["warmup_epochs"] or 0)
    assert recipe.wd == float(golden["wd"])
    assert (recipe.optimizer, recipe.momentum) == ("nag", 0.9)
    if recipe.lr_mode == "step":
        assert recipe.lr_decay == float(golden["lr_decay"])
        assert recipe.lr_decay_epoch == tuple(map(int, golden["lr_decay_epoch"].split(",")))


@pytest.mark.parametrize("name", sorted(RUNS))
def test_tricks_are_those_of_the_log(name: str) -> None:
    recipe, golden = run_recipes()[name].recipe, GOLDEN[name]
    on = {key: golden[key] == "True"
          for key in ("no_wd", "last_gamma", "label_smoothing", "mixup")}  # fmt: skip
    assert recipe.no_wd == on["no_wd"]
    assert recipe.label_smoothing == (0.1 if on["label_smoothing"] else 0)
    assert recipe.mixup_type == ("mixup" if on["mixup"] else "none")
    assert recipe.mixup_alpha == (float(golden["mixup_alpha"]) if on["mixup"] else None)
    assert recipe.dtype == (golden["dtype"] or "float32")
    assert recipe.input_size == (int(golden["input_size"]) if golden["input_size"] else None)
    assert recipe.last_gamma == (on["last_gamma"] and "resnext" not in golden["model"])
    assert recipe.teacher is None


@pytest.mark.parametrize(
    "name", ["gluoncv-resnet50_v1d", "gluoncv-resnet152_v1d", "gluoncv-resnet152_v1d-mixup"]
)
def test_the_rates_are_those_that_the_log_prints(name: str) -> None:
    recipe = run_recipes()[name].recipe
    per_epoch = IMAGES // recipe.batch_size
    rates = builders.make_rates(recipe, per_epoch)
    last_printed = per_epoch // 50 * 50 - 1
    # The scheduler of 2018 began at 0 and divided by one step more; six digits are printed.
    two_steps = 2 * recipe.lr / (recipe.warmup_epochs * per_epoch)
    for epoch in LOGS[name]["epochs"]:
        ours = rates[epoch["epoch"] * per_epoch + last_printed]
        assert abs(ours - epoch["lr"]) < two_steps + 1e-6


def test_imagenet_runs_have_the_scripts_images_and_weights() -> None:
    for name, found in run_recipes().items():
        recipe = found.recipe
        if recipe.dataset == "imagenet":
            assert (recipe.augment, recipe.init, recipe.lr_form) == ("gluoncv", "msra", "gluoncv")
            assert recipe.crop_ratio == 0.875
        else:
            assert (recipe.dataset, recipe.init) == ("cifar10", "xavier"), name
            assert (recipe.crop_pad, recipe.flip, recipe.saturation) == (4, 0.5, 0)
            assert recipe.normalization == "dataset"


def test_record_files_have_the_constants_of_0_to_255_and_folders_those_of_0_to_1() -> None:
    by_records = run_recipes()["gluoncv-resnet50_v1d"].recipe.normalization
    mean, std = ([float(v) for v in part.split(",")] for part in by_records.split("/"))
    assert [round(255 * v, 3) for v in mean] == pytest.approx([123.68, 116.779, 103.939], abs=1e-3)
    assert [round(255 * v, 3) for v in std] == pytest.approx([58.393, 57.12, 57.375], abs=1e-3)
    assert run_recipes()["gluoncv-resnet50_v1-bbd30f06"].recipe.normalization == "imagenet"


def test_float16_without_loss_scaling_is_a_scale_of_the_batch() -> None:
    for found in run_recipes().values():
        half = found.recipe.dtype == "float16"
        assert found.recipe.loss_scale == (found.recipe.batch_size if half else None)


def test_the_cifar_mixup_script_stops_mixing_for_twenty_epochs() -> None:
    recipe = run_recipes()["gluoncv-cifar_resnet56_v1_mixup"].recipe
    assert (recipe.mixup_off_epoch, recipe.mixup_alpha, recipe.label_smoothing) == (20, 1.0, 0)


def test_what_a_log_does_not_say_is_noted() -> None:
    notes = {name: " ".join(found.notes) for name, found in run_recipes().items()}
    for name in notes:
        assert ("inverts --last-gamma" in notes[name]) == ("resnext" in name and
                                                           "cifar" not in name)  # fmt: skip
    assert "resized to 256" in notes["gluoncv-inceptionv3-mixup"]
    assert "ran cifar_resnet20_v1" in notes["gluoncv-cifar_resnet20_v2_mixup"]


def test_networks_that_are_not_here_have_recipes_that_cannot_be_run() -> None:
    assert len(runnable()) + len(missing()) == 37
    assert set(missing().values()) == {f"cifar_{name}" for name in (
        "resnet20_v2", "resnet56_v2", "resnet110_v2", "wideresnet16_10", "wideresnet28_10",
        "wideresnet40_8",
    )}  # fmt: skip
    for name, model in missing().items():
        assert name not in RECIPES
        assert f"'{model}' is not here" in " ".join(run_recipes()[name].notes)
        with pytest.raises(UsageError, match="which is not here"):
            get_recipe(name)
    assert all(RECIPES[recipe.name] == recipe for recipe in runnable())


def test_an_old_script_had_the_defaults_of_its_time() -> None:
    old = namespace_recipe(
        "INFO:root:Namespace(batch_size=64, lr=0.1, lr_decay_epoch='30,60,90', model='resnet50_v1',"
        " num_epochs=150, num_gpus=4, use_thumbnail=False)"
    )
    recipe = resolve(old.recipe)
    assert (recipe.dtype, recipe.lr_mode, recipe.warmup_epochs) == ("float32", "step", 0)
    assert (recipe.input_size, recipe.mixup_type, recipe.label_smoothing) == (224, "none", 0)
    assert (recipe.no_wd, recipe.last_gamma, recipe.batch_size) == (False, False, 256)


@pytest.mark.parametrize("name", sorted(set(FLAGS) - {"model"}))
def test_a_flag_given_with_gluoncvs_own_default_is_never_an_error(name: str) -> None:
    for base in (PLAIN, {**PLAIN, "lr_mode": "cosine"}, {**PLAIN, "num_epochs": 100}):
        given = recipe_of({**base, name: base.get(name, FLAGS[name].default)})
        plain = recipe_of(base)
        assert resolve(given.recipe) == resolve(plain.recipe)
        assert given.notes == plain.notes


def test_the_options_of_a_run_are_fields_of_run_options() -> None:
    known = {f.name for f in fields(RunOptions)}
    given = recipe_of({**PLAIN, "data_dir": "~/images", "use_rec": True, "num_workers": 9,
                       "num_gpus": 2, "save_dir": "x", "resume_params": "a.params",
                       "log_interval": 5, "logging_file": "y.log",
                       "save_frequency": 3})  # fmt: skip
    assert set(given.options) <= known
    assert given.options["data_dir"] == Path.home() / "images"
    assert (given.options["out"], given.options["num_workers"]) == (Path("x"), 9)
    assert RunOptions(**given.options).save_frequency == 3
    assert recipe_of(PLAIN).options == {}


def test_the_batch_is_per_device_and_the_rate_is_not_scaled() -> None:
    recipe = recipe_of({**PLAIN, "batch_size": 128, "num_gpus": 8, "lr": 0.4}).recipe
    assert (recipe.batch_size, recipe.shards, recipe.lr) == (1024, 8, 0.4)
    recipe = recipe_of({**PLAIN, "batch_size": 128}).recipe
    assert (recipe.batch_size, recipe.shards, recipe.lr) == (128, 1, 0.1)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"data_backend": "dali-gpu"}, "--use-rec"),
        ({"use_pretrained": True}, "--resume-params FILE"),
        ({"resume_states": "a.states"}, "pickle"),
        ({"mixup_alpha": 0.4}, "no --mixup"),
        ({"mixup_off_epoch": 3}, "no --mixup"),
        ({"temperature": 3.0}, "no --teacher"),
        ({"hard_weight": 0.1}, "no --teacher"),
        ({"lr_mode": "cosine", "lr_decay_epoch": "30,60"}, "only --lr-mode step"),
        ({"lr_mode": "poly", "lr_decay": 0.2}, "only --lr-mode step"),
        ({"lr_mode": "cosine", "lr_decay_period": 3}, "only --lr-mode step"),
        ({"warmup_lr": 0.01}, "no --warmup-epochs"),
        ({"num_training_samples": 5}, "counted"),
        ({"use_se": True}, "only resnext"),
        ({"batch_norm": True}, "only vgg"),
        ({"use_gn": True}, "unknown model"),
        ({"model": "vgg16", "batch_norm": True}, "unknown model 'vgg16_bn'"),
        ({"rgb_mean": "1,2"}, "three numbers"),
        ({"lr_decay_epoch": "a"}, "no epochs"),
        ({"lr_decay_epoch": "5", "num_epochs": 3}, "not before the end"),
        ({"batch_sise": 3}, "did you mean 'batch_size'"),
        ({"model": None}, "no --model"),
    ],
)
def test_typed_flags_that_cannot_be_meant_are_refused(values: dict, said: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve(recipe_of({**PLAIN, **values}).recipe)
    assert said in str(error.value)


def test_the_same_settings_in_a_log_had_no_effect_and_are_noted() -> None:
    found = namespace_recipe({**PLAIN, "lr_mode": "cosine", "lr_decay_epoch": "30,60",
                              "mixup_alpha": 0.4, "warmup_lr": 0.1, "use_se": True})  # fmt: skip
    assert len(found.notes) == 4
    assert all("had no effect" in note for note in found.notes)
    assert resolve(found.recipe).warmup_lr == 0


def test_steps_after_the_end_never_came() -> None:
    step = {**PLAIN, "num_epochs": 50, "lr_mode": "step"}
    assert resolve(recipe_of(step).recipe).lr_decay_epoch == (40,)
    assert namespace_recipe({**step, "lr_decay_epoch": "90,30"}).recipe.lr_decay_epoch == (30,)


def test_steps_by_a_period_go_before_those_by_name() -> None:
    recipe = recipe_of({**PLAIN, "num_epochs": 100, "lr_decay_period": 30}).recipe
    assert resolve(recipe).lr_decay_epoch == (30, 60, 90)


def test_typed_flags_mean_what_they_say_where_gluoncv_does_otherwise() -> None:
    typed = recipe_of({"model": "resnext50_32x4d", "last_gamma": True, "use_se": True}).recipe
    assert (typed.model, typed.last_gamma) == ("se_resnext50_32x4d", True)
    assert recipe_of({"model": "resnet18_v1b", "last_gamma": True}).recipe.last_gamma
    warm = recipe_of({**PLAIN, "warmup_lr": 0.01, "warmup_epochs": 1}).recipe
    assert resolve(warm).warmup_lr == 0.01


def test_zero_gamma_ran_where_resnext_was_not_asked_for_it() -> None:
    for model, flag, ran in (
        ("resnext50_32x4d", True, False), ("resnext50_32x4d", False, True),
        ("resnet18_v1b", True, False), ("resnet34_v1b", False, False), ("resnet50_v1b", True, True),
        ("resnet18_v1", True, True),
    ):  # fmt: skip
        assert namespace_recipe({"model": model, "last_gamma": flag}).recipe.last_gamma == ran


def test_a_hard_weight_of_one_switches_distillation_off() -> None:
    teacher = {**PLAIN, "teacher": "resnet152_v1d"}
    on, off = recipe_of(teacher), recipe_of({**teacher, "hard_weight": 1.0})
    assert (on.recipe.teacher, on.recipe.temperature, on.recipe.hard_weight) == (
        "resnet152_v1d", 20.0, 0.5)  # fmt: skip
    assert on.recipe.distillation_form == "gluoncv"
    assert off.recipe.teacher is None
    assert "switches the teacher" in off.notes[0]


def test_smoothing_is_a_switch_or_an_amount() -> None:
    assert recipe_of({**PLAIN, "label_smoothing": True}).recipe.label_smoothing == 0.1
    assert recipe_of({**PLAIN, "label_smoothing": 0.2}).recipe.label_smoothing == 0.2
    assert not difference(recipe_of(PLAIN).recipe, recipe_of({**PLAIN, "mode": "hybrid"}).recipe)


@pytest.mark.parametrize(
    "text",
    ["", "no flags", "Namespace(a=__import__('os').getcwd())", "Namespace(1)", "Namespace(a=",
     "Namespace(" + "(" * 3000 + ")"],
)  # fmt: skip
def test_a_line_without_plain_flags_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"no Namespace\(\.\.\.\) of plain values"):
        namespace_recipe(text)


def test_settings_of_other_scripts_are_refused() -> None:
    with pytest.raises(UsageError, match="no classification script"):
        namespace_recipe("Namespace(batch_size=4, dataset='voc', network='resnet50_v1b')")


def test_the_flags_are_all_that_the_logs_have() -> None:
    for run in RUNS.values():
        known = CIFAR_FLAGS if "/cifar/" in run.log else {**FLAGS, **OLD_FLAGS}
        assert set(parse_namespace(run.namespace)) <= set(known)
    for flags in (FLAGS, CIFAR_FLAGS, OLD_FLAGS):
        for dest, flag in flags.items():
            assert flag.default is None or isinstance(flag.default, flag.kind), dest
            assert all(re.fullmatch(r"-j|--[a-z_-]+", option) for option in flag.options)


def test_a_recipe_of_a_log_is_a_recipe_by_name() -> None:
    assert isinstance(get_recipe("gluoncv-resnet50_v1d-mixup"), Recipe)
