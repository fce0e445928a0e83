"""The contestants of the ImageNet benchmark, each built in a process of its own."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple

import numpy as np
from contestants import (
    MEMORY_BATCHES,
    MOMENTUM,
    WD,
    Contestant,
    Native,
    having,
    import_gluoncv,
    native,
    require_torch,
)

from gluontricks import builders, planning
from gluontricks.data.disk import DiskSet
from gluontricks.data.listing import find_part
from gluontricks.learners import make_learner
from gluontricks.options import RunOptions
from gluontricks.pipeline import Batch
from gluontricks.recipes import Recipe
from gluontricks.recipes.resolve import resolve
from gluontricks.threads import set_threads

BATCH, CLASSES = 16, 10
# Scaled with the batch as in the paper: 0.1 diverges here, and infinities have their own speed.
LR = 0.1 * BATCH / 256
DATASET = "imagenette"
SIZES = {"resnet18_v1d": 128, "resnet50_v1d": 224}
# GluonCV's zoo has no ResNet-18-D; its blocks make one.
LAYERS = {"resnet18_v1d": [2, 2, 2, 2], "resnet50_v1d": [3, 4, 6, 3]}


class Source(NamedTuple):
    """Where images come from.

    Attributes
    ----------
    folder : Path
        Holds Imagenette's folder.
    synthetic : bool
        Our side gets random uint8 images that lie in memory instead.
    """

    folder: Path
    synthetic: bool


class Timed:
    """An iterator that adds up the seconds that its items are waited for."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items, self.seconds = iter(items), 0.0

    def __next__(self) -> Any:
        """Return the next item."""
        began = time.perf_counter()
        item = next(self.items)
        self.seconds += time.perf_counter() - began
        return item


def endless(make: Callable[[int], Iterable[Any]]) -> Timed:
    """Return the items of ``make(0)``, ``make(1)`` and so on, one epoch after the other."""
    return Timed(itertools.chain.from_iterable(make(epoch) for epoch in itertools.count()))


def gluontricks(
    model: str, threads: int, source: Source, *, dtype: str, engine: str = "mxnet"
) -> Contestant:
    """Return this package's learner with its whole pipeline, or with images in memory."""
    set_threads(threads)
    recipe = resolve(
        Recipe(
            dataset=DATASET, model=model, input_size=SIZES[model], batch_size=BATCH, lr=LR,
            label_smoothing=0.1, dtype=dtype, num_epochs=100,
        )
    )  # fmt: skip
    options = RunOptions(data_dir=source.folder, engine=engine)
    pair = planning.plan_data(recipe, options)
    train = builders.load_data(recipe, options, pair).train
    assert isinstance(train, DiskSet)
    feed = builders.make_feed(recipe, train, options)
    spec = builders.make_spec(recipe, None, image_size=SIZES[model], options=options)
    learner: Any = make_learner(spec, engine)
    rates = builders.make_rates(recipe, feed.steps_per_epoch)
    learner.begin(rates, builders.make_momenta(recipe, len(rates)))
    stream = Timed(in_memory(SIZES[model])) if source.synthetic else endless(feed.batches)
    return Contestant(
        [tuple(parameter.shape) for parameter in learner.trained.values()],
        lambda: learner.step(next(stream)),
        lambda: float(learner.losses()[-1]),
        "random uint8 images in memory" if source.synthetic else described(len(train)),
        lambda: stream.seconds,
    )


def in_memory(size: int) -> Iterator[Batch]:
    """Yield batches whose images were decoded before the start: a few random ones, in turn."""
    generator = np.random.default_rng(0)
    shape = (MEMORY_BATCHES, BATCH, size, size, 3)
    images = generator.integers(0, 256, shape, dtype=np.uint8)
    labels = generator.integers(0, CLASSES, shape[:2], dtype=np.int64)
    for step in itertools.count():
        turn = step % MEMORY_BATCHES
        yield Batch(step, 0, step, labels[turn], images=images[turn])


def described(count: int) -> str:
    """Return what a contestant on files says of its data."""
    return f"{count:,} JPEGs in folders"


