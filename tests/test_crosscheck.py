"""The two engines in float64: how far they are apart, and that a difference would be seen."""

import csv
import importlib.util
import io
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from running import command

torch = pytest.importorskip("torch")

from gluontricks import crosscheck as checking
from gluontricks.crosscheck import COMPOSITE, LOSSES, PLAIN, Differences, cases, relative
from gluontricks.errors import IntegrityError
from gluontricks.learners import SLOTS
from gluontricks.learners.torch import operators
from gluontricks.mixing.names import SINGLE
from gluontricks.models.names import NAMES
from gluontricks.options import RunOptions
from gluontricks.results import crosschecked
from gluontricks.results.make import stale_tables

ROOT = Path(__file__).parents[1]
ALL = list(cases())
LIMITS = {"loss": 1e-6, "gradients": 1e-10, "parameters": 1e-6, "statistics": 1e-6}
SMALL = ("crosscheck", "resnet8_v1", "--steps", "2")


def test_a_stitched_smoothed_distilled_run_agrees_after_five_steps():
    found = checking.crosscheck(COMPOSITE)
    assert found.gradients <= 1e-10
    assert max(found) <= 1e-6
    assert min(found) > 0, "two engines that round alike in everything were one"


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_the_first_step_agree_for_every_loss(name):
    found = checking.crosscheck(replace(PLAIN, **LOSSES[name]), steps=1)
    assert found.gradients <= 1e-10
    assert found.loss <= 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.kind}-{case.name}")
def test_every_row_of_the_table_can_be_had_again(case):
    assert checking.crosscheck(case.recipe, steps=2, size=case.size).agree


def test_the_losses_of_the_table_differ():
    """Were a change without effect, two rows would be one."""
    batches = {}
    for name, changes in LOSSES.items():
        recipe = replace(PLAIN, **changes)
        batches[name] = losses_of(recipe)
    assert len(set(batches.values())) == len(LOSSES)


def losses_of(recipe):
    run = checking.make_run(recipe, 1, RunOptions())
    return float(checking.outcome("mxnet", run)["loss"]["loss"][0])


def test_every_network_loss_optimizer_and_mixer_is_a_case():
    names = {kind: {case.name for case in ALL if case.kind == kind} for kind in
             ("network", "loss", "optimizer", "mixer")}  # fmt: skip
    assert names["network"] == set(NAMES)
    assert names["loss"] == set(LOSSES)
    assert names["optimizer"] == set(SLOTS)
    assert names["mixer"] > set(SINGLE)


def test_a_network_that_is_added_is_a_case_unasked(monkeypatch):
    monkeypatch.setitem(NAMES, "resnet14_v1", 32)
    assert "resnet14_v1" in {case.name for case in cases() if case.kind == "network"}


@pytest.mark.parametrize(
    ("name", "size"), [("resnet20_v1", None), ("resnet18_v1d", 64), ("inceptionv3", 96)]
)
def test_images_are_enlarged_for_networks_that_need_it(name, size):
    (case,) = [case for case in ALL if case.name == name]
    assert case.size == checking.size_for(name) == size
    assert case.recipe.teacher == ("mobilenet0.25" if size else "resnet8_v1")


def test_enlarged_images_have_every_pixel_several_times():
    own = checking.load_split("digits", "train")
    larger = checking.enlarged(own, 96)
    assert larger.images.shape == (len(own), 96, 96, 3)
    np.testing.assert_array_equal(larger.images[:, 2::3, ::3], own.images)
    np.testing.assert_array_equal(larger.labels, own.labels)
    assert checking.enlarged(own, None).images.shape == own.images.shape


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": [1.0, -4.0], "b": [0.0]}, {"a": [1.0, -4.0], "b": [1.0]}, 0.25),
        ({"a": [2.0], "b": [0.0]}, {"a": [2.5], "b": [0.1]}, 0.25),
        ({"a": [0.0]}, {"a": [3.0]}, 3.0),
        ({}, {}, 0.0),
        ({"a": [1.0], "b": [math.nan]}, {"a": [1.0], "b": [1.0]}, math.nan),
        ({"a": [math.nan], "b": [1.0]}, {"a": [1.0], "b": [1.0]}, math.nan),
    ],
)
def test_the_difference_is_the_largest_of_all_over_the_largest_value(one, other, expected):
    arrays = [{k: np.array(v) for k, v in values.items()} for values in (one, other)]
    assert relative(*arrays) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("beyond", [2.0, math.nan, math.inf])
