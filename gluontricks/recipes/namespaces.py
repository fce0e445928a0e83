"""GluonCV's command lines as recipes: typed flags, and the settings printed in its logs.

A training script of GluonCV prints its flags as ``Namespace(...)`` into the first line of its log.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple, Union

from gluontricks.errors import UsageError, unknown
from gluontricks.models.names import canonical_name, find_name
from gluontricks.recipes.gluoncv_flags import CIFAR_FLAGS, FLAGS, OLD_FLAGS, Flag
from gluontricks.recipes.spec import Recipe

SMOOTHING = 0.1


def path(text: str) -> Path:
    """Return the path that a text names; ``~`` is a home folder."""
    return Path(text).expanduser()


# GluonCV's name of an option of a run -> ours, and its type.
OPTIONS: Mapping[str, Tuple[str, Callable[[Any], Any]]] = {
    "data_dir": ("data_dir", path),
    "use_rec": ("use_rec", bool),
    "rec_train": ("rec_train", path),
    "rec_train_idx": ("rec_train_idx", path),
    "rec_val": ("rec_val", path),
    "rec_val_idx": ("rec_val_idx", path),
    "num_gpus": ("num_gpus", int),
    "num_workers": ("num_workers", int),
    "log_interval": ("log_interval", int),
    "logging_file": ("logging_file", path),
    "save_frequency": ("save_frequency", int),
    "save_dir": ("out", path),
    "resume_params": ("resume_params", path),
    "resume_from": ("resume_params", path),
}
# GluonCV's flag that no recipe has a field for -> what to do beside a recipe.
INSTEAD = {
    "mixup": "give --mixup-type mixup",
    "use_se": "give --model se_...",
    "batch_norm": "leave it out: no network here takes it",
    "use_gn": "leave it out: no network here takes it",
    "rgb_mean": "give --normalization",
    "rgb_std": "give --normalization",
}
# Its residual blocks take the argument of zero gamma and pass it on to nothing.
DEAF = re.compile(r"resnet(18|34)_v1[bcdes]")


@dataclass(frozen=True)
class NamespaceRecipe:
    """What a command line of GluonCV's is here.

    Attributes
    ----------
    recipe : Recipe
        Not resolved. Its network may be one that is not here.
    options : mapping
        Fields of :class:`gluontricks.options.RunOptions` that the command line gives.
    notes : tuple of str
        Sentences on what is not taken as it stands.
    """

    recipe: Recipe
    options: Mapping[str, Any]
    notes: Tuple[str, ...] = ()


class Given:
    """Flags as given, over GluonCV's defaults.

    Parameters
    ----------
    values : mapping
        Dest -> value of the flags that were given.
    flags : mapping
        Dest -> flag of all that there are.
    printed : bool
        Whether they are from a log: what had no effect is then a note, and not an error.

    Raises
    ------
    UsageError
        If there is no such flag.
    """

    def __init__(
        self, values: Mapping[str, Any], flags: Mapping[str, Flag], *, printed: bool
    ) -> None:
        for name in values:
            if name not in flags:
                raise unknown("flag of GluonCV's script", name, flags)
        self.values, self.flags, self.printed = dict(values), flags, printed
        self.notes: List[str] = []

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name, self.flags[name].default)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def typed(self, name: str) -> str:
        """Return a flag with its value, as it is typed."""
        flag, value = self.flags[name].options[-1], self[name]
        return flag if value is True else f"{flag} {value}"

    def changed(self, name: str) -> bool:
        """Return whether a flag was given, and not with GluonCV's own default."""
        return name in self.values and self.values[name] != self.flags[name].default

    def idle(self, name: str, why: str) -> None:
        """Note a flag that changes nothing, or raise if somebody typed it."""
        if not self.changed(name):
            return
        if not self.printed:
            raise UsageError(f"{self.typed(name)} would have no effect: {why}", "leave it out")
        self.notes.append(f"{self.typed(name)} had no effect: {why}")

    def refuse(self, name: str, why: str, remedy: str) -> None:
        """Raise if a flag asks for something that is not done here."""
        if self.changed(name):
            raise UsageError(f"{self.typed(name)}: {why}", remedy)


