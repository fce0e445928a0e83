"""What a recipe is: every hyper-parameter of one training run, flat and frozen."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field, fields, replace
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from gluontricks.errors import UsageError, nearest

# Fields that name a run but do not change what its method is.
IDENTITY = ("name", "seed")


def hp(default: Any, help: str, **metadata: Any) -> Any:
    """Return the dataclass field of one hyper-parameter.

    ``choices`` restricts it, ``bare`` is its value when the flag is given alone, and
    ``introduced`` the default it had when it was added (the default itself, unless it changed).
    """
    metadata.setdefault("introduced", default)
    return field(default=default, metadata={"help": help, **metadata})


@dataclass(frozen=True)
class Recipe:
    """One training run. Field name = flag = record key = table column.

    ``None`` stands for a value that follows from other fields; :func:`resolve` fills it in.
    """

    name: str = hp("unnamed", "identifier in file names and tables")
    seed: int = hp(0, "seed of every random draw")

    dataset: str = hp("cifar100", "data set")
    classes: Optional[int] = hp(None, "outputs of the network; the data set's own if not given")
    val_split: int = hp(0, "images held out of the training set for validation")
    subset: int = hp(0, "images to train on, of each class in proportion; 0 is all of them")
    select: str = hp("auto", "where 'best' is judged", choices=("auto", "test"))

    model: str = hp("resnet56_v1", "network; 'cifar_' may stand before its name")
    last_gamma: bool = hp(False, "start the last batch norm of each residual block at zero")
    init: str = hp("xavier", "initial weights", choices=("xavier", "msra"))

    input_size: Optional[int] = hp(None, "height and width of the network's input, in pixels")
    crop_ratio: Optional[float] = hp(None, "part of the image that evaluation crops, 0.875")
    min_scale: Optional[float] = hp(None, "smallest part of an image that a crop takes, 0.08")
    augment: Optional[str] = hp(
        None, "the paper's colour changes, or GluonCV's", choices=("paper", "gluoncv", "none")
    )
    normalization: str = hp("dataset", "dataset, imagenet, none, or R,G,B/R,G,B (mean/std of 0..1)")
    flip: Optional[float] = hp(None, "probability of a horizontal flip")
    brightness: Optional[float] = hp(None, "brightness factor in 1 +- this")
    contrast: Optional[float] = hp(None, "contrast factor in 1 +- this", introduced=0.0)
    saturation: Optional[float] = hp(None, "saturation factor in 1 +- this")
    hue: Optional[float] = hp(None, "hue turned by at most this part of the circle")
    lighting: Optional[float] = hp(None, "standard deviation of the PCA lighting noise")
    crop_pad: Optional[int] = hp(None, "zero-pad by this many pixels, then crop at random")

    num_epochs: Optional[int] = hp(None, "epochs; 120, or 200 with a mixer, if not given")
    batch_size: int = hp(256, "images per update")
    shards: int = hp(1, "parts of a batch, each with batch statistics of its own")
    optimizer: str = hp(
        "nag", "optimizer", choices=("nag", "sgd", "adam", "nadam", "adadelta", "rmsprop")
    )
    lr: Optional[float] = hp(None, "peak learning rate; the optimizer's own if not given")
    lr_scaling: str = hp("none", "linear: lr = 0.1 x batch size / 256", choices=("none", "linear"))
    momentum: Optional[float] = hp(None, "momentum of nag and sgd, 0.9 if not given")
    wd: float = hp(1e-4, "weight decay")
    no_wd: bool = hp(False, "no weight decay on biases, gammas and betas")

    lr_mode: str = hp(
        "cosine", "schedule", choices=("step", "poly", "cosine", "linear", "constant")
    )
    lr_form: str = hp("exact", "exact, or GluonCV's off-by-one form", choices=("exact", "gluoncv"))
    lr_decay: Optional[float] = hp(None, "factor of each step of the step schedule, 0.1")
    lr_decay_epoch: Optional[Tuple[int, ...]] = hp(None, "epochs of the step schedule, 30,60,90")
    lr_decay_period: int = hp(0, "steps every so many epochs, instead of --lr-decay-epoch")
    lr_decay_from: Optional[str] = hp(
        None, "where step epochs count from, start", choices=("start", "warmup")
    )
    warmup_epochs: int = hp(0, "epochs of linear warm-up, inside num_epochs")
    warmup_lr: float = hp(0.0, "learning rate that the warm-up starts from")
    ema: float = hp(0.0, "decay of a moving average of the parameters, which is evaluated")

    label_smoothing: float = hp(0.0, "probability moved off the true class", bare=0.1)
    smoothing_form: Optional[str] = hp(
        None,
        "eps/K to all (gluoncv), or eps/(K-1) to the others (paper)",
        choices=("gluoncv", "paper"),
    )
    mixup_type: str = hp("none", "mixer; a+b applies both, a|b draws one per batch")
    mixup_alpha: Optional[float] = hp(None, "lambda is drawn from Beta(alpha, alpha), 0.2")
    mixup_grid: Optional[str] = hp(None, "rows x columns of stitch-tile, 2x2")
    mixup_off_epoch: int = hp(0, "no mixing in the last so many epochs")
    mixup_off_first: int = hp(0, "no mixing in the first so many epochs")

    teacher: Optional[str] = hp(None, "network whose softened output is imitated")
    temperature: Optional[float] = hp(None, "temperature T of the distillation, 20")
    hard_weight: Optional[float] = hp(None, "weight of the true labels in GluonCV's form, 0.5")
    distillation_form: Optional[str] = hp(
        None, "gluoncv: w CE + (1-w) T^2 CE_T; paper: CE + T^2 CE_T", choices=("gluoncv", "paper")
    )

    dtype: str = hp(
        "float32",
        "precision of the network's arithmetic",
        choices=("float32", "bfloat16", "float16"),
    )
    loss_scale: Optional[float] = hp(None, "constant loss scale of float16; dynamic if not given")
    begins_with: Optional[str] = hp(
        None, "SHA-256 of the parameters that a run begins with, which --resume-params names"
    )
    resume_epoch: int = hp(0, "epoch that a run from --resume-params begins with")

    def as_dict(self) -> Dict[str, Any]:
        """Return the fields as plain JSON values, in order."""
        values: Dict[str, Any] = dataclasses.asdict(self)
        return {name: plain(value) for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe with ``values``; fields that are missing keep their first default.

        Raises
        ------
        UsageError
            If a key is no field.
        """
        known = {f.name: f for f in fields(cls)}
        for key in values:
            if key not in known:
                raise UsageError(f"unknown recipe field '{key}'", nearest(str(key), known))
        complete: Dict[str, Any] = {k: f.metadata["introduced"] for k, f in known.items()}
        for key, value in values.items():
            complete[key] = frozen(value)
        return cls(**complete)

    def fingerprint(self, teacher: Optional[str] = None) -> str:
        """Return 16 hexadecimal digits that name the method: not its name, nor its seed.

        Only fields that differ from the default they were introduced with count, so that a new
        field changes no fingerprint. Take it of a resolved recipe.

        Parameters
        ----------
        teacher : str, optional
            What identifies the teacher's parameters: their SHA-256.
        """
        content = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name not in IDENTITY and getattr(self, f.name) != f.metadata["introduced"]
        }
        if teacher is not None:
            content["teacher_sha256"] = teacher
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def plain(value: Any) -> Any:
    """Return a field's value as JSON knows it."""
    return [*value] if isinstance(value, tuple) else value


