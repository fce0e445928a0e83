"""``gluontricks evaluate``: a run's own figure again, and an author's weights."""

import json
import os

import numpy as np
import pytest
from running import command, latest, need, tiny

from gluontricks import checkpoints
from gluontricks.params_file import read_params
from gluontricks.teachers import read_weights


def test_evaluating_a_run_gives_its_records_figures(finished_run):
    recorded = json.loads((finished_run / "record.json").read_text(encoding="utf-8"))["metrics"]
    done = command("evaluate", finished_run, "--json")
    assert done.code == 0, done.err
    found = done.document
    assert found["n"] == 360
    for name in ("top1", "top5"):
        assert found[name] == pytest.approx(recorded[name], abs=1e-9)
    assert found["nll"] == pytest.approx(recorded["nll"], rel=1e-5)
    assert f"top-1 {recorded['top1']:.2f} %" in command("evaluate", finished_run).out


@pytest.mark.parametrize("size", [1, 7, 360, 1000])
def test_the_batch_size_changes_nothing_and_every_image_counts_once(finished_run, size):
    reference = command("evaluate", finished_run, "--json").document
    found = command("evaluate", finished_run, "--batch-size", size, "--json").document
    assert (found["n"], found["top1"], found["top5"]) == (
        360, reference["top1"], reference["top5"],
    )  # fmt: skip
    assert found["nll"] == pytest.approx(reference["nll"], rel=1e-5)


@pytest.fixture
def weights():
    path = os.environ.get("GLUONTRICKS_WEIGHTS")
    if path and os.path.isfile(path):
        return path
    reason = f"needs cifar_resnet20_v1's parameters: $GLUONTRICKS_WEIGHTS is {path!r}"
    if os.environ.get("GLUONTRICKS_REQUIRE_DATA") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def test_gluoncvs_resnet20_has_its_accuracy_on_cifar10(data_dir, weights):
    done = command(
        "evaluate", "--model", "cifar_resnet20_v1", "--params", weights, "--dataset", "cifar10",
        "--data-dir", data_dir, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = done.document
    assert (round(found["top1"], 2), found["n"]) == (92.88, 10000)
    assert found["top1"] < found["top5"] <= 100


def test_weights_of_another_class_count_are_refused_with_both_counts(finished_run, weights):
    done = command("evaluate", "--model", "resnet20_v1", "--params", weights, "--dataset",
                   "digits", "--classes", "7")  # fmt: skip
    assert done.code == 65, done.err
    assert "has 10 classes, the network 7" in done.err
    done = command("evaluate", finished_run, "--model", "resnet20_v1")
    assert done.code == 65
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "is needed"),
        (("RUN", "--params", "x"), 2, "is needed"),
        (("nowhere",), 65, "there is no file 'nowhere'"),
        (("RUN", "--dataset", "cifar99"), 2, "did you mean 'cifar"),
        (("RUN", "--model", "resnet21_v1"), 2, "did you mean 'resnet20_v1'"),
        (("RUN", "--batch-size", "0"), 2, "--batch-size is 0"),
        (("RUN", "--normalization", "1,2"), 2, "normalization"),
        (("RUN", "--data-dir", "/nowhere", "--dataset", "cifar10"), 65, "cifar10"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error_with_a_remedy(finished_run, words, code, said):
    done = command("evaluate", *[finished_run if word == "RUN" else word for word in words])
    assert done.code == code, done.err
    assert said in done.err
    assert "remedy: " in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("engine", ["mxnet", "torch"])
def test_a_run_with_averages_is_evaluated_exported_and_taught_from_by_them(tmp_path, engine):
    need(engine)
    run = tmp_path / "run"
    tiny(run, "--ema", "0.9", "--engine", engine, "--quiet")
    arrays = checkpoints.read(latest(run)).arrays
    taken = read_weights(run).parameters
    assert taken.keys() == {key[2:] for key in arrays if key.startswith("p/")}
    for path, value in taken.items():
        np.testing.assert_array_equal(value, arrays[f"e/{path}"])
    assert not np.array_equal(taken["output.weight"], arrays["p/output.weight"])
    recorded = json.loads((run / "record.json").read_text(encoding="utf-8"))["metrics"]
    found = command("evaluate", run, "--json", "--engine", engine).document
    assert found["nll"] == pytest.approx(recorded["nll"], rel=1e-5)
    exported = command("export", run, "--out", tmp_path / "exported")
    assert exported.code == 0, exported.err
    params = read_params(tmp_path / "exported" / "model-0000.params")
    assert any(np.array_equal(value, arrays["e/output.weight"]) for value in params.values())