def recipe_of(values: Mapping[str, Any]) -> NamespaceRecipe:
    """Return what typed flags of GluonCV's ``train_imagenet.py`` mean here.

    A flag that is given with GluonCV's own default is never an error. Others that change nothing
    are.

    Parameters
    ----------
    values : mapping
        Dest -> value of the flags that were given, the names being those of :data:`FLAGS`. For
        all others GluonCV's defaults hold.

    Raises
    ------
    UsageError
        If a flag is unknown, is refused, or would have no effect.
    """
    return _imagenet(Given(values, FLAGS, printed=False))


def notes_beside_recipe(values: Mapping[str, Any]) -> Tuple[str, ...]:
    """Return what is to be told of typed flags of ``train_imagenet.py`` beside a recipe.

    Parameters
    ----------
    values : mapping
        Dest -> value of the flags that were given.

    Raises
    ------
    UsageError
        If a flag asks for what is not done here, or no recipe has a field for it.
    """
    given = Given(values, FLAGS, printed=False)
    _refuse(given)
    for name, remedy in INSTEAD.items():
        if name in given:
            raise UsageError(f"{given.typed(name)} and a recipe are both given", remedy)
    return tuple(given.notes)


def namespace_recipe(namespace: Union[str, Mapping[str, Any]]) -> NamespaceRecipe:
    """Return the recipe of settings that one of GluonCV's training scripts printed.

    The recipe says what ran, as far as the flags and the script's faults tell, and the notes where
    this is not what the flags say. Flags that an older script did not have had its constants.

    Parameters
    ----------
    namespace : str or mapping
        A line that holds ``Namespace(...)``, or its flags.

    Raises
    ------
    UsageError
        If it is none of the classification scripts', or asks for something that is not done here.
    """
    values = parse_namespace(namespace) if isinstance(namespace, str) else namespace
    if "model" not in values:
        raise UsageError(
            "these settings name no --model: they are no classification script's",
            "give the Namespace line of a classification log",
        )
    if str(values["model"]).startswith("cifar_"):
        return _cifar(Given(values, CIFAR_FLAGS, printed=True))
    return _imagenet(Given(values, {**FLAGS, **OLD_FLAGS}, printed=True))


def parse_namespace(text: str) -> Dict[str, Any]:
    """Return the flags in a line that holds ``Namespace(...)``; nothing in it is evaluated.

    Raises
    ------
    UsageError
        If there is none, or a value is no plain one.
    """
    found = re.search(r"Namespace\(.*\)", text)
    try:
        words = namespace_keywords(found[0] if found else "")
        return {str(word.arg): ast.literal_eval(word.value) for word in words}
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise UsageError(
            f"'{' '.join(text.split())[:60]}' holds no Namespace(...) of plain values",
            "give the first line of a log of GluonCV's",
        ) from None


def namespace_keywords(text: str) -> List[ast.keyword]:
    """Return what stands between the brackets of ``Namespace(name=value, ...)``, not evaluated.

    Raises
    ------
    ValueError, SyntaxError, RecursionError, MemoryError
        If it is no such text; the last two for one that is nested without end.
    """
    call = ast.parse(text.strip(), mode="eval").body
    if not isinstance(call, ast.Call) or getattr(call.func, "id", "") != "Namespace":
        raise ValueError("no Namespace")
    if call.args or any(word.arg is None for word in call.keywords):
        raise ValueError("not name=value alone")
    return call.keywords


def _imagenet(given: Given) -> NamespaceRecipe:
    """Return what flags of ``train_imagenet.py`` mean."""
    _refuse(given)
    batch = given["batch_size"] * max(given["num_gpus"], 1)
    fields: Dict[str, Any] = {
        "dataset": "imagenet",
        "init": "msra",
        "batch_size": batch,
        "shards": max(given["num_gpus"], 1),
        "momentum": given["momentum"],
        "wd": given["wd"],
        "no_wd": given["no_wd"],
        "dtype": given["dtype"],
        "resume_epoch": given["resume_epoch"],
    }
    for part in (_network, _images, _schedule, _targets, _mixing, _distillation):
        fields.update(part(given))
    if given.printed and given["dtype"] == "float16":
        # A sum over the batch, which the update divides: the gradients are that much larger.
        fields["loss_scale"] = float(batch)
    return NamespaceRecipe(Recipe(**fields), _options(given), tuple(given.notes))