def gluoncv(model: str, threads: int, source: Source) -> Contestant:
    """Return GluonCV's network in the loop of its ImageNet script, ``--mode hybrid``, on folders.

    ``threads`` is ignored: the script sets none, so neither do we (``OMP_NUM_THREADS`` unset).
    """
    del threads
    import_gluoncv()
    import mxnet as mx

    resnet = importlib.import_module("gluoncv.model_zoo.resnetv1b")
    block = resnet.BottleneckV1b if model == "resnet50_v1d" else resnet.BasicBlockV1b
    net = resnet.ResNetV1b(
        block, LAYERS[model], classes=CLASSES, deep_stem=True, avg_down=True, name_prefix="d_"
    )
    net.initialize(mx.init.MSRAPrelu(), ctx=mx.cpu())
    size = SIZES[model]
    net(mx.nd.zeros((1, 3, size, size)))  # the shapes of its parameters are known from here on
    net.hybridize(static_alloc=True, static_shape=True)
    images = mx.gluon.data.vision.ImageFolderDataset(
        str(find_part(DATASET, "train", source.folder)), flag=1
    )
    loader = mx.gluon.data.DataLoader(
        images.transform_first(script_transforms(size)),
        batch_size=BATCH,
        shuffle=True,
        last_batch="discard",
        num_workers=4,
    )
    shapes = [p.shape for p in net.collect_params().values() if p.grad_req != "null"]
    loop = ImageNetLoop(mx, net, loader)
    return Contestant(
        shapes, loop.step, loop.finish, described(len(images)), lambda: loop.batches.seconds
    )


def script_transforms(size: int) -> Any:
    """Return the transforms that GluonCV's script applies to images in folders."""
    transforms = importlib.import_module("mxnet").gluon.data.vision.transforms
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size),
            transforms.RandomFlipLeftRight(),
            transforms.RandomColorJitter(brightness=0.4, contrast=0.4, saturation=0.4),
            transforms.RandomLighting(0.1),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )


class ImageNetLoop:
    """One update as in GluonCV's ImageNet script with label smoothing, one device."""

    def __init__(self, mx: Any, net: Any, loader: Any) -> None:
        self.mx, self.net = mx, net
        self.batches = endless(lambda _: loader)
        self.trainer = mx.gluon.Trainer(
            net.collect_params(), "nag", {"learning_rate": LR, "wd": WD, "momentum": MOMENTUM}
        )
        self.criterion = mx.gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=False)
        self.accuracy = mx.metric.Accuracy()
        self.losses: List[Any] = []

    def step(self) -> None:
        """Load a batch and do one update; the accuracy waits for the outputs."""
        devices, split = [self.mx.cpu()], self.mx.gluon.utils.split_and_load
        data, label = (split(x, ctx_list=devices, batch_axis=0) for x in next(self.batches))
        wrong = 0.1 / CLASSES
        smooth = [y.one_hot(CLASSES, on_value=0.9 + wrong, off_value=wrong) for y in label]
        with self.mx.autograd.record():
            outputs = [self.net(x.astype("float32", copy=False)) for x in data]
            self.losses = [self.criterion(out, y) for out, y in zip(outputs, smooth)]
        for loss in self.losses:
            loss.backward()
        self.trainer.step(BATCH)
        self.accuracy.update(label, outputs)

    def finish(self) -> float:
        """Wait for all updates and return the last mean loss."""
        self.mx.nd.waitall()
        return float(self.losses[0].mean().asscalar())


def pytorch(model: str, threads: int, source: Source, *, dtype: str) -> Contestant:
    """Return the same network on PyTorch: channels last, random batches that lie in memory."""
    del source
    require_torch()
    from torch_network import resnet_d

    job = Native(BATCH, SIZES[model], CLASSES, LR, dtype)
    return native(lambda: resnet_d(model, CLASSES), job, threads)


CONTESTANTS: Dict[str, Callable[..., Contestant]] = {
    "gluontricks-fp32": having(gluontricks, dtype="float32"),
    "gluontricks-bf16": having(gluontricks, dtype="bfloat16"),
    "gluontricks-torch-fp32": having(gluontricks, dtype="float32", engine="torch"),
    "gluontricks-torch-bf16": having(gluontricks, dtype="bfloat16", engine="torch"),
    "gluoncv": gluoncv,
    "pytorch-fp32": having(pytorch, dtype="float32"),
    "pytorch-bf16": having(pytorch, dtype="bfloat16"),
}
