"""An exported model: proven when written, proven when read, and right on files of every kind."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from running import command

from gluontricks import builders
from gluontricks.data import load_split
from gluontricks.errors import IntegrityError
from gluontricks.inference import load_inference, read_image
from gluontricks.learners import LearnerState, engine_module, mxnet
from gluontricks.recipes.spec import Recipe
from gluontricks.rundir import read_run
from gluontricks.teachers import read_weights

FILES = ["SHA256SUMS", "config.json", "labels.txt", "model-0000.params", "model-symbol.json"]


@pytest.fixture(scope="module")
def exported(finished_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "model"
    done = command("export", finished_run, "--out", folder)
    assert done.code == 0, done.err
    assert "read back equal" in done.out
    return folder


@pytest.fixture(scope="module")
def digits():
    return load_split("digits", "test")


def test_an_export_says_what_it_is(exported, finished_run):
    assert sorted(p.name for p in exported.iterdir()) == FILES
    assert (exported / "labels.txt").read_text().split() == list("0123456789")
    config = json.loads((exported / "config.json").read_text())
    assert (config["model"], config["classes"], config["input_size"]) == ("resnet8_v1", 10, 32)
    assert config["parameters_sha256"] == read_weights(finished_run).sha256
    assert max(config["check"].values()) <= 1e-6
    assert config["dataset"] == "digits"


def test_exported_probabilities_are_the_softmax_of_the_learners_logits(
    exported, finished_run, digits
):
    recipe = Recipe.from_dict(read_run(finished_run)["recipe"])
    spec = builders.make_spec(recipe, None, image_size=32)
    learner = engine_module("mxnet").make_learner(spec)
    parameters = {f"p/{k}": v for k, v in read_weights(finished_run).parameters.items()}
    own = learner.state()
    learner.load_state(LearnerState({**own.arrays, **parameters}, own.counters))
    logits = learner.predict(digits.images[:64]).astype(np.float64)
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    found = load_inference(exported).predict(digits.images[:64])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_an_export_that_does_not_read_back_is_refused_and_leaves_nothing(
    finished_run, tmp_path, monkeypatch
):
    plain = mxnet.load_export

    def lossy(symbol, params):
        content = params.read_bytes()
        params.write_bytes(content[:-100])
        return plain(symbol, params)

    monkeypatch.setattr(mxnet, "load_export", lossy)
    done = command("export", finished_run, "--out", tmp_path / "model")
    assert done.code == 81, done.err
    assert "does not read back" in done.err
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_predicts_otherwise_is_refused(finished_run, tmp_path, monkeypatch):
    plain = mxnet.load_export

    def other(symbol, params):
        predict = plain(symbol, params)
        return lambda images: predict(images) + 1e-5

    monkeypatch.setattr(mxnet, "load_export", other)
    done = command("export", finished_run, "--out", tmp_path / "model")
    assert done.code == 81
    assert "predicts otherwise" in done.err


@pytest.mark.parametrize("name", FILES[1:])
def test_one_changed_byte_is_detected(exported, tmp_path, name, digits):
    copied = tmp_path / "model"
    copied.mkdir()
    for path in exported.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(bytes(content))
    Image.fromarray(digits.images[0]).save(tmp_path / "digit.png")
    done = command("predict", copied, tmp_path / "digit.png", "--json")
    assert (done.code, done.out) == (81, "")
    assert name in done.err
    with pytest.raises(IntegrityError):
        load_inference(copied)


def test_a_folder_of_something_else_is_not_replaced(finished_run, exported, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("x")
    for target in ("mine", "file"):
        done = command("export", finished_run, "--out", tmp_path / target)
        assert done.code == 73
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"
    # An earlier export is.
    assert command("export", finished_run, "--out", exported).code == 0
    assert sorted(p.name for p in exported.iterdir()) == FILES
    assert load_inference(exported).labels == list("0123456789")
    assert [p.name for p in exported.parent.iterdir()] == [exported.name]


def encoded(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


@pytest.fixture(scope="module")
def files(digits, tmp_path_factory):
    """One digit in many kinds of files, all of which show the same pixels but for JPEG."""
    folder = tmp_path_factory.mktemp("files")
    image = Image.fromarray(digits.images[0])
    grey = image.convert("L")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    turned = image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[274] = 6
    written = {
        "plain.png": encoded(image, "PNG"),
        "grey.png": encoded(grey, "PNG"),
        "rgba.png": encoded(image.convert("RGBA"), "PNG"),
        "palette.png": encoded(grey.convert("P"), "PNG"),
        "sixteen.png": encoded(wide, "PNG"),
        "turned.png": encoded(turned, "PNG", exif=exif),
        "cmyk.tif": encoded(image.convert("CMYK"), "TIFF"),
        "photo.jpg": encoded(image, "JPEG", quality=95),
        "grey.jpeg": encoded(grey, "JPEG", quality=95),
    }
    for name, content in written.items():
        (folder / name).write_bytes(content)
    (folder / "notes.txt").write_text("no image")
    return folder


def test_every_kind_of_file_shows_the_same_pixels(files, digits):
    # The digits are grey, so that nothing is lost on the way.
    assert (digits.images[0] == digits.images[0][..., :1]).all()
    for path in sorted(files.glob("*.png")) + [files / "cmyk.tif"]:
        assert np.array_equal(read_image(path, 32), digits.images[0]), path.name
    for path in sorted(files.glob("*.jp*g")):
        gap = np.abs(read_image(path, 32).astype(int) - digits.images[0])
        assert gap.mean() < 3, path.name


def test_predicting_a_folder_names_the_same_class_for_all_kinds(exported, files, digits):
    done = command("predict", exported, files, "--topk", "3", "--json")
    assert done.code == 0, done.err
    rows = done.document
    assert [row["path"] for row in rows] == sorted(
        str(p) for p in files.iterdir() if p.name != "notes.txt"
    )
    scores = load_inference(exported).predict(digits.images[:1])[0]
    for row in rows:
        assert row["topk"][0]["class"] == str(scores.argmax())
        assert len(row["topk"]) == 3
        if row["path"].endswith("png"):
            assert abs(row["topk"][0]["probability"] - scores.max()) < 1e-6


def test_files_that_are_no_images_are_told_and_the_others_predicted(exported, files, tmp_path):
    whole = (files / "photo.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "page.png").write_bytes(b"<html>404</html>")
    words = [tmp_path / "cut.jpg", files / "plain.png", tmp_path / "empty.png",
             tmp_path / "page.png"]  # fmt: skip
    done = command("predict", exported, *words, "--json", "--batch-size", "2")
    assert done.code == 65
    rows = done.document
    assert [("error" in row) for row in rows] == [True, False, True, True]
    assert len(rows[1]["topk"]) == 5
    assert "3 of 4 files could not be read" in done.err
    assert "Traceback" not in done.err
    plain = command("predict", exported, *words)
    assert plain.code == 65
    assert plain.out.count("not read") == 3


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(exported, tmp_path):
    Image.new("1", (30000, 30000)).save(tmp_path / "bomb.png")
    done = command("predict", exported, tmp_path / "bomb.png", "--json")
    assert done.code == 65
    assert "pixels" in done.document[0]["error"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nowhere.png",), 65, "there is no 'nowhere.png'"),
        (("EMPTY",), 65, "holds no image"),
        (("EMPTY", "--topk", "0"), 2, "--topk is 0"),
        (("EMPTY", "--batch-size", "-1"), 2, "--batch-size is -1"),
    ],
)
def test_what_cannot_be_predicted_is_an_error(exported, tmp_path, words, code, said):
    (tmp_path / "empty").mkdir()
    done = command("predict", exported, *[tmp_path / "empty" if w == "EMPTY" else w for w in words])
    assert done.code == code
    assert said in done.err


def test_a_folder_without_a_model_and_a_run_that_is_none_are_told(tmp_path):
    assert command("predict", tmp_path, "x.png").code == 65
    done = command("export", tmp_path, "--out", tmp_path / "out")
    assert done.code == 65
    assert "is no run's directory" in done.err


def test_best_is_exported_where_there_is_one(finished_run, tmp_path):
    from running import tiny

    done = command("export", finished_run, "--best", "--out", tmp_path / "none")
    assert done.code == 65
    assert "--val-split" in done.err
    tiny(tmp_path / "run", "--quiet")
    assert command("export", tmp_path / "run", "--best", "--out", tmp_path / "best").code == 0
