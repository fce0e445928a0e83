"""The documentation says what the code does: examples run, names exist, links resolve."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Dict, List, Set, Tuple

import pytest

from gluontricks import errors
from gluontricks.cli import COMMANDS
from gluontricks.cli.flags import IGNORED
from gluontricks.cli.parser import Parser
from gluontricks.learners import SLOTS
from gluontricks.mixing import MIXERS
from gluontricks.recipes.gluoncv_flags import FLAGS
from gluontricks.recipes.namespaces import recipe_of
from gluontricks.recipes.resolve import AUGMENTATION
from gluontricks.recipes.spec import Recipe
from gluontricks.schedules import DECAYS, FORMS

ROOT = Path(__file__).resolve().parent.parent
CARDS = sorted((ROOT / "docs" / "tricks").glob("[!_]*.md"))
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), ROOT / "results" / "README.md"])
OPTIONS = ROOT / "docs" / "gluoncv-options.md"

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z_-]*")
HEADINGS = ["What", "Use", "Effect", "Paper", "Gotchas", "Source"]
FORMS_OF_CHOICES = ("smoothing_form", "distillation_form", "lr_form", "dtype", "lr_mode")
# Flags of other programs that the text has reason to name.
OTHERS = {"--no-deps", "--help", "--version"}
# Read in GluonCV's train_imagenet.py, train_cifar10.py and train_mixup_cifar10.py.
GLUONCV = re.findall(
    r"\S+",
    """
--data-backend --data-dir --rec-train --rec-train-idx --rec-val --rec-val-idx --use-rec --batch-size
--dtype --num-gpus -j --num-data-workers --num-epochs --lr --momentum --wd --lr-mode --lr-decay
--lr-decay-period --lr-decay-epoch --warmup-lr --warmup-epochs --last-gamma --mode --model
--input-size --crop-ratio --use-pretrained --use_se --mixup --mixup-alpha --mixup-off-epoch
--label-smoothing --no-wd --teacher --temperature --hard-weight --batch-norm --use-gn
--save-frequency --save-dir --resume-epoch --resume-params --resume-states --log-interval
--logging-file --rgb-mean --rgb-std --num-training-samples --drop-rate --save-period --resume-from
--save-plot-dir --logging-dir
""",
)


# Values of GluonCV's flags that the ImageNet script refuses.
OTHER_VALUES = {
    "--data-backend": "dali-gpu", "--use-pretrained": True, "--use-gn": True, "--batch-norm": True,
    "--resume-states": "a.states", "--num-training-samples": 5,
}  # fmt: skip


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """The page without its blocks of code."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def in_quotes(path: Path) -> List[str]:
    return re.findall(r"`([^`]+)`", prose(path))


def blocks(path: Path, language: str) -> List[str]:
    """The blocks of exactly this info string, such as ``python`` or ``python torch``."""
    text = path.read_text(encoding="utf-8")
    return [code for info, code in FENCE.findall(text) if info.strip() == language]


def known_flags() -> Dict[str, Set[str]]:
    """Command -> its flags, as its own parser has them."""
    found = {"train_imagenet": flags_of_imagenet()}
    for command in COMMANDS:
        parser = Parser(prog=command)
        import_module(f"gluontricks.cli.{command}").add_arguments(parser)
        found[command] = flags_of(parser)
    return found


def flags_of_imagenet() -> Set[str]:
    """The flags of ``scripts/train_imagenet.py``."""
    parser = Parser(prog="train_imagenet")
    import_module("gluontricks.cli.imagenet").add_arguments(parser)
    return flags_of(parser)


def flags_of(parser: argparse.ArgumentParser) -> Set[str]:
    return {text for action in parser._actions for text in action.option_strings}


@pytest.fixture(scope="module")
def flags() -> Dict[str, Set[str]]:
    return known_flags()


def options_table() -> List[Tuple[str, str, str]]:
    """Every row of the page on GluonCV's options.

    (GluonCV's flag, what it is in ``train_imagenet.py``, what it is in ``gluontricks train``).
    """
    form = r"^\| `(-[^`]+)` \| [IC ]+ \| ([a-z -]+?) \| ([a-z ]+?) \|"
    return re.findall(form, prose(OPTIONS), re.MULTILINE)