def test_a_difference_beyond_its_limit_or_of_no_number_is_no_agreement(kind, beyond):
    within = Differences(**LIMITS)
    assert within.agree
    assert not within._replace(**{kind: LIMITS[kind] * beyond}).agree


def test_the_command_prints_the_four_numbers_and_that_the_engines_agree():
    done = command(*SMALL)
    assert done.code == 0, done.err
    for word in ("float64", "loss", "gradients", "parameters", "statistics", "the engines agree"):
        assert word in done.out


def test_the_document_has_four_numbers_and_nothing_else():
    done = command(*SMALL, "--json")
    assert list(done.document) == ["loss", "gradients", "parameters", "statistics"]
    assert all(0 <= value <= 1e-6 for value in done.document.values())


def test_flags_of_a_run_are_those_of_the_run():
    small = ("--dataset", "digits", "--model", "resnet8_v1", "--steps", "1", "--batch-size", "6")
    done = command("crosscheck", *small, "--optimizer", "adam", "--mixup-type", "cutmix")
    assert done.code == 0, done.err
    assert done.out.startswith("resnet8_v1 on digits, adam, cutmix, ")
    assert "1 steps of 6 images in float64" in done.out


def test_an_operator_that_computes_something_else_is_found(monkeypatch):
    plain = operators.OPERATORS["FullyConnected"]
    wrong = lambda a, *inputs: plain(a, *inputs) * (1 + 1e-9)  # noqa: E731
    monkeypatch.setitem(operators.OPERATORS, "FullyConnected", wrong)
    done = command(*SMALL)
    assert done.code == 81
    assert "error: the engines disagree" in done.err
    assert "remedy: report it" in done.err


CHAOTIC = replace(PLAIN, model="resnet14_v1", lr=10.0, warmup_epochs=0)


def test_a_run_that_makes_much_of_rounding_is_no_disagreement(monkeypatch):
    monkeypatch.setattr("gluontricks.cli.crosscheck.wanted", lambda _: CHAOTIC)
    done = command("crosscheck", "--steps", "12")
    assert done.code == 0, done.err
    assert "agree as far as can be seen" in done.out
    assert "fewer --steps" in done.out


def test_what_rounding_does_is_of_the_size_that_engines_differ_by():
    comparison = checking.Comparison(COMPOSITE)
    own, found = comparison.rounding(), comparison.engines()
    assert found.explained_by(own)
    assert 0 < own.gradients < 1e-10
    assert not Differences(0.0, 1e-9, 0.0, 0.0).explained_by(own)


