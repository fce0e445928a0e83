"""The list of recipes, and what is said of one beside its fields."""

import yaml
from running import command

from gluontricks.recipes import RECIPES
from gluontricks.recipes.gluoncv_runs import missing


def test_the_list_has_every_recipe_once_under_a_heading() -> None:
    lines = command("recipes").out.splitlines()
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(names) == sorted(RECIPES)
    headings = [line for line in lines if line and not line.startswith("  ")]
    assert len(headings) == 5
    assert all(network in headings[-1] for network in missing().values())


def test_a_recipe_of_imagenet_says_its_hours_and_where_they_are_from() -> None:
    out = command("recipes", "show", "bag-6-resnet50d-mixup-distill").out
    # 200 epochs of 265.7 s, and a third of the teacher's 4.4 minutes x 11.753 / 3.858.
    assert "# about 29.7 hours on 8 V100: 266 s per epoch, resnet50_v1d.log" in out
    assert "# its teacher is trained by: --recipe bag-teacher-mixup" in out
    assert yaml.safe_load(out)["num_epochs"] == 200


def test_a_recipe_of_a_log_says_what_the_flags_do_not() -> None:
    out = command("recipes", "show", "gluoncv-resnext50_32x4d").out
    assert "# GluonCV's ResNeXt inverts --last-gamma" in out
    assert yaml.safe_load(out)["last_gamma"] is False


def test_a_recipe_whose_network_is_not_here_says_so() -> None:
    done = command("recipes", "show", "gluoncv-cifar_wideresnet16_10")
    assert done.code == 2
    assert "needs the network 'cifar_wideresnet16_10', which is not here" in done.err


def test_another_precision_drops_the_loss_scale_of_a_recipe_of_a_log() -> None:
    words = ("train", "--recipe", "gluoncv-resnet50_v1d-mixup", "--print-config")
    assert yaml.safe_load(command(*words).out)["loss_scale"] == 1024
    assert yaml.safe_load(command(*words, "--dtype", "float32").out)["loss_scale"] is None
    assert command(*words, "--dtype", "float32", "--loss-scale", "8").code == 2
