"""From a recipe to what the loop needs: the only place that knows what each field does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Optional, Union

from gluontricks.data import Images, dataset_info, load_split, split_validation
from gluontricks.data.augment import Augmentation, parse_normalization
from gluontricks.data.cache import decoded_cache
from gluontricks.data.disk import DiskSet, Pair
from gluontricks.data.listing import Listing
from gluontricks.data.loader import Loader
from gluontricks.data.splits import select, subset_mask
from gluontricks.data.views import PlainView, TrainView
from gluontricks.draws import Draws, Mixing
from gluontricks.errors import UsageError
from gluontricks.feed import Feed
from gluontricks.graphs import RunGraphs
from gluontricks.learners import LearnerSpec, TeacherSpec
from gluontricks.options import RunOptions
from gluontricks.pipeline import Pipeline
from gluontricks.planning import Plan, image_size, make_augmentation, plan_data
from gluontricks.processes import processes
from gluontricks.recipes.spec import Recipe
from gluontricks.schedules import Schedule, rate_table
from gluontricks.teacher_cache import LogitCache, cache_key
from gluontricks.threads import physical_cores

# More processes than these are for whoever asks for them.
MOST_WORKERS = 4


@dataclass(frozen=True)
class Data:
    """The images of a run: what it learns from, and what it is evaluated on."""

    train: Images
    evaluation: Images
    test: Images


def load_data(recipe: Recipe, options: RunOptions, pair: Optional[Pair] = None) -> Data:
    """Return the images of a run."""
    if pair is not None:
        return data_on_disk(recipe, options, pair)
    data_dir = options.data_dir
    train = load_split(recipe.dataset, "train", data_dir=data_dir)
    test = load_split(recipe.dataset, "test", data_dir=data_dir)
    validation = test
    if recipe.val_split:
        train, validation = split_validation(train, recipe.val_split, seed=recipe.seed)
    if recipe.subset:
        train = select(train, subset_mask(train.labels, recipe.subset), "train")
    return Data(train, validation, test)


def load_images(recipe: Recipe, options: RunOptions, split: str) -> Images:
    """Return one split of a resolved recipe's data set, ``train`` or ``test``, not augmented."""
    pair = plan_data(recipe, options)
    if pair is None:
        return load_split(recipe.dataset, split, data_dir=options.data_dir)
    data = data_on_disk(replace(recipe, val_split=0, subset=0), options, pair)
    return data.train if split == "train" else data.test


def data_on_disk(recipe: Recipe, options: RunOptions, pair: Pair) -> Data:
    """Return the images of a run that are decoded when they are needed."""
    view = PlainView(image_size(recipe), recipe.crop_ratio or 1.0)
    workers = worker_count(options)
    train = DiskSet(cached(pair.train, options), view, "train", workers)
    test = DiskSet(cached(pair.validation, options), view, "test", workers)
    validation = test
    if recipe.val_split:
        train, validation = train.divided(recipe.val_split, seed=recipe.seed)
    if recipe.subset:
        train = train.chosen(subset_mask(train.labels, recipe.subset))
    return Data(train, validation, test)


def cached(listing: Listing, options: RunOptions) -> Listing:
    """Return a listing whose images are decoded once, if the run has a folder for that."""
    return listing if options.cache is None else decoded_cache(listing, options.cache)


def worker_count(options: RunOptions) -> int:
    """Return the number of processes that decode images."""
    own = options.num_workers
    return min(physical_cores(), MOST_WORKERS) if own is None else own


def make_pipeline(recipe: Recipe) -> Pipeline:
    """Return what happens to a batch between the data set and the network.

    Images on disk are augmented where they are decoded.
    """
    mean, std = parse_normalization(recipe.normalization, recipe.dataset)
    on_disk = dataset_info(recipe.dataset).on_disk
    return Pipeline(
        augmentation=Augmentation() if on_disk else make_augmentation(recipe),
        mean=mean,
        std=std,
        classes=recipe.classes or 0,
        label_smoothing=recipe.label_smoothing,
        smoothing_form=recipe.smoothing_form or "gluoncv",
    )


def make_draws(recipe: Recipe, train: Images) -> Draws:
    """Return the random draws of a run."""
    mixing = Mixing(
        recipe.mixup_type,
        recipe.mixup_alpha,
        recipe.mixup_grid,
        first=recipe.mixup_off_first,
        last=(recipe.num_epochs or 0) - recipe.mixup_off_epoch,
    )
    return Draws(
        seed=recipe.seed,
        labels=train.labels,
        size=train.size,
        batch_size=recipe.batch_size,
        augmentation=make_augmentation(recipe),
        mixing=mixing,
    )


