"""The works whose numbers the page has: what they are called, and how to cite them."""

from __future__ import annotations

from typing import Mapping

PAPERS: Mapping[str, str] = {
    "bag-of-tricks": "Bag of Tricks (He et al., 2019)",
    "stitch-mixup": "An Improvement on the Bag of Tricks: stitch mixup (Poovathoor)",
    "imagenette": "The Imagenette leaderboard (Osmulski, 2021)",
    "cifar10-resnets": "Custom ResNets under 5M parameters (Aswani, Biehl, Shi, 2022)",
    "tiny-imagenet": "Tiny ImageNet: transfer and ensembles (CS231n, 2017)",
}
CITATIONS: Mapping[str, str] = {
    "bag-of-tricks": (
        "T. He, Z. Zhang, H. Zhang, Z. Zhang, J. Xie, M. Li: Bag of Tricks for Image "
        "Classification with Convolutional Neural Networks. CVPR 2019."
    ),
    "stitch-mixup": (
        "V. T. Poovathoor: An Improvement on the Bag of Tricks for Image Classification with "
        "Convolutional Neural Networks. Georgia Institute of Technology; year not recorded."
    ),
    "imagenette": "R. Osmulski: How to reach the top of the imagenette leaderboard. Article, 2021.",
    "cifar10-resnets": (
        "Aswani, Biehl, Shi: Custom ResNet Model Performance on CIFAR-10. Report, 2022."
    ),
    "tiny-imagenet": (
        "A report of the course CS231n, 2017, on transfer learning and ensembles for Tiny "
        "ImageNet; title and authors not recorded."
    ),
}
