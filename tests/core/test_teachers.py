import json

import numpy as np
import pytest

from gluontricks import checkpoints
from gluontricks.checkpoints import Checkpoint
from gluontricks.errors import DataError, IntegrityError
from gluontricks.params_file import write_params
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe
from gluontricks.rundir import RunDirectory
from gluontricks.teachers import (
    NoTeacherError,
    check_teacher,
    find_teacher,
    finished_runs,
    named_teacher,
    parameters_hash,
    read_weights,
)

DIGITS = tuple("0123456789")
STUDENT = resolve(Recipe(dataset="digits", model="resnet8_v1", teacher="resnet20_v1"))


def parameters(seed=0, classes=10):
    generator = np.random.default_rng(seed)
    return {
        "features.0.weight": generator.standard_normal((2, 3, 3, 3)).astype(np.float32),
        "features.1.gamma": np.ones(2, dtype=np.float32),
        "output.weight": generator.standard_normal((classes, 4)).astype(np.float32),
        "output.bias": np.zeros(classes, dtype=np.float32),
    }


def a_run(folder, seed=0, *, status="completed", heads=10, **changes):
    """A run directory as training leaves it, with made-up parameters."""
    recipe = resolve(
        Recipe(**{"dataset": "digits", "model": "resnet20_v1", "normalization": "none", **changes})
    )
    with RunDirectory(folder) as opened:
        names = {"class_names": list(DIGITS), "fingerprint": "f" * 16, "teacher": None}
        opened.claim(recipe, names)
        arrays = {f"p/{k}": v for k, v in parameters(seed, heads).items()}
        arrays["o/output.weight/mom"] = np.ones((10, 4), dtype=np.float32)
        checkpoints.write(folder, 5, Checkpoint(arrays, {"updates": 5}))
        record = {"status": status, "model": {"name": recipe.model},
                  "data": {"name": recipe.dataset}}  # fmt: skip
        (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def find(runs, params=None, sha256=None, said=None):
    if params is not None:
        return named_teacher(params, sha256)
    said = [] if said is None else said
    return find_teacher(STUDENT, runs, begun=lambda sha: sha == sha256, report=said.append)


def test_the_hash_is_of_the_parameters_and_not_of_the_file_they_came_in(tmp_path):
    folder = a_run(tmp_path / "run")
    write_params(tmp_path / "plain.params", parameters())
    turned = dict(reversed(parameters().items()))
    write_params(tmp_path / "turned.params", turned)
    sources = [folder, checkpoints.listing(folder)[0], tmp_path / "plain.params",
               tmp_path / "turned.params"]  # fmt: skip
    assert {read_weights(path).sha256 for path in sources} == {parameters_hash(parameters())}


@pytest.mark.parametrize("change", ["value", "name", "shape", "dtype"])
def test_the_hash_changes_with_the_parameters(change):
    changed = parameters()
    gamma = changed.pop("features.1.gamma")
    changed.update(
        {
            "value": {"features.1.gamma": gamma + np.float32(1e-6)},
            "name": {"features.1.beta": gamma},
            "shape": {"features.1.gamma": gamma[None]},
            "dtype": {"features.1.gamma": gamma.astype(np.float16)},
        }[change]
    )
    assert parameters_hash(changed) != parameters_hash(parameters())


def test_a_run_says_what_a_bare_file_does_not(tmp_path):
    weights = read_weights(a_run(tmp_path / "run"))
    assert (weights.model, weights.class_names) == ("resnet20_v1", DIGITS)
    assert weights.normalization == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert weights.parameters.keys() == parameters().keys()
    write_params(tmp_path / "w.params", parameters())
    bare = read_weights(tmp_path / "w.params")
    assert (bare.model, bare.class_names, bare.normalization) == (None, None, None)


def test_the_only_finished_run_of_the_network_on_the_data_is_the_teacher(tmp_path):
    a_run(tmp_path / "good", 1)
    a_run(tmp_path / "other-model", 2, model="resnet8_v1")
    a_run(tmp_path / "other-data", 3, dataset="cifar10")
    for status in ("stopped", "failed", "diverged"):
        a_run(tmp_path / status, 4, status=status)
    (tmp_path / "no-json").mkdir()
    (tmp_path / "no-json" / "record.json").write_text("{", encoding="utf-8")
    assert finished_runs(tmp_path, model="resnet20_v1", dataset="digits") == [tmp_path / "good"]
    assert find(tmp_path).sha256 == parameters_hash(parameters(1))


def test_several_runs_with_the_same_parameters_are_one_teacher(tmp_path):
    for name in ("a", "b"):
        a_run(tmp_path / name, 1)
    assert find(tmp_path).sha256 == parameters_hash(parameters(1))


def test_several_that_differ_are_listed_and_a_name_is_asked_for(tmp_path):
    for seed, name in enumerate("ab"):
        a_run(tmp_path / name, seed)
    with pytest.raises(DataError, match="several finished runs could be the teacher") as caught:
        find(tmp_path)
    assert str(tmp_path / "a") in caught.value.cause
    assert str(tmp_path / "b") in caught.value.cause
    assert "--teacher-params" in caught.value.remedy
    assert find(tmp_path, params=tmp_path / "b").sha256 == parameters_hash(parameters(1))


def test_a_run_of_the_same_network_with_another_head_is_no_candidate(tmp_path):
    a_run(tmp_path / "wide", 0, heads=100, classes=100)
    with pytest.raises(NoTeacherError, match="with 10 outputs"):
        find(tmp_path)
    a_run(tmp_path / "own", 1)
    assert find(tmp_path).sha256 == parameters_hash(parameters(1))


def test_a_run_goes_on_with_the_teacher_it_began_with(tmp_path):
    for seed, name in enumerate("ab"):
        a_run(tmp_path / name, seed)
    began = parameters_hash(parameters(1))
    assert find(tmp_path, sha256=began).sha256 == began
    with pytest.raises(IntegrityError, match="is not the teacher with which this run began"):
        find(tmp_path, params=tmp_path / "a", sha256=began)


def test_without_a_teacher_the_error_says_what_was_looked_for(tmp_path):
    with pytest.raises(NoTeacherError, match="no finished run of teacher 'resnet20_v1' on digits"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("name", "match"), [("missing.params", "there is no file"), ("empty", "holds no checkpoint")]
)
def test_what_holds_no_parameters_is_refused(tmp_path, name, match):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=match):
        read_weights(tmp_path / name)