def test_more_memory_than_there_is_names_the_batch_that_fits(monkeypatch):
    monkeypatch.setattr("gluontricks.machine.free_memory", lambda: 3 << 30)
    done = command("crosscheck", "--dataset", "digits", "--model", "resnet56_v1",
                   "--batch-size", "1024")  # fmt: skip
    assert (done.code, done.out) == (2, "")
    assert "of memory in float64, 3.0 are free" in done.err
    assert "remedy: give --batch-size " in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("resnet8_v2",), "unknown model 'resnet8_v2'"),
        (("resnet8_v1", "--model", "resnet8_v1"), "are both given"),
        (("resnet8_v1", "--dtype", "float64"), "--dtype float64 would have no effect"),
        (("resnet8_v1", "--dtype", "bfloat16"), "--dtype bfloat16 would have no effect"),
        (("resnet8_v1", "--steps", "0"), "0 steps compare nothing"),
        (("resnet8_v1", "--steps", "99999"), "99999 steps are more than"),
    ],
)
def test_what_cannot_be_compared_is_told(words, said):
    done = command("crosscheck", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "remedy: " in done.err


def test_without_pytorch_it_is_told_how_to_install_it(monkeypatch):
    for name in [n for n in sys.modules if n.startswith("gluontricks.learners.torch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(checking, "outcome", lambda *_, **__: pytest.fail("MXNet computed first"))
    done = command(*SMALL)
    assert done.code != 0
    assert "gluontricks[torch]" in done.err
    assert "Traceback" not in done.err


def committed():
    found = crosschecked.load(ROOT / "results")
    assert found is not None
    return found


def test_the_committed_table_has_every_case_and_all_agree():
    found = committed()
    rows = {(row["kind"], row["name"]): row for row in found["rows"]}
    assert list(rows) == [(case.kind, case.name) for case in ALL], "scripts/make_crosscheck.py"
    assert found["limits"] == LIMITS
    assert found["steps"] == 5
    for row in rows.values():
        assert all(row[kind] <= limit for kind, limit in LIMITS.items()), row


def test_the_table_says_what_was_measured_with_what():
    found = committed()
    files = crosschecked.render(found)
    lines = files["crosscheck.md"].splitlines()
    rows = [line for line in lines if line.startswith("| ") and "| limit" not in line]
    assert len(rows) == 1 + len(found["rows"])
    assert "MXNet 1.9.1" in files["crosscheck.md"]
    table = list(csv.DictReader(io.StringIO(files["crosscheck.csv"])))
    assert [float(row["gradients"]) for row in table] == [r["gradients"] for r in found["rows"]]


def test_a_value_that_is_no_number_is_told_in_the_table():
    found = committed()
    row = {"kind": "network", "name": "a|b", "loss": math.nan, "gradients": 0.0,
           "parameters": 0.0, "statistics": 0.0}  # fmt: skip
    kept = crosschecked.document([row], steps=1, limits=LIMITS, day="2026-01-01")
    files = crosschecked.render(json.loads(json.dumps(kept)))
    assert "| network | a\\|b | not finite | 0.0e+00 |" in files["crosscheck.md"]
    assert found["rows"] != kept["rows"]


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"schema": "gluontricks.crosscheck/2", "rows": []}',
     '{"schema": "gluontricks.crosscheck/1", "rows": [{"kind": "network"}]}'],
)  # fmt: skip
def test_a_file_that_is_no_cross_check_is_told(tmp_path, content):
    (tmp_path / crosschecked.FILE).write_text(content)
    with pytest.raises(IntegrityError, match="is no cross-check") as caught:
        stale_tables(tmp_path)
    assert "scripts/make_crosscheck.py" in caught.value.remedy


@pytest.fixture
def script(monkeypatch):
    """The script, as a module that compares one small network."""
    path = ROOT / "scripts" / "make_crosscheck.py"
    description = importlib.util.spec_from_file_location("make_crosscheck", path)
    module = importlib.util.module_from_spec(description)
    description.loader.exec_module(module)
    first = next(case for case in ALL if case.kind == "loss")
    monkeypatch.setattr(module, "cases", lambda: [first._replace(name="small")])
    return module


def started(script, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["make_crosscheck.py", *map(str, words)])
    return script.main()


def test_the_script_writes_what_it_measures_and_its_table(script, monkeypatch, tmp_path, capsys):
    assert started(script, monkeypatch, "--steps", "1", "--results", tmp_path) == 0
    out = capsys.readouterr().out
    assert "wrote: crosscheck.json\n" in out
    assert "wrote: tables/crosscheck.md\n" in out
    (row,) = crosschecked.load(tmp_path)["rows"]
    assert row["name"] == "small"
    assert f"gradients {row['gradients']:.1e}" in out
    assert stale_tables(tmp_path) == []
    assert "| loss | small |" in (tmp_path / "tables" / "crosscheck.md").read_text()


def test_the_script_writes_and_tells_a_disagreement(script, monkeypatch, tmp_path, capsys):
    apart = Differences(0.0, 1e-9, 0.0, 0.0)
    monkeypatch.setattr(script, "crosscheck", lambda *_, **__: apart)
    assert started(script, monkeypatch, "--results", tmp_path) == 81
    assert "error: the engines disagree on small\n" in capsys.readouterr().err
    assert crosschecked.load(tmp_path)["rows"][0]["gradients"] == 1e-9


def test_the_script_refuses_what_compares_nothing(script, monkeypatch, tmp_path, capsys):
    assert started(script, monkeypatch, "--steps", "0", "--results", tmp_path) == 2
    assert capsys.readouterr().err == "error: 0 steps compare nothing\nremedy: give 1 or more\n"
    assert not (tmp_path / crosschecked.FILE).exists()
