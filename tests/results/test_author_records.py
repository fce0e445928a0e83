"""Records of the authors' logs: they agree with figures taken from the logs by others."""

from __future__ import annotations

import copy
import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any, Dict, List

import log_excerpts as excerpts
import pytest
from running import command

from gluontricks.errors import DataError
from gluontricks.results import authorlogs, registry
from gluontricks.results.authorlogs import author_records, import_logs, make_record, read_log
from gluontricks.results.cells import median_seconds
from gluontricks.results.chains import without
from gluontricks.results.make import all_tables
from gluontricks.results.records import label_of
from gluontricks.results.schema import CHAIN, validate

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "author-logs.md"
TIP = "0818ee5787b3"
IMAGENET = "gluoncv/logs/classification/imagenet/"
CIFAR = "gluoncv/logs/classification/cifar/"

with open(Path(__file__).parent / "author_logs.csv", newline="") as stream:
    GOLDEN = {row["path"]: row for row in csv.DictReader(stream)}
CLASSIFIED = [path for path, row in GOLDEN.items() if row["final_top1"]]

# Known before any rule was written: from the logs' own notes, and from reading them.
DISTRUSTED = {
    "training-accuracy": {
        f"{IMAGENET}{model}.log"
        for model in ("resnet50_v1", "resnet50_v1b", "resnet50_v1c", "resnet50_v1d",
                      "resnet101_v1d", "resnet152_v1d")
    },
    "linear-validation": {f"{IMAGENET}resnet152_v1d.log"},
    "other-model": {f"{CIFAR}cifar_resnet20_v2_mixup.log"},
    "padded-validation": {
        path for path, row in GOLDEN.items()
        if row["kind"] == "imagenet" and "bbd30f06" not in path
        and path != f"{IMAGENET}resnet152_v1d.log"
    },
    "unfinished": {"gluoncv/logs/detection/faster_rcnn_resnet50_v2a_voc_train.log"},
    "extract": {"gluoncv/logs/segmentation/fcn_resnet101_voc.extracted.csv"},
}  # fmt: skip


@pytest.fixture(scope="module")
def committed() -> Dict[str, Dict[str, Any]]:
    """Path as in the golden table -> record."""
    records = {}
    for record in author_records(ROOT / "results"):
        commit = record["source"]["origin"].split("@")[1]
        older = "" if commit == TIP else f"history/{commit}/"
        records[older + record["source"]["file"]] = record
    return records


def test_every_log_is_committed_once_with_its_file_hash_and_origin(committed) -> None:
    assert set(committed) == set(GOLDEN)
    for path, record in committed.items():
        assert record["source"]["sha256"] == GOLDEN[path]["sha256"]
        assert record["source"]["origin"].split("@")[0] == "dmlc/web-data"
        assert record["label"] == label_of(record) == "AUTHOR-LOG"
        assert record["engine"] == "mxnet"
        assert record["recipe"] is record["fingerprint"] is record["hardware"] is None


@pytest.mark.parametrize("path", CLASSIFIED)
def test_final_best_epochs_and_seconds_are_those_of_the_golden_table(committed, path) -> None:
    row, record = GOLDEN[path], committed[path]
    metrics, curve = record["metrics"], record["epochs"]
    assert metrics["top1"] == float(row["final_top1"])
    assert metrics["top5"] == (float(row["final_top5"]) if row["final_top5"] else None)
    assert metrics["top1_best"] == float(row["best_top1"])
    assert metrics["best_epoch"] == int(row["best_epoch"])
    assert len(curve) == record["budget"]["epochs"] == int(row["epochs"])
    seconds = median_seconds(record)
    assert seconds is not None
    assert abs(seconds - float(row["seconds"])) <= 0.05 + 1e-9
    assert record["model"]["name"] == row["model"]
    assert record["source"]["log"]["restarts"] == int(row["namespaces"]) - 1
    assert record["status"] == "completed"


def test_detection_and_segmentation_have_the_published_results(committed) -> None:
    voc = committed["gluoncv/logs/detection/faster_rcnn_resnet50_v1b_voc_train.log"]
    metrics = voc["metrics"]
    assert (round(metrics["map"], 2), round(metrics["map_best"], 2)) == (77.66, 78.31)
    assert (metrics["best_epoch"], int(median_seconds(voc) or 0)) == (16, 1326)
    for name, pixacc, miou in (("50_voc.log", 85.2, 63.4), ("101_voc.extracted.csv", 97.8, 89.9)):
        metrics = committed[f"gluoncv/logs/segmentation/fcn_resnet{name}"]["metrics"]
        assert (metrics["pixacc"], metrics["miou"]) == (pixacc, miou)