def run_blocks(code: List[str], folder: Path) -> None:
    """Run blocks one after the other in one fresh process, away from the repository."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=name_of)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    run_blocks(blocks(page, "python"), tmp_path)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python torch")], ids=name_of)
def test_torch_blocks_run(page: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch, which is not installed")
    run_blocks(blocks(page, "python torch"), tmp_path)


@pytest.mark.parametrize("card", CARDS, ids=name_of)
def test_cards_have_the_template_s_headings(card: Path) -> None:
    assert re.findall(r"^## (.+)$", card.read_text(encoding="utf-8"), re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("card", CARDS, ids=name_of)
def test_every_card_has_an_example_that_runs(card: Path) -> None:
    assert blocks(card, "python")


@pytest.mark.parametrize("card", CARDS, ids=name_of)
def test_the_index_lists_every_card(card: Path) -> None:
    assert f"(tricks/{card.name})" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")


def registry_keys() -> List[str]:
    choices = {
        value
        for name in FORMS_OF_CHOICES
        for value in Recipe.__dataclass_fields__[name].metadata["choices"]
    }
    registries = (MIXERS, DECAYS, FORMS, SLOTS, AUGMENTATION, choices - {"float32"})
    return sorted({key for registry in registries for key in registry})


@pytest.mark.parametrize("key", registry_keys())
def test_every_registry_key_is_named_in_a_card(key: str) -> None:
    quoted = {word for card in CARDS for text in in_quotes(card) for word in text.split()}
    assert key in quoted


@pytest.mark.parametrize("name", sorted(set(Recipe.__dataclass_fields__) - {"name", "seed"}))
def test_every_recipe_field_is_documented(name: str) -> None:
    flag = "--" + name.replace("_", "-")
    texts = [text for page in PAGES for text in in_quotes(page)]
    assert any(name == text or flag in FLAG.findall(text) for text in texts)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_flags_in_back_quotes_exist(page: Path, flags: Dict[str, Set[str]]) -> None:
    own = set().union(*flags.values(), OTHERS)
    text = prose(page)
    if page == OPTIONS:  # the first column is GluonCV's
        text = re.sub(r"^\| `[^`]+`", "", text, flags=re.MULTILINE)
    named = {flag for quoted in re.findall(r"`([^`]+)`", text) for flag in FLAG.findall(quoted)}
    assert named <= own


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_shell_blocks_are_valid(page: Path, flags: Dict[str, Set[str]]) -> None:
    text = "\n".join(blocks(page, "sh"))
    # A command may hold another after --, as those of jobs do.
    for line in re.split(r"\n| -- ", text):
        found = re.match(r"gluontricks (\w+)|python scripts/(train_\w+)\.py", line.strip())
        if found:
            command = found[1] or {"train_cifar": "train"}.get(found[2], found[2])
            assert command in flags
            assert set(FLAG.findall(line)) <= flags[command], line


def anchors(path: Path) -> Set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_in_back_quotes_exist(page: Path) -> None:
    for text in in_quotes(page):
        if re.fullmatch(r"(gluontricks|scripts|tests|docs)/[\w/.-]+", text):
            # The example of a new trick names the file one would write.
            assert (ROOT / text).exists() or text == "gluontricks/mixing/band.py", text


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_folder_of_somebody_s_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.~>/])/(home|root|Users|mnt|tmp|work|opt|var)\b", text)


@pytest.mark.parametrize("page", [p for p in PAGES if "docs" in p.parts], ids=name_of)
def test_lines_fit_a_screen(page: Path) -> None:
    lines = prose(page).splitlines()
    assert not [line for line in lines if len(line) > 110 and not line.startswith("|")]


def test_gluoncv_s_flags_are_all_listed_once() -> None:
    assert sorted(flag for flag, _, _ in options_table()) == sorted(GLUONCV)


@pytest.mark.parametrize(("flag", "_", "status"), options_table())
def test_what_is_said_of_a_gluoncv_flag_holds(
    flag: str, _: str, status: str, flags: Dict[str, Set[str]]
) -> None:
    ours = flags["train"]
    assert status in ("same", "accepted", "differs", "no meaning")
    if status in ("same", "accepted"):
        assert flag in ours
        assert (flag in IGNORED) == (status == "accepted")
    assert status != "no meaning" or flag not in ours


@pytest.mark.parametrize(("flag", "status", "_"), options_table())
def test_what_is_said_of_a_flag_of_the_imagenet_script_holds(
    flag: str, status: str, _: str, flags: Dict[str, Set[str]]
) -> None:
    dests = {option: dest for dest, known in FLAGS.items() for option in known.options}
    assert (flag in dests) == (status != "-")
    if status == "-":
        return
    assert status in ("same", "accepted", "differs", "refused")
    assert flag in flags["train_imagenet"]
    other = OTHER_VALUES.get(flag)
    assert (other is not None) == (status == "refused")
    if other is not None:
        with pytest.raises(errors.UsageError):
            recipe_of({"model": "resnet50_v1", dests[flag]: other})


def published_values() -> Set[str]:
    path = ROOT / "gluontricks" / "recipes" / "published.csv"
    with open(path, encoding="utf-8", newline="") as stream:
        return {row["value"] for row in csv.DictReader(stream)}


def section(card: Path, heading: str) -> str:
    return card.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("card", CARDS, ids=name_of)
def test_percentages_in_cards_are_published_ones(card: Path) -> None:
    assert set(re.findall(r"\b\d\d\.\d\d\b", section(card, "Effect"))) <= published_values()


@pytest.mark.parametrize("card", CARDS, ids=name_of)
def test_a_card_says_not_run_only_while_nothing_ran(card: Path) -> None:
    effect = section(card, "Effect")
    assert "Ours:" in effect
    for target in re.findall(r"\]\(([^)\s]+)\.md\)", effect):
        with open((card.parent / f"{target}.csv").resolve(), encoding="utf-8") as stream:
            measured = any(row["ours_mean"] for row in csv.DictReader(stream))
        assert measured != ("Ours: not" in effect), target


def test_the_exit_codes_in_the_docs_are_the_code_s() -> None:
    text = prose(ROOT / "docs" / "troubleshooting.md")
    listed = {name: int(code) for code, name in re.findall(r"^\| (\d+) \| `(\w+)`", text, re.M)}
    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    assert listed == {
        kind.__name__: kind.code for kind in kinds if issubclass(kind, errors.GluontricksError)
    }
