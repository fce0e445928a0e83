"""He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks"."""

from __future__ import annotations

from typing import Mapping, Tuple

PAPER = "bag-of-tricks"

QUOTED = "quoted from others: the accuracy is that paper's own, its cost is counted here"
COUNTED = "not run: its parameters and FLOPs are counted here"

# Rows without a run of their own: (table, row) -> status and reason.
OUT_OF_SCOPE: Mapping[Tuple[str, str], str] = {
    ("1", "ResNet-50"): QUOTED,
    ("1", "ResNeXt-50"): QUOTED,
    ("1", "SE-ResNet-50"): QUOTED,
    ("1", "SE-ResNeXt-50"): QUOTED,
    ("1", "DenseNet-201"): QUOTED,
    ("1", "ResNet-50 + tricks (ours)"): COUNTED,
    ("5", "ResNet-50"): COUNTED,
    ("5", "ResNet-50-B"): COUNTED,
    ("5", "ResNet-50-C"): COUNTED,
    ("5", "ResNet-50-D"): COUNTED,
}
