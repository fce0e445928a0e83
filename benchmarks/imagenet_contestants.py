"""The contestants of the ImageNet benchmark, each built in a process of its own."""

from __future__ import annotations

import importlib
import itertools
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from common import keep_memory
from contestants import LR, MEMORY_BATCHES, MOMENTUM, WD, Contestant, import_gluoncv

BATCH, CLASSES = 16, 10
SIZES = {"resnet18_v1d": 128, "resnet50_v1d": 224}
# GluonCV's zoo has no ResNet-18-D; its blocks make one.
LAYERS = {"resnet18_v1d": [2, 2, 2, 2], "resnet50_v1d": [3, 4, 6, 3]}


def gluontricks(model: str, threads: int, data_dir: Path, *, dtype: str, engine: str) -> Contestant:
    """Return this package's learner with its whole pipeline on images in folders."""
    from gluontricks.threads import set_threads

    set_threads(threads)
    from gluontricks import builders, planning
    from gluontricks.learners import make_learner
    from gluontricks.options import RunOptions
    from gluontricks.recipes import Recipe
    from gluontricks.recipes.resolve import resolve

    recipe = resolve(
        Recipe(
            dataset="imagenette", model=model, input_size=SIZES[model], batch_size=BATCH, lr=LR,
            label_smoothing=0.1, dtype=dtype, num_epochs=100,
        )
    )  # fmt: skip
    options = RunOptions(data_dir=data_dir, engine=engine)
    pair = planning.plan_data(recipe, options)
    train = builders.load_data(recipe, options, pair).train
    feed = builders.make_feed(recipe, train, options)
    learner: Any = make_learner(builders.make_spec(recipe, None, image_size=SIZES[model]), engine)
    rates = builders.make_rates(recipe, feed.steps_per_epoch)
    learner.begin(rates, builders.make_momenta(recipe, len(rates)))
    stream = itertools.chain.from_iterable(feed.batches(epoch) for epoch in itertools.count())
    shapes = [tuple(parameter.shape) for parameter in learner.trained.values()]
    return Contestant(
        shapes, lambda: learner.step(next(stream)), lambda: float(learner.losses()[-1]), train.name
    )


def gluoncv(model: str, threads: int, data_dir: Path) -> Contestant:
    """Return GluonCV's network in the loop of its ImageNet script, in hybrid mode, on folders.

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
    net(mx.nd.zeros((1, 3, size, size)))
    net.hybridize(static_alloc=True, static_shape=True)
    vision = mx.gluon.data.vision
    jitter = 0.4
    change = vision.transforms.Compose(
        [
            vision.transforms.RandomResizedCrop(size),
            vision.transforms.RandomFlipLeftRight(),
            vision.transforms.RandomColorJitter(
                brightness=jitter, contrast=jitter, saturation=jitter
            ),
            vision.transforms.RandomLighting(0.1),
            vision.transforms.ToTensor(),
            vision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    images = vision.ImageFolderDataset(str(data_dir / "imagenette2-128" / "train"), flag=1)
    loader = mx.gluon.data.DataLoader(
        images.transform_first(change), batch_size=BATCH, shuffle=True, last_batch="discard",
        num_workers=4,
    )  # fmt: skip
    shapes = [p.shape for p in net.collect_params().values() if p.grad_req != "null"]
    loop = ImageNetLoop(mx, net, loader)
    return Contestant(shapes, loop.step, lambda: loop.last, "imagenette")


class ImageNetLoop:
    """One update as in GluonCV's ImageNet script with label smoothing, one device."""

    def __init__(self, mx: Any, net: Any, loader: Any) -> None:
        self.mx, self.net, self.loader = mx, net, loader
        self.batches = iter(loader)
        self.trainer = mx.gluon.Trainer(
            net.collect_params(), "nag", {"learning_rate": LR, "wd": WD, "momentum": MOMENTUM}
        )
        self.criterion = mx.gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=False)
        self.metric = mx.metric.RMSE()
        self.last = float("nan")

    def step(self) -> None:
        """Load a batch and do one update."""
        batch = next(self.batches, None)
        if batch is None:
            self.batches = iter(self.loader)
            batch = next(self.batches)
        mx, split = self.mx, self.mx.gluon.utils.split_and_load
        data, label = (split(part, ctx_list=[mx.cpu()], batch_axis=0) for part in batch)
        smooth = [y.one_hot(CLASSES, on_value=0.91, off_value=0.01) for y in label]
        with mx.autograd.record():
            outputs = [self.net(x) for x in data]
            losses = [self.criterion(out, y) for out, y in zip(outputs, smooth)]
        for loss in losses:
            loss.backward()
        self.trainer.step(BATCH)
        self.metric.update(smooth, [mx.nd.softmax(out) for out in outputs])
        self.last = self.metric.get()[1]


def pytorch(model: str, threads: int, data_dir: Path, *, dtype: str) -> Contestant:
    """Return the same network on PyTorch: channels last, random batches that lie in memory."""
    del data_dir
    import torch
    from torch_network import resnet_d

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = resnet_d(model, CLASSES).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(
        net.parameters(), lr=LR, momentum=MOMENTUM, nesterov=True, weight_decay=WD, fused=True
    )
    size = SIZES[model]
    batches = [
        (
            torch.randn(BATCH, 3, size, size).to(memory_format=torch.channels_last),
            torch.randint(0, CLASSES, (BATCH,)),
        )
        for _ in range(MEMORY_BATCHES)
    ]
    done: List[Any] = []

    def step() -> None:
        inputs, labels = batches[len(done) % MEMORY_BATCHES]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
            logits = net(inputs)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        done.append(loss.detach())

    shapes: List[Tuple[int, ...]] = [tuple(parameter.shape) for parameter in net.parameters()]
    return Contestant(shapes, step, lambda: float(done[-1]), "random tensors")


def having(factory: Callable[..., Contestant], **settings: str) -> Callable[..., Contestant]:
    """Return ``factory`` at one precision, and on one engine where it has several."""
    return lambda model, threads, data_dir: factory(model, threads, data_dir, **settings)


CONTESTANTS: Dict[str, Callable[..., Contestant]] = {
    "gluontricks-fp32": having(gluontricks, dtype="float32", engine="mxnet"),
    "gluontricks-torch-fp32": having(gluontricks, dtype="float32", engine="torch"),
    "gluontricks-torch-bf16": having(gluontricks, dtype="bfloat16", engine="torch"),
    "gluoncv": gluoncv,
    "pytorch-fp32": having(pytorch, dtype="float32"),
    "pytorch-bf16": having(pytorch, dtype="bfloat16"),
}
__all__ = ["BATCH", "CONTESTANTS", "SIZES", "keep_memory"]
