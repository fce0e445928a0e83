"""A run that is prepared where MXNet is, and lives where it is not."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from running import TINY, Done, command, environment, final_state, need

from gluontricks.graphs import FILE, content_hash
from gluontricks.history import read_history
from gluontricks.rundir import read_metrics

need("torch")

FLAGS = TINY[1:-2]  # without what is no part of a recipe
TRICKS = ("--mixup-type", "stitch-vertical", "--label-smoothing", "0.1", "--last-gamma", "--no-wd")
TAUGHT = ("--teacher", "resnet14_v1")
PLAIN = "import sys; from gluontricks.cli import main; sys.exit(main(sys.argv[1:]))"
BLOCKED = f"import sys; sys.modules['mxnet'] = sys.modules['gluoncv'] = None; {PLAIN}"


ALONE = os.environ.get("GLUONTRICKS_TORCH_PYTHON")
# Blocking MXNet stands in for an environment without it; where there is one it is the slow tests'.
KINDS = ["absent", pytest.param("blocked", marks=pytest.mark.slow)] if ALONE else ["blocked"]


@pytest.fixture(scope="module", params=KINDS)
def alone(request):
    """Return what runs a command where MXNet is not installed, or cannot be imported."""
    absent = request.param == "absent"
    start = [str(ALONE), "-c", PLAIN] if absent else [sys.executable, "-c", BLOCKED]

    def run(*words):
        done = subprocess.run(
            [*start, *map(str, words)], env=environment(), capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def succeeded(done):
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, teacher_run):
    """A prepared run of many tricks, with its teacher; where it was prepared is gone."""
    folder = tmp_path_factory.mktemp("prepared")
    taught = (*TAUGHT, "--teacher-params", teacher_run)
    done = command("prepare", *FLAGS, *TRICKS, *taught, "--with-teacher", "--out", folder / "run")
    assert f"'gluontricks train {folder / 'run'}' trains it" in succeeded(done).out
    return (folder / "run").rename(folder / "moved")


@pytest.fixture(scope="session")
def here(prepared, tmp_path_factory):
    """The same run, trained where MXNet is, on PyTorch."""
    run = shutil.copytree(prepared, tmp_path_factory.mktemp("here") / "run")
    succeeded(command("train", run, "--quiet"))
    return run


@pytest.fixture(scope="module")
def trained(prepared, alone, tmp_path_factory):
    """The same run, stopped on the way and finished, where MXNet is not."""
    run = shutil.copytree(prepared, tmp_path_factory.mktemp("alone") / "run")
    assert "stopped after update 3" in succeeded(alone("train", run, "--max-steps", "3")).out
    assert "finished: top-1" in succeeded(alone("train", run)).out
    return run


def test_where_data_are_required_so_is_an_environment_without_mxnet():
    if not ALONE and os.environ.get("GLUONTRICKS_REQUIRE_DATA") != "1":
        pytest.skip("needs an environment without MXNet: $GLUONTRICKS_TORCH_PYTHON is not set")
    code = "import importlib.util as u; print(u.find_spec('mxnet'), bool(u.find_spec('torch')))"
    done = subprocess.run([str(ALONE), "-c", code], capture_output=True, text=True)
    assert done.stdout == "None True\n"


def test_a_prepared_run_holds_no_weights_but_the_teachers(prepared):
    assert sorted(path.name for path in prepared.iterdir() if path.name[0] != ".") == [
        "graphs.json", "run.json", "teacher",
    ]  # fmt: skip
    assert (prepared / FILE).stat().st_size < 1_000_000


def test_without_mxnet_a_run_ends_with_the_same_metrics(trained, here):
    """The very same with the very same libraries, which the test below knows about."""
    (mine, theirs) = (read_metrics(run)[-1] for run in (trained, here))
    assert (mine["top1"], mine["top5"]) == (theirs["top1"], theirs["top5"])
    assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-6)


def test_where_only_mxnet_is_missing_a_run_ends_with_the_same_bits(trained, here, request):
    if "absent" in request.node.callspec.id:
        pytest.skip("another NumPy may round otherwise")
    assert final_state(trained) == final_state(here)


def test_the_record_says_what_it_was_made_with(trained):
    record = json.loads((trained / "record.json").read_text())
    assert (record["engine"], record["status"], record["bitwise"]) == ("torch", "completed", True)
    assert (record["resumes"], record["model"]["teacher"]["name"]) == (1, "resnet14_v1")
    assert record["software"]["torch"]


def test_without_mxnet_it_evaluates_as_mxnet_does(trained, alone):
    mine = succeeded(alone("evaluate", trained, "--json")).document
    theirs = succeeded(command("evaluate", trained, "--engine", "mxnet", "--json")).document
    assert (mine["top1"], mine["n"]) == (theirs["top1"], theirs["n"])
    assert mine["nll"] == pytest.approx(theirs["nll"], abs=1e-5)


def test_without_mxnet_it_exports_and_predicts_as_mxnet_does(trained, alone, tmp_path):
    done = succeeded(alone("export", trained, "--out", tmp_path / "model"))
    assert "read back equal" in done.out
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    words = ("predict", tmp_path / "model", tmp_path / "photo.png", "--json")
    mine, theirs = succeeded(alone(*words)).document, succeeded(command(*words)).document
    assert flat(mine) == pytest.approx(flat(theirs), abs=1e-5)


def flat(document):
    """Return the numbers of a document, in order."""
    if isinstance(document, dict):
        return [number for value in document.values() for number in flat(value)]
    if isinstance(document, list):
        return [number for value in document for number in flat(value)]
    return [document] if isinstance(document, float) else []


def test_numbers_of_a_prediction_are_found():
    assert flat({"a": [0.5, {"b": 1.5}], "c": "text"}) == [0.5, 1.5]


def test_a_run_without_mxnet_teaches_one_in_mxnet(trained, tmp_path):
    """Its parameters load there, where a student begins that wants a teacher."""
    words = ("--teacher", "resnet8_v1", "--teacher-params", trained, "--max-steps", "1")
    succeeded(command(*TINY, *words, "--out", tmp_path / "run", "--quiet"))


@pytest.mark.parametrize("order", [("mxnet", "torch"), ("torch", "mxnet")])
def test_a_run_changes_its_engine_at_a_checkpoint_and_its_record_says_so(tmp_path, order):
    run, (first, second) = tmp_path / "run", order
    succeeded(command(*TINY, "--out", run, "--engine", first, "--max-steps", "3"))
    done = succeeded(command(*TINY, "--out", run, "--engine", second))
    assert "resumed after step 3" in done.out
    record = json.loads((run / "record.json").read_text())
    assert (record["engine"], record["bitwise"]) == ("+".join(order), False)
    assert [start["setting"]["engine"] for start in read_history(run)] == list(order)
    succeeded(command(*TINY, "--out", tmp_path / "whole", "--engine", first))
    mine, whole = (read_metrics(folder)[-1] for folder in (run, tmp_path / "whole"))
    assert mine["loss"] == pytest.approx(whole["loss"], rel=1e-2)


def test_a_run_that_has_begun_can_be_prepared_and_goes_on_without_mxnet(tmp_path, alone):
    run = tmp_path / "run"
    succeeded(command(*TINY, "--out", run, "--max-steps", "3"))
    succeeded(command("prepare", *FLAGS, "--out", run))
    assert "resumed after step 3" in succeeded(alone("train", run, "--engine", "torch")).out
    assert json.loads((run / "record.json").read_text())["engine"] == "mxnet+torch"


def refused(done, code, cause, remedy):
    """Check that a command failed with one line of cause and one of remedy."""
    assert (done.code, done.out) == (code, ""), done
    first, second = done.err.splitlines()
    assert first.startswith("error: ")
    assert cause in first
    assert second.startswith("remedy: ")
    assert remedy in second


def test_a_teacher_that_did_not_travel_is_named(tmp_path, teacher_run, alone):
    run = tmp_path / "run"
    taught = (*TAUGHT, "--teacher-params", teacher_run)
    succeeded(command("prepare", *FLAGS, *taught, "--out", run))
    refused(alone("train", run), 65, "the teacher 'resnet14_v1' of the run in", "--with-teacher")
    succeeded(alone("train", run, "--teacher-params", teacher_run, "--max-steps", "1"))


def changed(prepared, folder, change):
    """Return a copy of a prepared run whose graphs' document was changed."""
    run = shutil.copytree(prepared, folder / "run")
    document = json.loads((run / FILE).read_text())
    (run / FILE).write_text(change(document) or json.dumps(document))
    return run


