"""The Tiny ImageNet report (CS231n, 2017) as data: rows that nothing here can run yet, and why."""

from __future__ import annotations

from typing import Mapping, Tuple

from gluontricks.recipes.spec import Ablation, Row

PAPER = "tiny-imagenet"
MEMBERS = ("ResNet-18", "ResNet-34", "ResNet-50", "ResNet-101", "ResNet-152", "DenseNet-121")

TEXT = Ablation(
    paper=PAPER,
    table="text",
    caption="transfer to Tiny ImageNet, and ensembles",
    rows=tuple(
        Row(label) for label in ("final ensemble", "baseline", "shallow ensemble", "deep networks")
    ),
    notes=(
        "The paper has no table of results, and no error of a single network.",
        "The validation error, 20.0 %, is 5.6 points below the test error. That is the gap one "
        "would see if the validation images came from ImageNet's training set, on which the "
        "networks were pretrained; it is a guess. The test labels were on a course server.",
        "The sum of probabilities goes through a second softmax. That changes no answer, "
        "and bounds the largest probability of three networks at 9.2 %.",
        "18 blocks of two convolutions in 34 layers are no ResNet: ResNet-34 has 16.",
        'The baseline\'s "~0.65 top-1 error" reads like an accuracy.',
        "Pretraining on other data is called precluded, and weights of ImageNet are used.",
        "Human error and the claim to be better than it are top-5; its own errors are top-1.",
        "Equation 2, read literally, sums to 1 over the networks for every class, and so decides "
        "nothing; equation 4 penalises the norm of the weights, where its square is meant.",
        '"PyTorch up to 100x faster" has no measurement. Reference 14 is spelled in two ways.',
    ),
)
ABLATIONS = (TEXT,)

NOT_YET = "not run: no recipe yet: its networks and data set are not here"
TEST = "out of scope: the test labels were on a course server of 2017 only"
SETTING = "recipe setting: a number of the method"
DATA = "recipe setting: a fact of the data set"
MACHINE = "out of scope: the speed of a machine"
QUOTED = "quoted from others: no result of this paper"

OUT_OF_SCOPE: Mapping[Tuple[str, str], str] = {
    **{("text", row.label): NOT_YET for row in TEXT.rows},
    **{("text", member): SETTING for member in MEMBERS},
    ("text", "recipe"): SETTING,
    ("text", "data set"): DATA,
    ("text", "ImageNet"): DATA,
    ("text", "time, shallower networks"): MACHINE,
    ("text", "time, deepest networks"): MACHINE,
    ("text", "human"): QUOTED,
    ("text", "ResNet-34 of He et al."): QUOTED,
}
# Values whose reason is another than their row's.
EXCEPTIONS: Mapping[str, str] = {
    "tiny-imagenet/text/final-ensemble/test_top1_error": TEST,
    "tiny-imagenet/text/final-ensemble/leaderboard_rank": TEST,
}