def test_a_damaged_checkpoint_is_no_teacher(tmp_path):
    path = checkpoints.listing(a_run(tmp_path / "run"))[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="is damaged"):
        find(tmp_path, params=tmp_path / "run")
    with pytest.raises(NoTeacherError):
        find(tmp_path)


def test_a_damaged_run_is_passed_over_for_a_whole_one_and_said(tmp_path):
    path = checkpoints.listing(a_run(tmp_path / "a", 0))[0]
    path.write_bytes(path.read_bytes()[:-1])
    a_run(tmp_path / "b", 1)
    said = []
    assert find(tmp_path, said=said).sha256 == parameters_hash(parameters(1))
    assert len(said) == 1
    assert "is damaged" in said[0]


def test_a_teacher_of_other_classes_is_refused_with_both_counts(tmp_path):
    weights = read_weights(a_run(tmp_path / "run"))
    assert check_teacher(weights, class_names=DIGITS, classes=10) == []
    with pytest.raises(DataError, match="has 10 classes, the student 100") as caught:
        check_teacher(weights, class_names=DIGITS, classes=100)
    assert "--classes 10" in caught.value.remedy


def test_a_teacher_whose_classes_have_other_names_is_refused(tmp_path):
    weights = read_weights(a_run(tmp_path / "run"))
    other = (*DIGITS[:7], "cat", *DIGITS[8:])
    with pytest.raises(DataError, match="class 7 of the teacher"):
        check_teacher(weights, class_names=other, classes=10)
    with pytest.raises(DataError, match="class 10 of the teacher"):
        check_teacher(weights, class_names=(*DIGITS, "more"), classes=10)


def test_a_bare_file_is_taken_with_a_notice(tmp_path):
    write_params(tmp_path / "w.params", parameters())
    notices = check_teacher(read_weights(tmp_path / "w.params"), class_names=DIGITS, classes=10)
    assert notices == ["w.params names no classes: only their number was compared"]


def test_a_file_without_a_classifier_is_refused(tmp_path):
    write_params(tmp_path / "w.params", {"features.1.gamma": np.ones(3, dtype=np.float32)})
    with pytest.raises(DataError, match="holds no classifier"):
        check_teacher(read_weights(tmp_path / "w.params"), class_names=DIGITS, classes=10)