def _refuse(given: Given) -> None:
    """Raise for what is not done here."""
    given.refuse(
        "data_backend", "DALI is not here", "leave it out: folders and --use-rec are read by us"
    )
    given.refuse(
        "use_pretrained", "nothing is downloaded", "begin with a file: --resume-params FILE"
    )
    given.refuse(
        "resume_states",
        "it is a pickle, which could run anything, and is never read",
        "the same command again resumes a run of ours; --resume-params begins with parameters",
    )
    if "use_thumbnail" in given:
        given.refuse("use_thumbnail", "that stem is not here", "leave it out")
    given.idle("num_training_samples", "the images are counted")
    if given["mode"] not in (None, "hybrid"):
        given.notes.append(f"--mode {given['mode']} changes nothing: networks are hybridized")


def _network(given: Given) -> Dict[str, Any]:
    """Return the network, and whether its blocks begin at zero."""
    model = given["model"]
    if not model:
        raise UsageError("no --model is given", "name a network: gluontricks summary lists them")
    if given["batch_norm"] and model.startswith("vgg"):
        model = f"{model}_bn"
    else:
        given.idle("batch_norm", "only vgg networks take it")
    if not given.printed and given["use_se"] and model.startswith("resnext"):
        model = f"se_{model}"
    else:
        given.idle("use_se", "GluonCV's networks overwrite it" if given.printed else
                   "only resnext networks take it")  # fmt: skip
    if given["use_gn"]:
        model = f"{model}_gn"
    return {"model": _known(given, model), "last_gamma": _last_gamma(given, model)}


def _known(given: Given, model: str) -> str:
    """Return the name of a network; note one that is not here."""
    found = find_name(model)
    if found is None and not given.printed:
        return canonical_name(model)
    if found is None:
        given.notes.append(f"the network '{model}' is not here: its recipe cannot be run")
    return found or model


def _last_gamma(given: Given, model: str) -> bool:
    """Return whether the blocks began at zero; some networks do not do what the flag says."""
    asked = bool(given["last_gamma"])
    if not given.printed:
        return asked
    if "resnext" in model:
        ran = "without" if asked else "with"
        given.notes.append(
            f"GluonCV's ResNeXt inverts --last-gamma: it ran {ran} zero gamma, as here"
        )
        return not asked
    if asked and DEAF.fullmatch(model):
        given.notes.append(
            "GluonCV's ResNet-18 and 34 V1b ignore --last-gamma: it ran without zero gamma, as here"
        )
        return False
    return asked


def _images(given: Given) -> Dict[str, Any]:
    """Return how images are augmented and normalised."""
    if given.printed and "crop_ratio" not in given and given["input_size"] != 224:
        given.notes.append(
            f"its script had no --crop-ratio: validation images of {given['input_size']} pixels "
            "were cut from ones resized to 256; here they are cut at 0.875"
        )
    channels = normalization_text(given["rgb_mean"], given["rgb_std"])
    # GluonCV's flags act on record files only; its folders have ImageNet's constants.
    by_constants = given.printed and not given["use_rec"]
    return {
        "augment": "gluoncv",
        "input_size": given.values.get("input_size"),
        "crop_ratio": given["crop_ratio"],
        "normalization": "imagenet" if by_constants else channels,
    }


def normalization_text(mean: str, std: str) -> str:
    """Return means and deviations of pixels in 0..255 as a recipe's ``R,G,B/R,G,B`` of 0..1.

    Raises
    ------
    UsageError
        If one of them is not three numbers.
    """
    try:
        parts = [[float(number) / 255 for number in text.split(",")] for text in (mean, std)]
    except ValueError:
        parts = []
    if [len(part) for part in parts] != [3, 3]:
        raise UsageError(
            f"--rgb-mean {mean} and --rgb-std {std} are not three numbers each",
            "give them like 123.68,116.779,103.939, of pixels in 0..255",
        )
    return "/".join(",".join(f"{number:.6g}" for number in part) for part in parts)


