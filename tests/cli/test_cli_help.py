"""Help answers at once, loads no framework, and tells every field."""

import argparse
import subprocess
import sys
import time
from dataclasses import fields

import pytest
from running import command, environment

from gluontricks.cli import COMMANDS
from gluontricks.cli.flags import add_option_flags, add_recipe_flags, typed_recipe
from gluontricks.options import RunOptions
from gluontricks.recipes import DEFAULT
from gluontricks.recipes.spec import Recipe

LOADED = """
import sys
from gluontricks.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
heavy = [m for m in ("mxnet", "matplotlib", "scipy", "sklearn", "torch") if m in sys.modules]
print("LOADED", code or 0, heavy)
"""


def cold(*words):
    """Run a command in a new process; return its output and the best time of three."""
    times = []
    for _ in range(3):
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", LOADED, *words],
            env=environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        times.append(time.monotonic() - started)
        if times[-1] < 0.5:
            break
    return done.stdout, min(times)


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_answers_in_half_a_second_without_loading_a_framework(name):
    out, seconds = cold(*([name] if name else []), "--help")
    assert "LOADED 0 []" in out, out[-200:]
    assert "usage: gluontricks" in out
    assert seconds < 0.5


@pytest.mark.parametrize("words", [("--version",), ("recipes",), ("train", "--print-config")])
def test_what_needs_no_framework_loads_none(words):
    assert "'mxnet'" not in cold(*words)[0]


def parser():
    made = argparse.ArgumentParser()
    add_recipe_flags(made)
    add_option_flags(made)
    return made


def flags_of(made):
    return {flag for action in made._actions for flag in action.option_strings}


def test_every_field_of_recipe_and_options_has_its_flag():
    expected = {"--" + f.name.replace("_", "-") for f in fields(Recipe)}
    expected |= {"--" + f.name.replace("_", "-") for f in fields(RunOptions)} - {"--command"}
    assert expected <= flags_of(parser())
    beside = {"--recipe", "--config", "--no-resume", "--mode", "-j",
              "--num-data-workers", "-h", "--help"}  # fmt: skip
    assert flags_of(parser()) - expected == beside


def test_no_flag_has_a_default_of_its_own():
    """What is not typed leaves no trace: the recipe's own defaults hold."""
    args = parser().parse_args([])
    assert {k for k in vars(args) if k in {f.name for f in fields(Recipe)}} == set()
    assert typed_recipe(args, DEFAULT) == DEFAULT


def test_gluoncvs_flags_are_known_by_their_names():
    wanted = (
        "--model --dataset --classes --data-dir --num-epochs --batch-size --lr --lr-mode "
        "--lr-decay --lr-decay-epoch --lr-decay-period --warmup-epochs --momentum --wd --no-wd "
        "--last-gamma --optimizer --label-smoothing --mixup-type --mixup-alpha --mixup-off-epoch "
        "--mixup-off-first --teacher --teacher-params --temperature --hard-weight --dtype --seed "
        "--normalization --out --resume --no-resume --max-steps --quiet --recipe --config"
    )
    assert set(wanted.split()) <= flags_of(parser())
    text = command("train", "--help").out
    for flag in (*wanted.split(), "--print-config", "--dry-run"):
        assert flag in text


def test_help_tells_every_field_and_its_choices():
    text = "".join(command("train", "--help").out.split())
    for f in fields(Recipe):
        assert "".join(f.metadata["help"].split()) in text, f.name
        for choice in f.metadata.get("choices", ()):
            assert choice in text
