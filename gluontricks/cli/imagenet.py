"""Train networks on ImageNet, or on images of one's own, with the flags of GluonCV's script.

    python scripts/train_imagenet.py --model resnet50_v1d --lr-mode cosine --warmup-epochs 5
    python scripts/train_imagenet.py --recipe bag-of-tricks-6-resnet50_v1d-cosine
    python scripts/train_imagenet.py --dataset folder --classes 12 --data-dir flowers

GluonCV's flags and defaults mean what they mean there: --batch-size is per device. Every other
flag of 'gluontricks train' is here too.
"""

from __future__ import annotations

import argparse

from gluontricks.cli import train

# Flags of GluonCV's script that are neither a field of a recipe nor an option of a run.
SWITCHES = {
    "mixup": "mix images, as --mixup-type mixup",
    "use_se": "squeeze-and-excitation, for names that start with resnext",
    "use_gn": "group norm instead of batch norm",
    "batch_norm": "batch norm in VGG",
    "use_pretrained": "not here: name a file with --resume-params",
}
VALUES = {
    "rgb_mean": "mean of each channel, 0..255",
    "rgb_std": "standard deviation of each channel, 0..255",
    "num_training_samples": "images of an epoch; the data set says",
    "save_dir": "the run's directory, as --out",
    "resume_states": "not here: a run that was stopped goes on by itself",
    "data_backend": "mxnet",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of 'gluontricks train', and GluonCV's that it lacks."""
    train.add_arguments(parser)
    group = parser.add_argument_group("GluonCV's script")
    for name, text in SWITCHES.items():
        spelt = "--use_se" if name == "use_se" else "--" + name.replace("_", "-")
        group.add_argument(
            spelt, dest=name, action="store_true", default=argparse.SUPPRESS, help=text
        )
    for name, text in VALUES.items():
        group.add_argument(
            "--" + name.replace("_", "-"), dest=name, default=argparse.SUPPRESS, help=text
        )
    more = parser.add_argument_group("beside it")
    more.add_argument(
        "--accumulate",
        type=int,
        default=1,
        metavar="N",
        help="passes whose gradients one update adds up",
    )
    more.add_argument(
        "--evaluate",
        action="store_true",
        help="only evaluate: --resume-params, or the run in --out",
    )