def torn(document):
    return json.dumps(document)[:-1000]


def edited(document):
    document["content"]["network"]["graph"]["symbol"]["nodes"][3]["attrs"] = {"kernel": "(5, 5)"}


def newer(document):
    document["schema"] = "gluontricks.graphs/2"


def of_another(document):
    document["content"]["network"]["model"] = "resnet20_v1"
    document["sha256"] = content_hash(document["content"])


def with_unknown_operator(document):
    nodes = document["content"]["training"]["symbol"]["nodes"]
    node = next(node for node in nodes if node["op"] == "Convolution")
    node["op"], node["name"] = "FancyConvolution", "the_node"
    document["sha256"] = content_hash(document["content"])


@pytest.mark.parametrize(
    ("change", "code", "cause", "remedy"),
    [
        (torn, 81, "graphs.json' is damaged", "copy it again"),
        (edited, 81, "graphs.json' is damaged", "copy it again"),
        (lambda _: "[]", 81, "graphs.json' is damaged", "copy it again"),
        (newer, 81, "was made by another version (gluontricks.graphs/2", "prepare' the run again"),
        (of_another, 2, "the prepared graphs are of resnet20_v1", "prepare' the run again"),
        (with_unknown_operator, 2, "'FancyConvolution' (node 'the_node')", ""),
    ],
)
def test_graphs_that_are_not_what_was_written_are_told(
    prepared, tmp_path, change, code, cause, remedy
):
    refused(command("train", changed(prepared, tmp_path, change)), code, cause, remedy)


