"""Configuration files: what is printed reads back, what is wrong is told in two lines."""

import json
import random
from dataclasses import fields, replace

import pytest
import yaml
from running import command

from gluontricks.cli.config import config_text, read_config
from gluontricks.errors import UsageError
from gluontricks.recipes import DEFAULT, RECIPES
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe


def resolved(*words):
    done = command("train", *words, "--print-config")
    assert done.code == 0, done.err
    return done.out


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--lr-mode", "step", "--lr-decay-epoch", "30,60"),
        ("--mixup-type", "stitch-tile", "--teacher", "resnext29_16x64d"),
        ("--normalization", "0.5,0.5,0.5/0.25,0.25,0.25", "--no-wd", "--wd", "1e-7"),
        ("--label-smoothing", "--last-gamma", "--name", "on: off"),
    ],
)
def test_a_printed_config_reads_back_as_itself(tmp_path, words):
    text = resolved(*words)
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    assert resolved("--config", tmp_path / "c.yaml") == text
    (tmp_path / "c.json").write_text(json.dumps(yaml.safe_load(text)), encoding="utf-8")
    assert resolved("--config", tmp_path / "c.json") == text


def test_every_recipe_reads_back_as_itself(tmp_path):
    for recipe in RECIPES.values():
        (tmp_path / "c.yaml").write_text(config_text(resolve(recipe)), encoding="utf-8")
        read = replace(Recipe(), **read_config(tmp_path / "c.yaml"))
        assert resolve(read) == resolve(recipe)


def test_flags_win_over_the_file_and_the_file_over_the_recipe(tmp_path):
    (tmp_path / "c.yaml").write_text("lr: 0.3\nbatch_size: 32\n")
    words = ("--recipe", "demo-digits-plain", "--config", tmp_path / "c.yaml", "--lr", "0.4")
    values = yaml.safe_load(resolved(*words))
    assert (values["lr"], values["batch_size"], values["dataset"]) == (0.4, 32, "digits")
    assert values["num_epochs"] == RECIPES["demo-digits-plain"].num_epochs


def test_yamls_exponents_without_a_point_are_numbers(tmp_path):
    """YAML 1.1 takes 1e-4 for a text."""
    (tmp_path / "c.yaml").write_text("wd: 1e-4\nlr: 5e-1\n")
    assert read_config(tmp_path / "c.yaml") == {"wd": 1e-4, "lr": 0.5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr: 0.1\nlr: 0.2\n", "'lr' stands twice"),
        ("a: &x 1\nb: *x\n", "aliases are not allowed"),
        ("mixup_typ: none\n", "did you mean 'mixup_type'"),
        ("5: 1\n", "unknown field '5'"),
        ("? [a, b]\n: 1\n", ""),
        ("? {a: b}\n: 1\n", ""),
        ("lr: fast\n", "lr cannot be 'fast'"),
        ("batch_size: 2.5\n", "batch_size cannot be 2.5"),
        ("batch_size: true\n", "batch_size cannot be True"),
        ("no_wd: 3\n", "no_wd cannot be 3"),
        ("lr: [1]\n", "lr cannot be [1]"),
        ("name: null\n", "name cannot be None"),
        ("lr: {a: 1}\n", "lr cannot be"),
        ("lr: .nan\n", "--lr is nan"),
        ("lr_decay_epoch: [a]\n", "lr_decay_epoch cannot be 'a'"),
        ("optimizer: nadem\n", "did you mean 'nadam'"),
        ("- lr\n- wd\n", "holds no fields"),
        ("just words\n", "holds no fields"),
        ("", "holds no fields"),
        ("lr: [1\n", "is no YAML"),
        ("lr: !!python/object/apply:os.system ['true']\n", "is no YAML"),
        ("\tlr: 1\n", "is no YAML"),
        ("lr: \x00\n", "is no YAML"),
        ("[" * 5000, "is no YAML"),
        ("seed: 99999999999999999999999\n", "--seed is"),
        ("dataset: null\n", "dataset cannot be None"),
        ("lr: 2001-01-01\n", "lr cannot be"),
        ("batch_size: ~\n", "batch_size cannot be None"),
        ("name: " + "x" * (2 << 20), "larger than 1 MB"),
    ],
)
def test_a_file_that_is_wrong_is_told_in_two_lines(tmp_path, text, said):
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    done = command("train", "--config", tmp_path / "c.yaml", "--print-config")
    assert done.code == 2, done
    assert said in done.err
    assert len(done.err.splitlines()) == 2
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_told(tmp_path, name):
    done = command("train", "--config", tmp_path / name, "--print-config")
    assert done.code == 2
    assert "cannot be read" in done.err


def test_bytes_that_are_no_text_are_told(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"lr: \xff\xfe\n")
    assert command("train", "--config", tmp_path / "c.yaml", "--print-config").code == 2


def mutant(text, generator):
    """Return a configuration with one to four changes: of bytes, of lines or of values."""
    lines = text.splitlines()
    values = ["", "null", "[]", "{}", "-1", "1e400", ".nan", "true", "!!binary x", "'", "2**3",
              "0x10", "1_000", "*a", "[1, 2]", "9" * 400, "\u2028", "a|b", "a+a"]  # fmt: skip
    for _ in range(generator.randint(1, 4)):
        at = generator.randrange(len(lines))
        kind = generator.randrange(4)
        if kind == 0:
            lines[at] = lines[at].partition(":")[0] + ": " + generator.choice(values)
        elif kind == 1 and lines[at]:
            place = generator.randrange(len(lines[at]))
            char = chr(generator.randrange(1, 0x250))
            lines[at] = lines[at][:place] + char + lines[at][place + 1 :]
        elif kind == 2:
            lines.insert(at, generator.choice(lines))
        else:
            lines[at] = (
                generator.choice(lines).partition(":")[0] + ":" + lines[at].partition(":")[2]
            )
    return "\n".join(lines)


def test_two_hundred_mutants_raise_usage_errors_and_nothing_else(tmp_path):
    generator, text = random.Random(0), config_text(resolve(DEFAULT))
    path, refused = tmp_path / "c.yaml", 0
    for number in range(200):
        path.write_text(mutant(text, generator), encoding="utf-8")
        try:
            recipe = resolve(replace(DEFAULT, **read_config(path)))
        except UsageError as error:
            refused += bool(error.cause and error.remedy)
        except Exception as error:  # the claim of this test
            pytest.fail(f"mutant {number}: {type(error).__name__}: {error}\n{path.read_text()}")
        else:
            assert {f.name for f in fields(Recipe)} == set(recipe.as_dict())
    assert 100 < refused < 200
