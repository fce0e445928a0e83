"""The flags of GluonCV's training scripts: their spellings, defaults, and what they are here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Tuple


@dataclass(frozen=True)
class Flag:
    """One flag of GluonCV's scripts.

    Attributes
    ----------
    options : tuple of str
        Its spellings.
    default : object
        GluonCV's own default.
    kind : type
        What its text is read as; ``bool`` for a flag without a value.
    meaning : str
        What it is here, in a few words.
    """

    options: Tuple[str, ...]
    default: Any
    kind: type
    meaning: str


def _flags(*rows: Tuple[str, Any, type, str]) -> Dict[str, Flag]:
    """Return dest -> flag; the dest is the long spelling, as argparse makes it."""
    found: Dict[str, Flag] = {}
    for spellings, default, kind, meaning in rows:
        options = tuple(spellings.split())
        found[options[-1].lstrip("-").replace("-", "_")] = Flag(options, default, kind, meaning)
    return found


def _renamed(flags: Dict[str, Flag]) -> Dict[str, Flag]:
    """Return ``flags`` with the dest that GluonCV gives its one flag of another name."""
    return {"num_workers" if k == "num_data_workers" else k: v for k, v in flags.items()}


_PLACE = "~/.mxnet/datasets/imagenet"

# train_imagenet.py: dest -> flag, in the script's order.
FLAGS: Mapping[str, Flag] = _renamed(
    _flags(
        ("--data-backend", "mxnet", str, "only mxnet; DALI is not here"),
        ("--data-dir", f"{_PLACE}/", str, "folder of the images"),
        ("--rec-train", f"{_PLACE}/rec/train.rec", str, "record file of the training images"),
        ("--rec-train-idx", f"{_PLACE}/rec/train.idx", str, "its index"),
        ("--rec-val", f"{_PLACE}/rec/val.rec", str, "record file of the validation images"),
        ("--rec-val-idx", f"{_PLACE}/rec/val.idx", str, "its index"),
        ("--use-rec", False, bool, "read images from record files"),
        ("--batch-size", 32, int, "images per device and update"),
        ("--dtype", "float32", str, "precision of the network's arithmetic"),
        ("--num-gpus", 0, int, "GPUs; 0 is the processor"),
        ("-j --num-data-workers", 4, int, "processes that decode images"),
        ("--num-epochs", 3, int, "epochs"),
        ("--lr", 0.1, float, "peak learning rate, not scaled with the batch"),
        ("--momentum", 0.9, float, "momentum of Nesterov's gradient"),
        ("--wd", 0.0001, float, "weight decay"),
        ("--lr-mode", "step", str, "schedule: step, poly, cosine, linear or constant"),
        ("--lr-decay", 0.1, float, "factor of each step of the step schedule"),
        ("--lr-decay-period", 0, int, "steps every so many epochs"),
        ("--lr-decay-epoch", "40,60", str, "epochs of the steps, counted from the start"),
        ("--warmup-lr", 0.0, float, "rate that the warm-up starts from"),
        ("--warmup-epochs", 0, int, "epochs of linear warm-up, inside --num-epochs"),
        ("--last-gamma", False, bool, "start the last batch norm of each block at zero"),
        ("--mode", None, str, "networks are always hybridized"),
        ("--model", None, str, "network"),
        ("--input-size", 224, int, "height and width of the network's input, in pixels"),
        ("--crop-ratio", 0.875, float, "part of the image that evaluation crops"),
        ("--use-pretrained", False, bool, "not here: nothing is downloaded"),
        ("--use_se", False, bool, "squeeze and excitation, for resnext networks"),
        ("--mixup", False, bool, "mix the images of a batch: --mixup-type mixup"),
        ("--mixup-alpha", 0.2, float, "lambda is drawn from Beta(alpha, alpha)"),
        ("--mixup-off-epoch", 0, int, "no mixing in the last so many epochs"),
        ("--label-smoothing", False, bool, "move 0.1 of the probability off the true class"),
        ("--no-wd", False, bool, "no weight decay on biases, gammas and betas"),
        ("--teacher", None, str, "network whose softened output is imitated"),
        ("--temperature", 20.0, float, "temperature of the distillation"),
        ("--hard-weight", 0.5, float, "weight of the true labels; 1 switches distillation off"),
        ("--batch-norm", False, bool, "batch norm in vgg networks, which are not here"),
        ("--use-gn", False, bool, "not here: group norm instead of batch norm"),
        ("--save-frequency", 10, int, "epochs between two .params files of their own"),
        ("--save-dir", "params", str, "the run's directory: --out"),
        ("--resume-epoch", 0, int, "epoch that --resume-params begins with"),
        ("--resume-params", "", str, "parameters to begin with"),
        ("--resume-states", "", str, "not here: pickles are never read"),
        ("--log-interval", 50, int, "updates between two log points"),
        ("--logging-file", "train_imagenet.log", str, "the log's file"),
        ("--rgb-mean", "123.68,116.779,103.939", str, "mean of the channels, of 0..255"),
        ("--rgb-std", "58.393,57.12,57.375", str, "deviation of the channels, of 0..255"),
        ("--num-training-samples", 1281167, int, "nothing: the images are counted"),
    )
)

# train_cifar10.py and train_mixup_cifar10.py.
CIFAR_FLAGS: Mapping[str, Flag] = _renamed(
    _flags(
        ("--batch-size", 32, int, "images per device and update"),
        ("--num-gpus", 0, int, "GPUs; 0 is the processor"),
        ("--model", "resnet", str, "network"),
        ("-j --num-data-workers", 4, int, "nothing: the images are in memory"),
        ("--num-epochs", 3, int, "epochs"),
        ("--lr", 0.1, float, "learning rate"),
        ("--momentum", 0.9, float, "momentum of Nesterov's gradient"),
        ("--wd", 0.0001, float, "weight decay"),
        ("--lr-decay", 0.1, float, "factor of each step of the schedule"),
        ("--lr-decay-period", 0, int, "nothing in GluonCV's script"),
        ("--lr-decay-epoch", "40,60", str, "epochs of the steps"),
        ("--drop-rate", 0.0, float, "dropout of wide ResNets, which are not here"),
        ("--mode", None, str, "networks are always hybridized"),
        ("--save-period", 10, int, "nothing: checkpoints are kept every epoch"),
        ("--save-dir", "params", str, "the run's directory: --out"),
        ("--resume-from", None, str, "parameters to begin with"),
        ("--save-plot-dir", ".", str, "nothing: the curve is in the record"),
        ("--logging-dir", "logs", str, "nothing: the log is in the run's directory"),
    )
)

# Flags that only older versions of train_imagenet.py had.
OLD_FLAGS: Mapping[str, Flag] = _flags(
    ("--logging-dir", "logs", str, "nothing: the log is in the run's directory"),
    ("--save-plot-dir", ".", str, "nothing: the curve is in the record"),
    ("--use-thumbnail", False, bool, "not here: a stem for small images"),
)