def test_without_mxnet_what_was_not_prepared_is_told_how(alone, tmp_path):
    words = (*TINY, "--out", tmp_path / "run")
    refused(alone(*words, "--engine", "torch"), 65, "traced by MXNet", "gluontricks prepare")
    refused(alone(*words), 65, "MXNet is not installed", "a prepared run needs PyTorch alone")
    assert not (tmp_path / "run").exists()
    done = alone("crosscheck", "resnet8_v1")
    assert done.code != 0
    assert "MXNet" in done.err


def test_without_mxnet_help_and_tables_are_there(alone):
    assert "usage: " in succeeded(alone("train", "--help")).out
    assert "stitch-V-vertical" in succeeded(alone("recipes")).out


@pytest.mark.parametrize(
    ("words", "cause", "remedy"),
    [
        (("{empty}",), "is no run's directory", "'gluontricks prepare' or 'train' wrote"),
        (("{nowhere}",), "is no run's directory", "'gluontricks prepare' or 'train' wrote"),
        (("{run}", "--out", "{empty}"), "and --out are both given", "leave one out"),
        (("{run}", "--lr", "0.7"), "a run of another recipe", "--out"),
    ],
)
def test_a_directory_to_train_that_cannot_be_meant_is_told(
    prepared, tmp_path, words, cause, remedy
):
    (tmp_path / "empty").mkdir()
    run = shutil.copytree(prepared, tmp_path / "run")
    places = {"empty": tmp_path / "empty", "nowhere": tmp_path / "nowhere", "run": run}
    done = command("train", *(word.format(**places) for word in words))
    refused(done, 2, cause, remedy)


@pytest.mark.parametrize(
    ("words", "code", "cause", "remedy"),
    [
        ((), 2, "--out is missing", "give the folder"),
        (
            ("--out", "{new}", "--with-teacher"),
            2,
            "--with-teacher would have no effect",
            "--teacher",
        ),
        (("--out", "{run}"), 2, "a run of another recipe", "--out"),
        (("--out", "{new}", *TAUGHT, "--teacher-params", "{empty}"), 65, "holds no checkpoint", ""),
        (("--out", "{new}", "--model", "resnet21_v1"), 2, "unknown model", "resnet20_v1"),
    ],
)
def test_what_cannot_be_prepared_is_told_and_nothing_is_written(
    prepared, tmp_path, words, code, cause, remedy
):
    (tmp_path / "empty").mkdir()
    run = shutil.copytree(prepared, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    places = {"new": tmp_path / "new", "empty": tmp_path / "empty", "run": run}
    done = command("prepare", *FLAGS, *(word.format(**places) for word in words))
    refused(done, code, cause, remedy)
    assert not (tmp_path / "new").exists()
    after = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert {name: after[name] for name in before if name != ".holder"} == {
        name: text for name, text in before.items() if name != ".holder"
    }


def test_prepare_tells_a_program_what_it_wrote(tmp_path):
    done = succeeded(command("prepare", *FLAGS, "--out", tmp_path / "run", "--json"))
    assert done.document["out"] == str(tmp_path / "run")
    assert done.document["model"] == "resnet8_v1"
    assert done.document["parameters"] == 78042