def test_the_rules_mark_what_is_known_to_be_wrong_and_nothing_else(committed) -> None:
    found: Dict[str, set] = {}
    for path, record in committed.items():
        for doubt in record["source"]["log"]["distrust"]:
            found.setdefault(doubt["rule"], set()).add(path)
    assert found == DISTRUSTED


def test_the_page_on_the_logs_says_which_rule_marked_what() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for rule, paths in DISTRUSTED.items():
        (line,) = [line for line in lines if line.startswith(f"| `{rule}` |")]
        told = line.split("|")[3]
        if rule != "padded-validation":
            names = {path.rsplit("/", 1)[1] for path in paths}
            assert {word.strip("`, ") for word in told.split()} == names
        else:
            assert f"{len(paths)} of 19" in told


def test_the_flags_are_kept_without_the_folders_of_their_machine(committed) -> None:
    flags = committed[f"{IMAGENET}resnet50_v1d.log"]["source"]["log"]["flags"]
    assert (flags["batch_size"], flags["lr"], flags["dtype"]) == (128, 0.4, "float16")
    assert (flags["rec_train"], flags["lr_decay_epoch"]) == ("train.rec", "40,60")


def without_logs(tables):
    """The tables as CSV, without what the authors' logs decide."""
    theirs = ("log", "author_log", "status", "reason")
    found = {}
    for name, text in tables.items():
        if name.endswith(".csv"):
            rows = list(csv.DictReader(io.StringIO(text)))
            found[name] = [
                {k: v for k, v in row.items() if not k.startswith(theirs)} for row in rows
            ]
    return found


def test_the_committed_chain_is_whole_and_moves_no_column_but_that_of_logs(tmp_path: Path) -> None:
    assert registry.verify(ROOT / "results") == []
    shutil.copytree(ROOT / "results", tmp_path / "results")
    (tmp_path / "results" / "runs" / "author-logs.jsonl").unlink()
    lacking, all_of_them = all_tables(tmp_path / "results"), all_tables(ROOT / "results")
    assert without_logs(lacking) == without_logs(all_of_them)
    changed = {name for name, text in lacking.items() if text != all_of_them[name]}
    assert changed == {
        f"bag-of-tricks-table-{number}.{kind}" for number in "2456" for kind in ("md", "csv", "tex")
    } | {f"account.{kind}" for kind in ("md", "csv", "tex")}


def test_reading_the_logs_gives_the_committed_records(committed, logs_dir, tmp_path) -> None:
    done = import_logs([logs_dir], tmp_path / "results", origin=f"dmlc/web-data@{TIP}")
    assert len(done) == len(GOLDEN)
    assert registry.verify(tmp_path / "results") == []
    ours = {record["run_id"]: without(record, *CHAIN) for record in committed.values()}
    assert {item.entry["run_id"]: without(dict(item.entry), *CHAIN) for item in done} == ours
    again = import_logs([logs_dir], tmp_path / "results")
    assert not any(item.new for item in again)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three logs in the folders of GluonCV's repository, one of an older revision."""
    for name, text in (
        (f"{IMAGENET}resnet50_v1d.log", excerpts.IMAGENET),
        (f"{CIFAR}cifar_resnet20_v1.log", excerpts.CIFAR),
        (f"history/bbd30f06/{IMAGENET}resnet50_v1.log", excerpts.OLD_IMAGENET),
    ):
        path = tmp_path / "logs" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    (tmp_path / "logs" / "README.md").write_text("no log")
    return tmp_path / "logs"