def _schedule(given: Given) -> Dict[str, Any]:
    """Return epochs and rates."""
    fields: Dict[str, Any] = {
        "num_epochs": given["num_epochs"],
        "lr": given["lr"],
        "lr_mode": given["lr_mode"],
        "lr_form": "gluoncv",
        "warmup_epochs": given["warmup_epochs"],
    }
    if given["lr_mode"] == "step":
        fields.update(lr_decay=given["lr_decay"], **_steps(given))
    else:
        for name in ("lr_decay", "lr_decay_period", "lr_decay_epoch"):
            given.idle(name, "only --lr-mode step has steps")
    if given.printed:
        given.idle("warmup_lr", "GluonCV's script never reads it")
    elif given["warmup_epochs"]:
        fields["warmup_lr"] = given["warmup_lr"]
    else:
        given.idle("warmup_lr", "there are no --warmup-epochs")
    return fields


def _steps(given: Given) -> Dict[str, Any]:
    """Return the epochs of the steps. Some never come: those of a log, and GluonCV's default."""
    if given["lr_decay_period"]:
        return {"lr_decay_period": given["lr_decay_period"]}
    try:
        epochs = sorted({int(word) for word in str(given["lr_decay_epoch"]).split(",")})
    except ValueError:
        raise UsageError(
            f"--lr-decay-epoch {given['lr_decay_epoch']} are no epochs", "give them like 30,60,90"
        ) from None
    if given.printed or not given.changed("lr_decay_epoch"):
        epochs = [epoch for epoch in epochs if epoch < given["num_epochs"]]
    return {"lr_decay_epoch": tuple(epochs)}


def _targets(given: Given) -> Dict[str, Any]:
    """Return the smoothing of labels; as a switch it is 0.1."""
    amount = given["label_smoothing"]
    if not amount:
        return {}
    smoothing = SMOOTHING if amount is True else float(amount)
    return {"label_smoothing": smoothing, "smoothing_form": "gluoncv"}


def _mixing(given: Given) -> Dict[str, Any]:
    """Return what images are mixed with."""
    if not given["mixup"]:
        given.idle("mixup_alpha", "there is no --mixup")
        given.idle("mixup_off_epoch", "there is no --mixup")
        return {}
    return {
        "mixup_type": "mixup",
        "mixup_alpha": given["mixup_alpha"],
        "mixup_off_epoch": given["mixup_off_epoch"],
    }


def _distillation(given: Given) -> Dict[str, Any]:
    """Return the teacher and the weight of its answers."""
    teacher, weight = given["teacher"], given["hard_weight"]
    if teacher and weight < 1:
        return {
            "teacher": _known(given, teacher),
            "temperature": float(given["temperature"]),
            "hard_weight": weight,
            "distillation_form": "gluoncv",
        }
    if teacher:
        given.notes.append(f"--hard-weight {weight} switches the teacher '{teacher}' off")
        return {}
    given.idle("temperature", "there is no --teacher")
    given.idle("hard_weight", "there is no --teacher")
    return {}


def _options(given: Given) -> Dict[str, Any]:
    """Return the options of the run that were given, by our names."""
    return {
        name: kind(given[theirs])
        for theirs, (name, kind) in OPTIONS.items()
        if theirs in given and given[theirs] not in (None, "")
    }


def _cifar(given: Given) -> NamespaceRecipe:
    """Return what flags of ``train_cifar10.py`` mean; with a --logging-dir it is the mixup script.

    The scripts have no flags for what they do besides: normalisation, no colour changes, and with
    mixup alpha 1 and the last 20 epochs without it.
    """
    fields: Dict[str, Any] = {
        "dataset": "cifar10",
        "model": _known(given, given["model"]),
        "flip": 0.5,
        "crop_pad": 4,
        **dict.fromkeys(("brightness", "contrast", "saturation", "hue", "lighting"), 0.0),
        "num_epochs": given["num_epochs"],
        "batch_size": given["batch_size"] * max(given["num_gpus"], 1),
        "shards": max(given["num_gpus"], 1),
        "lr": given["lr"],
        "momentum": given["momentum"],
        "wd": given["wd"],
        "lr_mode": "step",
        "lr_decay": given["lr_decay"],
        "lr_decay_epoch": _steps(given).get("lr_decay_epoch"),
    }
    given.idle("lr_decay_period", "GluonCV's script never reads it")
    given.idle("drop_rate", "only wide ResNets take it")
    if "logging_dir" in given:
        fields.update(mixup_type="mixup", mixup_alpha=1.0, mixup_off_epoch=20)
    options = {k: v for k, v in _options(given).items() if k != "num_workers"}
    return NamespaceRecipe(Recipe(**fields), options, tuple(given.notes))
