"""Both engines do the same run in float64; what differs is told as one number per kind."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, islice
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional

import numpy as np

from gluontricks import builders
from gluontricks.data import ImageSet, dataset_info, load_split
from gluontricks.errors import UsageError
from gluontricks.learners import (
    RUNNING,
    SLOTS,
    LearnerSpec,
    LearnerState,
    TeacherSpec,
    engine_module,
    make_learner,
)
from gluontricks.mixing.names import SINGLE
from gluontricks.models import get_model, input_size, list_models
from gluontricks.models.names import describe
from gluontricks.models.weights import initialize, parameter_paths
from gluontricks.options import RunOptions
from gluontricks.pipeline import Batch
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe
from gluontricks.teachers import read_weights

REFERENCE, OTHER = "mxnet", "torch"
# What correct engines stay within: gradients of the first step, the rest after a few steps.
GRADIENT_LIMIT, LIMIT = 1e-10, 1e-6
# How much further than the reference's own rounding another engine may be.
LEEWAY = 100
SMALL = "resnet8_v1"
# A small network of ImageNet's, and the least size at which those have more than one pixel left.
SMALL_IMAGENET, LEAST = "mobilenet0.25", 64
# Every trick in one run: stitched, smoothed, distilled; alpha 1, so that batches are really cut.
# At a higher rate deep networks make a difference in the last digit a thousand times larger a step.
COMPOSITE = Recipe(
    name="crosscheck",
    dataset="digits",
    model=SMALL,
    batch_size=8,
    lr=1e-4,
    mixup_type="stitch-vertical",
    mixup_alpha=1.0,
    label_smoothing=0.1,
    teacher=SMALL,
    num_epochs=2,
    warmup_epochs=1,
)
PLAIN = replace(
    COMPOSITE, lr=0.01, mixup_type="none", mixup_alpha=None, label_smoothing=0.0, teacher=None
)
LOSSES: Dict[str, Dict[str, Any]] = {
    "cross-entropy": {},
    "smoothing, gluoncv": {"label_smoothing": 0.1},
    "smoothing, paper": {"label_smoothing": 0.1, "smoothing_form": "paper"},
    "distillation, gluoncv": {"teacher": SMALL},
    "distillation, paper": {"teacher": SMALL, "distillation_form": "paper"},
}


class Differences(NamedTuple):
    """Largest difference over all arrays of a kind, over the largest absolute value in them.

    ``gradients`` are those of the first step; ``loss`` is over all steps; ``parameters`` and
    ``statistics`` (running means and variances) are those after the last.
    """

    loss: float
    gradients: float
    parameters: float
    statistics: float

    @property
    def agree(self) -> bool:
        """Whether all are within their limits."""
        return all(value <= limit for value, limit in zip(self, LIMITS))

    def explained_by(self, own: Differences) -> bool:
        """Whether they are within what the reference alone makes of its last digits."""
        bounds = [max(limit, LEEWAY * value) for limit, value in zip(LIMITS, own)]
        return all(value <= bound for value, bound in zip(self, bounds))


LIMITS = Differences(LIMIT, GRADIENT_LIMIT, LIMIT, LIMIT)


class Run(NamedTuple):
    """What both engines are given."""

    spec: LearnerSpec
    train: ImageSet
    batches: List[Batch]
    rates: List[float]
    momenta: List[float]


class Case(NamedTuple):
    """One row of the table: what it is about, a run that shows it, and the size of its images."""

    kind: str
    name: str
    recipe: Recipe
    size: Optional[int] = None


def cases() -> Iterator[Case]:
    """Yield a case for every network, loss, optimizer and mixer that there is.

    Each network runs with all tricks at once; a small one runs with every trick.
    """
    for name in list_models():
        yield Case("network", name, replace(composite(name), batch_size=4), size_for(name))
    for name, changes in LOSSES.items():
        yield Case("loss", name, replace(PLAIN, **changes))
    for name in SLOTS:
        rate = 1.0 if name == "adadelta" else 0.01 if name in ("nag", "sgd") else 1e-3
        yield Case("optimizer", name, replace(PLAIN, optimizer=name, lr=rate, no_wd=True))
    for name in (*SINGLE, "mixup+cutmix", "mixup|stitch-tile"):
        yield Case("mixer", name, replace(PLAIN, mixup_type=name, mixup_alpha=1.0))


def composite(model: str) -> Recipe:
    """Return the run with every trick on a network; its teacher takes the same images."""
    if input_size(model) == input_size(SMALL):
        return replace(COMPOSITE, model=model)
    # New ImageNet networks have gradients of thousands in their first layer: at 1e-5, one with 152
    # layers makes a digit's rounding a hundredfold with every update, on either engine.
    return replace(COMPOSITE, model=model, teacher=SMALL_IMAGENET, lr=1e-7)


def size_for(model: str) -> Optional[int]:
    """Return the size to which :data:`COMPOSITE`'s images are enlarged for a network."""
    own = dataset_info(COMPOSITE.dataset).image_size
    if input_size(model) == own:
        return None
    return -(-max(LEAST, describe(model).smallest) // own) * own


def crosscheck(
    recipe: Recipe,
    *,
    steps: int = 5,
    options: Optional[RunOptions] = None,
    size: Optional[int] = None,
) -> Differences:
    """Return how far the engines are apart after the first ``steps`` updates of a run.

    Both have the same seed, data and draws, and compute in float64. A teacher without
    ``options.teacher_params`` is a new network, which serves as well here.

    Parameters
    ----------
    recipe : Recipe
        Need not be resolved; its precision is not used.
    steps : int
        1 or more.
    options : RunOptions, optional
        Folder of the data, and the teacher's parameters.
    size : int, optional
        Height and width to which images are enlarged, by repeating pixels: a multiple of their own.

    Raises
    ------
    UsageError
        If an engine is missing, or cannot run it, or the run has not so many updates.
    """
    return Comparison(recipe, steps=steps, options=options, size=size).engines()


class Comparison:
    """The reference's updates of a run, and how far others end from them.

    The arguments are those of :func:`crosscheck`.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        steps: int = 5,
        options: Optional[RunOptions] = None,
        size: Optional[int] = None,
    ) -> None:
        self.run = make_run(recipe, steps, options or RunOptions(), size)
        self.reference = outcome(REFERENCE, self.run)

    def engines(self) -> Differences:
        """Return how far the other engine is."""
        return differences(self.reference, outcome(OTHER, self.run))

    def rounding(self) -> Differences:
        """Return how far the reference moves if each initial weight changes in its last digit.

        No two engines can be closer in a run that makes so much of rounding.
        """
        return differences(self.reference, outcome(REFERENCE, self.run, disturbed=True))


def make_run(recipe: Recipe, steps: int, options: RunOptions, size: Optional[int] = None) -> Run:
    """Return what both engines are given."""
    if steps < 1:
        raise UsageError(f"{steps} steps compare nothing", "give 1 or more")
    for engine in (REFERENCE, OTHER):
        engine_module(engine)  # one that is missing is told before the other has computed
    recipe = resolve(recipe)
    train = enlarged(load_split(recipe.dataset, "train", data_dir=options.data_dir), size)
    draws = builders.make_draws(recipe, train)
    spec = builders.make_spec(recipe, teacher_of(recipe, options), image_size=draws.size[0])
    rates = builders.make_rates(recipe, draws.steps_per_epoch)
    epochs = map(draws.batches, range(recipe.num_epochs or 0))
    batches = list(islice(chain.from_iterable(epochs), steps))
    if len(batches) < steps:
        raise UsageError(
            f"{steps} steps are more than the {len(batches)} updates of the run",
            "give fewer, or more epochs",
        )
    momenta = builders.make_momenta(recipe, len(rates))
    spec = replace(spec, dtype="float64", dropout=False)
    return Run(spec, train, batches, rates, momenta)


def enlarged(data: ImageSet, size: Optional[int]) -> ImageSet:
    """Return images of ``size`` x ``size`` pixels, each pixel repeated; as they are without one."""
    times = size // data.images.shape[1] if size else 1
    return replace(data, images=data.images.repeat(times, axis=1).repeat(times, axis=2))


def teacher_of(recipe: Recipe, options: RunOptions) -> Optional[TeacherSpec]:
    """Return the teacher of a run: its parameters if they are named, a new network otherwise."""
    if recipe.teacher is None:
        return None
    own = builders.make_pipeline(recipe)
    weights = read_weights(options.teacher_params) if options.teacher_params else None
    return TeacherSpec(
        model=recipe.teacher,
        classes=recipe.classes or 0,
        parameters=weights.parameters if weights else new_parameters(recipe),
        normalization=(weights and weights.normalization) or (own.mean, own.std),
        temperature=recipe.temperature or 0.0,
        hard_weight=recipe.hard_weight,
        form=recipe.distillation_form or "gluoncv",
    )


def new_parameters(recipe: Recipe) -> Dict[str, np.ndarray]:
    """Return the initial values of the teacher's network, of another seed than the student's."""
    net = get_model(str(recipe.teacher), classes=recipe.classes or 0)
    initialize(net, seed=recipe.seed + 1)
    return {path: p.data().asnumpy() for path, p in parameter_paths(net).items()}


def outcome(
    engine: str, run: Run, *, disturbed: bool = False
) -> Dict[str, Mapping[str, np.ndarray]]:
    """Do the updates on an engine; return the arrays of every kind."""
    learner = make_learner(run.spec, engine)
    learner.attach(run.train.images, run.train.labels)
    learner.begin(run.rates, run.momenta)
    if disturbed:
        learner.load_state(disturb(learner.state()))
    gradients: Mapping[str, np.ndarray] = {}
    for batch in run.batches:
        learner.step(batch)
        gradients = gradients or learner.gradients()
    losses = learner.losses()
    arrays = {k: v for k, v in learner.state().arrays.items() if k.startswith("p/")}
    statistics = {k: v for k, v in arrays.items() if k.endswith(RUNNING)}
    parameters = {k: v for k, v in arrays.items() if k not in statistics}
    return {
        "loss": {"loss": losses},
        "gradients": gradients,
        "parameters": parameters,
        "statistics": statistics,
    }


def disturb(state: LearnerState) -> LearnerState:
    """Return a state whose parameters are larger or smaller by one rounding, at random."""
    random = np.random.default_rng(0)
    arrays = dict(state.arrays)
    for key in sorted(key for key in arrays if key.startswith("p/") and not key.endswith(RUNNING)):
        signs = random.choice([-1.0, 1.0], arrays[key].shape)
        arrays[key] = arrays[key] * (1 + np.finfo(np.float64).eps * signs)
    return LearnerState(arrays, state.counters)


Arrays = Mapping[str, Mapping[str, np.ndarray]]


def differences(one: Arrays, other: Arrays) -> Differences:
    """Return how far the arrays of two runs are apart, by kind."""
    return Differences(*(relative(one[kind], other[kind]) for kind in Differences._fields))


def relative(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> float:
    """Return the largest difference over all arrays, over the largest absolute value in them.

    Over each array by itself it would be undefined where a true gradient is 0.
    """
    if not one:
        return 0.0
    # NumPy's maximum, since Python's loses a NaN.
    gap = float(np.max([np.abs(one[key] - other[key]).max() for key in one]))
    size = float(np.max([np.abs(value).max() for value in one.values()]))
    return gap / size if size else gap
