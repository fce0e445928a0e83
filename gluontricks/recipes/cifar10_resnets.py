"""Custom ResNets under 5M parameters (Aswani, Biehl, Shi) as data, and their parameter counts."""

from __future__ import annotations

import json
from typing import Any, List, Mapping, Optional, Tuple

from gluontricks.recipes.spec import Ablation, Row

PAPER = "cifar10-resnets"
CLASSES = 10
ROWS = (
    "1: basic, kernel 2, design 1", "2: 15 blocks", "3: 39 blocks, the final model",
    "4: deep and narrow", "5: 26 blocks", "6: basic, kernel 2, design 2", "7: wide, dropout",
    "8: wide, no dropout", "9: not described",
)  # fmt: skip

TABLE_1 = Ablation(
    paper=PAPER,
    table="1",
    caption="selected runs",
    rows=tuple(Row(label) for label in ROWS),
    notes=(
        "Every published value is one run. The training accuracy is the running mean of batches in "
        "training, with dropout and augmentation.",
        "The final accuracy, 91.4550781 %, is a mean over 40 batches, of which the last has 16 "
        "images: the true value is 91.25 %, or 0.15 points more for each of those 16 that was "
        "wrong; most likely 91.40 or 91.55. The paper rounds it to 91.5 and to 91.46.",
        "The cyclic rate of the final model never cycled: it was stepped once an epoch, so that it "
        "rose linearly from 1e-4 to 1.09e-3 in 200 epochs.",
        "Rows 1 and 6 have the same list of blocks; they are the two designs of kernel 2.",
        "Rows 7 and 8 differ in dropout by the table; in the authors' code also in the range of "
        "the rate: 0.2 to 1.1 in row 7, which diverges by construction. Row 8 has 200 epochs in "
        "the text, 100 in the code.",
        'Row 3: the text\'s "five 6-channel basic" blocks would make 41; the table and the final '
        "list have 39. Row 8: the text has 6 x 256 twice, which would be 3.28 million parameters.",
        'The augmentation is said to be "based on" He et al., who pad by 4 and do not rotate; here '
        "images are rotated by up to 5 degrees and padded by 2.",
    ),
)
TEXT = Ablation(
    paper=PAPER,
    table="text",
    caption="what only the text mentions",
    rows=tuple(
        Row(label)
        for label in (
            "deep and narrow, 100 epochs", "dropout", "LR range test",
            "cyclic rate, runs that failed",
        )
    ),
    notes=(
        "The learning rate range test ends at 0.30, where the loss explodes: the paper's \"maximum "
        'learning rate" is the point of divergence.',
        'Two stems are misprints: "7x7 stride 3 padding 2" would not give the 16 x 16 of the text, '
        'as stride 2 and padding 3 do; for "5x5 stride 2 padding 1" the code has stride 1 and 2.',
    ),
)  # fmt: skip
ABLATIONS = (TABLE_1, TEXT)

NOT_YET = "not run: no recipe yet: its network is not here"
SETTING = "recipe setting: a number of the method"

OUT_OF_SCOPE: Mapping[Tuple[str, str], str] = {
    **{("1", row): NOT_YET for row in ROWS},
    **{("text", row.label): NOT_YET for row in TEXT.rows},
    ("text", "kernel 2"): "recomputed: follows from the list of blocks",
    ("text", "ResNet-18"): "quoted from others: another network's size",
    ("text", "Adam"): SETTING,
    ("text", "recipe"): SETTING,
    ("text", "stem"): SETTING,
}  # fmt: skip
EXCEPTIONS: Mapping[str, str] = {
    "cifar10-resnets/text/final-model/blocks": "recipe setting: the list of blocks has 39",
    "cifar10-resnets/text/adam/test_acc_range": NOT_YET,
    "cifar10-resnets/text/lr-range-test/min_lr_factor": "quoted from others: Smith, 2018",
}
# Row of the text -> height and width of the stem's filter; its width is the first stage's.
STEMS: Mapping[str, int] = {"final model": 5, "final model, abstract": 5, "kernel 2": 3}


def parameters(blocks: str, stem: int) -> int:
    """Return the parameters of a network by its printed list of blocks.

    Convolutions have no bias, one-by-one shortcuts no batch norm; only the first block of the
    stages after the first has a shortcut. A bottleneck narrows to a quarter of its own width.

    Parameters
    ----------
    blocks : str
        ``[[kind, count, width, dropout, kernel], ...]``, the last two where they are given.
    stem : int
        Height and width of the first filter.
    """
    quoted = blocks.replace("Basic", '"b"').replace("Bottleneck", '"n"')
    stages: List[List[Any]] = json.loads(quoted)
    width = stages[0][2]
    total = 3 * width * stem**2 + 2 * width
    for number, (kind, count, out, *rest) in enumerate(stages):
        kernel = rest[1] if len(rest) > 1 else 3
        for block in range(count):
            total += width * out if number and not block else 0
            if kind == "b":
                total += (width + out) * out * kernel**2 + 4 * out
            else:
                inner = out // 4
                total += inner * (width + 9 * inner + out) + 4 * inner + 2 * out
            width = out
    return total + width * CLASSES + CLASSES


def count_of(row: str, blocks: str) -> Optional[int]:
    """Return the parameters of the network of a row of the text, None for another row."""
    return parameters(blocks, STEMS[row]) if row in STEMS else None
