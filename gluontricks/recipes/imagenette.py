"""The Imagenette article (Osmulski, 2021) as data: it prints no accuracy, its repository does."""

from __future__ import annotations

from typing import Mapping, Tuple

from gluontricks.recipes.spec import Ablation, Row

PAPER = "imagenette"

TEXT = Ablation(
    paper=PAPER,
    table="text",
    caption="five epochs at 128 pixels",
    rows=(Row("final model"),),
    notes=(
        "The text prints no accuracy: its figures were lost, and with them the comparison of batch "
        "sizes and rates. The values of the author's notebooks "
        "and of the leaderboard are in a table of their own, with the label AUTHOR-REPO.",
        "The notebooks used no gradient centralisation and no normalisation, and blurred the "
        "max-pools only. The first entry, 87.53 %, had a weight decay of 1e-4; 87.43 % followed.",
        "Of the 3,925 validation images 3,791 have names of ImageNet's training set, so that "
        "pretrained networks know them: every run must begin with random weights.",
    ),
)
ABLATIONS = (TEXT,)

SETTING = "recipe setting: a number of the method"

OUT_OF_SCOPE: Mapping[Tuple[str, str], str] = {
    ("text", "final model"): "out of scope: a place on a leaderboard is no measurement",
    ("text", "recipe"): SETTING,
    ("text", "data set"): "recipe setting: a fact of the data set",
    ("text", "a shift by one pixel"): "quoted from others: read off a figure of Zhang, 2019",
}
EXCEPTIONS: Mapping[str, str] = {}