def chain(results: Path) -> List[Dict[str, Any]]:
    lines = (results / "runs" / "author-logs.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_importing_twice_adds_nothing_and_says_so(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    told = command("results", "import-log", folder, "--results", results, "--origin", "a/b@123")
    assert (told.code, told.out.splitlines()[-1]) == (0, "3 of 3 logs added")
    sources = [entry["source"] for entry in chain(results)]
    assert [(s["file"], s["origin"]) for s in sources] == [
        (f"{CIFAR}cifar_resnet20_v1.log", "a/b@123"),
        (f"{IMAGENET}resnet50_v1d.log", "a/b@123"),
        (f"{IMAGENET}resnet50_v1.log", "a/b@bbd30f06"),
    ]
    copied = tmp_path / "renamed.log"
    shutil.copy(folder / IMAGENET / "resnet50_v1d.log", copied)
    again = command("results", "import-log", folder, copied, "--results", results)
    assert again.out.splitlines()[-1] == "0 of 4 logs added"
    assert again.out.splitlines()[3].endswith(
        f"there already, by its SHA-256, as {IMAGENET}resnet50_v1d.log"
    )
    assert len(chain(results)) == 3
    assert registry.verify(results) == []


def test_each_log_is_one_line_of_text_or_one_object_of_json(folder: Path, tmp_path: Path) -> None:
    words = ("results", "import-log", folder / IMAGENET, "--results", tmp_path / "results")
    assert command(*words).out.splitlines()[0] == (
        "resnet50_v1d.log: resnet50_v1d  2 epochs  final 25.00/49.54  best 25.00/49.54 (epoch 1)"
        "  276.5 s/epoch  0 restarts  no marks"
    )
    (told,) = command(*words, "--json").document
    assert (told["added"], told["epochs"], told["best"]["top1"]) == (False, 2, 24.998)
    assert told["origin"] == "dmlc/web-data"
    segmentation = tmp_path / "fcn.log"
    segmentation.write_text(excerpts.SEGMENTATION)
    line = command("results", "import-log", segmentation, "--results", tmp_path / "results").out
    assert "final pixAcc 85.50 mIoU 53.20" in line


def test_one_bad_log_and_none_is_added(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.log").write_bytes(b"\0")
    words = ("results", "import-log", folder, "--results", tmp_path / "results")
    told = command(*words)
    assert (told.code, told.out) == (65, "")
    assert "bad.log" in told.err
    assert not (tmp_path / "results" / "runs").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no log in the folder"):
        import_logs([tmp_path / "empty"], tmp_path / "results")


def test_flags_that_do_not_belong_to_the_action_are_errors() -> None:
    assert "needs logs" in command("results", "import-log").err
    assert "--origin would have no effect" in command("results", "verify", "--origin", "a/b").err


def test_a_log_that_is_read_otherwise_supersedes_its_record(folder, tmp_path, monkeypatch) -> None:
    results = tmp_path / "results"
    path = folder / CIFAR / "cifar_resnet20_v1.log"
    import_logs([path], results)
    monkeypatch.setattr(authorlogs, "IMAGES", {"cifar": "cifar10-of-old"})
    (item,) = import_logs([path], results)
    assert item.new
    (kept,) = author_records(results)
    first, second = chain(results)
    assert kept["labels"] == "cifar10-of-old"
    assert (second["supersedes"], second["run_id"]) == (first["run_id"], f"{first['run_id']}-2")
    assert registry.verify(results) == []


def test_every_format_makes_a_valid_record_of_plain_values() -> None:
    for text in (excerpts.IMAGENET, excerpts.OLD_IMAGENET, excerpts.HOROVOD, excerpts.CIFAR,
                 excerpts.CIFAR_MIXUP, excerpts.DETECTION, excerpts.SEGMENTATION,
                 excerpts.TABLE):  # fmt: skip
        record = make_record(read_log(text, name="some.log"), None)
        assert validate(json.loads(json.dumps(record, allow_nan=False))) == []
    odd = excerpts.IMAGENET.replace("wd=0.0001", "wd=1e999, a={1}, b=b'x', c=1j, e={2: (1,)}")
    flags = make_record(read_log(odd, name="odd.log"), None)["source"]["log"]["flags"]
    assert {name: flags[name] for name in ("wd", "a", "b", "c", "e")} == {
        "wd": None, "a": "{1}", "b": "b'x'", "c": "1j", "e": {"2": [1]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("source", "log"), None, "source.log' is missing"),
        (("source", "log", "kind"), "timm", "not one of imagenet"),
        (("source", "log", "restarts"), "1", "no integer"),
        (("source", "sha256"), "abc", "SHA-256"),
        (("source", "file"), None, "no file"),
        (("metrics", "top1"), 76.0, "not that of the epochs"),
        (("metrics", "top1_best"), 76.0, "not that of the epochs"),
        (("epochs",), [], "out of order"),
        (("fingerprint",), "0" * 16, "is not empty"),
        (("rows",), ["a row"], "is not empty"),
        (("status",), "fine", "status"),
        (("label",), "MEASURED-FULL", "label"),
    ],
)
def test_a_log_record_that_cannot_be_is_named(path: tuple, value: object, words: str) -> None:
    record = copy.deepcopy(make_record(read_log(excerpts.IMAGENET, name="a.log"), None))
    assert validate(record) == []
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert any(words in problem for problem in validate(record)), validate(record)