def frozen(value: Any) -> Any:
    """Return a value from JSON as a field holds it."""
    return (*value,) if isinstance(value, list) else value


def difference(old: Recipe, new: Recipe) -> List[str]:
    """Return one line ``field: old -> new`` for every field in which two recipes differ."""
    return [
        f"{f.name}: {getattr(old, f.name)!r} -> {getattr(new, f.name)!r}"
        for f in fields(Recipe)
        if getattr(old, f.name) != getattr(new, f.name)
    ]


@dataclass(frozen=True)
class Row:
    """One row of a published table: its label, and the recipe that stands for it, if any.

    ``teacher`` names the recipe that trains the row's teacher, in the first label set.
    """

    label: str
    recipe: Optional[Recipe] = None
    teacher: Optional[str] = None


@dataclass(frozen=True)
class LogOfRow:
    """The authors' log that belongs to a row of a published table.

    ``run`` is its name in :mod:`gluontricks.recipes.gluoncv_runs`, ``differs`` what is known to
    differ from the row. Where that decides the result the two are not ``comparable``.
    """

    run: str
    differs: str
    comparable: bool = True


@dataclass(frozen=True)
class Ablation:
    """A published table as data: each row is a recipe.

    ``variants`` are the label sets a row is run with: pairs of a name and the fields it changes.
    ``compared`` is the variant that published values are compared with. ``logs`` has the authors'
    logs by row. ``baselines`` has the row that each row is compared with: by default the first
    that has a recipe; an empty mapping compares none. Within ``margin`` points of a published
    value a result counts as equivalent.
    """

    paper: str
    table: str
    caption: str
    rows: Tuple[Row, ...]
    variants: Tuple[Tuple[str, Mapping[str, Any]], ...] = (("", {}),)
    compared: str = ""
    notes: Tuple[str, ...] = ()
    logs: Mapping[str, LogOfRow] = field(default_factory=lambda: {})
    baselines: Optional[Mapping[str, str]] = None
    margin: float = 0.5

    def baseline_of(self, row: str) -> str:
        """Return the row that ``row`` is compared with; itself for none."""
        if self.baselines is not None:
            return self.baselines.get(row, row)
        return next((other.label for other in self.rows if other.recipe is not None), row)


def stack(base: Recipe, *steps: Tuple[str, Mapping[str, Any]]) -> Tuple[Row, ...]:
    """Return rows in which each step changes the recipe of the row before."""
    rows: List[Row] = []
    for label, changes in steps:
        base = replace(base, **changes)
        rows.append(Row(label, base))
    return tuple(rows)


def compare(base: Recipe, *steps: Tuple[str, Mapping[str, Any]]) -> Tuple[Row, ...]:
    """Return rows in which every step changes ``base`` alone."""
    return tuple(Row(label, replace(base, **changes)) for label, changes in steps)


def taught(rows: Iterable[Row], teacher: str) -> Tuple[Row, ...]:
    """Return ``rows``, those with a teacher naming the recipe that trains it."""
    return tuple(
        replace(row, teacher=teacher) if row.recipe is not None and row.recipe.teacher else row
        for row in rows
    )


def labelled(rows: Iterable[Row]) -> Dict[str, Recipe]:
    """Return label -> recipe of the rows that have one."""
    return {row.label: row.recipe for row in rows if row.recipe is not None}