def make_feed(recipe: Recipe, train: Images, options: RunOptions) -> Union[Draws, Feed]:
    """Return the batches of a run: drawn only, or with their images if these are on disk."""
    draws = make_draws(recipe, train)
    if not isinstance(train, DiskSet):
        return draws
    view = TrainView(draws.size[0], draws.augmentation)
    loader = Loader(train.listing, workers=worker_count(options), view=view)
    shards = shard_count(recipe, device_count(options))
    return Feed(draws, loader, shards=shards, own=processes().own(shards))


def make_rates(recipe: Recipe, steps_per_epoch: int) -> List[float]:
    """Return the learning rate of every update."""
    schedule = Schedule(
        mode=recipe.lr_mode,
        peak=recipe.lr or 0.0,
        form=recipe.lr_form,
        warmup_epochs=recipe.warmup_epochs,
        warmup_lr=recipe.warmup_lr,
        decay=1.0 if recipe.lr_decay is None else recipe.lr_decay,
        decay_epochs=recipe.lr_decay_epoch or (),
        decay_from=recipe.lr_decay_from or "start",
    )
    return rate_table(schedule, epochs=recipe.num_epochs or 0, steps_per_epoch=steps_per_epoch)


def make_momenta(recipe: Recipe, steps: int) -> List[float]:
    """Return the momentum of every update."""
    return [recipe.momentum or 0.0] * steps


def make_spec(
    recipe: Recipe,
    teacher: Optional[TeacherSpec],
    *,
    image_size: int,
    options: Optional[RunOptions] = None,
    graphs: Optional[RunGraphs] = None,
) -> LearnerSpec:
    """Return what a learner is made of."""
    options = options or RunOptions()
    return LearnerSpec(
        model=recipe.model,
        classes=recipe.classes or 0,
        last_gamma=recipe.last_gamma,
        init=recipe.init,
        seed=recipe.seed,
        image_size=image_size,
        batch_size=recipe.batch_size,
        optimizer=recipe.optimizer,
        wd=recipe.wd,
        no_wd=recipe.no_wd,
        dtype=recipe.dtype,
        pipeline=make_pipeline(recipe),
        teacher=teacher,
        device=options.device,
        graphs=graphs,
        compile=options.compile,
        deterministic=options.deterministic,
        shards=shard_count(recipe, device_count(options)),
        ema=recipe.ema,
        loss_scale=recipe.loss_scale,
    )


def device_count(options: RunOptions) -> int:
    """Return the number of devices that share every batch: all that every process names."""
    return processes().count * len(options.device.split(","))


def shard_count(recipe: Recipe, devices: int) -> int:
    """Return the parts of every batch: the recipe's, or one for each device where it says none.

    Raises
    ------
    UsageError
        If the recipe's cannot be spread evenly over the devices.
    """
    if recipe.shards % devices == 0:
        return recipe.shards
    if recipe.shards == 1:
        return devices
    raise UsageError(
        f"--shards {recipe.shards} cannot be spread evenly over {devices} devices",
        "give a multiple of their number",
    )


def make_teacher(plan: Plan, data: Optional[Data], options: RunOptions) -> Optional[TeacherSpec]:
    """Return the teacher of a run as its learner takes it; its cache needs the data."""
    recipe, weights = plan.recipe, plan.teacher
    if weights is None:
        return None
    own = parse_normalization("dataset", recipe.dataset)
    return TeacherSpec(
        model=str(recipe.teacher),
        classes=recipe.classes or 0,
        parameters=weights.parameters,
        normalization=weights.normalization or own,
        temperature=recipe.temperature or 0.0,
        hard_weight=recipe.hard_weight,
        form=recipe.distillation_form or "gluoncv",
        source=weights.source,
        cache=make_cache(plan, data, options) if options.teacher_cache and data else None,
    )


def make_cache(plan: Plan, data: Data, options: RunOptions) -> LogitCache:
    """Return the store of the teacher's logits, beside the run."""
    assert plan.teacher is not None
    # Engines round differently: a run is the same whether its logits were stored or not.
    computed = f"{options.engine} {options.device.partition(':')[0]}"
    teacher = f"{plan.teacher.sha256} {plan.teacher.normalization} {computed}"
    key = cache_key(plan.recipe, teacher, data.train.sha256)
    return LogitCache(
        plan.folder.parent / "teacher-cache" / key,
        plan.recipe,
        steps=len(data.train) // plan.recipe.batch_size,
        images=len(data.train),
    )
