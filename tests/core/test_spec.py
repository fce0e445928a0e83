import dataclasses
import hashlib
import json
from dataclasses import dataclass, fields, replace

import pytest

from gluontricks.errors import UsageError
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe, compare, difference, hp, labelled, stack

RECIPE = resolve(Recipe(mixup_type="stitch-tile", lr_mode="step", teacher="resnet20_v1"))


def test_a_fingerprint_is_the_hash_of_the_fields_that_differ_from_their_first_default():
    text = '{"batch_size":64,"lr_decay_epoch":[3,4]}'
    recipe = Recipe(batch_size=64, lr_decay_epoch=(3, 4), contrast=0.0)
    assert recipe.fingerprint() == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_a_fingerprint_names_the_method_and_neither_its_name_nor_its_seed():
    assert replace(RECIPE, name="x", seed=9).fingerprint() == RECIPE.fingerprint()


@pytest.mark.parametrize("name", [f.name for f in fields(Recipe) if f.name not in ("name", "seed")])
def test_a_fingerprint_changes_with_every_other_field(name):
    assert replace(RECIPE, **{name: "changed"}).fingerprint() != RECIPE.fingerprint()


def test_a_fingerprint_holds_the_teachers_parameters():
    prints = {RECIPE.fingerprint(t) for t in (None, "ab", "cd")}
    assert len(prints) == 3


@dataclass(frozen=True)
class Grown(Recipe):
    """The recipe of a later version, with one more field, whose default then changed."""

    depth: float = hp(0.5, "part of the blocks that are skipped", introduced=0.0)


def test_a_new_field_orphans_no_fingerprint():
    old = Recipe(batch_size=64, contrast=0.0)
    read = Grown.from_dict(old.as_dict())
    assert read.depth == 0.0
    new = Grown(batch_size=64, contrast=0.0)
    assert dataclasses.asdict(new).keys() - old.as_dict().keys() == {"depth"}
    # What was recorded before the field existed keeps its name; the new default is another one.
    assert read.fingerprint() == spec_fingerprint(read) == old.fingerprint()
    assert new.fingerprint() == spec_fingerprint(new) != old.fingerprint()


def spec_fingerprint(recipe):
    """The fingerprint as its definition says, over all fields of the class."""
    content = {
        f.name: getattr(recipe, f.name)
        for f in fields(recipe)
        if f.name not in ("name", "seed") and getattr(recipe, f.name) != f.metadata["introduced"]
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("recipe", [Recipe(), RECIPE])
def test_a_recipe_survives_json(recipe):
    again = Recipe.from_dict(json.loads(json.dumps(recipe.as_dict())))
    assert again == recipe
    assert again.fingerprint() == recipe.fingerprint() == spec_fingerprint(recipe)


def test_fields_that_are_missing_are_those_of_the_first_version():
    # A recipe from before there was contrast had none, whatever its data set has now.
    assert Recipe.from_dict({"batch_size": 3}) == Recipe(batch_size=3, contrast=0.0)


def test_an_unknown_field_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="unknown recipe field 'batchsize'.*'batch_size'"):
        Recipe.from_dict({"batchsize": 3})


def test_a_difference_names_each_field_that_changed():
    assert difference(RECIPE, RECIPE) == []
    assert difference(Recipe(), Recipe(lr=0.2, no_wd=True)) == [
        "lr: None -> 0.2",
        "no_wd: False -> True",
    ]


def test_rows_are_stacked_or_compared():
    steps = (("a", {"wd": 0.1}), ("b", {"no_wd": True}))
    stacked, compared = labelled(stack(Recipe(), *steps)), labelled(compare(Recipe(), *steps))
    assert stacked == {"a": Recipe(wd=0.1), "b": Recipe(wd=0.1, no_wd=True)}
    assert compared == {"a": Recipe(wd=0.1), "b": Recipe(no_wd=True)}


def test_every_field_has_help_and_its_default_among_its_choices():
    for f in fields(Recipe):
        assert f.metadata["help"]
        choices = f.metadata.get("choices")
        assert choices is None or f.default is None or f.default in choices
